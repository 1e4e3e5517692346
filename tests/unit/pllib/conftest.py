"""Each test captures into a spool of its own, with no tracker and errors raised."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

import pllib
from pllib import _boundary, spool, this_process


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Captures to disk only; call it for the records captured so far, without the producer's."""
    pllib.configure(mode="disk", spool=str(tmp_path / "spool"), strict=True)

    def read() -> list[dict[str, Any]]:
        folder = str(tmp_path / "spool")
        found = []
        for producer in spool.producers(folder):
            for number in spool.segments(folder, producer):
                found += [frame.payload for frame in spool.read_segment(folder, producer, number)]
        assert None not in found
        decoded = [json.loads(payload) for payload in found]
        return [record for record in decoded if record["op"] != "producer"]

    yield read
    pllib.shutdown()
    this_process._arguments.clear()
    this_process._stores.clear()
    _boundary.strict = False
    _boundary.swallowed.clear()
