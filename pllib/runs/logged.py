"""What a run keeps of files and objects that are logged: references with checksums, descriptions of data sets and models.

Small files are read at once. Of a larger one the reference is recorded at once, and its checksum when the file was read in
the background: from the file that was opened at the call, so that it may be removed meanwhile. One that changes meanwhile
gets ``changed_while_read`` and no checksum.
"""

from __future__ import annotations

import os
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple, Union

from .. import this_process
from ..activities import Activity
from ..errors import CaptureError
from ..facts import meta_facts
from ..references import Data, Marked
from . import background, checksums, datasets, models
from .checksums import Facts, Opened, Stopped

AT_ONCE = 1_000_000
"""Bytes of a file that is read on the script's thread."""
MOST_OPEN = 64
"""Files that are kept open until they are read; further ones are opened when it is their turn."""
NOT_MADE = "the process ended before the file was read"
PLAIN_CONTAINERS = (list, tuple, dict, set, frozenset)


def record(
    activity: Activity,
    used: Optional[Mapping[str, Any]] = None,
    generated: Optional[Mapping[str, Any]] = None,
    meta: Optional[Mapping[str, Any]] = None,
) -> None:
    """An ``add`` record. Other than ``Activity.add`` it takes several states of data under one name, and goes on after the end."""
    if activity.begin()._began is not None and activity._origins is not None:
        activity._add(activity._origins, used or {}, generated or {}, meta or {})


class Target(NamedTuple):
    """Where something logged belongs: an activity, the name in it, whether it was used or generated."""

    activity: Activity
    name: str
    used: bool

    def put(self, value: Any) -> None:
        if self.used:
            record(self.activity, used={self.name: value})
        else:
            record(self.activity, generated={self.name: value})

    def refuse(self, call: str, path: str, error: OSError) -> CaptureError:
        """Says in the provenance that nothing was logged, and why; the error to raise."""
        reason = error.strerror or str(error)
        record(self.activity, meta={"not_logged": f"{call}: {path}: {reason}"})
        return CaptureError(f"{call}: {path} was not logged: {reason}")


# -- files and folders ------------------------------------------------------------------------------------------------


def put_file(target: Target, data: Data, call: str) -> None:
    """Records a reference to a file or folder, with checksum and size.

    Raises:
        CaptureError: there is no such file; that is also said in the provenance.
    """
    path = this_process.locate(data)[2]
    if path is None or data.version is not None:  # elsewhere, or of a state that the caller knows
        target.put(data)
        return
    if os.path.isdir(path):
        background.jobs.put(lambda jobs: _put_folder(target, data, path, jobs))
        return
    try:
        file = checksums.opened(path)
    except OSError as error:
        raise target.refuse(call, path, error) from error
    if this_process.current().settings.stat:
        data = data._replace(version=file.version, size=file.size)
    if file.size <= AT_ONCE:
        target.put(_with(data, checksums.of_file(path, file, lambda: True)))
        return
    target.put(data)
    _put_later(target, data, path, file)


def _put_later(target: Target, data: Data, path: str, file: Opened) -> None:
    kept: Optional[Opened] = file
    if background.jobs.count() >= MOST_OPEN:
        os.close(file.fd)
        kept = None
    background.jobs.put(lambda jobs: target.put(_with(data, _facts_of(path, file, kept, jobs.go_on))))


def _facts_of(path: str, before: Opened, kept: Optional[Opened], go_on: checksums.GoOn) -> Facts:
    """Facts about a file that was in a certain state when it was logged."""
    try:
        file = kept if kept is not None else checksums.opened(path)
        return checksums.of_file(
            path, file._replace(size=before.size, changed=before.changed, number=before.number), go_on
        )
    except Stopped:
        return {"size": before.size, "not_read": NOT_MADE}
    except OSError as error:
        return {"size": before.size, "not_read": error.strerror or str(error)}


def _put_folder(target: Target, data: Data, path: str, jobs: background.Jobs) -> None:
    try:
        facts = checksums.of_folder(path, jobs.go_on)
    except Stopped:
        facts = {"not_read": NOT_MADE}
    except OSError as error:
        facts = {"not_read": error.strerror or str(error)}
    target.put(_with(data._replace(version=checksums.folder_version(facts)), facts))


def _with(data: Data, facts: Facts) -> Data:
    return data._replace(facts={**facts, **(data.facts or {})})


def as_data(thing: Any, meaning: Optional[str]) -> Optional[Data]:
    """A path or data reference as a reference with that meaning; ``None`` for any other object."""
    if isinstance(thing, Data):
        return thing if thing.meaning is not None else thing._replace(meaning=meaning)
    if isinstance(thing, (str, os.PathLike)):
        path = os.fsdecode(os.fspath(thing))
        if "\0" in path:
            raise CaptureError(f"no path has a NUL character; this one is {path!r:.200}")
        return Data(path, None, meaning, None, None)
    return None


def pairs(field: str, given: Any) -> List[Tuple[Any, Any]]:
    """The names and values of a mapping that was given.

    Raises:
        CaptureError: it is none.
    """
    if not hasattr(given, "items"):
        raise CaptureError(f"{field} is a {type(given).__qualname__}; it takes names and values, such as {{'lr': 0.1}}")
    return list(given.items())


def name_of(data: Data) -> str:
    """The last part of a path: what something is called that was given no name."""
    return os.path.basename(data.path.rstrip("/\\")) or data.path or "file"


# -- objects ----------------------------------------------------------------------------------------------------------


def marked(facts: Mapping[str, Any], meaning: str) -> Dict[str, Any]:
    """Facts that have a meaning of their own, unless they have one."""
    return {name: fact if isinstance(fact, (Marked, Data)) else Marked(fact, meaning) for name, fact in facts.items()}


def data_set(thing: Any, characteristics: Mapping[str, Any]) -> Union[Data, Marked]:
    """A data set, a reference or an object, with what is known of it."""
    given = marked(dict(pairs("characteristics", characteristics)), "dataset_characteristic")
    data = as_data(thing, "dataset")
    if data is not None:
        return data._replace(facts={**(data.facts or {}), **given})
    found = datasets.facts_about(thing)
    facts = {**marked(found, "dataset_characteristic"), **given}
    # Of a container of the language itself only what it is like is kept, as of arrays and frames, not what it holds.
    value = meta_facts(found) if isinstance(thing, PLAIN_CONTAINERS) else thing
    return Marked(value, "dataset", facts)


def model(thing: Any) -> Marked:
    """A model that is an object, with what is known of it."""
    found = models.description(thing)
    settings = {name: Marked(path_as_text(value), "model_hyperparameter") for name, value in found.settings.items()}
    value = meta_facts(found.facts) if isinstance(thing, PLAIN_CONTAINERS) else thing
    return Marked(value, "model", {**settings, **found.facts})


def path_as_text(value: Any) -> Any:
    """A path as text, since a parameter is a value and no data reference; anything else as it is."""
    return os.fsdecode(os.fspath(value)) if isinstance(value, os.PathLike) else value
