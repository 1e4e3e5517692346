"""PROV-ML JSON has one form: the tracker makes it, the schema describes it, the manager takes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from edge.errors import RequestError
from manager.documents import Document, decode_document, decode_group
from manager.errors import DocumentError
from manager.ontology import classes
from manager.triples import Writer
from pllib import prov
from tests.provenance import tracked
from tracker import prov_documents
from tracker.plans import Known
from tracker.queue import NewEntry

Json = Any

SCHEMA = json.loads((Path(__file__).parents[2] / "manager/schema/prov-ml-v1.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def imported() -> list[NewEntry]:
    """A PROV document as the tracker hands it on."""
    text = """document
      prefix ex <http://example.org/>
      entity(ex:e, [ex:size="3" %% xsd:integer, prov:type='ex:Model', prov:label="Modell"@de])
      wasGeneratedBy(ex:e, ex:a, 2026-11-21T10:00:00Z)
      bundle ex:b agent(ex:me) endBundle
    endDocument"""
    return prov_documents.imported(prov.read(text, "provn"), "provn", "a name").entries


def schema_takes(group: Json) -> bool:
    return VALIDATOR.is_valid(group)


def manager_takes(group: Json) -> bool:
    writer = Writer("http://127.0.0.1/id/", classes())
    try:
        for raw in decode_group(json.dumps(group).encode()):
            writer.lines(decode_document(raw))
    except (RequestError, DocumentError):
        return False
    return True


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_what_the_tracker_makes_of_every_kind_of_record() -> None:
    """Together and one by one, since a document may hold any of them."""
    known = Known()
    every = [*tracked.run(), *tracked.shared_run()]
    documents = [tracked.document(every), *(tracked.document([record], known) for record in every)]
    documents.append(tracked.document(tracked.chain(5)))
    documents.extend(entry.body for entry in imported())
    for document in documents:
        group = json.loads(tracked.body(document))
        VALIDATOR.validate(group)
        assert manager_takes(group)


def test_the_run_has_every_part_and_most_fields() -> None:
    """So that the test above means something."""
    shared = [{**tracked.shared_run()[0], "resumes": True}, *tracked.shared_run()[1:]]
    bodies = (tracked.document([*tracked.run(), *shared]), *(entry.body for entry in imported()))
    said = map(json.loads, bodies)
    fields = {(part, field) for found in said for part, items in found.items() for item in items for field in item}
    every = {
        (part, field)
        for part, of in SCHEMA["$defs"]["document"]["properties"].items()
        for field in SCHEMA["$defs"][of["items"]["$ref"].rpartition("/")[2]]["properties"]
    }
    # A specification says these, or nothing does yet.
    assert every - fields <= {
        *(("plans", field) for field in ("description", "kind")),
        *((part, "metadata") for part in ("plans", "entities")),  # of OpenLineage events
        *(("plans", field) for field in ("dataSchemas", "databaseSchemas", "databases", "dataStores")),
        ("stores", "plan"),
        ("stores", "host"),
        ("stores", "kind"),
        ("stores", "sameAs"),
    }


GOOD: list[Json] = [
    {},
    {"activities": [], "entities": [], "agents": [], "plans": [], "stores": []},
    {"entities": [{"id": "a", "value": 0}]},
    {"entities": [{"id": "a", "value": ""}]},
    {"entities": [{"id": "a", "value": False}]},
    {"entities": [{"id": "a", "value": 1e300, "size": 0}]},
    {"entities": [{"id": "a", "value": 2**200}]},
    {"entities": [{"id": "a", "value": {"type": "json", "v": None}}]},
    {"entities": [{"id": "a", "value": {"type": "double", "v": "NaN"}}]},
    {"entities": [{"id": "A-._~%20/z", "types": ["prov:Entity", "provlake:DataReference", "provml:Model"]}]},
    {"activities": [{"id": "a", "status": "failed", "error": {"type": "E"}, "started": -5, "ended": 0, "duration": 0}]},
    {"activities": [{"id": "a", "error": {"type": "E", "message": "m", "traceback": "t"}}]},
    {"agents": [{"id": "a", "pid": 1, "environment": {}, "lost": {"count": 1}}]},
    {"statements": [{"document": "0" * 64, "count": 0, "texts": []}]},
]
POINTS = {"by": "0123456789abcdef" * 2, "first": 0, "steps": [-1, 3], "times": [1, -1], "values": [1, 0.5]}
GOOD += [
    {"entities": [{"id": "a", "unit": "", "points": []}]},
    {"entities": [{"id": "a", "unit": "s", "points": [POINTS, {**POINTS, "rank": 0, "values": ["NaN", "-INF"]}]}]},
    {
        "entities": [
            {"id": "a", "points": [{**POINTS, "steps": [0] * 1000, "times": [0] * 1000, "values": [1e300] * 1000}]}
        ]
    },
    {"activities": [{"id": "a", "sessionOf": "b", "rank": 0, "resumes": True, "within": "c"}]},
]
BAD: list[Json] = [
    {"entities": [{"id": "a", "points": POINTS}]},
    *({"entities": [{"id": "a", "points": [{key: POINTS[key] for key in POINTS if key != name}]}]} for name in POINTS),
    *(
        {"entities": [{"id": "a", "points": [{**POINTS, **wrong}]}]}
        for wrong in (
            {"by": "x"},
            {"first": -1},
            {"first": 2**53},
            {"rank": "0"},
            {"other": 1},
            {"steps": []},
            {"steps": [0.5, 1]},
            {"times": ["0", 1]},
            {"values": [None, 1]},
            {"values": ["1", 1]},
            {"values": [True, 1]},
            {"values": [[1], 1]},
            {"steps": [0] * 1001, "times": [0] * 1001, "values": [0] * 1001},
        )
    ),
    {"entities": [{"id": "a", "unit": 5}]},
    {"activities": [{"id": "a", "sessionOf": "b c"}]},
    {"activities": [{"id": "a", "within": ["b"]}]},
    {"activities": [{"id": "a", "rank": -1}]},
    {"activities": [{"id": "a", "resumes": "yes"}]},
    [],
    None,
    5,
    {"things": []},
    {"entities": {}},
    {"entities": [None]},
    {"entities": [{}]},
    {"entities": [{"id": ""}]},
    {"entities": [{"id": "a b"}]},
    {"entities": [{"id": "a%"}]},
    {"entities": [{"id": "a%2"}]},
    {"entities": [{"id": "a%zz"}]},
    {"entities": [{"id": "a\n\n"}]},
    {"entities": [{"id": "a" * 16_385}]},
    {"entities": [{"id": "a", "other": 1}]},
    {"entities": [{"id": "a", "value": None}]},
    {"entities": [{"id": "a", "value": []}]},
    {"entities": [{"id": "a", "value": {"type": "decimal", "v": "1"}}]},
    {"entities": [{"id": "a", "value": {"v": "1"}}]},
    {"entities": [{"id": "a", "value": {"type": "json"}}]},
    {"entities": [{"id": "a", "value": {"type": "json", "v": 1, "more": 1}}]},
    {"entities": [{"id": "a", "types": "provml:Model"}]},
    {"entities": [{"id": "a", "types": ["Model"]}]},
    {"entities": [{"id": "a", "types": ["owl:Class"]}]},
    {"entities": [{"id": "a", "size": 1.5}]},
    {"entities": [{"id": "a", "store": None}]},
    {"entities": [{"id": "a", "members": ["b", ""]}]},
    {"activities": [{"id": "a", "started": "1"}]},
    {"activities": [{"id": "a", "duration": -1}]},
    {"activities": [{"id": "a", "status": "running"}]},
    {"activities": [{"id": "a", "error": {"message": "m"}}]},
    {"activities": [{"id": "a", "error": "E"}]},
    {"activities": [{"id": "a", "metadata": 1}]},
    {"activities": [{"id": "a", "used": [{"id": "b"}]}]},
    {"agents": [{"id": "a", "pid": True}]},
    {"plans": [{"id": "a", "label": None}]},
    {"stores": [{"id": "a", "kind": 1}]},
    {"statements": [{"document": "0" * 63, "count": 0, "texts": []}]},
    {"statements": [{"document": "0" * 64, "count": -1, "texts": []}]},
    {"statements": [{"document": "0" * 64, "texts": []}]},
    {"statements": [{"document": "0" * 64, "count": 1, "texts": [["entity"]]}]},
]


@pytest.mark.parametrize("document", GOOD)
def test_both_take(document: Json) -> None:
    group = {"version": 1, "documents": [document]}
    VALIDATOR.validate(group)
    assert manager_takes(group)


@pytest.mark.parametrize("document", BAD, ids=range(len(BAD)))
def test_both_refuse(document: Json) -> None:
    group = {"version": 1, "documents": [{}, document]}
    assert not schema_takes(group)
    assert not manager_takes(group)


@pytest.mark.parametrize(
    "group",
    [
        {}, [], {"version": 1}, {"documents": []}, {"version": 2, "documents": []}, {"version": True, "documents": []},
        {"version": "1", "documents": []}, {"version": 1, "documents": {}}, {"version": 1, "documents": [], "more": 1},
    ],
)  # fmt: skip
def test_both_refuse_groups(group: Json) -> None:
    assert not schema_takes(group)
    assert not manager_takes(group)


def test_the_schema_names_every_field_that_the_manager_knows() -> None:
    known = msgspec.json.schema(Document)["$defs"]
    for name, part in (
        ("Activity", "activity"),
        ("Entity", "entity"),
        ("Agent", "agent"),
        ("Plan", "plan"),
        ("Store", "store"),
        ("Points", "points"),
        ("Statements", "statements"),
    ):
        assert known[name]["properties"].keys() == SCHEMA["$defs"][part]["properties"].keys()
