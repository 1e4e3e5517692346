"""PROV documents into a real store and out again: lossless, idempotent, in any format, with lineage over what they say."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import prov.model
import prov.tests
import pytest

from pllib import prov as documents
from pllib.provml.iris import DEFAULT_BASE as BASE
from pllib.provml.vocabulary import PROV, PROVLAKE
from pllib.query import Client

CORPUS = Path(prov.tests.__file__).parent
FILES = [
    path
    for pattern in ("json/*.json", "provn/**/*.provn", "xml/*.xml", "jsonld/**/*.jsonld", "rdf/*.ttl", "rdf/*.trig")
    for path in sorted(CORPUS.glob(pattern))[::11]
]
LINEAGE = """document
  prefix ex <http://example.org/MARK/>
  entity(ex:raw)
  entity(ex:clean, [prov:label="clean data"])
  activity(ex:cleaning, 2026-11-21T10:00:00Z, 2026-11-21T10:05:00Z)
  used(ex:cleaning, ex:raw, -, [prov:role="in"])
  wasGeneratedBy(ex:clean, ex:cleaning, 2026-11-21T10:04:00Z)
  wasDerivedFrom(ex:model, ex:clean)
  used(ex:judging, ex:model, -)
  wasAssociatedWith(ex:cleaning, ex:me, ex:plan)
  bundle ex:b
    entity(ex:raw, [ex:rows="3" %% xsd:integer])
  endBundle
endDocument
"""


def post(lab: Any, body: str | bytes, **options: str) -> dict[str, Any]:
    answer = lab.http.post(f"{lab.services.tracker_url}/v1/prov", content=body, params=options)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def out(lab: Any, format: str = "prov-json", **which: Any) -> documents.Document:
    answer = lab.get("/v1/prov", format=format, **which)
    assert answer.status_code == 200, answer.text
    return documents.read(answer.content, format)


def text(document: documents.Document, form: str) -> str:
    stream = io.StringIO()
    documents.write(document, stream, form)
    return stream.getvalue()


def oracle(content: str, form: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return prov.model.ProvDocument.deserialize(content=content, format=form)


def about(lab: Any, *parts: str) -> set[str]:
    return {line for line in lab.triples() if any(part in line for part in parts)}


def test_the_corpus_comes_out_as_it_went_in(lab: Any) -> None:
    """Also by the word of the ``prov`` package."""
    taken = []
    for path in FILES:
        try:
            document = documents.read(path)
        except documents.DocumentError:
            continue
        taken.append((path, document, post(lab, path.read_bytes(), format=path.suffix[1:])["document"]))
    assert len(taken) > 100
    lab.settle()
    for number, (path, document, identifier) in enumerate(taken):
        form = ("prov-json", "provn", "prov-xml", "prov-jsonld")[number % 4]
        found = out(lab, form, document=identifier)
        assert documents.normal(found) == documents.normal(document), path
        if path.suffix == ".json" and not path.name.startswith("mention"):
            assert oracle(text(found, "json"), "json") == oracle(path.read_text(), "json"), path


def test_the_same_document_makes_the_same_graph_however_it_comes(lab: Any) -> None:
    document = documents.read(LINEAGE.replace("MARK", lab.mark))
    told = [post(lab, text(document, form), format=form) for form in ("provn", "json", "xml", "jsonld", "trig")]
    told += [post(lab, oracle(text(document, "json"), "json").serialize(format=form)) for form in ("json", "xml")]
    assert {each["document"] for each in told} == {f"document/{documents.normal(document).digest}"}
    assert (told[0]["statements"], told[0]["bundles"]) == (9, 1)
    lab.settle()
    graph = about(lab, lab.mark, told[0]["document"])
    post(lab, text(document, "json"))
    pieces = [documents.Document(statements=[each]) for each in document.statements]
    for piece in pieces:
        post(lab, text(piece, "provn"))
    lab.settle()
    more = about(lab, lab.mark, told[0]["document"]) - graph
    assert {line.split(" ")[1] for line in more} == {f"<{PROVLAKE}statement>"}  # of the pieces, each a document
    assert documents.normal(out(lab, document=told[0]["document"])) == documents.normal(document)
    one = out(lab, document=[documents.normal(piece).digest for piece in pieces])
    assert documents.differences(one, documents.Document(statements=document.statements)) == []


def test_lineage_and_lookup_of_what_was_imported(lab: Any, ancestors: Callable[..., set[str]]) -> None:
    identifier = post(lab, LINEAGE.replace("MARK", lab.mark), name=f"told {lab.mark}")["document"]
    lab.settle()
    ex = f"http://example.org/{lab.mark}/"
    found = lab.lineage(ex + "model")
    assert {(edge["from"], edge["relation"], edge["to"]) for edge in found["edges"]} == {
        (ex + "model", "wasDerivedFrom", ex + "clean"),
        (ex + "clean", "wasGeneratedBy", ex + "cleaning"),
        (ex + "cleaning", "used", ex + "raw"),
    }
    assert all(edge["certain"] for edge in found["edges"])
    assert ancestors(ex + "model") == {"cleaning"}
    assert ancestors(ex + "raw", direction="forward", grain="task") == {"cleaning", "judging"}
    assert {node["id"] for node in lab.lineage(ex + "model", depth=1)["nodes"]} == {
        ex + name for name in ("model", "clean", "cleaning")
    }
    assert ancestors(ex + "cleaning") == set()  # an activity may be asked for, too
    exported = documents.read(lab.get("/v1/lineage", of=ex + "model", format="provn").content, "provn")
    used = next(each for each in exported.statements if each.kind == "used")
    assert used.arguments[:2] == (ex + "cleaning", ex + "raw")
    assert used.attributes == ((PROV + "role", documents.Literal("in")),)
    page = lab.http.get(
        f"{lab.services.query_url}/id", params={"iri": ex + "clean"}, headers={"Accept": "application/json"}
    ).json()
    assert page["properties"]["rdfs:label"] == ["clean data"]
    assert lab.get("/id", iri=ex + "nothing").status_code == 404
    (listed,) = [each for each in lab_documents(lab) if each["id"] == identifier]
    assert (listed["labels"], listed["bundles"]) == ([f"told {lab.mark}"], [ex + "b"])
    assert [bundle.id for bundle in out(lab, bundle=ex + "b").bundles] == [ex + "b"]


def lab_documents(lab: Any) -> list[dict[str, Any]]:
    found, page = [], "/v1/prov/documents?limit=7"
    while page:
        answer = lab.http.get(lab.services.query_url + page).json()
        found += answer["items"]
        page = answer["next"]
    return found


def test_a_derivation_of_very_many_steps(lab: Any) -> None:
    ex = f"http://example.org/{lab.mark}/"
    steps = 20_000
    lines = [f"wasDerivedFrom(ex:e{number + 1}, ex:e{number})" for number in range(steps)]
    body = "\n".join(["document", f"prefix ex <{ex}>", *lines, "endDocument"]).encode()
    packed = gzip.compress(body, 1)
    answer = lab.http.post(
        f"{lab.services.tracker_url}/v1/prov",
        content=packed,
        headers={"Content-Encoding": "gzip"},
        params={"validate": "error"},
    )
    assert answer.status_code == 200, answer.text
    lab.settle()
    found = lab.lineage(f"{ex}e{steps}")
    assert len(found["edges"]) == steps
    assert not found["truncated"]


def test_validation_on_the_way_in(lab: Any) -> None:
    ex = f"http://example.org/{lab.mark}/"
    wrong = f"document prefix ex <{ex}> entity(ex:e) activity(ex:e) endDocument"
    answer = lab.http.post(f"{lab.services.tracker_url}/v1/prov", content=wrong, params={"validate": "error"})
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "invalid_document"
    (violation,) = answer.json()["violations"]
    assert (violation["constraint"], violation["name"]) == (55, "entity-activity-disjoint")
    assert violation["statements"] == ["entity(ex:e)", "activity(ex:e)"]
    lab.settle()
    assert not about(lab, lab.mark)
    assert post(lab, wrong, validate="warn")["violations"] == [violation]
    assert post(lab, wrong)["violations"] == []
    lab.settle()
    assert about(lab, f"<{ex}e>")


@pytest.mark.parametrize(
    ("body", "options", "status", "code"),
    [
        (b"\x89PNG", {"headers": {"Content-Type": "image/png"}}, 415, "unknown_media_type"),
        (b"hello", {}, 400, "bad_document"),
        (b"document entity(ex:e) endDocument", {}, 400, "bad_document"),
        (b"document entity(", {}, 400, "bad_document"),
        (b"x" * 8_000_001, {}, 413, "too_large"),
        (gzip.compress(b" " * 33_000_000, 1), {"headers": {"Content-Encoding": "gzip"}}, 413, "too_large"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', {}, 400, "bad_document"),
        (b"document prefix ex <http://x/> entity(prov:Entity) endDocument", {}, 422, "vocabulary"),
        (b"document endDocument", {"params": {"validate": "perhaps"}}, 422, "bad_parameter"),
    ],
    ids=range(9),
)
def test_what_cannot_be_taken_is_refused_clearly(
    lab: Any, body: bytes, options: dict[str, Any], status: int, code: str
) -> None:
    answer = lab.http.post(f"{lab.services.tracker_url}/v1/prov", content=body, **options)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert answer.json()["error"]["fix"]


def test_what_was_captured_stays_and_lists_bear_what_others_say(lab: Any) -> None:
    lab.run("import pllib\nwith pllib.workflow('w MARK') as flow:\n    with flow.task('t'):\n        pass\n")
    lab.settle()
    (run,) = [each for each in Client(lab.services.query_url).executions() if lab.mark in each["workflow"]]
    before = about(lab, f"<{run['iri']}> <{PROV}startedAtTime>", f"<{run['iri']}> <{PROV}endedAtTime>")
    ex = f"http://example.org/{lab.mark}/"
    type_ = "prov:type='pl:WorkflowExecution', pl:status=\"failed\""
    later = f"activity(run:{run['iri'].removeprefix(BASE)}, 2030-01-01T00:00:00Z, 2030-01-01T00:00:00Z, [{type_}])"
    theirs = (
        f"activity(ex:run, 2030-01-01T00:00:00Z, -, [{type_}]) activity(ex:other, 2030-01-02T00:00:00Z, -, [{type_}])"
    )
    identifier = post(
        lab, f"document prefix run <{BASE}> prefix ex <{ex}> prefix pl <{PROVLAKE}> {later} {theirs} endDocument"
    )
    lab.settle()
    assert about(lab, f"<{run['iri']}> <{PROV}startedAtTime>", f"<{run['iri']}> <{PROV}endedAtTime>") == before
    assert len(about(lab, f"<{run['iri']}> <{PROVLAKE}status>")) == 1
    assert len(list(out(lab, document=identifier["document"]).statements)) == 3
    listed = {each["iri"] for each in Client(lab.services.query_url).executions(limit=1)}
    assert {run["iri"], ex + "run", ex + "other"} <= listed


def pllib(lab: Any, *arguments: str, given: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "PLLIB_URL": lab.services.tracker_url, "PLLIB_QUERY_URL": lab.services.query_url}
    command = [sys.executable, "-m", "pllib", "prov", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, input=given, timeout=120, check=False)


def test_the_command_line(lab: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = documents.read(LINEAGE.replace("MARK", lab.mark))
    digest = documents.normal(document).digest
    path = tmp_path / "run.ttl.json"
    documents.write(document, path, "jsonld")
    done = pllib(lab, "import", str(path), "-", given=text(document, "provn").encode())
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode().splitlines() == [f"{each}: document/{digest} (9 statements)" for each in (path, "-")]
    broken = tmp_path / "broken.provn"
    broken.write_text("document entity(")
    invalid = tmp_path / "invalid.provn"
    invalid.write_text("document prefix ex <http://example.org/> entity(ex:e) activity(ex:e) endDocument")
    done = pllib(lab, "import", str(broken), str(tmp_path / "none.provn"), str(invalid), "--validate", "error")
    first, second, *rest = done.stderr.decode().splitlines()
    assert done.returncode == 2
    assert "line 1" in first
    assert "none.provn: cannot be read" in second
    assert "constraint 55 (entity-activity-disjoint)" in rest[-1]
    lab.settle()
    target = tmp_path / "out.xml"
    assert pllib(lab, "export", "--document", digest, "-o", str(target)).returncode == 0
    assert documents.normal(documents.read(target)).digest == digest
    assert documents.normal(documents.read(pllib(lab, "export", "--document", digest).stdout)).digest == digest
    assert pllib(lab, "export", "--document", "0" * 64, "-o", str(target)).returncode == 1
    assert documents.normal(documents.read(target)).digest == digest
    assert pllib(lab, "export", "--document", digest, "--list").returncode == 2
    assert list(tmp_path.glob("*.part")) == []


def test_a_document_too_large_for_one_request_goes_in_pieces(
    lab: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from pllib import cli, prov_transfer

    monkeypatch.setattr(prov_transfer, "MAX_BODY", 100)
    monkeypatch.setattr(prov_transfer, "PIECE", 4)
    monkeypatch.setenv("PLLIB_URL", lab.services.tracker_url)
    document = documents.read(LINEAGE.replace("MARK", lab.mark))
    document.statements = [*document.statements, documents.statement("entity", "_:x")]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text(document, "json").encode())))
    assert cli.main(["prov", "import", "-", "--validate", "error"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    lab.settle()
    found = out(lab, document=[line.split(" ")[1] for line in lines])
    assert documents.normal(found) == documents.normal(document)


def test_the_whole_store_goes_into_another(lab: Any, other_lab: Any, tmp_path: Path) -> None:
    """Equal but for PROV's classes, which the export spells out, and the record of the import."""
    other_lab.run(SCRIPT)
    post(other_lab, LINEAGE.replace("MARK", lab.mark))
    other_lab.settle()
    graph = {line for line in other_lab.triples() if line.startswith((f"<{BASE}", "<http://example.org/"))}
    assert len(graph) > 100
    target = tmp_path / "store.nt"
    assert pllib(other_lab, "export", "--all", "-o", str(target)).returncode == 0
    whole = documents.read(target)
    assert documents.validate(whole) == []
    for form in ("ttl", "trig"):
        assert documents.differences(out(other_lab, f"prov-{form}"), whole) == []
    several = [out(other_lab, form) for form in ("provn", "prov-json", "prov-xml", "prov-jsonld")]
    assert len({documents.normal(each).digest for each in several}) == 1
    assert documents.normal(documents.read(LINEAGE.replace("MARK", lab.mark))).parts[0].texts in [
        part.texts for part in documents.normal(several[0]).parts
    ]
    # Into the other store, which has what other tests left there, and none of this.
    identifier = post(lab, target.read_bytes(), format="nt")["document"]
    lab.settle()
    after = lab.triples()
    assert graph <= after
    subjects = {line.split(" ")[0] for line in graph}
    added = {line for line in after - graph if line.split(" ")[0] in subjects and identifier not in line}
    classes = {f"<{PROV}{name}>" for name in ("Entity", "Activity", "Agent")}
    assert {line.split(" ")[2] for line in added} <= classes


SCRIPT = """
import pllib
from pathlib import Path

Path("raw.csv").write_text("1")
with pllib.workflow("copied MARK") as flow:
    with flow.task("clean", used={"raw": pllib.data("raw.csv", store="MARK"), "limit": 3}) as task:
        Path("clean.csv").write_text("2")
        task.generated(data=pllib.data("clean.csv", store="MARK"), rows=7, note='ä "quoted"\\n\\\\')
"""
