"""Documents to N-Triples: nothing is lost, nothing breaks out, nothing unknown gets in."""

from __future__ import annotations

import json
import typing
from typing import Any

import msgspec
import pyoxigraph
import pytest
from hypothesis import given
from hypothesis import strategies as st

from manager.documents import Activity, Document, Entity, Statements, decode_document
from manager.errors import DocumentError
from manager.ontology import classes
from manager.terms import double_literal
from manager.triples import CACHE_SIZE, Triples, Writer, join
from pllib.provml.iris import encode
from pllib.provml.vocabulary import PROV, PROVLAKE, RDF, RDFS
from tests.provenance import tracked
from tracker.plans import Known

BASE = "http://example.org/id/"
Json = Any
Triple = tuple[str, str, str]

BY = "0123456789abcdef" * 2
POINTS: Json = {"times": [5, -1], "values": [0.5, "NaN"], "steps": [-1, 2], "first": 7, "rank": 0, "by": BY}

EVERY_FIELD: dict[str, dict[str, Json]] = {
    "activities": {
        "id": "execution/w/1/fit/2",
        "types": ["provml:TrainingExecution"],
        "plan": "workflow/w/transformation/fit",
        "partOf": "execution/w/1",
        "started": 0,
        "ended": 1,
        "duration": 0.5,
        "status": "failed",
        "informedBy": ["execution/w/1/up/1"],
        "agents": ["agent/person/ana"],
        "used": ["value/w/1/lr/f-0.1"],
        "generated": ["execution/w/1/fit/2/loss"],
        "error": {"type": "ValueError", "message": "told"},
        "stdout": "out",
        "stderr": "err",
        "metadata": {"m": 1},
        "within": "execution/o/1",
        "sessionOf": "execution/w/1/fit/1",
        "rank": 3,
        "resumes": True,
    },
    "entities": {
        "id": "data/s/k/v1",
        "types": ["provml:Model"],
        "attributes": ["workflow/w/attribute/model"],
        "metadata": {"m": 2},
        "value": "k",
        "specializationOf": "data/s/k",
        "members": ["data/s/k/v1/n/i-1"],
        "store": "store/s",
        "key": "kk",
        "version": "v1",
        "path": "/p",
        "size": 77,
        "unit": "s",
        "points": [POINTS],
    },
    "agents": {
        "id": "agent/process/9",
        "types": ["prov:SoftwareAgent"],
        "label": "agent",
        "actedFor": ["agent/person/bo"],
        "ran": ["agent/software/numpy/2"],
        "host": "node",
        "pid": 4242,
        "command": "cmd",
        "version": "3",
        "environment": {"e": 2},
        "lost": {"l": 3},
    },
    "plans": {
        "id": "workflow/w",
        "types": ["provlake:Workflow"],
        "label": "plan",
        "description": "about",
        "parts": ["workflow/w/transformation/fit"],
        "inputs": ["workflow/w/attribute/lr"],
        "outputs": ["workflow/w/attribute/loss"],
        "kind": "RELATIONAL_DBMS",
        "dataSchemas": ["store/s/schema/t"],
        "databaseSchemas": ["store/s/database/d/database-schema/p"],
        "databases": ["store/s/database/d"],
        "dataStores": ["store/s/plan"],
        "metadata": {"m": 3},
    },
    "stores": {
        "id": "store/s",
        "types": ["provlake:DataStoreInstance"],
        "label": "store",
        "host": "disk",
        "plan": "store/s/plan",
        "kind": "FILE_SYSTEM",
        "members": ["data/s/k/v1"],
        "sameAs": ["store/t"],
    },
}


def written(document: Json) -> list[str]:
    return Writer(BASE, classes()).lines(decode_document(json.dumps(document).encode()))


def triples(lines: list[str]) -> set[Triple]:
    """Subject, predicate and object, shortened where the names are ours."""
    text, _ = join([lines])
    quads = pyoxigraph.parse(text, pyoxigraph.RdfFormat.N_TRIPLES)
    return {(quad.subject.value, quad.predicate.value, quad.object.value) for quad in quads}


@pytest.mark.parametrize("part", EVERY_FIELD)
def test_every_field_is_in_the_triples(part: str) -> None:
    whole = EVERY_FIELD[part]
    everything = triples(written({part: [whole]}))
    for field in whole.keys() - {"id"}:
        less = triples(written({part: [{key: value for key, value in whole.items() if key != field}]}))
        assert less < everything, f"{field} says nothing"
    assert len(everything) == sum(len(one) if field == "error" else 1 for field, one in whole.items()) - 1


def test_no_field_is_forgotten_here() -> None:
    for field in msgspec.structs.fields(Document):
        item, *_ = typing.get_args(field.type)
        if item is Statements:  # of PROV documents: test_manager_statements.py
            continue
        assert {one.name for one in msgspec.structs.fields(item)} == EVERY_FIELD[field.name].keys()


def test_all_properties_are_those_of_the_reference() -> None:
    found = triples(written({part: [one] for part, one in EVERY_FIELD.items()}))
    task, value, agent = BASE + "execution/w/1/fit/2", BASE + "data/s/k/v1", BASE + "agent/process/9"
    plan, store = BASE + "workflow/w", BASE + "store/s"
    assert found == {
        (task, RDF + "type", "https://w3id.org/pllib/prov-ml#TrainingExecution"),
        (task, PROV + "wasInfluencedBy", BASE + "workflow/w/transformation/fit"),
        (task, PROVLAKE + "isPartOf", BASE + "execution/w/1"),
        (task, PROV + "startedAtTime", "1970-01-01T00:00:00.000000Z"),
        (task, PROV + "endedAtTime", "1970-01-01T00:00:00.000001Z"),
        (task, PROVLAKE + "duration", "0.5e0"),
        (task, PROVLAKE + "status", "failed"),
        (task, PROV + "wasInformedBy", BASE + "execution/w/1/up/1"),
        (task, PROV + "wasAssociatedWith", BASE + "agent/person/ana"),
        (task, PROV + "used", BASE + "value/w/1/lr/f-0.1"),
        (BASE + "execution/w/1/fit/2/loss", PROV + "wasGeneratedBy", task),
        (task, PROVLAKE + "errorType", "ValueError"),
        (task, PROVLAKE + "errorMessage", "told"),
        (task, PROVLAKE + "stdout", "out"),
        (task, PROVLAKE + "stderr", "err"),
        (task, PROVLAKE + "metadata", '{"m":1}'),
        (task, PROVLAKE + "within", BASE + "execution/o/1"),
        (task, PROVLAKE + "sessionOf", BASE + "execution/w/1/fit/1"),
        (task, PROVLAKE + "rank", "3"),
        (task, PROVLAKE + "resumes", "true"),
        (value, RDF + "type", "https://w3id.org/pllib/prov-ml#Model"),
        (value, PROV + "wasDerivedFrom", BASE + "workflow/w/attribute/model"),
        (value, PROV + "value", "k"),
        (value, PROV + "specializationOf", BASE + "data/s/k"),
        (value, PROV + "hadMember", BASE + "data/s/k/v1/n/i-1"),
        (value, PROVLAKE + "store", store),
        (value, PROVLAKE + "key", "kk"),
        (value, PROVLAKE + "metadata", '{"m":2}'),
        (value, PROVLAKE + "version", "v1"),
        (value, PROVLAKE + "path", "/p"),
        (value, PROVLAKE + "size", "77"),
        (value, PROVLAKE + "unit", "s"),
        (
            value,
            PROVLAKE + "points",
            f'{{"by":"{BY}","first":7,"rank":0,"steps":[-1,2],"times":[5,-1],"values":[0.5,"NaN"]}}',
        ),
        (agent, RDF + "type", PROV + "SoftwareAgent"),
        (agent, RDFS + "label", "agent"),
        (agent, PROV + "actedOnBehalfOf", BASE + "agent/person/bo"),
        (agent, PROVLAKE + "ran", BASE + "agent/software/numpy/2"),
        (agent, PROVLAKE + "host", "node"),
        (agent, PROVLAKE + "pid", "4242"),
        (agent, PROVLAKE + "command", "cmd"),
        (agent, PROVLAKE + "version", "3"),
        (agent, PROVLAKE + "environment", '{"e":2}'),
        (agent, PROVLAKE + "lost", '{"l":3}'),
        (plan, RDF + "type", PROVLAKE + "Workflow"),
        (plan, RDFS + "label", "plan"),
        (plan, RDFS + "comment", "about"),
        (plan, PROVLAKE + "hasPart", BASE + "workflow/w/transformation/fit"),
        (plan, PROVLAKE + "hasInput", BASE + "workflow/w/attribute/lr"),
        (plan, PROVLAKE + "hasOutput", BASE + "workflow/w/attribute/loss"),
        (plan, PROVLAKE + "storeType", "RELATIONAL_DBMS"),
        (plan, PROVLAKE + "hasDataSchema", BASE + "store/s/schema/t"),
        (plan, PROVLAKE + "hasDatabaseSchema", BASE + "store/s/database/d/database-schema/p"),
        (plan, PROVLAKE + "hasDatabase", BASE + "store/s/database/d"),
        (plan, PROVLAKE + "hasDataStore", BASE + "store/s/plan"),
        (plan, PROVLAKE + "metadata", '{"m":3}'),
        (store, PROV + "wasDerivedFrom", BASE + "store/s/plan"),
        (store, RDF + "type", PROVLAKE + "DataStoreInstance"),
        (store, RDFS + "label", "store"),
        (store, PROVLAKE + "host", "disk"),
        (store, PROVLAKE + "storeType", "FILE_SYSTEM"),
        (store, PROV + "hadMember", value),
        (store, PROVLAKE + "sameStoreAs", BASE + "store/t"),
    }


NO_IDS = [
    "",
    " ",
    "a b",
    "a>",
    "<a",
    'a"',
    "a\n",
    "a\\",
    "a{",
    "é",
    "a#b",
    "a?b",
    "a\x00",
    "urn:a",
    "a%",
    "a%2/",
    "a%zz",
    "a" * 20_000,
]
PLACES = [
    *[("activities", field) for field in ("id", "plan", "partOf", "informedBy", "agents", "used", "generated")],
    *[("entities", field) for field in ("id", "attributes", "specializationOf", "members", "store")],
    *[("agents", field) for field in ("id", "actedFor", "ran")],
    *[("plans", field) for field in ("id", "parts", "inputs", "outputs")],
    *[("plans", field) for field in ("dataSchemas", "databaseSchemas", "databases", "dataStores")],
    *[("stores", field) for field in ("id", "plan", "members", "sameAs")],
]


@pytest.mark.parametrize(("part", "field"), PLACES)
def test_what_is_no_id_is_refused_wherever_it_stands(part: str, field: str) -> None:
    several = isinstance(EVERY_FIELD[part][field], list)
    for text in NO_IDS:
        bad = {**EVERY_FIELD[part], field: ["good/1", text] if several else text}
        with pytest.raises(DocumentError, match="no identifier") as caught:
            written({part: [EVERY_FIELD[part], bad]})
        assert caught.value.field == f"{part}[1].{field}" + ("[1]" if several else "")
        assert "percent-encode" in caught.value.fix


@given(st.text(st.characters(codec=None, exclude_categories=())))
def test_every_encoded_text_is_one_iri(text: str) -> None:
    (line,) = Writer(BASE, classes()).lines(Document(entities=[Entity("a/" + encode(text), store="b")]))
    (quad,) = pyoxigraph.parse(line, pyoxigraph.RdfFormat.N_TRIPLES)
    assert quad.subject.value == BASE + "a/" + encode(text)


@given(st.text())
def test_no_text_breaks_out_of_its_place(text: str) -> None:
    document = {
        "activities": [
            {
                "id": "a",
                "stdout": text,
                "stderr": text,
                "error": {"type": text, "message": text},
                "metadata": {text: text},
            }
        ]
    }
    document["plans"] = [{"id": "a", "label": text, "description": text}]
    document["entities"] = [{"id": "a", "value": text, "key": text, "path": text}]
    found = triples(written(document))
    assert {subject for subject, _, _ in found} == {BASE + "a"}
    assert {value for _, predicate, value in found if not predicate.endswith("metadata")} == {text}
    assert len(found) == 10


@pytest.mark.parametrize(
    "name", ["provml:Nothing", "Model", "", "owl:Class", "provml:Model> <urn:x", "prov:used", "provml:"]
)
def test_a_class_that_the_vocabulary_does_not_define_is_refused(name: str) -> None:
    with pytest.raises(DocumentError, match="no class of the vocabulary") as caught:
        written({"entities": [{"id": "a"}, {"id": "b", "types": ["provml:Model", name]}]})
    assert caught.value.field == "entities[1].types"
    assert "GET /ontology" in caught.value.fix


def test_literals_that_cannot_be_said_name_their_field() -> None:
    for document, field in (
        ({"activities": [{"id": "a", "started": 10**18}]}, "activities[0].started"),
        ({"activities": [{"id": "a", "ended": -(10**18)}]}, "activities[0].ended"),
        ({"activities": [{"id": "a", "metadata": {"a": 2**70}}]}, "activities[0].metadata"),
        ({"agents": [{"id": "a", "lost": {"a": 2**70}}]}, "agents[0].lost"),
        ({"entities": [{"id": "a", "value": {"type": "double", "v": "x"}}]}, "entities[0].value.v"),
        ({"entities": [{"id": "a", "value": {"type": "float", "v": "1"}}]}, "entities[0].value.type"),
    ):
        with pytest.raises(DocumentError) as caught:
            written(document)
        assert caught.value.field == field
        assert caught.value.fix


def test_a_task_of_ten_and_ten_values_is_at_most_fifty_triples() -> None:
    known = Known()
    records = tracked.chain(60)
    first = tracked.lines(tracked.document(records[:20], known))
    rest = tracked.lines(tracked.document(records[20:], known))
    assert len(rest) / 50 <= 50
    assert len(set(rest)) == len(rest)
    assert not set(rest) - set(tracked.lines(tracked.document(records))), "cut or whole, the same is said"
    assert first


def test_lines_that_are_made_together_are_each_there_once_however_they_are_said() -> None:
    several = {"id": "a", "used": ["x", "y", "x"], "generated": ["z", "z"]}
    more = {"id": "a", "used": ["y", "w"], "generated": ["z", "v"], "agents": ["p"]}
    entities = [{"id": "z", "value": 1, "attributes": ["n"]}, {"id": "z", "attributes": ["n", "m", "n"]}]
    entities += [{"id": "z", "value": 1}, {"id": "z", "value": 1, "attributes": ["n"]}]
    lines = written({"activities": [several, more, several, more], "entities": entities})
    assert len(lines) == len(set(lines)) == 3 + 2 + 1 + 3
    found = Triples()
    document = decode_document(json.dumps({"activities": [several, more], "entities": entities}).encode())
    Writer(BASE, classes()).write(document, found)
    Writer(BASE, classes()).write(document, found)
    text, count = found.encoded()
    assert sorted(text.decode().split("\n")[:-1]) == sorted(lines)
    assert count == len(lines)


@pytest.mark.parametrize("bad", ["", "a b", "a\nb", "é", "a" * 16_385, "<"])
def test_an_id_among_many_is_checked_as_one_alone(bad: str) -> None:
    with pytest.raises(DocumentError) as raised:
        written({"entities": [{"id": f"e/{n}", "value": n} for n in range(50)] + [{"id": bad, "value": 1}]})
    assert raised.value.field == "entities[50].id"


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_doubles_are_written_as_python_writes_them(value: float) -> None:
    text = repr(value)
    assert double_literal(value).partition("^^")[0] == f'"{text}"' if "e" in text else f'"{text}e0"'


def test_a_triple_that_is_said_twice_is_joined_once() -> None:
    line = written({"entities": [{"id": "a", "value": 1}]})
    assert join([line, line, []]) == ((line[0] + "\n").encode(), 1)
    assert join([]) == join([[]]) == (b"", 0)


def test_the_memory_of_iris_is_bounded() -> None:
    writer = Writer(BASE, classes())
    used = [f"value/{number}" for number in range(CACHE_SIZE + 10)]
    lines = writer.lines(Document(activities=[Activity("a", used=used)]))
    assert len(lines) == CACHE_SIZE + 10
    assert len(writer._iris) < CACHE_SIZE


def test_points_are_one_canonical_literal() -> None:
    """However they were written, in whatever order of the fields."""
    plain = f'{{"by":"{BY}","first":0,"steps":[1,0],"times":[5,0],"values":[100000.0,-0.0]}}'
    other = f'{{"values":[1e5,-0.0E0],"times":[5,0],"steps":[1,-0],"first":0, "by":"{BY}"}}'
    document = f'{{"entities":[{{"id":"a","points":[{plain},{other}]}}]}}'
    text, count = join([Writer(BASE, classes()).lines(decode_document(document.encode()))])
    assert count == 1
    (quad,) = pyoxigraph.parse(text, pyoxigraph.RdfFormat.N_TRIPLES)
    assert quad.object == pyoxigraph.Literal(plain, datatype=pyoxigraph.NamedNode(RDF + "JSON"))


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"steps": [1]}, "points[1].values", "1 steps, 2 times and 2 values"),
        ({"steps": [2**53 - 1, 1]}, "points[1].steps", "a step beyond 2^53"),
        ({"steps": [0, -(2**53)]}, "points[1].steps", "a step beyond 2^53"),
        ({"times": [0, 10**18]}, "points[1].times", "no time between the years 1 and 9999"),
        ({"times": [-(10**18), 10**18]}, "points[1].times", "no time between the years 1 and 9999"),
    ],
)
def test_points_that_cannot_be(change: Json, field: str, words: str) -> None:
    with pytest.raises(DocumentError) as caught:
        written({"entities": [{"id": "b"}, {"id": "a", "points": [POINTS, {**POINTS, **change}]}]})
    assert caught.value.field == "entities[1]." + field
    assert words in caught.value.message
