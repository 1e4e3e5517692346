"""RO-Crates of what a spool folder holds: the metadata, the PROV document, and the files, as far as they are still what they were."""

from __future__ import annotations

import hashlib
import os
import shutil
import zipfile
from datetime import datetime, timezone
from pathlib import Path
from typing import Dict, List, Mapping, NamedTuple, Optional, Tuple, Union

from ..prov import forms
from ..prov.crate import METADATA, PLAN_FILE, PROV_FILE, Crate, Place, as_json, crate_of, relative
from ..prov.crate_run import DataFile
from ..prov.errors import DocumentError
from ..prov.model import Document
from ..references import state_of
from .reading import Reading


class Made(NamedTuple):
    """What a crate was made of.

    Attributes:
        copied: how many files are in it.
        left_out: how many are not.
        notes: what is to be said of files, a line each: those that are not what they were, or not there.
    """

    copied: int
    left_out: int
    notes: List[str]


class _Found(NamedTuple):
    """A file as it is now: its path if it can be taken, and what is to be said of it."""

    path: Optional[str]
    note: str = ""


def write_crate(
    reading: Reading,
    execution: Optional[str],
    path: Union[str, os.PathLike[str]],
    *,
    copy: bool = True,
    roots: Optional[Mapping[str, str]] = None,
    license: Optional[str] = None,
) -> Made:
    """Makes a crate of one execution, as a folder or, by the name, a ``.zip``; it is put in place when it is whole.

    Args:
        execution: as in ``Reading.document``; may be left out where there is one only.
        copy: whether the files go into it; else it only says where they are.
        roots: where the data stores lie on this machine, by name.
        license: of the data: an IRI or a name.

    Raises:
        DocumentError: nothing is known of the execution, or there is something at ``path``.
        OSError: it cannot be written.
    """
    target = Path(path)
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise DocumentError("there is something already; name a folder or file that is not there yet", str(target))
    chosen = reading.one(execution)
    document = reading.document(chosen)
    crate = crate_of(document.statements, f"{reading.base}execution/{chosen}")
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    part.mkdir(parents=True)
    try:
        places, notes = _placed(crate.files, part if copy else None, roots or {})
        _write_texts(part, document, crate, places, license)
        _put(part, target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    copied = sum("://" not in place.id for place in places.values())
    return Made(copied, len(places) - copied, notes)


def _write_texts(
    folder: Path, document: Document, crate: Crate, places: Mapping[str, Place], license: Optional[str]
) -> None:
    forms.write(document, folder / PROV_FILE, "json")
    metadata = crate.metadata(places, datetime.now(timezone.utc), license)
    for name, content in ((PLAN_FILE, crate.plan()), (METADATA, metadata)):
        if content is not None:
            (folder / name).write_bytes(as_json(content))


def _put(part: Path, target: Path) -> None:
    if target.suffix.lower() != ".zip":
        if target.is_dir():
            target.rmdir()
        part.replace(target)
        return
    archive = part.with_name(part.name + ".zip")
    try:
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as file:
            for each in sorted(part.rglob("*")):
                file.write(each, each.relative_to(part).as_posix())
        archive.replace(target)
    finally:
        archive.unlink(missing_ok=True)


def _placed(
    files: List[DataFile], folder: Optional[Path], roots: Mapping[str, str]
) -> Tuple[Dict[str, Place], List[str]]:
    """Where each file is for readers of the crate, with those that can be copied into ``folder``; and what is to be said."""
    places: Dict[str, Place] = {}
    notes: List[str] = []
    for each in files:
        found = _found(each, roots)
        if found.path is not None and folder is not None:
            found = _copied(each, found, folder)
        if found.path is None:
            identifier, note = each.iri, found.note
        elif folder is None:
            identifier, note = Path(found.path).as_uri(), found.note or "It is not copied into the crate"
        else:
            identifier, note = relative(each), found.note
        places[each.iri] = Place(identifier, note)
        if found.note:
            notes.append(f"{each.key} in the store {each.store}: {found.note}")
    return places, notes


def _found(each: DataFile, roots: Mapping[str, str]) -> _Found:
    """The file that data is, if it is on this machine and still what it was."""
    root = roots.get(each.store)
    candidates = [os.path.join(root, each.key)] if root is not None else [each.path or "", each.key]
    local = next((os.path.abspath(path) for path in candidates if os.path.isabs(path) or root is not None), None)
    if local is None:
        return _Found(None, f"It is not known where the store lies (--root {each.store}=DIR says it)")
    if os.path.isdir(local):
        return _Found(None, "It is a folder, which is not copied")
    if not os.path.isfile(local):
        return _Found(None, f"There is no file {local}")
    if each.version is None:
        return _Found(local, "Which state of it was meant was not seen; this is how it is now")
    state = state_of(local)
    if each.version.startswith("s1-") and (state is None or state[0] != each.version):
        return _Found(None, f"{local} has changed since")
    return _Found(local)


def _copied(each: DataFile, found: _Found, folder: Path) -> _Found:
    target = folder.joinpath(*relative(each).split("/"))
    if target.exists():
        return _Found(None, "Another state of it is in the crate")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(found.path or "", target)
    except OSError as error:
        return _Found(None, f"{found.path} cannot be copied: {error.strerror or error}")
    if each.sha256 is not None and _sha256(target) != each.sha256:
        target.unlink()
        return _Found(None, f"{found.path} has changed since: its checksum is another")
    return found


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1_048_576):
            digest.update(chunk)
    return digest.hexdigest()
