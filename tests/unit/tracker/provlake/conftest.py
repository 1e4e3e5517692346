"""ProvLake records, and what they say."""

from __future__ import annotations

import json
import types
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tracker.intake import Documents
from tracker.lenient_json import Item
from tracker.names import Specifications
from tracker.plans import Fresh, Known
from tracker.provlake import messages
from tracker.provlake.conversion import Converted, convert
from tracker.provlake.intake import Batch
from tracker.provlake.names import ElementSpecifications
from tracker.specifications import NONE, Specification, compiled, parse

Json = Any

T = 1_700_000_000.5
MICROS = 1_700_000_000_500_000


def record(kind: str = "task", moment: str | None = "Generate", **more: Json) -> Json:
    """A record of execution ``train/1.5``; ``more`` goes where the client puts it."""
    inner = {"wf_execution": 1.5}
    outer: Json = {}
    if kind == "task":
        inner["id"] = more.pop("id", 7)
        outer = {"dt": more.pop("dt", "fit"), "type": moment}
    elif kind == "cycle":
        inner["iteration_id"] = more.pop("iteration_id", 0)
        outer = {"cycle_name": more.pop("cycle_name", "epoch"), "type": moment}
    whole: Json = {"dataflow_name": "train", "act_type": kind}
    for name, value in more.items():
        place = {"values": outer, "person": outer, "dt": outer}.get(name, inner)
        if name in ("dataflow_name", "context", "custom_metadata"):
            place = whole
        place[name] = value
    return {**whole, "prov_obj": {**outer, **({kind: inner} if kind != "workflow" else inner)}}


def converted(given: Json, specification: Specification = NONE) -> Converted:
    return convert(messages.read(given), specification)


def specification(**form: Json) -> Specification:
    return compiled(parse(json.dumps({"workflow": "train", **form}).encode()))


def documents(
    batches: Iterable[Iterable[Json]], specifications: Specifications | None = None, known: Known | None = None
) -> list[Json]:
    """The documents of some requests; no record may be refused."""
    names = ElementSpecifications(specifications or Specifications())
    known = known or Known()
    found = []
    for records in batches:
        batch = Batch(Documents(names, Fresh(known)), names, "none")
        for index, given in enumerate(records):
            batch.add(index, Item(json.dumps(given).encode(), given))
        assert not batch.refusals, batch.refusals
        found.extend(json.loads(entry.body) for entry in batch.documents.finish())
        known.add(batch.documents.fresh.statements)
    return found


def traffic() -> list[list[Json]]:
    """What the client 0.2.982 sent for a script with all its parts, a request a line."""
    lines = Path(__file__).with_name("traffic.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="session")
def lake() -> Any:
    """The functions of this module."""
    names = {"record": record, "converted": converted, "specification": specification, "documents": documents}
    return types.SimpleNamespace(**names, traffic=traffic, T=T, MICROS=MICROS)
