"""Statements of PROV documents as triples: word by word, as PROV-O, and never more than one value of what is settled."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import prov.tests
import pyoxigraph
import pytest

from manager import statements
from manager.documents import decode_document
from manager.errors import DocumentError
from manager.ontology import classes
from manager.triples import Writer
from pllib import prov as documents
from pllib.prov import Document, Literal, Ref, statement
from pllib.prov.normal import decode
from pllib.prov.rdf import triples
from pllib.provml.vocabulary import PROV, PROVLAKE, RDF
from tracker import prov_documents

BASE = "http://example.org/id/"
EX = "http://example.com/"
CORPUS = Path(prov.tests.__file__).parent


def lines(document: Document) -> set[str]:
    writer = Writer(BASE, classes())
    entries = prov_documents.imported(document, "json", None).entries
    return {line for entry in entries for line in writer.lines(decode_document(entry.body))}


def terms(found: set[str]) -> list[tuple[str, str, str]]:
    quads = pyoxigraph.parse("\n".join(found).encode(), pyoxigraph.RdfFormat.N_TRIPLES)
    return [(quad.subject.value, quad.predicate.value, quad.object.value) for quad in quads]


def about_others(found: set[str]) -> set[str]:
    return {line for line in found if not line.startswith(f"<{BASE}document/")}


def test_a_relation_is_direct_and_where_it_says_more_qualified() -> None:
    said = [
        statement("used", None, (EX + "a", EX + "e")),
        statement("wasGeneratedBy", None, (EX + "e", EX + "a", "2026-11-21T10:00:00Z")),
        statement("wasAssociatedWith", EX + "s", (EX + "a", EX + "me", EX + "plan")),
        statement("wasEndedBy", None, (EX + "a", None, None, "2026-11-21T10:00:00Z")),
    ]
    found = terms(about_others(lines(Document(statements=said))))
    assert (EX + "a", PROV + "used", EX + "e") in found
    assert (EX + "e", PROV + "wasGeneratedBy", EX + "a") in found
    assert (EX + "a", PROV + "wasAssociatedWith", EX + "me") in found
    assert (EX + "s", PROV + "hadPlan", EX + "plan") in found
    assert not [each for each in found if each[1] == PROV + "qualifiedUsage"]
    (generation,) = [each[2] for each in found if each[1] == PROV + "qualifiedGeneration"]
    assert generation.startswith(BASE + "relation/")
    assert (generation, PROV + "atTime", "2026-11-21T10:00:00Z") in found
    (end,) = [each[2] for each in found if each[1] == PROV + "qualifiedEnd"]
    assert (end, RDF + "type", PROV + "End") in found


def test_over_the_corpus_the_graph_is_prov_o_and_the_document_is_kept_word_by_word() -> None:
    for path in sorted((CORPUS / "json").glob("*.json"))[::7]:
        document = documents.read(path)
        found = terms(lines(document))
        kept = {decode(value) for _, predicate, value in found if predicate == PROVLAKE + "statement"}
        digest, parts = documents.normal(document)
        assert kept == {decode(text) for part in parts for text in part.texts}
        assert (BASE + f"document/{digest}", PROVLAKE + "sha256", digest) in found
        pairs = {(subject, predicate) for subject, predicate, _ in found}
        for each in triples([each for each in kept if not each.id or not each.id.startswith("_:")]):
            texts = each.predicate == RDF + "type" and isinstance(each.object, Literal)
            if not each.subject.startswith("_:"):
                assert (each.subject, PROV + "type" if texts else each.predicate) in pairs


def test_one_statement_makes_the_same_triples_in_every_document() -> None:
    each = statement("used", None, (EX + "a", EX + "e"), ((PROV + "role", Literal("in")),))
    alone = about_others(lines(Document(statements=[each])))
    among = about_others(lines(Document(statements=[statement("agent", EX + "me"), each])))
    bundled = about_others(lines(Document(bundles=[documents.Bundle(EX + "b", statements=[each])])))
    assert alone < among
    assert alone < bundled


def test_nothing_breaks_out_of_its_place() -> None:
    evil = 'x" . <http://evil.example/s> <http://evil.example/p> "y\n\\'
    said = [statement("entity", EX + "e", (), ((PROV + "label", Literal(evil)), (EX + "p", Ref(EX + "r"))))]
    found = terms(lines(Document(statements=said)))
    assert (EX + "e", "http://www.w3.org/2000/01/rdf-schema#label", evil) in found
    assert not [each for each in found if each[0].startswith("http://evil")]


@pytest.mark.parametrize(
    ("item", "field"),
    [
        ({"document": "0" * 63}, "document"),
        ({"texts": ["no"]}, "texts[0]"),
        ({"texts": ['["entity","http://example.org/a b",[],[]]']}, "texts[0]"),
        ({"texts": ['["entity","e",[],[]]']}, "texts[0]"),
        ({"texts": ['["entity","http://x/e",[],[["http://x/p","t","http://x/d","no language!"]]]']}, "texts[0]"),
        ({"texts": ['["entity","http://x/e",[],[["http://x/p","t","not a datatype"]]]']}, "texts[0]"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(item: dict[str, Any], field: str) -> None:
    whole = {"document": "0" * 64, "count": 1, "texts": [], **item}
    writer = Writer(BASE, classes())
    with pytest.raises(DocumentError) as caught:
        lang = json.dumps({"statements": [whole]})
        writer.lines(decode_document(lang.encode().replace(b"http://x/d", f"{RDF}langString".encode())))
    assert caught.value.field == f"statements[0].{field}"


class Known:
    """A store that knows some pairs of subject and predicate."""

    def __init__(self, *pairs: tuple[str, str]) -> None:
        self.pairs, self.asked = pairs, 0

    async def select(self, query: str) -> list[dict[str, str]]:
        self.asked += 1
        return [{"s": s, "p": p} for s, p in self.pairs if f"(<{s}> <{p}>)" in query]


def kept(document: Document, store: Known) -> set[str]:
    writer = Writer(BASE, classes())
    decoded = [decode_document(entry.body) for entry in prov_documents.imported(document, "json", None).entries]
    groups = [writer.lines(each) for each in decoded]
    left = asyncio.run(statements.without_held_back(store, BASE, decoded, groups))  # type: ignore[arg-type]
    return {line for group in left for line in group}


def test_what_was_captured_keeps_its_one_value() -> None:
    ours, theirs = BASE + "execution/w/1", EX + "execution/w/1"
    times = ("2026-11-21T10:00:00Z", "2026-11-21T11:00:00Z")
    document = Document(statements=[statement("activity", ours, times), statement("activity", theirs, times)])
    everything = lines(document)
    assert kept(document, Known()) == everything
    held = everything - kept(document, Known((ours, PROV + "startedAtTime"), (theirs, PROV + "startedAtTime")))
    assert [line.split(" ")[:2] for line in held] == [[f"<{ours}>", f"<{PROV}startedAtTime>"]]
    # Of two values in one document one is taken.
    twice = Document(statements=[statement("activity", ours, (None, time)) for time in times])
    assert len([line for line in kept(twice, Known()) if "endedAtTime" in line]) == 1
    foreign = Known()
    assert kept(Document(statements=[statement("agent", EX + "me")]), foreign)
    assert foreign.asked == 0
