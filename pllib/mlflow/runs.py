"""Runs of MLflow as executions: their begin and end, and what is added to them, from any process and thread.

A run is one execution, with one session: MLflow keeps one begin, one end and one status of a run, whoever reports them. Each
time that an ended run is resumed is a session of its own, called by the end before it, so that all processes mean the same.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import weakref
from itertools import count
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Set, Tuple

from .. import activities, this_process
from ..activities import Activity
from ..client import Client
from ..errors import CaptureError
from ..facts import error_facts, meta_facts, quoted
from ..origins import Origins
from ..process_end import around_forks
from ..references import Data
from ..runs import about, background
from ..runs.logged import record
from ..sealing import Buffer, Points
from ..series import Series
from . import naming

MOST_KNOWN = 2_000
MOST_SEEN = 10_000
FIRST = "mlflow"
"""The session of a run that was never resumed."""
SERVER = "_MLFLOW_SERVER_FILE_STORE"
"""Set in the environment of a tracking server."""


def in_server() -> bool:
    """Whether this process is a tracking server, which does things for others."""
    return bool(os.environ.get(SERVER))


class Session(NamedTuple):
    """A part of a run, from its begin or resumption to its end; times in milliseconds since 1970."""

    name: str
    started: Optional[int]


class _LaterSeries(Series):
    """A series of which this process may have recorded points before, that it has forgotten: the numbers of new points are others."""

    def _bind(self) -> Optional[Tuple[Client, Points, Buffer]]:
        bound = super()._bind()
        if bound is not None:
            _, points, buffer = bound
            buffer.indexes = count(points.accepted)  # as many as this process has recorded of all series together
        return bound


class MlflowRun(Activity):
    """A run, in a process that records something of it.

    Args:
        again: this process may have known it before.
    """

    kind = "workflow"

    def __init__(self, experiment: str, run_id: str, session: Session, again: bool) -> None:
        super().__init__(experiment)
        self._kind_of_series = _LaterSeries if again else Series
        self.run_id, self.session = run_id, session
        self.wf = f"{quoted(experiment)}/{quoted(run_id)}"
        self.ended_at: Optional[int] = None
        self._began = (0, 0)  # by MLflow
        self._origins = Origins(self.wf, lambda data, origins: this_process.encode_data(data, origins.facts))
        self._series: Dict[str, Series] = {}
        self._seen: Set[Tuple[Any, ...]] = set()

    def point(self, name: str, value: Any, step: Any, milliseconds: int) -> None:
        """Adds a point to a metric. MLflow logs points again when it makes a model of the run, and to it the same point is one."""
        point = (name, value, step, milliseconds)
        if point in self._seen:
            return
        if len(self._seen) >= MOST_SEEN:
            self._seen.clear()
        self._seen.add(point)
        series = self._series.get(name)
        if series is None:
            series = self._series[name] = self._kind_of_series(self, name, telemetry=name.startswith("system/"))
        series.log(value, step, milliseconds * 1000)

    def forget(self) -> None:
        """Lets go of what this process keeps for its metrics."""
        client = this_process._client
        if client is not None and client.points is not None:
            client.points.end(self.wf, "")

    def begins(self, parts: Dict[str, Any], resumes: bool = False) -> None:
        """Records the begin of the run's session."""
        session = self.session
        moment = time.time_ns() // 1000 if session.started is None else session.started * 1000
        if resumes:
            parts["resumes"] = True
        _emit(self, "begin", moment, f',"session":"{session.name}","stage":"learning"', parts)

    def ends(self, milliseconds: int, status: str, parts: Dict[str, Any]) -> None:
        """Records the end of the run's session."""
        self._seen.clear()
        self.ended_at = milliseconds
        started = milliseconds if self.session.started is None else self.session.started
        elapsed = max(0, milliseconds - started) * 1000
        more = f',"elapsed":{elapsed},"status":"{status}","session":"{self.session.name}"'
        _emit(self, "end", milliseconds * 1000, more, parts)


def _emit(activity: Activity, operation: str, moment: int, more: str, parts: Dict[str, Any]) -> None:
    client = this_process.current()
    head = (
        f'{{"n":{next(client.numbers)},"op":"{operation}","t":{moment},"m":{time.monotonic_ns()},{activity._identity()}'
    )
    client.accept(head + more, parts)


_known: Dict[str, MlflowRun] = {}
_forgotten = 0
_lock = threading.RLock()
_experiments: weakref.WeakKeyDictionary[Any, Dict[str, str]] = weakref.WeakKeyDictionary()


def learn_experiment(store: Any, identifier: Any, name: str) -> None:
    """Notes an experiment's name."""
    with _lock:
        _experiments.setdefault(store, {})[str(identifier)] = name


def known_experiment(store: Any, identifier: Any) -> Optional[str]:
    """The name that an experiment was last known by here."""
    return _experiments.get(store, {}).get(str(identifier))


def experiment_name(store: Any, identifier: Any) -> str:
    """The name of an experiment; MLflow is asked for it once, in a server each time: another of its processes may have renamed it."""
    found = known_experiment(store, identifier)
    if found is None or in_server():
        found = str(store.get_experiment(identifier).name)
        learn_experiment(store, identifier, found)
    return found


def learn(store: Any, info: Any) -> MlflowRun:
    """The run that MLflow's information is about."""
    found = _known.get(info.run_id)
    if found is None:
        made = MlflowRun(experiment_name(store, info.experiment_id), info.run_id, _session_of(info), _forgotten > 0)
        with _lock:
            found = _known.setdefault(info.run_id, made)
            old = _oldest()
        if old is not None:
            old.forget()
    return found


def _oldest() -> Optional[MlflowRun]:
    """The run that is known for longest, which is forgotten, if there are too many."""
    global _forgotten
    if len(_known) <= MOST_KNOWN:
        return None
    _forgotten += 1
    return _known.pop(next(iter(_known)))


def _session_of(info: Any) -> Session:
    """The session that a run is in, as far as its information tells: one that runs and has an end was resumed."""
    if info.end_time and info.status not in naming.FAILED:
        return Session(f"{FIRST}-{info.end_time}", None)
    return Session(FIRST, info.start_time)


def of(store: Any, run_id: str) -> MlflowRun:
    """The run of an id; MLflow is asked for it once a process."""
    return _known.get(run_id) or learn(store, store.get_run(run_id).info)


def opens(store: Any, run: Any) -> MlflowRun:
    """Records the begin of a run that was created."""
    found, tags = learn(store, run.info), dict(run.data.tags)
    parts: Dict[str, Any] = {}
    person = None if in_server() else this_process.current().settings.person
    person = person or run.info.user_id or tags.get(naming.USER)
    if person and person != "unknown":
        parts["person"] = str(person)
    if tags.get(naming.PARENT):
        parts["within"] = {"wf": of(store, tags[naming.PARENT]).wf}
    said = remarks(tags)
    if run.info.run_name:
        said["name"] = run.info.run_name
    parts["meta"] = meta_facts(said)
    found.begins(parts)
    _put_surroundings(found, tags)
    return found


def remarks(tags: Mapping[str, Any]) -> Dict[str, Any]:
    """The tags that are metadata."""
    return {name: value for name, value in tags.items() if name not in naming.NOT_TAGS}


def changes(store: Any, info: Any) -> None:
    """Records the end of a run, or that it was resumed."""
    found = learn(store, info)
    status = naming.FAILED.get(info.status)
    if status is not None:
        found.ends(info.end_time or time.time_ns() // 1_000_000, status, _how_it_failed(info.status))
    elif found.ended_at is not None or (info.end_time and found.session.name == FIRST):
        _resumes(found, found.ended_at or info.end_time)


def _resumes(run: MlflowRun, ended: int) -> None:
    run.session = Session(f"{FIRST}-{ended}", time.time_ns() // 1_000_000)
    run.ended_at = None
    run.begins({}, resumes=True)


def _how_it_failed(status: str) -> Dict[str, Any]:
    """The exception that is on its way through ``with mlflow.start_run()``, if the run failed by one."""
    error = sys.exc_info()[1]
    if status == "FAILED" and error is not None:
        return {"error": error_facts(error)}
    return {"error": {"type": "mlflow.KILLED", "message": "the run was killed"}} if status == "KILLED" else {}


def here() -> Activity:
    """The activity that what happens in this thread belongs to: MLflow's active run, else the open activity, else the script."""
    fluent = sys.modules.get("mlflow.tracking.fluent")
    active = fluent.active_run() if fluent is not None else None
    if active is not None:
        return of(tracking_store(), active.info.run_id)
    return activities.current() or activities.implicit_workflow()


def tracking_store(uri: Optional[str] = None) -> Any:
    """MLflow's tracking store: the server's own, else the one that a client uses.

    Raises:
        CaptureError: MLflow has none.
    """
    server, client = (
        sys.modules.get("mlflow.server.handlers"),
        sys.modules.get("mlflow.tracking._tracking_service.utils"),
    )
    if in_server() and server is not None:
        return server._get_tracking_store()
    if client is None:
        raise CaptureError("MLflow has no tracking store yet")
    return client._get_store(uri)


# -- code and environment, which are the same for all runs of a process -------------------------------------------------

_surroundings: Optional[Dict[str, Any]] = None


def _put_surroundings(run: MlflowRun, tags: Mapping[str, str]) -> None:
    """Has code and environment recorded as used: as they are here, in a server as the tags say."""
    tagged = naming.code(tags)
    if in_server():
        if tagged is not None:
            record(run, used={"code": tagged})
        return
    folder = _folder()
    background.jobs.put(lambda jobs: _put_surroundings_found(run, folder, tagged))


def _put_surroundings_found(run: MlflowRun, folder: str, tagged: Optional[Data]) -> None:
    global _surroundings
    if _surroundings is None:
        _surroundings = {**about.code_used(folder)[0], **about.environment_used()}
    record(run, used=_surroundings)
    commits = [data.facts.get("commit") for data in _states(_surroundings) if data.facts]
    if tagged is not None and tagged.version not in commits:
        record(run, used={"code": tagged})


def _states(used: Mapping[str, Any]) -> List[Data]:
    return [value for value in used.values() if isinstance(value, Data)]


def _folder() -> str:
    try:
        return os.getcwd()
    except OSError:  # it was removed
        return os.sep


def _in_child() -> None:
    """A forked child has no lock that another thread of its parent holds; it knows the same runs."""
    global _lock
    _lock = threading.RLock()


around_forks(lambda: None, lambda: None, _in_child)
