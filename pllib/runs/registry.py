"""The runs that are open in this process: which one is meant by a call that names none, and their end when the process ends."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Dict, List, Optional

from .. import activities
from ..errors import CaptureError
from ..process_end import around_forks, at_end
from . import background

if TYPE_CHECKING:
    from .execution import Run

LAST_SECONDS = 0.3
"""What checksums and facts that are under way are given when the process ends."""
MOST_ATTACHED = 100

_lock = threading.Lock()
_open: List[Run] = []
_attached: Dict[str, Run] = {}
_ordinals: Dict[str, int] = {}
_error_before: Optional[BaseException] = None


def ordinal(experiment: str) -> int:
    """How many runs of an experiment this process opened before this one."""
    with _lock:
        found = _ordinals.get(experiment, 0)
        _ordinals[experiment] = found + 1
        return found


def add(run: Run) -> None:
    """Notes an open run."""
    global _open, _error_before
    with _lock:
        if not _open:
            _error_before = _last_error()
        _open = [*_open, run]  # a new list each time: whoever reads one needs no lock


def remove(run: Run) -> None:
    """Notes that a run has ended."""
    global _open
    with _lock:
        _open = [one for one in _open if one is not run]


def here() -> Optional[Run]:
    """The run that is open here: the one that the open activity belongs to, else the one that this process opened last."""
    activity, runs = activities.current(), _open
    if activity is not None:
        wf = activity.wf
        for run in reversed(runs):
            if run.workflow.wf == wf:
                return run
    while activity is not None:
        if isinstance(activity, activities.Remote):
            return _attached_run(activity)
        activity = activity.parent
    return runs[-1] if runs else None


def needed() -> Run:
    """The run that is open here.

    Raises:
        CaptureError: there is none.
    """
    found = here()
    if found is None:
        raise CaptureError("no run is open here: open one by `with pllib.run(…):` or pllib.start_run(…)")
    return found


def _attached_run(activity: activities.Activity) -> Run:
    from .execution import attached

    with _lock:
        found = _attached.get(activity.wf)
        if found is None:
            if len(_attached) >= MOST_ATTACHED:
                _attached.pop(next(iter(_attached))).end_contexts()
            found = _attached[activity.wf] = attached(activity)
        return found


def _last_error() -> Optional[BaseException]:
    """The exception that nobody caught, if there was one; in a shell that goes on after one, none ends the process."""
    if hasattr(sys, "ps1"):
        return None
    return getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)


def _ending_by() -> Optional[BaseException]:
    """What this process ends by, if it is an error."""
    process = sys.modules.get("multiprocessing.process")
    if process is not None and process.parent_process() is not None:
        return sys.exc_info()[1]  # the end is in the middle of it
    error = _last_error()
    return None if error is _error_before else error


@at_end
def _end_all() -> None:
    error = _ending_by()
    for run in reversed(_open):
        run.end(error, wait=0.0)
    for run in list(_attached.values()):
        run.end_contexts()
    _attached.clear()
    background.jobs.stop(LAST_SECONDS)


def _in_child() -> None:
    """In a forked child the runs go on as the parent's: what is logged in them belongs to them, their end is the parent's."""
    global _lock
    _lock = threading.Lock()
    for run in _open:
        run.forget_process()
    for run in _attached.values():
        run.forget_process()


around_forks(lambda: None, lambda: None, _in_child)
