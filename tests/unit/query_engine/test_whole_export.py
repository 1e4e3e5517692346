"""The whole store as one document: the same in every format, in bounded memory, without the vocabulary."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable, Iterator

import pytest

from manager.documents import decode_document
from manager.ontology import as_ntriples, classes
from manager.triples import Writer
from pllib import prov as documents
from pllib.prov import Document, DocumentError
from pllib.provml.iris import DEFAULT_BASE as BASE
from pllib.provml.vocabulary import PROV
from query_engine.whole_export import export, part_of
from tests.provenance import tracked
from tracker import prov_documents

IMPORTED = """document
  prefix ex <http://example.org/>
  entity(ex:e, [prov:label="a \\"b\\" \\\\ \\n é"@fr, ex:n="1" %% xsd:integer, prov:type="text"])
  used(ex:u; ex:a, ex:e, 2026-11-21T10:00:00Z, [prov:role='ex:r'])
  wasEndedBy(ex:a, -, -, 2026-11-21T10:00:00Z)
  bundle ex:b
    agent(ex:me)
  endBundle
endDocument"""


def imported() -> list[str]:
    writer = Writer(BASE, classes())
    entries = prov_documents.imported(documents.read(IMPORTED), "provn", None).entries
    return [line for entry in entries for line in writer.lines(decode_document(entry.body))]


@pytest.fixture(scope="module")
def graph() -> list[str]:
    """A run, an imported document and the vocabulary, as a store gives them: by subject."""
    vocabulary = [line for line in as_ntriples().decode().splitlines() if line]
    return sorted({*tracked.lines(tracked.document(tracked.run())), *imported(), *vocabulary})


def exported(format: str, lines: Iterable[str], chunk: int = 100) -> str:
    out = export(format, BASE)
    lines = list(lines)
    try:
        parts = [out.feed(lines[start : start + chunk]) for start in range(0, len(lines), chunk)]
        return "".join([*parts, *out.finish()])
    finally:
        out.close()


def test_rdf_is_the_graph_with_the_classes_of_prov_and_without_the_vocabulary(graph: list[str]) -> None:
    found = set(exported("nt", graph).splitlines())
    own = {line for line in graph if line.startswith((f"<{BASE}", "<http://example.org/"))}
    assert own <= found
    added = {line.split(" ", 2)[2] for line in found - own}
    assert added == {f"<{PROV}{name}> ." for name in ("Entity", "Activity", "Agent")}
    subjects = {line.split(" ")[0] for line in own if line.startswith(f"<{BASE}") and "/relation/" not in line}
    assert subjects == {line.split(" ")[0] for line in found - own}


@pytest.mark.parametrize("chunk", [1, 7, 10_000])
def test_turtle_and_trig_say_what_n_triples_says(graph: list[str], chunk: int) -> None:
    whole = documents.read(exported("nt", graph), "nt")
    for form in ("ttl", "trig"):
        assert documents.differences(documents.read(exported(form, graph, chunk), form), whole) == []


def test_the_other_formats_say_one_thing_and_have_imported_documents_as_bundles(graph: list[str]) -> None:
    found = [documents.read(exported(form, graph), form) for form in ("json", "provn", "xml", "jsonld")]
    assert len({documents.normal(each).digest for each in found}) == 1
    normal = documents.normal(documents.read(IMPORTED))
    bundles = {each.id: list(each.statements) for each in found[0].bundles}
    inside = documents.normal(Document(statements=bundles[f"{BASE}document/{normal.digest}"]))
    assert inside.parts[0].texts == normal.parts[0].texts
    assert len(bundles) == 2
    whole = documents.read(exported("nt", graph), "nt")
    activities = {each.id for each in whole.statements if each.kind == "activity"}
    assert activities == {each.id for each in found[0].statements if each.kind == "activity"}
    assert documents.validate(Document(statements=list(found[0].statements))) == []


def test_what_a_resource_is_its_id_tells() -> None:
    parts = {
        "execution/w/1": "Activity",
        "execution/w/1/fit/2": "Activity",
        "execution/w/1/fit/2/loss": "Entity",
        "session/w/1/p-0": "Activity",
        "agent/person/ana": "Agent",
        "data/s/k": "Entity",
        "workflow/w/transformation/fit": "Entity",
        "document/0f": "Entity",
        "relation/0f": None,
        "blank/0f": None,
    }
    assert {name: part_of(name) for name in parts} == parts


def test_nothing_comes_of_nothing() -> None:
    for form in ("nt", "ttl", "trig", "json", "provn", "xml", "jsonld"):
        text = exported(form, [])
        assert list(documents.read(text.encode(), form).statements) == []


def test_what_xml_cannot_hold_is_said() -> None:
    line = f'<{BASE}execution/w/1> <https://w3id.org/pllib/provlake#stdout> "\\u0007" .'
    with pytest.raises(DocumentError, match=r"U\+0007"):
        exported("xml", [line])


@pytest.mark.parametrize("form", ["nt", "ttl", "provn", "json", "xml", "jsonld"])
def test_memory_does_not_grow_with_the_store(form: str) -> None:
    def lines(count: int) -> Iterator[list[str]]:
        for number in range(0, count, 100):
            yield [f'<{BASE}execution/w/{number + n}> <{PROV}value> "{"x" * 2000}" .' for n in range(100)]

    def peak(count: int) -> tuple[int, int]:
        out, size = export(form, BASE), 0
        tracemalloc.start()
        for several in lines(count):
            size += len(out.feed(several))
        size += sum(map(len, out.finish()))
        out.close()
        try:
            return tracemalloc.get_traced_memory()[1], size
        finally:
            tracemalloc.stop()

    few, short = peak(400)
    many, long = peak(2000)
    assert long > 4 * short
    assert many - few < 0.3 * (long - short)
