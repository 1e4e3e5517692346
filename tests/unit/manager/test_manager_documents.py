"""Requests and documents that are none are refused, with the field and what to do; their neighbours are not."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from edge.errors import RequestError
from manager.documents import decode_document, decode_group
from manager.errors import DocumentError

Json = Any


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "no_prov_ml"),
        (b"{", 400, "no_prov_ml"),
        (b"[]", 400, "no_prov_ml"),
        (b"null", 400, "no_prov_ml"),
        (b"\xff", 400, "no_prov_ml"),
        (b"{}", 409, "unknown_version"),
        (b'{"version": 1}', 400, "no_prov_ml"),
        (b'{"version": 1, "documents": {}}', 400, "no_prov_ml"),
        (b'{"version": 1, "documents": [], "more": 1}', 400, "no_prov_ml"),
        (b'{"version": 1, "documents": [{]}', 400, "no_prov_ml"),
        (b'{"version": 1, "documents": ' + b"[" * 100_000, 400, "no_prov_ml"),
        (b'{"version": 2, "documents": []}', 409, "unknown_version"),
        (b'{"version": "1", "documents": []}', 409, "unknown_version"),
        (b'{"version": true, "documents": []}', 409, "unknown_version"),
        (b'{"version": null, "documents": []}', 409, "unknown_version"),
    ],
)
def test_bodies_that_are_none(body: bytes, status: int, code: str) -> None:
    with pytest.raises(RequestError) as caught:
        decode_group(body)
    assert (caught.value.status, caught.value.code) == (status, code)
    assert caught.value.fix


def test_documents_are_taken_apart_without_a_look_inside() -> None:
    bad, good = {"activities": 5}, {"entities": [{"id": "a"}]}
    raw = decode_group(json.dumps({"version": 1, "documents": [bad, good]}).encode())
    with pytest.raises(DocumentError):
        decode_document(raw[0])
    assert [one.id for one in decode_document(raw[1]).entities] == ["a"]


BAD: list[tuple[Json, str]] = [
    ([], ""),
    (None, ""),
    ({"things": []}, ""),
    ({"activities": {}}, "activities"),
    ({"activities": [5]}, "activities[0]"),
    ({"activities": [{}]}, "activities[0]"),
    ({"activities": [{"id": 5}]}, "activities[0].id"),
    ({"activities": [{"id": "a", "more": 1}]}, "activities[0]"),
    ({"activities": [{"id": "a", "started": "now"}]}, "activities[0].started"),
    ({"activities": [{"id": "a", "started": 1.5}]}, "activities[0].started"),
    ({"activities": [{"id": "a", "duration": -0.1}]}, "activities[0].duration"),
    ({"activities": [{"id": "a", "status": "running"}]}, "activities[0].status"),
    ({"activities": [{"id": "a", "used": "b"}]}, "activities[0].used"),
    ({"activities": [{"id": "a", "used": [1]}]}, "activities[0].used[0]"),
    ({"activities": [{"id": "a", "error": {}}]}, "activities[0].error"),
    ({"activities": [{"id": "a", "metadata": []}]}, "activities[0].metadata"),
    ({"activities": [{"id": "a", "plan": None}]}, "activities[0].plan"),
    ({"entities": [{"id": "a", "value": None}]}, "entities[0].value"),
    ({"entities": [{"id": "a", "value": [1]}]}, "entities[0].value"),
    ({"entities": [{"id": "a", "value": {"type": "double"}}]}, "entities[0].value"),
    ({"entities": [{"id": "a", "value": {"type": "double", "v": 1, "more": 1}}]}, "entities[0].value"),
    ({"entities": [{"id": "a", "size": "1"}]}, "entities[0].size"),
    ({"agents": [{"id": "a", "environment": "x"}]}, "agents[0].environment"),
    ({"plans": [{"id": "a", "label": 1}]}, "plans[0].label"),
    ({"stores": [{"label": "a"}]}, "stores[0]"),
]


@pytest.mark.parametrize(("document", "field"), BAD)
def test_documents_that_are_none_name_the_field(document: Json, field: str) -> None:
    raw = json.dumps(document).encode()
    with pytest.raises(DocumentError) as caught:
        decode_document(msgspec.Raw(raw))
    assert caught.value.field == field
    assert caught.value.message
    assert "schema" in caught.value.fix


@pytest.mark.parametrize("raw", [b'{"plans": [{"id": "\xff"}]}', b'{"plans": [{"id": "\\ud800"}]}'])
def test_text_that_is_no_unicode_is_refused(raw: bytes) -> None:
    with pytest.raises(DocumentError):
        decode_document(msgspec.Raw(raw))


def test_too_deep_a_structure_is_refused() -> None:
    raw = b'{"activities": [{"id": "a", "metadata": {"a": ' + b"[" * 50_000 + b"]" * 50_000 + b"}}]}"
    with pytest.raises(DocumentError, match="recursion"):
        decode_document(msgspec.Raw(raw))
