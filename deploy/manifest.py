"""What is in a backup: `FOLDER/manifest.json`, written last, so that a folder without one is no whole backup.

FOLDER/queue.ndjson.gz   the tracker's queue and specifications, as GET /v1/backup gives them
FOLDER/store.nt.gz       the default graph of the store, as N-Triples
FOLDER/query/            what the query engine keeps itself
FOLDER/manifest.json     names, sizes, checksums and counts of these; when; with which versions
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from deploy.errors import BackupUnusable
from deploy.progress import Progress

NAME = "manifest.json"
QUEUE = "queue.ndjson.gz"
STORE = "store.nt.gz"
QUERY = "query"
FORMAT = "pllib-backup"
VERSION = 1
PIECE_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a backup; `counts` are of what is in it, by kind."""

    file: str
    bytes: int
    sha256: str
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Manifest:
    """A backup: begun and ended at these times (ISO 8601), by these versions; all accepted before `began` is in it."""

    began: str
    ended: str
    versions: Mapping[str, str]
    parts: tuple[Part, ...]

    def part(self, file: str) -> Part | None:
        """The part in a file, where there is one."""
        return next((part for part in self.parts if part.file == file), None)


def part_of(folder: Path, file: str, counts: Mapping[str, int]) -> Part:
    """The part that a file is, which is on disk when this returns."""
    path = folder / file
    with path.open("rb") as written:
        os.fsync(written.fileno())
    return Part(file, path.stat().st_size, digest(path), dict(counts))


def digest(path: Path, progress: Progress | None = None) -> str:
    """SHA-256 of a file, in hexadecimal."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            found.update(piece)
            if progress:
                progress.add(len(piece))
    return found.hexdigest()


def write(folder: Path, manifest: Manifest) -> None:
    """Makes the backup in the folder whole. Raises OSError."""
    told = {"format": FORMAT, "version": VERSION, **asdict(manifest)}
    path = folder / NAME
    with path.open("x", encoding="utf-8") as file:
        file.write(json.dumps(told, indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    listing = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(listing)
    finally:
        os.close(listing)


def read(folder: Path) -> Manifest:
    """What is said to be in a backup.

    Raises:
        BackupUnusable: it is none, or of another version.
    """
    try:
        told = json.loads((folder / NAME).read_text(encoding="utf-8"))
        if (told["format"], told["version"]) != (FORMAT, VERSION):
            raise BackupUnusable(
                f"{folder} is a backup of version {told['version']}",
                f"restore it with a PLLib that reads it, not {VERSION}",
            )
        parts = tuple(Part(str(one["file"]), one["bytes"], one["sha256"], one["counts"]) for one in told["parts"])
        return Manifest(told["began"], told["ended"], told["versions"], parts)
    except OSError as error:
        raise BackupUnusable(
            f"{folder} holds no whole backup: {NAME} cannot be read ({error.strerror})",
            "name the folder that `python -m deploy backup` made; one that was cut short has no manifest",
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise BackupUnusable(f"{folder / NAME} is damaged ({error})", "take another backup") from error


def verify(folder: Path, manifest: Manifest, progress: Progress) -> None:
    """Every file is there, in the folder, and byte for byte what was written.

    Raises:
        BackupUnusable: names the first that is not.
    """
    for part in manifest.parts:
        path = folder / part.file
        try:
            inside = path.resolve(strict=True).is_relative_to(folder.resolve())
            whole = inside and path.stat().st_size == part.bytes and digest(path, progress) == part.sha256
        except OSError as error:
            raise BackupUnusable(f"{path} cannot be read ({error.strerror})", "take another backup") from error
        if not whole:
            raise BackupUnusable(f"{path} is not what was written: it was changed or damaged", "take another backup")
