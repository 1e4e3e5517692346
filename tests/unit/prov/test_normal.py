"""Documents in normal form: what they say alone decides on it, not the format, the order or the names of blank nodes."""

from __future__ import annotations

import io
import random
from pathlib import Path

import prov.tests
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pllib import prov as documents
from pllib.prov import Bundle, Document, DocumentError, Literal, Ref, normal, statement
from pllib.prov.gathering import gathering
from pllib.prov.normal import MAX_ATTRIBUTES, MAX_SIZE, decode, encode

CORPUS = Path(prov.tests.__file__).parent
FILES = sorted(
    path
    for pattern in ("json/*.json", "provn/**/*.provn", "xml/*.xml", "jsonld/**/*.jsonld", "rdf/*.trig")
    for path in CORPUS.glob(pattern)
)
EX = "http://example.org/"
PROV = "http://www.w3.org/ns/prov#"


def corpus(every: int) -> list[Document]:
    found = []
    for path in FILES[::every]:
        try:
            found.append(documents.read(path))
        except DocumentError:
            continue
    return found


def written(document: Document, form: str) -> str:
    out = io.StringIO()
    documents.write(document, out, form)
    return out.getvalue()


def digest(text: str, form: str) -> str:
    return normal(documents.read(text, form)).digest


@pytest.mark.parametrize("form", ["json", "jsonld", "provn", "xml"])
def test_a_document_has_one_digest_in_every_format(form: str) -> None:
    found = corpus(4)
    assert len(found) > 200
    for document in found:
        assert digest(written(document, form), form) == normal(document).digest


@pytest.mark.parametrize("form", ["json", "jsonld", "provn", "xml"])
def test_what_is_gathered_is_what_is_written_at_once(form: str) -> None:
    for document in corpus(9):
        out = gathering(form, document.namespaces)
        several: set[tuple[str, str | None]] = set()
        for each in document.statements:
            key = (each.kind, each.id)
            if each.id is not None and key in several:
                break  # one statement of each kind with one identifier
            several.add(key)
            out.add(each)
        else:
            merged: dict[str | None, Bundle] = {}
            for bundle in document.bundles:
                merged.setdefault(bundle.id, Bundle(bundle.id, bundle.namespaces, [])).statements += bundle.statements
            for bundle in merged.values():
                out.add_bundle(bundle)
            assert digest("".join(out.chunks()), form) == normal(document).digest
        out.close()


def test_nothing_but_what_is_said_counts() -> None:
    said = [
        statement("entity", EX + "e", (), ((EX + "b", Literal("x", lang="EN")), (EX + "a", Ref(EX + "c")))),
        statement("activity", EX + "a", ("2026-11-21T10:00:00.500000+00:00", "2026-11-21T10:00:01.000Z")),
        statement("used", None, (EX + "a", EX + "e")),
    ]
    same = [
        statement("used", None, (EX + "a", EX + "e")),
        statement("used", None, (EX + "a", EX + "e")),
        statement("activity", EX + "a", ("2026-11-21T10:00:00.5Z", "2026-11-21T10:00:01Z")),
        statement("entity", EX + "e", (), ((EX + "a", Ref(EX + "c")), (EX + "b", Literal("x", lang="en")))),
    ]
    other = [*same[1:3], statement("entity", EX + "e", (), ((EX + "a", Ref(EX + "c")),))]
    first = normal(Document(namespaces={"ex": EX}, statements=said))
    assert normal(Document(statements=same)) == first
    assert normal(Document(statements=other)).digest != first.digest
    assert normal(Document(bundles=[Bundle(EX + "b", statements=said)])).digest != first.digest
    # A time that is no UTC is left as it is: who reads it may care for the zone.
    zoned = normal(Document(statements=[statement("activity", EX + "a", ("2026-11-21T10:00:00+02:00", None))]))
    assert "+02:00" in zoned.parts[0].texts[0]


TERMS = st.text(max_size=8).map(lambda text: EX + text)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["entity", "used", "wasDerivedFrom", "activity"]),
    st.none() | TERMS,
    st.lists(st.none() | TERMS, max_size=2),
    st.lists(
        st.tuples(TERMS, TERMS.map(Ref) | st.builds(Literal, st.text(), TERMS, st.none() | st.just("en"))), max_size=4
    ),
)
def test_a_statement_is_its_text(kind: str, identifier: str | None, arguments: list, attributes: list) -> None:
    each = statement(kind, identifier, () if kind == "entity" else arguments, attributes)
    assert decode(encode(each)) == each


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "null", '["thing",null,[],[]]', '["used",null,[],[]]', '["entity","e",[],[["a"]]]', "[" * 9999],
)
def test_what_is_no_statement_is_refused(text: str) -> None:
    with pytest.raises(DocumentError, match="no statement"):
        decode(text)


# -- blank identifiers


def ring(size: int, names: list[str], order: random.Random) -> Document:
    """Activities in a circle, each informed by the next, and one that is known: only the way to it tells them apart."""
    said = [statement("wasInformedBy", None, (names[index], names[(index + 1) % size])) for index in range(size)]
    said.append(statement("used", None, (names[0], EX + "known")))
    order.shuffle(said)
    return Document(statements=said)


def test_names_of_blank_nodes_make_no_difference() -> None:
    order = random.Random(5)
    digests = set()
    for _ in range(5):
        names = [f"_:n{number}" for number in order.sample(range(1000), 12)]
        digests.add(normal(ring(12, names, order)).digest)
    assert len(digests) == 1
    assert normal(ring(13, [f"_:{number}" for number in range(13)], order)).digest not in digests


def test_blank_nodes_that_nothing_tells_apart_stay_several() -> None:
    order = random.Random(7)
    digests = set()
    for _ in range(6):
        pairs = [(f"_:a{number}", f"_:e{number}") for number in order.sample(range(100), 4)]
        said = [statement("entity", entity) for _, entity in pairs]
        said += [statement("used", None, pair) for pair in pairs]
        order.shuffle(said)
        found = normal(Document(statements=said))
        assert len(found.parts[0].texts) == 8
        digests.add(found.digest)
    assert len(digests) == 1


def test_names_once_given_stay_so_that_parts_go_together() -> None:
    whole = normal(ring(6, [f"_:{number}" for number in range(6)], random.Random(1)))
    texts = whole.parts[0].texts
    halves = [Document(statements=[decode(text) for text in half]) for half in (texts[:3], texts[3:])]
    assert sorted(text for half in halves for text in normal(half).parts[0].texts) == texts


def test_very_many_blank_nodes_take_no_time() -> None:
    chain = [statement("wasDerivedFrom", None, (f"_:{number}", f"_:{number + 1}")) for number in range(20_000)]
    alike = [statement("entity", f"_:x{number}") for number in range(20_000)]
    assert len(normal(Document(statements=[*chain, *alike])).parts[0].texts) == 40_000


@pytest.mark.parametrize("form", ["provn", "xml", "json", "jsonld", "ttl"])
def test_blank_nodes_go_through_every_format(form: str) -> None:
    document = ring(4, ["_:a", "_:b", "_:c", "_:d"], random.Random(2))
    assert digest(written(document, form), form) == normal(document).digest


def test_an_element_with_very_many_attributes_is_several_statements() -> None:
    attributes = tuple((f"{EX}a{number}", Literal("x")) for number in range(2 * MAX_ATTRIBUTES + 1))
    found = normal(Document(statements=[statement("entity", EX + "e", (), attributes)]))
    pieces = [decode(text) for text in found.parts[0].texts]
    assert len(pieces) == 3
    assert {pair for piece in pieces for pair in piece.attributes} == set(attributes)


def test_so_is_one_with_very_long_attributes() -> None:
    attributes = tuple((f"{EX}a{number}", Literal(str(number % 10) * (MAX_SIZE // 4))) for number in range(10))
    found = normal(Document(statements=[statement("entity", EX + "e", (), attributes)]))
    pieces = [decode(text) for text in found.parts[0].texts]
    assert [len(piece.attributes) for piece in pieces] == [3, 3, 3, 1]
    assert {pair for piece in pieces for pair in piece.attributes} == set(attributes)
