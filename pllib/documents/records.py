"""Records as they lie in a spool folder: of living and of dead processes, sent or not."""

from __future__ import annotations

import json
import os
from typing import Any, Callable, Dict, Iterator, NamedTuple

from .. import frames
from ..points_recovery import UnknownVersion, left
from ..spool import producers, segment_path, segments

Json = Any


class Raw(NamedTuple):
    """One record: whose it is, and its JSON."""

    producer: str
    payload: bytes


def raw_records(folder: str, problem: Callable[[str], None]) -> Iterator[Raw]:
    """All whole records in a spool folder, the files of one producer after each other.

    Args:
        problem: told of what cannot be read.

    Raises:
        SpoolError: there is no such folder.
    """
    for producer in producers(folder, lambda error: problem(f"{error.filename}: {error.strerror}")):
        numbers = segments(folder, producer)
        if numbers and numbers[0] > 1:
            problem(
                f"the first records of process {producer} are not here: a tracker has them, and files that were taken are deleted"
            )
        for number in numbers:
            yield from _of_file(folder, producer, number, number != numbers[-1], problem)
        yield from _points(folder, producer, problem)


def _of_file(folder: str, producer: str, number: int, complete: bool, problem: Callable[[str], None]) -> Iterator[Raw]:
    """Whole records of one file; of one that is complete, a last line without its end counts too."""
    path = segment_path(folder, producer, number)
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        if os.path.exists(path):  # else a shipper has just taken it
            problem(f"{path}: {error.strerror}")
        return
    damaged = 0
    for frame in frames.decode(data + b"\n" if complete else data):
        if frame.payload is None:
            damaged += 1
        else:
            yield Raw(producer, frame.payload)
    if damaged:
        problem(f"{path}: {damaged} damaged stretches were passed over")


def _points(folder: str, producer: str, problem: Callable[[str], None]) -> Iterator[Raw]:
    """The points of series that are in no record yet, as the records they would make now."""
    try:
        found = left(folder, producer)
    except (OSError, UnknownVersion) as error:
        problem(f"points of process {producer} cannot be read: {error}")
        return
    yield from (Raw(producer, payload) for payload in found.records)
    if found.damaged:
        problem(f"{len(found.damaged)} damaged lines of points of process {producer} were passed over")


def decoded(payload: bytes) -> Dict[str, Json]:
    """A record as JSON.

    Raises:
        ValueError, RecursionError: it is none.
    """
    record = json.loads(payload, parse_constant=_refuse)
    if type(record) is not dict:
        raise ValueError("a record is a JSON object")
    return record


def _refuse(text: str) -> None:
    raise ValueError(f"{text} is no JSON")
