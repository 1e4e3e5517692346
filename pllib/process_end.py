"""The end of a process and its forks: when the client has to come to an end, or to forget that it belongs to another process.

A process ends through ``atexit``, whatever brought it there: the last line, ``sys.exit``, an exception, a signal whose handler raises.
``multiprocessing`` ends its children without it, and has a list of its own. ``os._exit`` and signals that kill end a process with neither:
what was accepted is in its files then.
"""

from __future__ import annotations

import atexit
import os
import sys
from typing import Callable, List

from ._boundary import nothing, shielded

_ends: List[Callable[[], None]] = []
_over = False


def at_end(end: Callable[[], None]) -> Callable[[], None]:
    """Has ``end`` called when the process ends; what was registered last comes first."""
    _ends.append(end)
    return end


def around_forks(before: Callable[[], None], in_parent: Callable[[], None], in_child: Callable[[], None]) -> None:
    """Has these called around every fork, ``in_child`` before any of the child's code runs."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=before, after_in_parent=in_parent, after_in_child=in_child)


def ended() -> bool:
    """Whether the process has come to its end, where threads can no longer be started."""
    return _over


def end_of_process() -> None:
    """Comes to the end now."""
    for end in reversed(_ends):
        shielded(nothing, always=True)(end)()


@atexit.register
def _at_exit() -> None:
    global _over
    end_of_process()
    _over = True


def end_with_multiprocessing() -> None:
    """Where this process is a child of ``multiprocessing``, puts the end on its list of last things."""
    util, process = sys.modules.get("multiprocessing.util"), sys.modules.get("multiprocessing.process")
    if util is not None and process is not None and process.parent_process() is not None:
        util.Finalize(None, end_of_process, exitpriority=10)
