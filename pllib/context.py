"""Taking the open activity along: into threads, executors and other processes."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Callable, Iterator, Optional, Union

from . import activities
from ._boundary import shielded
from .activities import Activity


@contextmanager
def attach(activity: Union[Activity, str, None]) -> Iterator[Optional[Activity]]:
    """Makes an activity the open one here: in a thread, or by its ``token`` in another process.

    ::

        with pllib.attach(token), pllib.task("part"): ...
    """
    found = _resolve(activity)
    before = activities._open.get()
    activities._open.set(found)
    try:
        yield found
    finally:
        activities._open.set(before)


@shielded(lambda activity: None)
def _resolve(activity: Union[Activity, str, None]) -> Optional[Activity]:
    return activities.Remote(activity) if isinstance(activity, str) else activity


class Carried:
    """A function that runs inside the activity that was open when it was wrapped; can be pickled for a process pool."""

    def __init__(self, function: Callable[..., Any], activity: Union[Activity, str, None]) -> None:
        self.function, self.activity = function, activity

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with attach(self.activity):
            return self.function(*args, **kwargs)

    def __reduce__(self) -> Any:
        token = self.activity.token if isinstance(self.activity, Activity) else self.activity
        return Carried, (self.function, token)


def carry(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, to be run elsewhere inside the activity that is open now: ``pool.submit(pllib.carry(work), x)``."""
    return Carried(function, activities.current())
