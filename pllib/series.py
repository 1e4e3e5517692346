"""Series: values that an activity generates and that go on growing, such as a loss over the steps of training.

::

    loss = Series(task, "loss")
    for step, batch in enumerate(batches):
        loss.log(train(batch), step)
"""

from __future__ import annotations

from time import time_ns
from typing import Any, Optional, Tuple

from . import points, this_process, values
from ._boundary import nothing, shielded
from .activities import Activity
from .client import Client
from .encoding import dumps
from .errors import CaptureError
from .facts import checked_rank
from .provml.vocabulary import SEMANTICS
from .sealing import Buffer, Points


class Series:
    """A growing value of an activity; to be logged to as often as one likes, from any thread and from forked children.

    Two of the same name in one activity are the same series; what was said of it first (unit, meaning, rank) stands.

    Args:
        activity: the one that generates it.
        name: any text.
        unit: of the values, such as ``s`` or ``W``.
        meaning: ML meaning; by default that of a metric.
        telemetry: the values are measurements of the machine, and no metric.
        rank: which of the processes of a job the values come from.
    """

    __slots__ = ("_activity", "_bound", "_meaning", "_rank", "_telemetry", "_unit", "name")

    def __init__(
        self,
        activity: Activity,
        name: str,
        *,
        unit: Optional[str] = None,
        meaning: Optional[str] = "evaluation_measure",
        telemetry: bool = False,
        rank: Optional[int] = None,
    ) -> None:
        self.name = values.bounded_name(name)
        self._activity, self._unit, self._telemetry = activity, unit, telemetry
        self._meaning = None if telemetry else meaning
        self._rank = checked_rank(rank)
        self._bound: Optional[Tuple[Client, Points, Buffer]] = None

    @shielded(nothing)
    def log(self, value: Any, step: Any = None, t: Any = None) -> None:
        """Records a point; safe, at the level of the mode, when this returns.

        Args:
            value: a number, or what has one (numpy's scalars, tensors of one element); NaN and infinities too.
            step: a whole number, in any order; by default how many points there were before.
            t: microseconds since 1970; by default now.

        Raises:
            CaptureError: with ``strict``: the value or step is no number, or the activity has ended. Else it is counted in ``stats()``.
        """
        text = repr(value) if type(value) is float and value - value == 0.0 else points.value_text(value)
        if step is not None and (type(step) is not int or not -points.EXACT < step < points.EXACT):
            step = points.step_of(step)
        moment = time_ns() // 1000 if t is None else points.time_of(t)
        bound = self._bound
        # After a fork, and when settings were given anew, there is another client.
        if bound is None or bound[0] is not this_process._client or self._activity._ended:
            bound = self._bind()
        if bound is not None:
            bound[1].add(bound[2], step, moment, text)

    def _bind(self) -> Optional[Tuple[Client, Points, Buffer]]:
        """Finds where points go in this process; ``None`` where nothing is captured at all."""
        activity = self._activity
        activity._check_open("series")
        if activity.begin()._began is None:
            return None
        client = this_process.current()
        points_of_client = client.collect_points()
        buffer = points_of_client.buffer(activity.wf, activity.id, self.name, self._head(), self._telemetry)
        self._bound = client, points_of_client, buffer
        return self._bound

    def _head(self) -> str:
        """The fields that all its records have."""
        activity = self._activity
        said = f'"kind":"{activity.kind}","wf":"{activity.wf}"'
        if activity.id:
            said += f',"id":"{activity.id}"'
        said += f',"series":{dumps(self.name)}'
        if self._meaning is not None:
            if self._meaning not in SEMANTICS:
                raise CaptureError(f"no meaning is called {self._meaning!r}; there are: {', '.join(SEMANTICS)}")
            said += f',"as":"{self._meaning}"'
        if self._unit is not None:
            said += f',"unit":{dumps(values.bounded_name(self._unit))}'
        if self._telemetry:
            said += ',"telemetry":true'
        return said if self._rank is None else f'{said},"rank":{self._rank}'
