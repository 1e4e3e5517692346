"""Documents and crates of spool folders, with no server: of real processes, killed ones too, of damaged files, by the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
import tracemalloc
import warnings
import zipfile
from pathlib import Path
from typing import Any

import prov.model
import pytest
from rocrate.rocrate import ROCrate

from pllib import documents, frames
from pllib import prov as standard
from pllib.documents.reading import Reading
from pllib.errors import SpoolError
from pllib.provml.iris import DEFAULT_BASE as BASE

ROOT = Path(__file__).parents[2]
SCRIPT = """
import pllib
from pathlib import Path

pllib.store("lab", root=".")
Path("raw.csv").write_text("1")
with pllib.workflow("learn", person="ana") as flow:
    with flow.task("clean", used={"raw": pllib.data("raw.csv", store="lab"), "limit": 3}) as task:
        Path("clean.csv").write_text("22")
        task.generated(data=pllib.dataset("clean.csv", store="lab", characteristics={"lines": 7}), rows=7)
    for rate in (0.1, 0.2):
        with flow.task("fit", stage="training", used={"data": pllib.data("clean.csv", store="lab"), "rate": rate}) as task:
            Path("model.pkl").write_text(str(rate) * int(rate * 10))
            task.generated(model=pllib.model("model.pkl", store="lab"), loss=pllib.evaluation(rate / 2))
    try:
        with flow.task("check"):
            raise ValueError("<no> & no")
    except ValueError:
        pass
"""


def environment(spool: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "PLLIB_MODE": "disk", "PLLIB_SPOOL": str(spool)}


def run(script: str, folder: Path) -> None:
    path = folder / "script.py"
    path.write_text(textwrap.dedent(script))
    subprocess.run([sys.executable, str(path)], cwd=folder, env=environment(folder / "spool"), check=True, timeout=60)


def pllib(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pllib", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment(folder / "spool"), capture_output=True, text=True, timeout=60
    )


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lab")
    run(SCRIPT, folder)
    return folder


# -- documents


def test_an_execution_is_written_in_every_form(lab: Path, tmp_path: Path) -> None:
    [execution] = documents.executions(lab / "spool")
    assert (execution.status, execution.activities) == ("finished", 4)
    same = list(documents.statements(lab / "spool", execution.id))
    for name, form in standard.FORMATS.items():
        if form.write is not None:
            path = tmp_path / f"run{form.endings[0]}"
            documents.write(lab / "spool", execution.id, path)
            if form.read is not None:
                assert standard.differences(standard.read(path), standard.Document(statements=same)) == [], name
    assert "fit" in (tmp_path / "run.svg").read_text()


def test_the_command_line(lab: Path) -> None:
    [execution] = documents.executions(lab / "spool")
    listed = pllib(lab, "prov", "export", "--list")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert execution.id in listed.stdout
    whole = pllib(lab, "prov", "export", "--format", "provn")
    for name in (execution.id, "learn", f"{BASE}execution/{execution.id}", f"execution/{execution.id}"):
        assert pllib(lab, "prov", "export", "--execution", name, "--format", "provn").stdout == whole.stdout
    drawn = pllib(lab, "prov", "export", "-o", "run.svg")
    assert (drawn.returncode, drawn.stdout, drawn.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("--execution", "other/1"), 1, "nothing is known of 'other/1' in "),
        (("--spool", "nowhere"), 1, "there is no folder nowhere"),
        (("--list", "--spool", "nowhere"), 1, "there is no folder nowhere"),
        (("-o", "run.png"), 2, "say the format"),
        (("--format", "nq"), 2, "read only"),
        (("-o", "nowhere/run.json"), 2, "nowhere/run.json"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(lab: Path, arguments: tuple[str, ...], code: int, told: str) -> None:
    done = pllib(lab, "prov", "export", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith("pllib prov export: ")
    assert told in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_name_that_means_several_executions_is_no_name(lab: Path, tmp_path: Path) -> None:
    for _ in range(2):
        run("import pllib\nwith pllib.workflow('twice'): pass", tmp_path)
    one, other = documents.executions(tmp_path / "spool")
    assert one.started is not None
    assert other.started is not None
    assert one.started < other.started
    unnamed = pllib(tmp_path, "crate", "-o", "all.zip")
    assert (unnamed.returncode, unnamed.stdout) == (1, "")
    assert "say which execution is meant: one of several: twice/" in unnamed.stderr
    with pytest.raises(standard.DocumentError, match="may be one of several: twice/"):
        documents.document(tmp_path / "spool", "twice")
    both = standard.Document(statements=documents.statements(tmp_path / "spool"))
    assert {each.id for each in both.statements if each.kind == "activity"} == {
        f"{BASE}execution/{each.id}" for each in (one, other)
    }
    with pytest.raises(SpoolError):
        documents.executions(tmp_path / "none")


def test_a_run_killed_in_the_middle_leaves_a_valid_document(tmp_path: Path) -> None:
    script = """
        import pllib, time
        with pllib.workflow("endless") as flow:
            for number in range(51):
                with flow.task("step", used={"number": number}) as task:
                    task.generated(square=number * number)
                    if number == 50:
                        print("on the way", flush=True)
                        time.sleep(60)
    """
    path = tmp_path / "script.py"
    path.write_text(textwrap.dedent(script))
    process = subprocess.Popen([sys.executable, str(path)], env=environment(tmp_path / "spool"), stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"on the way\n"
        alive = documents.document(tmp_path / "spool", "endless")
        assert standard.validate(alive) == []
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    [execution] = documents.executions(tmp_path / "spool")
    assert execution.status == "running"
    found = documents.document(tmp_path / "spool", execution.id)
    assert standard.validate(found) == []
    whole = next(each for each in found.statements if each.kind == "activity")
    assert whole.arguments[1] is None
    documents.write(tmp_path / "spool", None, tmp_path / "run.json")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read = prov.model.ProvDocument.deserialize(tmp_path / "run.json", format="json")
    assert sum(1 for _ in read.get_records(prov.model.ProvActivity)) == 52
    made = documents.crate(tmp_path / "spool", None, tmp_path / "crate")
    assert made == (0, 0, [])
    action = metadata(tmp_path / "crate")[f"{BASE}execution/{execution.id}"]
    assert "actionStatus" not in action
    assert "had not ended" in action["description"]


def test_damaged_files_and_bad_records_are_passed_over_and_told(lab: Path, tmp_path: Path) -> None:
    [source] = (lab / "spool").rglob("*.frames")
    target = tmp_path / "spool" / source.parent.name / source.name
    target.parent.mkdir(parents=True)
    deep = (
        b'{"n":1,"op":"begin","t":1,"m":1,"kind":"workflow","wf":"w/1","used":{"x":'
        + b"[" * 100_000
        + b"]" * 100_000
        + b"}}"
    )
    bad: list[bytes] = [
        b"[]",
        b'{"op":"begin"}',
        b'{"n":1,"op":"begin","t":"x","m":1,"kind":"workflow","wf":"w/1"}',
        b'{"n":1,"op":"begin","t":1,"m":1,"kind":"odd","wf":"w/1","id":"a/1"}',
        b'{"n":1,"op":"end","t":1,"m":1,"kind":"task","wf":"w/1","id":"a/1","status":"finished","generated":{"a":{"$":"odd"}}}',
        b'{"n":1,"op":"end","t":1,"m":1,"kind":"task","wf":"w/1","id":"a/1","status":"finished","generated":{"a":"\\ud800"}}',
        b'{"n":1,"op":"points","t":1,"m":1,"kind":"task","wf":"w/1","id":"a/1","series":"s","first":0,"steps":[1],"times":[],"values":[]}',
        deep,
    ]
    target.write_bytes(
        b"zz torn\n" + source.read_bytes() + b"".join(map(frames.encode, bad)) + b"1f 00000000 {\nunfinished"
    )
    reading = Reading(tmp_path / "spool")
    found = reading.document("learn")
    same = documents.document(lab / "spool", "learn")
    assert standard.differences(standard.Document(statements=list(found.statements)), same) == []
    assert sum("was left out" in problem for problem in reading.problems) == len(bad)
    assert any("2 damaged stretches" in problem for problem in reading.problems)
    done = pllib(tmp_path, "prov", "export", "--execution", "learn")
    assert done.returncode == 0
    assert done.stderr.count("\n") == len(reading.problems)


def test_memory_does_not_grow_with_the_spool(tmp_path: Path) -> None:
    script = """
        import pllib
        with pllib.workflow("long") as flow:
            for number in range({count}):
                with flow.task("step", used={{"number": number}}) as task:
                    task.generated(text=f"{{number:0200}}")
    """
    peaks = []
    for count in (300, 2400):
        folder = tmp_path / str(count)
        folder.mkdir()
        run(script.format(count=count), folder)
        spool = folder / "spool"
        sizes = [path.stat().st_size for path in spool.rglob("*.frames")]
        assert len(sizes) == 1
        tracemalloc.start()
        assert sum(1 for _ in documents.statements(spool)) > 7 * count
        peaks.append(tracemalloc.get_traced_memory()[1] - 2 * sizes[0])  # one file at a time is in memory
        tracemalloc.stop()
    assert peaks[1] < 4 * max(peaks[0], 2_000_000)


# -- crates


def metadata(folder: Path) -> dict[str, Any]:
    graph = json.loads((folder / "ro-crate-metadata.json").read_text(encoding="utf-8"))["@graph"]
    found = {each["@id"]: each for each in graph}
    assert len(found) == len(graph)
    return found


def ids(value: Any) -> list[str]:
    return [each["@id"] for each in (value if isinstance(value, list) else [] if value is None else [value])]


def check_profiles(found: dict[str, Any], profiles: list[str]) -> None:
    """The MUST rules of RO-Crate 1.1 and of the Workflow Run Crate profiles 0.5 that concern what these crates hold."""
    descriptor, root = found["ro-crate-metadata.json"], found["./"]
    assert (descriptor["@type"], descriptor["about"]) == ("CreativeWork", {"@id": "./"})
    assert "https://w3id.org/ro/crate/1.1" in ids(descriptor["conformsTo"])
    assert {"name", "description", "datePublished", "license"} <= root.keys()
    conforms = ids(root["conformsTo"])
    assert [each for each in conforms if "/wfrun/" in each] == [
        f"https://w3id.org/ro/wfrun/{each}/0.5" for each in profiles
    ]
    assert all(found[each]["@type"] == "CreativeWork" for each in conforms)
    assert {each["@id"] for each in of_type(found, "File")} == set(ids(root["hasPart"]))
    assert {each["@id"] for each in of_type(found, "CreateAction")} == set(ids(root["mentions"]))
    check_references(found)
    if "provenance" in profiles:
        check_steps(found, found[root["mainEntity"]["@id"]])


def check_references(found: dict[str, Any]) -> None:
    assert all({"name", "additionalType"} <= each.keys() for each in of_type(found, "FormalParameter"))
    for action in of_type(found, "CreateAction"):
        assert {"SoftwareApplication", "ComputationalWorkflow"} & set(types_of(found, action["instrument"]))
        for one in (*ids(action.get("object")), *ids(action.get("result"))):
            assert {"File", "PropertyValue"} & set(types_of(found, {"@id": one}))
    named = {one for each in found.values() for value in each.values() for one in references(value)}
    assert all(one in found or one.startswith("https://w3id.org/ro/") for one in named)


def check_steps(found: dict[str, Any], main: dict[str, Any]) -> None:
    assert {"File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"} <= set(main["@type"])
    assert main["programmingLanguage"]["@id"] in found
    for step in of_type(found, "HowToStep"):
        assert "SoftwareApplication" in types_of(found, step["workExample"])
        assert int(step["position"]) >= 0
    for control in of_type(found, "ControlAction"):
        assert types_of(found, control["instrument"]) == ["HowToStep"]
        assert types_of(found, control["object"]) == ["CreateAction"]
    steps = [found[each] for each in ids(main["step"])]
    assert sorted(ids([each["workExample"] for each in steps])) == sorted(ids(main["hasPart"]))
    [organize] = of_type(found, "OrganizeAction")
    assert types_of(found, organize["result"]) == ["CreateAction"]


def of_type(found: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [each for each in found.values() if name in types_of(found, each)]


def references(value: Any) -> list[str]:
    return [one["@id"] for one in (value if isinstance(value, list) else [value]) if isinstance(one, dict)]


def types_of(found: dict[str, Any], reference: dict[str, str]) -> list[str]:
    kinds = found[reference["@id"]]["@type"]
    return kinds if isinstance(kinds, list) else [kinds]


def test_a_crate_of_a_workflow_with_steps(lab: Path, tmp_path: Path) -> None:
    done = pllib(
        lab,
        "crate",
        "--root",
        "lab=.",
        "-o",
        str(tmp_path / "crate"),
        "--license",
        "https://spdx.org/licenses/Apache-2.0",
    )
    assert done.returncode == 0
    assert done.stdout == f"{tmp_path / 'crate'}: 3 files copied, 1 not\n"
    assert done.stderr.count("\n") == 1
    assert "model.pkl in the store lab: " in done.stderr  # the first one was overwritten by the second
    found = metadata(tmp_path / "crate")
    check_profiles(found, ["process", "workflow", "provenance"])
    kept = {str(path.relative_to(tmp_path / "crate")) for path in (tmp_path / "crate").rglob("*") if path.is_file()}
    assert kept == {
        *("ro-crate-metadata.json", "provenance.json", "workflow.json"),
        *("data/lab/raw.csv", "data/lab/clean.csv", "data/lab/model.pkl"),
    }
    assert (tmp_path / "crate/data/lab/clean.csv").read_text() == "22"
    clean = found["data/lab/clean.csv"]
    assert clean["contentSize"] == "2"
    assert found[clean["additionalProperty"]["@id"]]["value"] == 7
    [gone] = [each for each in found.values() if "has changed since" in each.get("description", "")]
    assert gone["@id"].startswith(f"{BASE}data/lab/model.pkl/")
    actions = [each for each in found.values() if each["@type"] == "CreateAction"]
    assert [each["name"].split(" (")[0] for each in actions] == ["Run of learn", "clean", "fit", "fit", "check"]
    assert actions[0]["agent"] == {"@id": f"{BASE}agent/person/ana"}
    assert actions[-1]["actionStatus"] == "http://schema.org/FailedActionStatus"
    assert actions[-1]["error"] == "ValueError: <no> & no"
    assert {found[each]["value"] for each in ids(actions[1]["object"]) if "value" in found[each]} == {3}
    assert {found[each]["name"] for each in ids(actions[0]["result"])} >= {"clean.csv", "model.pkl", "loss"}
    read = standard.read(tmp_path / "crate/provenance.json")
    assert standard.differences(read, documents.document(lab / "spool", "learn")) == []


def test_another_reader_takes_it(lab: Path, tmp_path: Path) -> None:
    documents.crate(lab / "spool", "learn", tmp_path / "run.zip", roots={"lab": str(lab)})
    with zipfile.ZipFile(tmp_path / "run.zip") as archive:
        archive.extractall(tmp_path / "crate")
    crate = ROCrate(tmp_path / "crate")
    assert crate.mainEntity.id == "workflow.json"
    assert {each.id for each in crate.data_entities} >= {"data/lab/raw.csv", "provenance.json"}
    assert crate.root_dataset["author"].id == f"{BASE}agent/person/ana"
    assert sorted(tmp_path.iterdir()) == [tmp_path / "crate", tmp_path / "run.zip"]


def test_a_crate_of_one_program(tmp_path: Path) -> None:
    script = """
        import pllib
        from pathlib import Path
        here = Path.cwd()
        (here / "in put.txt").write_text("x")
        with pllib.workflow("alone", used={"in": pllib.data(here / "in put.txt"), "lr": 0.5, "odd": {"a": [1]}}) as flow:
            (here / "out.txt").write_text("y")
            flow.generated(out=pllib.data(here / "out.txt"), score=float("nan"))
    """
    run(script, tmp_path)
    made = documents.crate(tmp_path / "spool", None, tmp_path / "crate")
    assert (made.copied, made.notes) == (2, [])
    check_profiles(found := metadata(tmp_path / "crate"), ["process"])
    assert not (tmp_path / "crate/workflow.json").exists()
    values = {each["name"]: each["value"] for each in found.values() if each["@type"] == "PropertyValue"}
    assert values == {"lr": 0.5, "odd": '{"a":[1]}', "score": "NaN"}
    assert {path.name for path in (tmp_path / "crate/data").rglob("*.txt")} == {"in%20put.txt", "out.txt"}
    (tmp_path / "out.txt").unlink()
    made = documents.crate(tmp_path / "spool", None, tmp_path / "again", copy=False)
    assert (made.copied, made.left_out) == (0, 2)
    assert [note for note in made.notes if "There is no file" in note] == made.notes
    named = {each["@id"] for each in metadata(tmp_path / "again").values() if each["@type"] == "File"}
    assert (tmp_path / "in put.txt").as_uri() in named


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("-o", "there"), 2, "there: there is something already"),
        (("-o", "new", "--execution", "other"), 1, "nothing is known of 'other'"),
        (("-o", "new", "--spool", "nowhere"), 1, "there is no folder nowhere"),
        (("-o", "new", "--root", "lab"), 2, "--root takes STORE=DIR; 'lab' is none"),
        (("-o", "there/file/new"), 2, "there/file"),
    ],
)
def test_a_crate_that_cannot_be_made_is_said(lab: Path, arguments: tuple[str, ...], code: int, told: str) -> None:
    (lab / "there").mkdir(exist_ok=True)
    (lab / "there/file").write_text("kept")
    done = pllib(lab, "crate", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
    assert (lab / "there/file").read_text() == "kept"
    assert not (lab / "new").exists()


def test_no_key_leads_out_of_the_crate(tmp_path: Path) -> None:
    keys = ["../../up.txt", "/abs/../../x", "a\\..\\..\\b", "..", "~/x", "a:b*?"]
    script = f"""
        import pllib
        with pllib.workflow("odd") as flow:
            for number, key in enumerate({keys!r}):
                with flow.task("t") as task:
                    task.generated(file=pllib.data(key, store="../s"))
    """
    run(script, tmp_path)
    inside = tmp_path / "in/side"
    inside.mkdir(parents=True)
    (tmp_path / "in/up.txt").write_text("up")
    before = {path for path in tmp_path.rglob("*")}
    documents.crate(tmp_path / "spool", None, tmp_path / "crate", roots={"../s": str(inside / "deep/er")})
    made = {path for path in tmp_path.rglob("*")} - before
    assert made
    assert all(path.is_relative_to(tmp_path / "crate") for path in made)


def test_times_of_a_crate_are_those_of_the_run(lab: Path, tmp_path: Path) -> None:
    before = time.time()
    documents.crate(lab / "spool", "learn", tmp_path / "crate")
    action = next(each for each in metadata(tmp_path / "crate").values() if each["@type"] == "CreateAction")
    [execution] = documents.executions(lab / "spool")
    assert execution.started is not None
    assert execution.started / 1e6 < before
    assert action["startTime"] <= action["endTime"]
    assert action["startTime"].endswith("+00:00")
