"""The table of formats: detection, files, and documents that are broken in any way."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import prov.tests
import pygraphviz
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pllib import prov as documents
from pllib.prov import FORMATS, Document, DocumentError, Literal, Ref, jsonld_form, statement

CORPUS = Path(prov.tests.__file__).parent
FILES = sorted(
    path
    for pattern in ("json/*.json", "provn/**/*.provn", "xml/*.xml", "jsonld/**/*.jsonld", "rdf/*.ttl", "rdf/*.trig")
    for path in CORPUS.glob(pattern)
    if path.stat().st_size < 20_000
)
EX = "http://example.org/"
WRITTEN = [name for name, form in FORMATS.items() if form.write]
BOTH = [name for name, form in FORMATS.items() if form.write and form.read]


def sample(bundles: bool = False) -> Document:
    said = [
        statement("entity", EX + "e", (), ((EX + "x", Literal("ä\n\"'")), (EX + "kind", Ref(EX + "Model")))),
        statement("activity", EX + "a", ("2026-11-21T10:00:00Z", None)),
        statement("wasGeneratedBy", EX + "g", (EX + "e", EX + "a", "2026-11-21T10:00:01Z")),
        statement("wasAssociatedWith", EX + "s", (EX + "a", EX + "me", EX + "plan")),
    ]
    document = Document(namespaces={"ex": EX}, statements=said)
    if bundles:
        document.bundles.append(documents.Bundle(EX + "b", statements=said[:2]))
    return document


@pytest.mark.parametrize("name", BOTH)
def test_what_is_written_to_a_file_is_read_by_its_ending_and_by_its_content(name: str, tmp_path: Path) -> None:
    form = FORMATS[name]
    document = sample(bundles=name not in ("ttl", "nt"))
    path = tmp_path / f"document{form.endings[0]}"
    documents.write(document, path)
    assert documents.differences(documents.read(path), document) == []
    assert documents.differences(documents.read(str(path), name), document) == []
    assert documents.differences(documents.read(path.read_bytes()), document) == []
    assert documents.differences(documents.read(path.read_text("utf-8")), document) == []
    assert sorted(os.listdir(tmp_path)) == [path.name]


@pytest.mark.parametrize("name", ["ttl", "nt"])
def test_a_format_without_graphs_says_that_it_cannot_hold_bundles(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"x.{name}"
    path.write_text("what was there")
    with pytest.raises(DocumentError, match="cannot hold bundles; write TriG"):
        documents.write(sample(bundles=True), path)
    assert path.read_text() == "what was there"
    assert os.listdir(tmp_path) == [path.name]


def test_the_content_of_each_file_of_the_corpus_tells_its_format() -> None:
    also = {"ttl": {"ttl", "trig", "nq"}, "trig": {"trig", "nq"}}
    for path in FILES:
        text = path.read_text("utf-8")
        if text.strip():
            found = documents.detect(text).name
            assert found in also.get(path.suffix[1:], {path.suffix[1:]}), path


@pytest.mark.parametrize(
    ("source", "format", "message"),
    [
        ("nowhere.provn", None, "No such file"),
        ("/", "json", "Is a directory"),
        ("\n", None, "looks like none of"),
        (b"document\0endDocument", None, "NUL"),
        (b"\xff\xff\xff", None, "no text in utf-8"),
        (b"<?xml version='1.0' encoding='no-such'?><x/>", None, "no-such"),
        ("{}\n", "yaml", "no format is called 'yaml'"),
        ("{}\n", "dot", "written only"),
        ("{}\n", "xml", "not XML"),
        ("{}\n", "provn", "this is no PROV-N"),
        ("<x/>\n", "json", "not JSON"),
        ('{"entity": {"ex:e": {}}}\n', "json", "'ex' is not declared"),
        ("[" * 200_000 + "\n", "json", "not JSON"),
        ('{"entity": ' * 200_000 + "\n", "json", "not JSON"),
        ('{"@context": ' + "[" * 200_000 + "\n", "jsonld", "not "),
        ('{"@graph": ' + '[{"http://x/y": ' * 200_000 + "\n", "jsonld", "not "),
        ("@prefix : <http://x/> . :a :b " + "[ :b " * 200_000 + "\n", "ttl", "not ttl"),
        ("@prefix : <http://x/> . :a :b " + "( " * 200_000 + "\n", "trig", "not trig"),
        ("<x/>" * 20 + "\n" + "<rdf:RDF>" * 200_000 + "\n", "rdf", "not rdf"),
        ('{"entity": {"x": {"y": "\\ud800"}}}\n', "json", "not JSON"),
        ("<a>\n" * 200_000, "xml", "nested deeper"),
        ('<!DOCTYPE x [<!ENTITY a "b">]>\n<x>&a;</x>', "xml", "document type declarations are not read"),
        ('<!DOCTYPE x SYSTEM "file:///etc/passwd">\n<x/>', None, "document type declarations are not read"),
        ("document\n" + "entity(" * 100_000, "provn", "line 2, column 8: there is no default namespace"),
        ('@prefix : <http://x/> .\n:a :b "', None, "not trig"),
    ],
)
def test_what_is_wrong_is_said(source: str, format: str | None, message: str) -> None:
    with pytest.raises(DocumentError, match=message):
        documents.read(source, format)


def test_an_entity_bomb_is_refused_before_it_grows() -> None:
    bomb = '<!DOCTYPE b [<!ENTITY a0 "x">' + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
    for name in ("xml", "rdf"):
        with pytest.raises(DocumentError):
            documents.read(f"{bomb}]>\n<b>&a11;</b>", name)


REREAD = """
import sys
import tracemalloc
opened = []
sys.addaudithook(lambda event, told: opened.append((event, told)) if event in ("open", "socket.connect") else None)
from pllib import prov
del opened[:]
try:
    prov.read(sys.argv[1])
except prov.DocumentError:
    pass
print([told[0] for event, told in opened if not str(told[0]).endswith((".py", ".pyc", ".so"))])
"""


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE x SYSTEM "file:///etc/hostname"><x/>',
        '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]><x>&a;</x>',
        '{"@context": "http://127.0.0.1:9/context.jsonld", "@graph": []}',
        "@prefix owl: <http://www.w3.org/2002/07/owl#> . <> owl:imports <file:///etc/hostname> .",
    ],
)
def test_no_other_file_is_opened_and_no_host_is_asked(text: str, tmp_path: Path) -> None:
    path = tmp_path / "document"
    path.write_text(text)
    done = subprocess.run([sys.executable, "-c", REREAD, str(path)], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == repr([str(path)]), done.stderr


JUNK = st.sampled_from(
    [
        '"',
        "'",
        "{",
        "}",
        "[",
        "]",
        "<",
        ">",
        "&",
        ":",
        ";",
        "(",
        ")",
        ",",
        "-",
        "\\",
        "\\u0000",
        "_:",
        "null",
        "1e999",
        "true",
        "[]",
        "{}",
        "\n",
        " ",
        "\t",
        "prov:",
        "ex:",
        "prefix",
        "%%",
        "@",
        "\ufffe",
        "\x01",
        "9" * 5000,
        "&#0;",
        "'''",
    ]
)


@st.composite
def broken(draw: st.DrawFn) -> tuple[str, str]:
    """A file of the corpus with some of it taken out, doubled, or written over."""
    path = draw(st.sampled_from(FILES))
    text = path.read_text("utf-8")
    for _ in range(draw(st.integers(1, 4))):
        begin = draw(st.integers(0, len(text)))
        end = min(len(text), begin + draw(st.sampled_from([0, 1, 3, 30, 1000, len(text)])))
        text = text[:begin] + draw(st.one_of(JUNK, st.just(text[begin:end] * 2))) + text[end:]
    return text, path.suffix[1:]


@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
@given(broken())
def test_a_broken_document_is_a_document_error_or_is_read_and_can_be_written(case: tuple[str, str]) -> None:
    text, form = case
    try:
        document = documents.read(text.encode("utf-8"), form)
    except DocumentError:
        return
    documents.validate(document)
    for name in WRITTEN:
        try:
            documents.write(document, io.StringIO(), name)
        except DocumentError:
            continue


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["prov:x", "_:b"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "prefix",
                    "bundle",
                    "entity",
                    "used",
                    "hadMember",
                    "$",
                    "type",
                    "lang",
                    "prov:type",
                    "prov:entity",
                    "@graph",
                    "@type",
                    "@id",
                    "@context",
                    "@value",
                    "@language",
                    "prov:time",
                    "prov:collection",
                    "default",
                    "x",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=30,
)


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(VALUES, st.sampled_from(["json", "jsonld"]))
def test_json_of_any_shape_is_a_document_error_or_is_read(value: object, form: str) -> None:
    text = json.dumps({"@context": jsonld_form.CONTEXT, "@graph": [value], "entity": value, "bundle": value})
    try:
        documents.read(text if form == "jsonld" else text + "\n", form)
    except DocumentError:
        return


def drawn(document: Document) -> pygraphviz.AGraph:
    out = io.StringIO()
    documents.write(document, out, "dot")
    return pygraphviz.AGraph(string=out.getvalue())


def test_a_drawing_has_what_the_document_says() -> None:
    graph = drawn(sample(bundles=True))
    labels = [node.attr["label"] for node in graph.nodes() if node.attr["shape"] != "point"]
    assert sorted(labels) == sorted(["ex:e", "ex:a", "ex:me", "ex:plan", "ex:e", "ex:a"])
    assert {node.attr["shape"] for node in graph.nodes()} == {"ellipse", "box", "house", "point"}
    assert {"wasGeneratedBy", "wasAssociatedWith", "plan"} <= {edge.attr["label"] for edge in graph.edges()}
    assert len(graph.subgraphs()) == 1


def test_nothing_in_a_document_is_drawn_as_anything_but_text() -> None:
    evil = 'x"];evil [shape=box, URL="javascript:1'
    label = ("http://www.w3.org/ns/prov#label", Literal(evil + "\\\n\x00"))
    graph = drawn(Document(statements=[statement("entity", EX + evil, (), (label,))]))
    assert len(graph.nodes()) == 1
    assert not graph.nodes()[0].attr["URL"]


def test_a_drawing_is_bounded() -> None:
    with pytest.raises(DocumentError, match="more than 5,000 nodes"):
        documents.write(
            Document(statements=[statement("entity", f"{EX}{n}") for n in range(5001)]), io.StringIO(), "dot"
        )


def test_what_two_documents_differ_in() -> None:
    left, right = sample(), sample()
    right.statements = [*list(right.statements)[1:], statement("agent", EX + "me")]
    found = documents.differences(left, right)
    assert [(each.side, each.statement.kind) for each in found] == [("<", "entity"), (">", "agent")]
    later = Document(statements=[statement("activity", EX + "a", ("2026-11-21T11:00:00.000+01:00", None))])
    assert documents.differences(later, Document(statements=list(sample().statements)[1:2])) == []


def test_the_public_face() -> None:
    assert len(set(documents.__all__)) == len(documents.__all__)
    assert all(hasattr(documents, name) for name in documents.__all__)


class Counted:
    """A stream that keeps nothing."""

    def __init__(self) -> None:
        self.length = 0

    def write(self, text: str) -> None:
        self.length += len(text)


@pytest.mark.parametrize("name", ["ttl", "trig", "nt", "jsonld"])
def test_statements_are_written_as_they_come_and_not_kept(name: str) -> None:
    def peak(count: int) -> tuple[int, int]:
        coming = (
            statement("used", f"{EX}u{n}", (f"{EX}a{n}", f"{EX}e{n}"), ((EX + "x", Literal("y" * 5000)),))
            for n in range(count)
        )
        out = Counted()
        tracemalloc.start()
        documents.write(Document(statements=coming), out, name)  # type: ignore[arg-type]
        try:
            return tracemalloc.get_traced_memory()[1], out.length
        finally:
            tracemalloc.stop()

    few, short = peak(300)
    many, long = peak(3000)
    assert long > 9 * short
    # What is kept is names, which are bounded: far less than what was written.
    assert many - few < 0.3 * (long - short)
