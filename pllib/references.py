"""What a script says about its values: where data lies, what a value means, which value it is.

``data`` and the functions named after PROV-ML's classes make light objects that are given to ``used`` and
``generated``; they hold no data.
"""

from __future__ import annotations

import os
import posixpath
import stat
from typing import Any, Dict, Mapping, NamedTuple, Optional, Tuple, Union

Pathlike = Union[str, "os.PathLike[str]"]


class Data(NamedTuple):
    """A reference to data outside the process; made by ``data``, ``dataset`` and ``model``."""

    path: str
    store: Optional[str]
    meaning: Optional[str]
    facts: Optional[Mapping[str, Any]]
    version: Optional[str]
    size: Optional[int] = None


class Marked(NamedTuple):
    """A value with its ML meaning, and facts about it."""

    value: Any
    meaning: str
    facts: Optional[Mapping[str, Any]] = None


class Handle(NamedTuple):
    """The very value that an execution generated; give it to ``used`` for an exact link. Can be pickled."""

    wf: str
    id: str
    name: str
    value: Any


class Generated(Mapping[str, Handle]):
    """Handles of what one ``generated`` call recorded, by name: ``out["loss"]`` or ``out.loss``."""

    __slots__ = ("_id", "_values", "_wf")

    def __init__(self, wf: str, identifier: str, values: Dict[str, Any]) -> None:
        self._wf, self._id, self._values = wf, identifier, values

    def __getitem__(self, name: str) -> Handle:
        return Handle(self._wf, self._id, name, self._values[name])

    def __getattr__(self, name: str) -> Handle:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"nothing was generated as {name!r}; there is: {', '.join(self._values)}") from None

    def __iter__(self) -> Any:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


class StoreRoot(NamedTuple):
    """A data store on this machine's file system."""

    name: str
    root: str


def data(
    path: Pathlike,
    store: Optional[str] = None,
    *,
    meaning: Optional[str] = None,
    facts: Optional[Mapping[str, Any]] = None,
    version: Optional[str] = None,
) -> Data:
    """A reference to a file, a folder, an object, or anything with a key in a store.

    Args:
        path: path or key. Paths are normalised; ``s3://bucket/key`` names its store by itself.
        store: name of the store the path is in; without one, this machine's file system.
        meaning: ML meaning, such as ``"dataset"`` (see ``dataset`` and ``model``).
        facts: name → value, things that are so about this data.
        version: the data's own version, where it has one (an object's ETag, a commit). Files need none: their
            state on disk is looked at.
    """
    return Data(os.fspath(path), store, meaning, facts, version)


def dataset(
    path: Pathlike, store: Optional[str] = None, *, characteristics: Optional[Mapping[str, Any]] = None
) -> Data:
    """A data set for learning, with its characteristics (``{"images": 1797}``)."""
    return Data(os.fspath(path), store, "dataset", _marked(characteristics, "dataset_characteristic"), None)


def model(
    path_or_object: Any,
    store: Optional[str] = None,
    *,
    hyperparameters: Optional[Mapping[str, Any]] = None,
    evaluations: Optional[Mapping[str, Any]] = None,
) -> Union[Data, Marked]:
    """A model: its file (path) or the object itself, with its own hyperparameters and evaluations."""
    facts = {
        **(_marked(hyperparameters, "model_hyperparameter") or {}),
        **(_marked(evaluations, "evaluation_measure") or {}),
    }
    if isinstance(path_or_object, (str, os.PathLike)):
        return Data(os.fspath(path_or_object), store, "model", facts or None, None)
    return Marked(path_or_object, "model", facts or None)


def _marked(facts: Optional[Mapping[str, Any]], meaning: str) -> Optional[Dict[str, Any]]:
    return {name: Marked(value, meaning) for name, value in facts.items()} if facts else None


def hyperparameter(value: Any) -> Marked:
    """A setting of learning: learning rate, batch size, number of epochs."""
    return Marked(value, "hyperparameter")


def model_hyperparameter(value: Any) -> Marked:
    """A setting that a model has by being trained: number of layers, of trees."""
    return Marked(value, "model_hyperparameter")


def characteristic(value: Any) -> Marked:
    """Something that describes a data set: number of images, of classes."""
    return Marked(value, "dataset_characteristic")


def feature_set(value: Any) -> Marked:
    """Features extracted from a data set."""
    return Marked(value, "feature_set")


def evaluation(value: Any) -> Marked:
    """The value of an evaluation measure: loss, accuracy."""
    return Marked(value, "evaluation_measure")


def learning_task(value: Any) -> Marked:
    """What is learnt: classification, segmentation."""
    return Marked(value, "learning_task")


def implementation(value: Any) -> Marked:
    """The implementation of the algorithm: a class, a program and its version."""
    return Marked(value, "implementation")


def domain(value: Any) -> Marked:
    """A value of the application domain: a basin, an instrument, a patient group."""
    return Marked(value, "domain")


def machine_name() -> str:
    """The network name of this machine, ``localhost`` when it has none."""
    return (os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")) or "localhost"


_host: Optional[str] = None


def host_name() -> str:
    """This machine's name; the cluster's under Slurm, since its nodes share their file systems."""
    global _host
    if _host is None:
        _host = os.environ.get("SLURM_CLUSTER_NAME") or machine_name()
    return _host


def locate(
    path: str, store: Optional[str], roots: Mapping[str, StoreRoot], default_store: Optional[str]
) -> Tuple[str, str, Optional[str]]:
    """Where a path lies: store, normalised key, and the local path to look at (``None`` when not local).

    A key under the root of a store on this machine is relative to that root; under no store, absolute. In a store with no
    root here, a relative key is no path: the key of a document may well be the name of a file in the current folder.
    """
    if "://" in path:
        scheme, _, rest = path.partition("://")
        if scheme == "file":
            path = rest
        elif store is not None:
            return store, path, None
        else:
            authority, _, key = rest.partition("/")
            return f"{scheme}://{authority}", key or "/", None
    if store is None:
        absolute = os.path.abspath(path)
        return default_store or host_name(), absolute, absolute
    known = roots.get(store)
    if known is None:
        return store, posixpath.normpath(path), path if os.path.isabs(path) else None
    absolute = os.path.abspath(os.path.join(known.root, path))
    inside = os.path.relpath(absolute, known.root)
    return store, absolute if inside.startswith(os.pardir) else inside, absolute


def state_of(path: str) -> Optional[Tuple[str, int]]:
    """State of a regular file, as (version, size in bytes), or ``None`` when there is no such file.

    The version is the size and the time of the last modification (nanoseconds), so it changes when the file does.
    """
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    return f"s1-{status.st_size:x}-{status.st_mtime_ns:x}", status.st_size
