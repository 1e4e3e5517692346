"""The boundary between the library and the script it lives in: nothing of ours is raised through it.

Here are the client's only broad handlers. What they swallow is counted and the first few are logged to the
``pllib`` logger (which has no handler by default, so nothing is printed).
"""

from __future__ import annotations

import functools
import sys
from typing import Any, Callable, Dict, TypeVar, cast

from .errors import FullError

F = TypeVar("F", bound=Callable[..., Any])
Step = Callable[[Any, Any], Any]

LOG_LIMIT = 10

strict = False
swallowed: Dict[str, int] = {}
"""Errors kept from the script: name of the call to count."""


def report(where: str, error: BaseException) -> None:
    """Counts an error that the script does not see, and logs the first ones."""
    swallowed[where] = count = swallowed.get(where, 0) + 1
    logging = sys.modules.get("logging")  # a script that does not use it has nowhere to show it
    if count <= LOG_LIMIT and logging is not None:
        logger = logging.getLogger("pllib")
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
        logger.warning("%s: %s: %s", where, type(error).__name__, str(error)[:500])


def complain(where: str, error: Exception) -> None:
    """Raises an error with ``strict`` set, else reports it: for what the call can do without."""
    if strict:
        raise error
    _report_safely(where, error)


def shielded(fallback: Callable[..., Any], *, always: bool = False) -> Callable[[F], F]:
    """Decorates a public call so that it returns ``fallback(*args)`` instead of raising an error of ours.

    With ``strict`` set the error goes on to the caller, but for ``always`` (where there is none, as in a thread of ours).
    ``FullError`` goes on too, since who gets it asked for it. ``KeyboardInterrupt`` and ``SystemExit`` always do.
    """

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            try:
                return function(*args, **kwargs)
            except Exception as error:
                if (strict or type(error) is FullError) and not always:
                    raise
                _report_safely(function.__qualname__, error)
                return fallback(*args)

        return cast(F, guarded)

    return decorate


def shielded_step(call: str, fallback: Callable[..., Any]) -> Callable[[Step], Step]:
    """The same for a function of just two arguments, in a quarter of the time: nothing is packed and unpacked.

    Args:
        call: the public call that it is what is done for.
    """

    def decorate(function: Step) -> Step:
        def guarded(subject: Any, given: Any) -> Any:
            try:
                return function(subject, given)
            except Exception as error:
                if strict or type(error) is FullError:
                    raise
                _report_safely(call, error)
                return fallback(subject, given)

        return guarded

    return decorate


def _report_safely(where: str, error: BaseException) -> None:
    """Reports, also where the error's own ``__str__`` or a log handler raises."""
    try:
        report(where, error)
    except Exception:  # noqa: BLE001 - part of the one boundary
        swallowed[where] = swallowed.get(where, 0) + 1


def nothing(*_: Any) -> None:
    """Fallback of calls that return nothing."""
