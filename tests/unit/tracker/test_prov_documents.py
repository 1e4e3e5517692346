"""PROV documents on their way into the queue: what they are, what is refused and why, and in which groups they go."""

from __future__ import annotations

import json

import pytest

from edge.errors import RequestError
from pllib import prov
from pllib.prov import Bundle, Document, Literal, statement
from tracker import prov_documents

EX = "http://example.org/"
PROVN = b"document\nprefix ex <http://example.org/>\nentity(ex:e)\nendDocument"


@pytest.mark.parametrize(
    ("asked", "content_type", "body", "format"),
    [
        ("provn", "image/png", b"", "provn"),
        ("prov-json", "", b"", "json"),
        (None, "text/turtle; charset=utf-8", b"", "ttl"),
        (None, "text/provenance-notation", b"", "provn"),
        (None, "application/provenance+xml", b"", "xml"),
        (None, "application/x-www-form-urlencoded", PROVN, "provn"),
        (None, "", PROVN, "provn"),
        (None, "text/plain", PROVN, "provn"),
        (None, "application/json", b'{"entity": {}}', "json"),
        (None, "application/json", b'{"@context": [], "@graph": []}', "jsonld"),
        (None, "text/xml", b"<prov:document xmlns:prov='http://www.w3.org/ns/prov#'/>", "xml"),
    ],
)
def test_what_a_document_is(asked: str | None, content_type: str, body: bytes, format: str) -> None:
    assert prov_documents.format_of(asked, content_type, body) == format


@pytest.mark.parametrize(
    ("asked", "content_type", "body", "status", "told"),
    [
        (None, "image/png", b"", 415, "image/png"),
        ("dot", "", b"", 415, "written only"),
        ("docx", "", b"", 400, "docx"),
        (None, "", b"hello", 400, "looks like none"),
        (None, "", b"\xff\xfe\xff", 400, "no text"),
    ],
)
def test_what_is_none(asked: str | None, content_type: str, body: bytes, status: int, told: str) -> None:
    with pytest.raises(RequestError, match=told) as caught:
        prov_documents.format_of(asked, content_type, body)
    assert caught.value.status == status
    assert caught.value.fix


def provn(*statements: str, prefixes: str = "prefix ex <http://example.org/>") -> bytes:
    return "\n".join(["document", prefixes, *statements, "endDocument"]).encode()


@pytest.mark.parametrize(
    ("body", "format", "status", "code", "where"),
    [
        (b"document\nentity(", "provn", 400, "bad_document", "line 2"),
        (provn("entity(other:e)"), "provn", 400, "bad_document", "line 3"),
        (b'{"entity": {"e": 1}}', "json", 400, "bad_document", "$.entity.e"),
        (b'{"entity": {"e', "json", 400, "bad_document", None),
        (b"<a><b></a>", "xml", 400, "bad_document", None),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', "xml", 400, "bad_document", "line 1"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', "rdf", 400, "bad_document", None),
        (b"<a> <b> .", "ttl", 400, "bad_document", None),
        (b"[" * 100_000, "json", 400, "bad_document", None),
        (provn("entity(ex:e)", prefixes="prefix ex <no iri/>"), "provn", 400, "bad_document", "line 2"),
        (b'{"prefix": {"ex": "no iri/"}, "entity": {"ex:e": {}}}', "json", 422, "bad_iri", "entity(no iri/e)"),
        (b'{"prefix": {"ex": "no iri/"}, "bundle": {"ex:b": {}}}', "json", 422, "bad_iri", "bundle"),
        (provn("entity(prov:Entity)"), "provn", 422, "vocabulary", "entity"),
        (provn("wasDerivedFrom(prov:Entity, ex:e)"), "provn", 422, "vocabulary", "wasDerivedFrom"),
        (provn('entity(ex:e, [ex:p="x"@abcdefghij])'), "provn", 422, "bad_language", "entity(http://example.org/e): "),
        (provn(f'entity(ex:e, [ex:p="{"x" * 1_000_001}"])'), "provn", 422, "too_long", "entity(http://example.org/e): "),
        (provn(f"entity(ex:{'x' * 4_001})"), "provn", 422, "bad_iri", "entity"),
    ],
    ids=range(17),
)  # fmt: skip
def test_what_is_refused_and_where(body: bytes, format: str, status: int, code: str, where: str | None) -> None:
    with pytest.raises(RequestError) as caught:
        prov_documents.read(body, format)
    error = caught.value
    assert (error.status, error.code) == (status, code)
    assert error.fix
    assert len(error.message) < 1000
    if where is not None:
        assert (error.field or "").startswith(where)


def test_a_document_may_use_the_vocabulary(monkeypatch: pytest.MonkeyPatch) -> None:
    body = provn("agent(ex:me, [prov:type='prov:Person'])", "specializationOf(ex:e, prov:EmptyCollection)")
    assert len(list(prov_documents.read(body, "provn").statements)) == 2
    monkeypatch.setattr(prov_documents, "MAX_STATEMENTS", 1)
    with pytest.raises(RequestError, match="2 statements") as caught:
        prov_documents.read(body, "provn")
    assert caught.value.status == 413


def test_groups_are_bounded_and_hold_everything() -> None:
    text = "x" * 600
    document = Document(
        statements=[statement("entity", f"{EX}e{n}", (), ((EX + "p", Literal(text)),)) for n in range(1500)],
        bundles=[Bundle(EX + "b", statements=[statement("agent", EX + "me")]), Bundle(EX + "empty")],
    )
    found = prov_documents.imported(document, "json", "a name")
    items = [json.loads(entry.body)["statements"][0] for entry in found.entries]
    assert (found.statements, found.bundles) == (1501, 2)
    assert {item["document"] for item in items} == {prov.normal(document).digest}
    assert {(item["count"], item["label"]) for item in items} == {(1501, "a name")}
    assert [item.get("bundle") for item in items][-2:] == [EX + "b", EX + "empty"]
    assert sum(len(item["texts"]) for item in items) == 1501
    assert max(len(entry.body) for entry in found.entries) < 2 * prov_documents.GROUP_BYTES
    assert len({entry.key for entry in found.entries}) == len(items)


def test_a_relation_too_long_for_the_store_is_refused() -> None:
    attributes = [(f"{EX}p{number}", Literal("x" * 900_000)) for number in range(5)]
    document = Document(statements=[statement("used", None, (EX + "a", EX + "e"), attributes)])
    with pytest.raises(RequestError, match="used") as caught:
        prov_documents.imported(document, "json", None)
    assert (caught.value.status, caught.value.code) == (422, "too_long")


def test_violations_are_told_in_prov_n_and_not_without_end() -> None:
    document = prov.read(provn(*(f"entity(ex:e{n}) activity(ex:e{n})" for n in range(150))).decode())
    found = prov_documents.told(prov.validate(document), document)
    assert len(found) == prov_documents.MAX_TOLD
    assert found[0]["constraint"] == 55
    assert "activity(ex:e0)" in found[0]["statements"]


def test_a_derivation_of_a_hundred_thousand_steps() -> None:
    steps = 100_000
    body = provn(*(f"wasDerivedFrom(ex:e{number + 1}, ex:e{number})" for number in range(steps)))
    document = prov_documents.read(body, "provn")
    assert prov.validate(document) == []
    assert prov_documents.imported(document, "provn", None).statements == steps
