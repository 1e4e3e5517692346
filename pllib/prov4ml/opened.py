"""The run that is open in this process, its beginning and its end."""

from __future__ import annotations

from typing import Any, List, Mapping, Optional, Tuple

from ..errors import CaptureError
from ..process_end import at_end
from ..runs import registry
from .experiment import END_SECONDS, Experiment, Options
from .said import once
from .saving import Files

experiment: Optional[Experiment] = None
"""The run that is open; one for the whole process, whatever thread asks."""
_outer: List[Experiment] = []


def current(call: str) -> Optional[Experiment]:
    """The open run; ``None`` where nothing is recorded on this rank.

    Raises:
        CaptureError: no run is open; that is also said.
    """
    if experiment is None:
        once("no run", f"{call}(): no run is open, so nothing is recorded; call start_run() first")
        raise CaptureError(f"{call}(): no run is open")
    return None if experiment.silent else experiment


def start(given: Mapping[str, Any]) -> None:
    """Opens a run; one that is open is ended first, unless the new one is nested in it."""
    global experiment
    options = Options(**{name: value for name, value in given.items() if name in Options._fields})
    if str(getattr(options.metrics_file_type, "value", options.metrics_file_type)).lower() != "csv":
        once("csv", "files of metrics are written as CSV, whatever metrics_file_type says")
    if experiment is not None and options.nested:
        _outer.append(experiment)
    elif experiment is not None:
        once("again", "start_run(): the run that is open is ended first")
        finish(None, ())
    experiment = Experiment(options)


def finish(error: Optional[BaseException], wanted: Tuple[str, ...], wait: Optional[float] = None) -> Files:
    """Ends the open run, if there is one, and makes its files; their paths."""
    global experiment
    ending = experiment
    if ending is None:
        return {}
    experiment = _outer.pop() if _outer else None
    try:
        return ending.end(error, wanted, wait)
    finally:
        ending.close()


@at_end
def _end_with_process() -> None:
    """Runs that are open end with the process, and their documents are written."""
    while experiment is not None:
        finish(registry._ending_by(), (), wait=END_SECONDS)
