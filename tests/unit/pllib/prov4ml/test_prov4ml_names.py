"""Names of users as parts of paths, as IRIs, as contexts."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pllib.errors import CaptureError
from pllib.prov import Document, Statement, read
from pllib.prov.forms import write
from pllib.prov4ml import Context
from pllib.prov4ml.names import context_name, file_name, iri_of, looks_like_namespace


@pytest.mark.parametrize("name", ["digits", "experiment_name", "Größe 3", "a-b=c+d,e@f(1)", "v1.2"])
def test_ordinary_names_stay_as_they_are(name: str) -> None:
    assert file_name(name) == name


@pytest.mark.parametrize(
    ("name", "expected"),
    [("train/loss", "train%2Floss"), ("a:b", "a%3Ab"), ("..", "%2E%2E"), (".", "%2E"), ("", "%00"), ("a\\b", "a%5Cb"),
     ("$(rm)", "%24(rm)"), ("../../etc", "%2E.%2F..%2Fetc"), ("nul\0", "nul%00")],
)  # fmt: skip
def test_names_that_would_mean_something_to_a_file_system_are_encoded(name: str, expected: str) -> None:
    assert file_name(name) == expected


@given(st.text())
def test_any_text_is_one_part_of_a_path(text: str) -> None:
    part = file_name(text)
    assert part
    assert os.path.basename(part) == part
    assert part not in (".", "..")
    assert not part.startswith(".")
    assert len(os.fsencode(part)) < 128


@given(st.text(max_size=30), st.text(max_size=30))
def test_two_names_never_give_the_same_part(left: str, right: str) -> None:
    assert (file_name(left) == file_name(right)) == (left == right)


@pytest.mark.parametrize(
    ("namespace", "expected"),
    [
        ("www.example.org", "http://www.example.org/"),
        ("www.example.org/lab", "http://www.example.org/lab/"),
        ("https://example.org/ns#", "https://example.org/ns#"),
        ("http://example.org", "http://example.org/"),
        ("urn:lab:x", "urn:lab:x/"),
        ("localhost:8000", "http://localhost:8000/"),
        ("http://example.org/a b<c>", "http://example.org/a%20b%3Cc%3E/"),
        ("my lab", "http://127.0.0.1:8472/id/namespace/my%20lab/"),
        ("user_namespace", "http://127.0.0.1:8472/id/namespace/user_namespace/"),
    ],
)
def test_a_namespace_becomes_the_beginning_of_iris(namespace: str, expected: str) -> None:
    assert iri_of(namespace) == expected


@given(st.text(min_size=1))
def test_any_namespace_makes_iris_that_a_document_can_hold_and_be_read_with(namespace: str) -> None:
    base = iri_of(namespace)
    statement = Statement("entity", base + "execution/x")
    for name in ("json", "provn"):
        out = io.StringIO()
        write(Document(namespaces={"id": base}, statements=[statement]), out, name)
        assert [each.id for each in read(out.getvalue().encode(), name).statements] == [base + "execution/x"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("www.example.org", True), ("https://x.org/", True), ("urn:a:b", True), ("example.org/lab", True), ("localhost", True),
     ("experiment_name", False), ("resnet v1.2", False), ("v1.2", False), ("", False), (None, False), (3, False)],
)  # fmt: skip
def test_what_looks_like_a_namespace(text: Any, expected: bool) -> None:
    assert looks_like_namespace(text) is expected


@pytest.mark.parametrize(
    ("context", "expected"),
    [(Context.TRAINING, "training"), ("Training", "training"), ("TRAINING", "training"), ("Context.TRAINING", "training"),
     ("Test", "testing"), ("val", "validation"), (Context.EVALUATION, "evaluation"), ("DATASETS", "DATASETS"),
     ("fine tuning", "fine tuning"),     (None, None), ("", None), (7, "7")],
)  # fmt: skip
def test_contexts_of_all_generations_are_the_same_parts(context: Any, expected: str | None) -> None:
    assert context_name(context) == expected


def test_contexts_are_found_by_name_and_never_evaluated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Context.get_context_from_string("Context.TESTING") is Context.TESTING
    assert Context.get_context_from_string("models") is Context.MODELS
    with pytest.raises(CaptureError, match="no context is called"):
        Context.get_context_from_string("open('pwned', 'w')")
    assert list(tmp_path.iterdir()) == []
