"""An open run: the ``pllib`` run that it is, its folder, and its files."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from itertools import count
from typing import Any, Callable, Dict, Hashable, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

from .. import settings, this_process, values
from .._boundary import report
from ..errors import CaptureError, PllibError
from ..points import value_text
from ..producer import user
from ..references import Data, Marked
from ..runs import Run, datasets, logged, ranks
from ..series import Series
from . import folders, saving
from .names import context_label, context_name, iri_of
from .said import once

DEFAULT_ROOT = "prov_save_path"
"""Prov4ML's own, where a script names no folder."""
END_SECONDS = 2.0
"""What checksums and facts that are under way are given when the process ends and the run with it."""
_MANY_SAVES = 2**62


class Options(NamedTuple):
    """What ``start_run`` takes, of any generation."""

    experiment_name: str
    prov_user_namespace: Optional[str] = None
    provenance_save_dir: Optional[str] = None
    collect_all_processes: Optional[bool] = False
    save_after_n_logs: Optional[int] = 100
    rank: Optional[int] = None
    disable_codecarbon: Optional[bool] = False
    metrics_file_type: Any = "csv"
    csv_separator: str = ","
    use_compressor: Any = None
    use_run_id: Optional[int] = None
    mlflow_save_dir: Optional[str] = None
    nested: bool = False
    tags: Optional[Mapping[str, Any]] = None
    description: Optional[str] = None
    log_system_metrics: Optional[bool] = None


class Fold(NamedTuple):
    """What a metric is folded into."""

    operation: Callable[[Any, Any], Any]
    value: Any


_NO_FOLDER = (
    "no files can be made in {root} ({reason}), so there will be no documents there. What is logged is captured all the same: "
    "`pllib prov export --list` names the run"
)


class Experiment:
    """One run, from ``start_run`` to ``end_run``.

    Attributes:
        run: the run of ``pllib``.
        folder: where its files are; ``None`` on ranks that do not collect, and where none can be made.
        known: series of metrics by name and context as they are given, but for those that are folded.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.folder: Optional[folders.Folder] = None
        self.known: Dict[Hashable, Series] = {}
        self._names: Dict[saving.Key, str] = {}
        self._folds: Dict[str, Fold] = {}
        self._shared_data: List[Tuple[str, Any]] = []
        self._models_in: Set[Optional[str]] = set()
        self._lock = threading.RLock()
        self._logs = count(1)
        self._every = max(1, int(options.save_after_n_logs or _MANY_SAVES))
        self._pid = os.getpid()
        self._before: Optional[Dict[str, Any]] = None
        self._base: Optional[str] = None
        self.began = time.monotonic()
        rank = _rank(options)
        self.collects = not rank or bool(options.collect_all_processes)
        self.run = self._opened(rank)
        self._saver = saving.Saver(self.save)

    @property
    def silent(self) -> bool:
        """Whether nothing is recorded here."""
        return self.run.silent

    # -- opening ------------------------------------------------------------------------------------------------------

    def _opened(self, rank: Optional[int]) -> Run:
        options = self.options
        made = settings.given(this_process._arguments)
        place: Optional[folders.Place] = None
        if self.collects and settings.load(this_process._arguments).enabled:
            root = os.fspath(options.provenance_save_dir or DEFAULT_ROOT)
            job = made.get("execution") or ranks.place().job
            try:
                place = folders.place(root, options.experiment_name, rank, job, options.use_run_id)
            except OSError as error:
                report("folder", error)
                once(f"folder {root}", _NO_FOLDER.format(root=root, reason=error.strerror or error))
            self.folder = place.folder if place else None
            self._configure(self.folder, made)
        run = Run(
            options.experiment_name,
            rank=rank,
            collect_all_processes=bool(options.collect_all_processes),
            tags=self._tags(),
            energy=not options.disable_codecarbon,
            resume=place.execution if place and place.resumed else None,
            execution=place.execution if place else None,
        )
        run.__enter__()
        if not run.silent:
            if os.path.isfile("requirements.txt"):
                run.log_artifact("requirements.txt", name="requirements", input=True)
            if options.log_system_metrics:
                once("telemetry", "log_system_metrics=True: call log_system_metrics() where you want a sample")
        return run

    def _configure(self, folder: Optional[folders.Folder], made: Mapping[str, Any]) -> None:
        """Settings of the client that nobody gave: records stay in the run's folder, and go to a server if one is named."""
        chosen: Dict[str, Any] = {"keep": True}
        local = "url" not in made
        if local:
            chosen["mode"] = "disk"
        if folder is not None:
            chosen["spool"] = folder.spool
        chosen["person"] = user()
        kept = {name: value for name, value in chosen.items() if name == "keep" or name not in made}
        self._before = this_process.replace_arguments({**this_process._arguments, **kept})
        namespace = self.options.prov_user_namespace
        if local and namespace and not os.environ.get("PLLIB_BASE"):
            self._base = iri_of(str(namespace))
        if made.get("mode") == "memory":
            once(
                "memory",
                "with mode=memory records are in no file, so that no document can be made of them: take another mode",
            )

    def _tags(self) -> Dict[str, Any]:
        options, folder = self.options, self.folder
        said = {
            "prov_user_namespace": options.prov_user_namespace,
            "provenance_path": options.provenance_save_dir,
            "experiment_dir": folder.path if folder else None,
            "run_id": folder.number if folder else None,
            "description": options.description,
            "mlflow_save_dir": options.mlflow_save_dir,
        }
        return {**{name: value for name, value in said.items() if value is not None}, **(options.tags or {})}

    # -- metrics ------------------------------------------------------------------------------------------------------

    def log_metric(self, key: Any, value: Any, context: Any, step: Any, source: Any, milliseconds: Any) -> None:
        """Adds a point to a metric; a value that is no number is kept as a value that the context generated."""
        if type(value) is not float and not _is_number(value):
            self.put(str(key), value, context)
            return
        self.series(key, context, source).log(value, step, int(milliseconds) * 1000 if milliseconds else None)
        if self._folds:
            self._fold(key, value)
        self.count()

    def count(self) -> None:
        """Counts a point, after so many of which the files are due."""
        if next(self._logs) % self._every == 0:
            self._saver.due()

    def series(
        self, key: Any, context: Any, source: Any = None, unit: Optional[str] = None, machine: bool = False
    ) -> Series:
        """The series of a metric, or (``machine``) of what the machine does."""
        name, where = values.bounded_name(key), context_name(context)
        if self.silent:
            return self.run.series(name)
        if machine:
            found = Series(self.run.context(where), name, unit=unit, telemetry=True, rank=self.run.rank)
        else:
            found = self.run._series_of(name, where, unit, None if unit else "evaluation_measure")
        label = context_label(source)
        if self.folder is not None and type(source) is not bool:
            shown = context_label(context) or self.folder.name
            activity = self.run.context(where).id
            self._names.setdefault((activity, name), f"{name}_{shown}_{label}")
        if not machine and str(key) not in self._folds:
            with contextlib.suppress(TypeError):  # a context that has no hash
                self.known[key, context] = found
        return found

    def register(self, name: str, initial: Any, operation: Callable[[Any, Any], Any]) -> None:
        """Has the values of a metric folded; what comes of it is recorded at the end."""
        with self._lock:
            self._folds[str(name)] = Fold(operation, initial)
            self.known.clear()

    def _fold(self, key: Any, value: Any) -> None:
        with self._lock:
            fold = self._folds.get(str(key))
            if fold is not None:
                number = float(value) if type(value) not in (int, float) else value
                self._folds[str(key)] = fold._replace(value=fold.operation(fold.value, number))

    def put(self, name: str, value: Any, context: Any, *, used: bool = False) -> None:
        """Records a value that the context took or gave."""
        target = self.run._target(name, context_name(context), used=used)
        if not used:
            target = target._replace(name=self.run._free_name(target))
        target.put(value)

    # -- data sets and models -----------------------------------------------------------------------------------------

    def log_dataset(self, name: str, thing: Any, context: Any, more: Mapping[str, Any]) -> None:
        """Records a data set as used by the run, by the context, and, if no context is said, by those that make models."""
        found = _described(thing, more)
        where = context_name(context)
        if where == "datasets":
            where = None
        if isinstance(found, Data):
            logged.put_file(self.run._target(name, None, used=True), found, "log_dataset")
        else:
            self.run._target(name, None, used=True).put(found)
        with self._lock:
            if where is None:
                self._shared_data.append((name, found))
                others = [each for each in self._models_in if each is not None]
            else:
                others = [where]
        for each in others:
            self.run._target(name, each, used=True).put(found)

    def models_in(self, context: Any) -> Optional[str]:
        """Says that a context makes a model; its name. What data sets the run uses in no particular context it then uses."""
        where = context_name(context)
        if where == "models":
            where = None
        with self._lock:
            new = where is not None and where not in self._models_in
            self._models_in.add(where)
            data = list(self._shared_data) if new else []
        for name, found in data:
            self.run._target(name, where, used=True).put(found)
        return where

    # -- files --------------------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Makes the document and the files of metrics of what there is by now."""
        self.write(())

    def write(self, wanted: Sequence[str]) -> saving.Files:
        """Makes the document, the files of metrics, and what else is wanted (of ``saving.WANTED``); the paths of what was made."""
        folder = self.folder
        client = this_process.latest()
        if folder is None or self.silent or client is None or self._pid != os.getpid():
            return {}
        client.flush(0.001)
        origin = saving.Origin(client.spool, self.run.workflow.wf, self._base)
        saving.write_metrics(folder, origin, dict(self._names), self.options.csv_separator)
        return saving.write_files(folder, origin, wanted)

    def end(
        self, error: Optional[BaseException], wanted: Sequence[str] = (), wait: Optional[float] = None
    ) -> saving.Files:
        """Ends the run, and makes its files; their paths."""
        if self._pid != os.getpid():
            return {}
        self._saver.stop()
        if not self.silent:
            for name, fold in self._folds.items():
                self.put(f"final.{name}", Marked(fold.value, "evaluation_measure"), None)
        if wait is None:
            self.run.__exit__(None if error is None else type(error), error, None)
        else:
            self.run.end(error, wait)
        try:
            return self.write(wanted)
        except (PllibError, OSError) as problem:
            report("documents", problem)
            folder = self.folder.path if self.folder else ""
            once(f"documents {folder}", f"the document of {folder} could not be written: {problem}")
            return {}

    def close(self) -> None:
        """Gives the client back the settings that it had before."""
        if self._before is not None and self._pid == os.getpid():
            before, self._before = self._before, None
            this_process.replace_arguments(before)


def parameter(value: Any) -> Any:
    """A parameter's value: what ``pllib`` keeps exactly as it is, anything else as its text, as Prov4ML has it."""
    if isinstance(value, _EXACT) or hasattr(type(value), "__array__"):
        return value
    return str(value)


_EXACT = (str, int, float, bool, bytes, type(None), list, tuple, dict, set, frozenset, os.PathLike)


def _is_number(value: Any) -> bool:
    if type(value) is int:
        return True
    try:
        value_text(value)
    except CaptureError:
        return False
    return True


def _described(thing: Any, more: Mapping[str, Any]) -> Any:
    """A data set as it is recorded in several activities: a reference, or its characteristics. It is not held on to."""
    found = logged.data_set(thing, {**_loader_facts(thing), **more})
    if isinstance(found, Data):
        return found
    facts = {name: each.value if isinstance(each, Marked) else each for name, each in (found.facts or {}).items()}
    return found._replace(value={**datasets.facts_about(thing), **facts})


def _loader_facts(thing: Any) -> Dict[str, Any]:
    """What Prov4ML says of loaders besides: whether they shuffle, and how many batches they give."""
    sampler = getattr(thing, "sampler", None)
    if sampler is None or getattr(thing, "dataset", None) is None:
        return {}
    return {"shuffle": type(sampler).__name__ == "RandomSampler"}


def _rank(options: Options) -> Optional[int]:
    """Which process this is: as the script says, as PyTorch does, or the launcher."""
    if options.rank is not None:
        return int(options.rank)
    distributed = getattr(sys.modules.get("torch"), "distributed", None)
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        return int(distributed.get_rank())
    return ranks.place().rank
