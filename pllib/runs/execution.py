"""A run: one execution of an experiment, with what was logged in it."""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager
from functools import wraps
from types import TracebackType
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Tuple, Type, TypeVar, Union, cast
from urllib.parse import unquote

from .. import activities, this_process, values
from .._boundary import nothing, shielded
from ..activities import Activity, Section, Task, Workflow
from ..errors import CaptureError, FullError
from ..facts import checked_rank, quoted
from ..references import Data, Marked
from ..series import Series
from . import about, background, logged, ranks, registry
from .logged import Target, record

STAGES = {"training": "training", "validation": "validation", "testing": "evaluation", "evaluation": "evaluation"}
"""Contexts that are learning stages; one with another name is a task of that name."""
HYPERPARAMETER = "hyperparameter"
SECONDS = "s"

F = TypeVar("F", bound=Callable[..., None])


def _logs(function: F) -> F:
    """Decorates what logs something and returns nothing: an error is counted, and on ranks that do not collect nothing is done."""
    guarded = shielded(nothing)(function)

    @wraps(function)
    def logging(self: Run, *args: Any, **kwargs: Any) -> None:
        if not self.silent:
            guarded(self, *args, **kwargs)

    return cast(F, logging)


class _SilentSeries(Series):
    """Takes points and records none."""

    __slots__ = ()

    def log(self, value: Any, step: Any = None, t: Any = None) -> None:
        pass


class Run:
    """One execution of an experiment; made by ``pllib.run``, for ``with``.

    Attributes:
        workflow: its activity: for ``pllib.attach``, and as ``parent`` of what is opened elsewhere.
        rank: which of the processes of its job this is, if it is one of several.
        silent: whether nothing of it is recorded here, since only rank 0 collects.
    """

    def __init__(
        self,
        experiment: str,
        *,
        name: Optional[str] = None,
        study: Optional[str] = None,
        params: Optional[Mapping[str, Any]] = None,
        tags: Optional[Mapping[str, Any]] = None,
        rank: Optional[int] = None,
        collect_all_processes: bool = True,
        telemetry: Union[float, bool, None] = None,
        energy: bool = False,
        resume: Optional[str] = None,
        execution: Optional[str] = None,
        code: bool = True,
        environment: bool = True,
    ) -> None:
        self.experiment = values.bounded_name(experiment)
        self.rank, self.silent = checked_rank(rank), False
        self.workflow = Workflow(self.experiment, study=study, stage="learning")
        self._begun = self._ended = False
        self._outer: Optional[Activity] = None
        self._collect_all = collect_all_processes
        self._own_mark: Optional[str] = None
        self._resume = None if resume is None else _resumed(resume, self.experiment)
        self._shared = execution
        self._name, self._params, self._tags = name, params, tags
        self._telemetry, self._energy = about.interval(telemetry), energy
        self._wants_code, self._wants_environment = code, environment
        self._contexts: Dict[str, Activity] = {}
        self._series: Dict[Tuple[Optional[str], str], Series] = {}
        self._known_params: Dict[Tuple[str, str], List[Any]] = {}
        self._taken: Dict[Tuple[str, str], int] = {}
        self.forget_process()

    def forget_process(self) -> None:
        """For a forked child: lets go of what belongs to the parent alone, its locks and its measuring."""
        self._lock = threading.RLock()
        self._recording: Any = None

    # -- opening and closing ----------------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """The id of the execution: give it as ``resume`` to go on with it, or to the query engine."""
        return unquote(self.workflow.wf.partition("/")[2])

    @property
    def token(self) -> str:
        """Text with which another process can go on inside this run: ``with pllib.attach(token): pllib.log_metric(…)``."""
        return self.workflow.token

    @shielded(lambda self: self)
    def begin(self) -> Run:
        """Records the begin; ``with`` and ``pllib.start_run`` do this."""
        if self._begun:
            return self
        self._begun = True
        self._place()
        self.workflow.begin()
        self.silent = self.workflow._began is None
        registry.add(self)
        if not self.silent:
            self._log_given()
        return self

    def _place(self) -> None:
        """Which execution this is: a job's, one that is resumed, or a new one."""
        place, outer = ranks.place(), activities.current()
        if self.rank is None:
            self.rank = place.rank
        ordinal = registry.ordinal(self.experiment)
        if (not self._collect_all and self.rank) or (outer is not None and outer._silent):
            self.workflow._silent = True
            self.workflow.wf = (
                f"{quoted(self.experiment)}/{quoted(self._resume or _numbered(place.job or '-', ordinal))}"
            )
            return
        job = this_process.current().settings.execution or place.job
        execution = self._resume or self._shared or (_numbered(job, ordinal) if job else os.urandom(16).hex())
        resumes = self._resume is not None or (bool(job) and place.restarted)
        shared = bool(self._shared or job)
        if not resumes and (not shared or self.rank is not None):
            self._own_mark = f".rank{self.rank}" if shared and self.rank else ""
        self.workflow = Workflow(
            self.experiment,
            study=self.workflow.study,
            stage="learning",
            execution=execution,
            match=shared and self._resume is None,
            resumes=resumes,
            rank=self.rank,
            within=outer,
        )

    def _log_given(self) -> None:
        if self._name is not None:
            self.log_tags({"name": self._name})
        if self._tags:
            self.log_tags(self._tags)
        if self._params:
            self.log_params(self._params)
        if not self.rank:  # one process of a job says it for all
            about.put(self.workflow, code=self._wants_code, environment=self._wants_environment)
        if self._telemetry is not None or self._energy:
            self._measure()

    @shielded(nothing)
    def _measure(self) -> None:
        from .. import telemetry

        self._recording = telemetry.record(self.workflow, self._telemetry, energy=self._energy, rank=self.rank)

    @shielded(nothing)
    def end(self, error: Optional[BaseException] = None, wait: Optional[float] = None) -> None:
        """Records the end of the run and of its contexts; ``with`` and ``pllib.end_run`` do this.

        Then checksums and facts that are under way are waited for, ``exit_timeout`` seconds at most; what is not done by then
        goes on in the background, and is recorded when it is.

        Args:
            error: what the run failed by. ``SystemExit`` with no code, or 0, is none.
            wait: seconds to wait instead.
        """
        if not self._begun or self._ended:
            return
        self._ended = True
        self._leave()
        registry.remove(self)
        if self.silent:
            return
        failed = None if isinstance(error, SystemExit) and error.code in (None, 0) else error
        if self._recording is not None:
            self._recording.stop()
        self.end_contexts(failed)
        self.workflow.end(failed)
        background.jobs.wait(this_process.current().settings.exit_timeout if wait is None else wait)

    def end_contexts(self, error: Optional[BaseException] = None) -> None:
        """Records the end of the contexts that were begun in this process."""
        for context in list(self._contexts.values()):
            context.end(error)

    def __enter__(self) -> Run:
        self._outer = activities._open.get()
        self.begin()
        activities._open.set(self.workflow)
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self._leave()
        try:
            self.end(error)
        except FullError:
            if error is None:
                raise  # else the script's own exception is the one to go on

    def _leave(self) -> None:
        """What is opened here from now on is not inside the run."""
        if activities._open.get() is self.workflow:
            activities._open.set(self._outer)

    # -- activities inside --------------------------------------------------------------------------------------------

    @shielded(lambda self, *_: self.workflow)
    def context(self, name: Any) -> Activity:
        """The activity of a context: ``training``, ``validation``, ``testing``, ``evaluation`` are learning stages, any other name a task.

        It begins with the first call and ends with the run. All processes of a run mean the same one.
        """
        return self._context(name)

    def _context(self, context: Any) -> Activity:
        if self._ended or not self._begun:
            state = "has ended" if self._ended else "is not open: use it by `with`, or take pllib.start_run()"
            raise CaptureError(f"the run of {self.experiment} {state}")
        name = _context_name(context)
        if name is None:
            return self.workflow
        found = self._contexts.get(name)
        if found is None:
            with self._lock:
                found = self._contexts.get(name)
                if found is None:
                    found = Task(name, parent=self.workflow, stage=STAGES.get(name), number="0")
                    found.begin()
                    self._contexts[name] = found
        return found

    def task(self, name: str, **options: Any) -> Task:
        """A task inside the run; for ``with``. See ``pllib.task``."""
        return self.workflow.task(name, **options)

    def section(self, name: str, **options: Any) -> Section:
        """A part of the learning, such as an epoch; for ``with``. See ``pllib.section``."""
        return self.workflow.section(name, **options)

    # -- parameters, metrics, tags ------------------------------------------------------------------------------------

    @_logs
    def log_param(self, name: str, value: Any, *, context: Any = None) -> None:
        """Records a hyperparameter.

        Another value under the same name is kept beside the first; the metadata ``changed_param.{name}`` has all in their order.
        """
        self.log_params({name: value}, context=context)

    @_logs
    def log_params(self, params: Mapping[str, Any], *, context: Any = None) -> None:
        """Records hyperparameters, of any values."""
        activity = self._context(context)
        used: Dict[str, Any] = {}
        changed: Dict[str, Any] = {}
        for key, given in logged.pairs("params", params):
            name, value = values.bounded_name(key), logged.path_as_text(given)
            with self._lock:
                known = self._known_params.setdefault((activity.id, name), [])
                encoded = values.exact(value)
                if encoded in known:
                    continue
                known.append(encoded)
            used[name] = Marked(value, HYPERPARAMETER)
            if len(known) > 1:
                changed[f"changed_param.{name}"] = list(known)
        record(activity, used=used, meta=changed)

    def log_metric(
        self,
        name: str,
        value: Any,
        step: Optional[int] = None,
        context: Any = None,
        *,
        unit: Optional[str] = None,
        t: Optional[int] = None,
    ) -> None:
        """Adds a point to the series of a metric.

        Args:
            name: any text.
            value: a number, NaN and infinities too.
            step: a whole number, in any order; by default how many points there were before.
            context: ``training``, ``validation``, ``testing``, ``evaluation``, or any name; none: the run itself.
            unit: of all values of this metric.
            t: microseconds since 1970; by default now.
        """
        series = self._series.get((context, name)) if type(context) in _HASHED and type(name) is str else None
        (series or self.series(name, context, unit)).log(value, step, t)

    @_logs
    def log_metrics(self, metrics: Mapping[str, Any], step: Optional[int] = None, context: Any = None) -> None:
        """Adds a point to each of several metrics."""
        for name, value in logged.pairs("metrics", metrics):
            self.log_metric(name, value, step, context)

    @shielded(lambda self, *_: _SilentSeries(self.workflow, "_"))
    def series(self, name: str, context: Any = None, unit: Optional[str] = None) -> Series:
        """The series of a metric, for ``series.log(value, step)``: the quickest way where there are many points."""
        return self._series_of(name, context, unit, "evaluation_measure")

    def _series_of(self, name: str, context: Any, unit: Optional[str], meaning: Optional[str]) -> Series:
        if self.silent:
            return _SilentSeries(self.workflow, name)
        key = _context_name(context), values.bounded_name(name)
        found = self._series.get(key)
        if found is None:
            made = Series(self._context(context), key[1], unit=unit, meaning=meaning, rank=self.rank)
            found = self._series.setdefault(key, made)
        return found

    @_logs
    def log_tags(self, tags: Mapping[str, Any]) -> None:
        """Adds tags: remarks of your own, as metadata of the run."""
        record(self.workflow, meta=dict(logged.pairs("tags", tags)))

    @_logs
    def log_text(self, name: str, text: str, *, context: Any = None) -> None:
        """Records a text that the run made, such as a report or a sample of generated text (100,000 characters at most)."""
        target = self._target(name, context, used=False)
        target._replace(name=self._free_name(target)).put(text if isinstance(text, str) else str(text))

    # -- files, data sets, models -------------------------------------------------------------------------------------

    @_logs
    def log_artifact(self, path: Any, name: Optional[str] = None, *, context: Any = None, input: bool = False) -> None:
        """Records a file or folder that the run made (``input=True``: that it read), with checksum and size.

        Args:
            path: of the file or folder, or a reference made by ``pllib.data``.
            name: what it is called in the experiment; by default as the file.
        """
        data = logged.as_data(path, None)
        if data is None:
            raise CaptureError(f"log_artifact: path is {type(path).__name__}; it takes the path of a file or folder")
        logged.put_file(self._target(name or logged.name_of(data), context, used=input), data, "log_artifact")

    @_logs
    def log_dataset(
        self,
        path_or_object: Any,
        name: Optional[str] = None,
        *,
        context: Any = None,
        characteristics: Optional[Mapping[str, Any]] = None,
    ) -> None:
        """Records a data set that the run uses.

        A file or folder with checksum and size; an object (array, frame, table, loader, list) with its length, shape, types and columns.

        Args:
            path_or_object: the data set, or a reference made by ``pllib.dataset``.
            name: what it is called in the experiment; by default as the file, or ``dataset``.
            characteristics: name to value, what else is to be said of it.
        """
        found = logged.data_set(path_or_object, characteristics or {})
        if isinstance(found, Data):
            logged.put_file(self._target(name or logged.name_of(found), context, used=True), found, "log_dataset")
        else:
            self._target(name or "dataset", context, used=True).put(found)

    @_logs
    def log_model(
        self, model_or_path: Any, name: str = "model", *, path: Any = None, context: Any = None, input: bool = False
    ) -> None:
        """Records a model that the run made (``input=True``: that it started from).

        Args:
            model_or_path: the model, of which framework, class, parameters, memory and architecture are noted; or its file.
            name: what it is called in the experiment.
            path: file or folder that the model was saved to, for checksum and size; without it there is only the description.
        """
        file = logged.as_data(model_or_path if path is None else path, "model")
        known = None if logged.as_data(model_or_path, None) is not None else logged.model(model_or_path)
        target = self._target(name, context, used=input)
        if file is not None:
            facts = known.facts if known is not None and known.facts else {}
            logged.put_file(target, file._replace(facts={**facts, **(file.facts or {})}), "log_model")
        elif input:
            target.put(known)
        else:
            target._replace(name=self._free_name(target)).put(known)

    def _target(self, name: Any, context: Any, *, used: bool) -> Target:
        return Target(self._context(context), values.bounded_name(name), used)

    def _free_name(self, target: Target) -> str:
        """A name under which the activity has generated no value yet: ``model``, then ``model.2``, ``model.3``.

        One activity generates one value a name, and processes that share a run share its activities.
        """
        with self._lock:
            key = target.activity.id, target.name
            count = self._taken[key] = self._taken.get(key, 0) + 1
        return f"{target.name}{self._mark()}" + (f".{count}" if count > 1 else "")

    def _mark(self) -> str:
        """What tells this process's names from those of others that have a part in the run."""
        client = this_process.current()
        if self._own_mark is not None and client is self.workflow._client:
            return self._own_mark
        return f".{client.producer[:8]}"

    # -- time, operations, the machine --------------------------------------------------------------------------------

    @contextmanager
    def timed(self, label: str, *, context: Any = None, step: Optional[int] = None) -> Iterator[None]:
        """Measures how long a portion takes, as a point (seconds) of the series ``time.{label}``: ``with run.timed("epoch"):``."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self._log_measure("time", label, time.perf_counter() - began, SECONDS, step, context)

    @_logs
    def log_flops(self, label: str, value: Any, *, context: Any = None, step: Optional[int] = None) -> None:
        """Records a number of floating-point operations, as a point of the series ``flops.{label}``."""
        self._log_measure("flops", label, value, "FLOP", step, context)

    @contextmanager
    def count_flops(self, label: str, *, context: Any = None, step: Optional[int] = None) -> Iterator[None]:
        """Counts the floating-point operations of a portion, where PyTorch is loaded: ``with run.count_flops("batch"): model(x)``."""
        counter = None if self.silent else about.flop_counter()
        if counter is None:
            yield
            return
        with counter:
            yield
        self.log_flops(label, counter.get_total_flops(), context=context, step=step)

    @_logs
    def _log_measure(self, of: str, label: str, value: Any, unit: str, step: Optional[int], context: Any) -> None:
        self._series_of(f"{of}.{values.bounded_name(label)}", context, unit, None).log(value, step)

    @_logs
    def log_telemetry(self, *, context: Any = None) -> None:
        """Records what the machine does now: CPU, memory, disks, network, process, GPUs, as points of series."""
        from .. import telemetry

        telemetry.sample(self._context(context))


_HASHED = frozenset((str, type(None)))


def _numbered(job: str, ordinal: int) -> str:
    """The execution of a job's first run, second run, … of an experiment."""
    return job if ordinal == 0 else f"{job}.{ordinal + 1}"


def _resumed(resume: Any, experiment: str) -> str:
    """The execution that is meant: ``Run.id``, or the id that the query engine gives a run, which is percent-encoded."""
    text = values.bounded_name(resume)
    place, _, execution = text.partition(f"{quoted(experiment)}/")
    return unquote(execution) if execution and (not place or place.endswith("execution/")) else text


def _context_name(context: Any) -> Optional[str]:
    """A context as text: members of enumerations by their value."""
    if context is None or type(context) is str:
        return context or None
    value = getattr(context, "value", context)
    return values.bounded_name(value) if value else None


def attached(activity: Activity) -> Run:
    """A run that was opened in another process, as far as this one logs in it; its end is not ours."""
    found = Run(unquote(activity.wf.partition("/")[0]))
    token = f"{activity.wf}  - workflow{' silent' if activity._silent else ''}"
    found.workflow = activities.Remote(token)  # type: ignore[assignment]
    found.silent = activity._silent
    found.rank = ranks.place().rank
    found._begun = True
    return found
