"""What is extracted of git and MLflow, in both schemes of identifiers: each thing that MLflow2PROV gets wrong is right here."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from bench.projects import tracking_store
from pllib import prov
from pllib.extraction.mlflow2prov import Mlflow2ProvMapper, identifier
from pllib.extraction.native import NativeMapper
from pllib.extraction.reading import Extraction
from pllib.provml.iris import DEFAULT_BASE

from .conftest import Repo, attributes, ids, relations, short

REGISTRY = """
INSERT INTO registered_models VALUES ('first', 1760000000000, 1760000000000, 'the first'), ('second', 1760000000000, 1760000000000, NULL);
INSERT INTO model_versions VALUES
    ('first', 1, 1760000001000, 1760000001000, NULL, 'ana', 'Production', 'ROOT/0/{0}/artifacts/model', '{0}', 'READY'),
    ('first', 2, 1760000002000, 1760000003000, NULL, NULL, 'Deleted_Internal', 'REDACTED-SOURCE-PATH', 'REDACTED-RUN-ID', 'READY'),
    ('second', 1, 1760000001000, 1760000001000, NULL, 'bo', 'None', 'runs:/{1}/model', '{1}', 'READY');
"""
RUNS = [f"{number:032x}" for number in range(4)]


@pytest.fixture
def project(repo: Repo, tmp_path: Path) -> tuple[Repo, list[str], str]:
    """A repository, its commits, and a tracking store with four runs, of which two were made with a commit of it."""
    commits = [
        repo.commit({"train.py": "1\n", "src/train.py": "x\n"}),
        repo.commit({"other": "1\n"}),
        repo.commit({"train.py": "2\n"}),
    ]
    file, root = tmp_path / "mlflow.db", tmp_path / "artifacts"
    url = tracking_store(file, root, 4, ["0" * 40], params=1, metrics=1, points=2)
    with sqlite3.connect(file) as database:
        database.executescript(REGISTRY.format(*RUNS).replace("ROOT", str(root)))
        tag = "UPDATE tags SET value = ? WHERE run_uuid = ? AND key = ?"
        database.execute(tag, (commits[1], RUNS[0], "mlflow.source.git.commit"))
        database.execute(tag, (commits[2], RUNS[1], "mlflow.source.git.commit"))
        database.execute(tag, ("/home/ana/code/src/train.py", RUNS[1], "mlflow.source.name"))
        database.execute("INSERT INTO tags VALUES ('mlflow.parentRunId', ?, ?)", (RUNS[3], RUNS[2]))
        database.execute(
            "UPDATE runs SET lifecycle_stage = 'deleted', deleted_time = 1760000500000 WHERE run_uuid = ?", (RUNS[2],)
        )
        database.execute("UPDATE experiments SET lifecycle_stage = 'deleted' WHERE experiment_id = 3")
    database.close()
    return repo, commits, url


def theirs(repo: Repo | None, url: str | None) -> prov.Document:
    extraction = Extraction(str(repo.folder) if repo else None, url, Mlflow2ProvMapper())
    return prov.Document(namespaces=extraction.namespaces, statements=list(extraction.statements()))


def ours(repo: Repo | None, url: str | None) -> prov.Document:
    extraction = Extraction(str(repo.folder) if repo else None, url, NativeMapper(DEFAULT_BASE))
    return prov.Document(namespaces=extraction.namespaces, statements=list(extraction.statements()))


def name(type: str, **keys: str) -> str:
    return short(identifier(type, **keys))


def test_identifiers_are_as_mlflow2prov_writes_them() -> None:
    assert (
        name("File", name="a b.py", path="d/ä&=.py", commit="c") == "File?name=a+b.py&path=d%2F%C3%A4%26%3D.py&commit=c"
    )


def test_a_commit_and_its_files(repo: Repo) -> None:
    first = repo.commit({"a.py": "1\n"}, "Title\n\nbody")
    second = repo.commit({"a.py": "2\n"})
    third = repo.commit({"a.py": None})
    found = theirs(repo, None)
    commits = [name("Commit", sha=sha) for sha in (first, second, third)]
    states = [
        name("FileRevision", name="a.py", path="a.py", commit=sha, status=s)
        for sha, s in ((first, "A"), (second, "M"), (third, "D"))
    ]
    file = name("File", name="a.py", path="a.py", commit=first)
    ana, bo = name("User", name="Ana Lee", email="ana@example.org"), name("User", name="Bo", email="bo@example.org")
    assert relations(found, "wasInformedBy") == {(commits[1], commits[0]), (commits[2], commits[1])}
    assert relations(found, "wasAssociatedWith") == {(commit, who) for commit in commits for who in (ana, bo)}
    assert relations(found, "wasGeneratedBy") == {(states[0], commits[0]), (file, commits[0]), (states[1], commits[1])}
    assert relations(found, "specializationOf") == {(state, file) for state in states}
    assert relations(found, "wasDerivedFrom") == {(states[1], states[0]), (states[2], states[1])}
    assert relations(found, "used") == {(commits[1], states[0]), (commits[2], states[1])}
    assert relations(found, "wasInvalidatedBy") == {(states[2], commits[2])}
    assert ids(found.statements, "agent") == {ana, bo}
    said = attributes(found, commits[0])
    assert (said["title"], said["message"], said["type"]) == (["Title"], ["Title\n\nbody"], ["Commit"])
    activity = next(each for each in found.statements if each.id is not None and short(each.id) == commits[0])
    assert all(time is not None and time.endswith("+02:00") for time in activity.arguments)
    assert prov.validate(found) == []


def test_a_renamed_file_is_the_same_file(repo: Repo) -> None:
    text = "".join(f"line {number}\n" for number in range(20))
    first = repo.commit({"old.py": text})
    second = repo.commit({"old.py": None, "sub dir/new.py": text})
    theirs_before = name("FileRevision", name="old.py", path="old.py", commit=first, status="A")
    theirs_after = name("FileRevision", name="new.py", path="sub dir/new.py", commit=second, status="R")
    assert relations(theirs(repo, None), "wasDerivedFrom") == {(theirs_after, theirs_before)}
    after, before = f"data/git%3Acode/sub%20dir%2Fnew.py/{second}", f"data/git%3Acode/old.py/{first}"
    assert relations(ours(repo, None), "wasDerivedFrom") == {(after, before)}
    assert len([each for each in ids(theirs(repo, None).statements, "entity") if each.startswith("File?")]) == 1


def test_users_stay_distinct(repo: Repo, tmp_path: Path) -> None:
    """Of one name with two addresses, and users of MLflow, who have no address."""
    repo.commit({"a": "1"})
    repo.commit({"a": "2"}, GIT_AUTHOR_EMAIL="other@example.org")
    url = tracking_store(tmp_path / "mlflow.db", tmp_path / "artifacts", 2, ["0" * 40])
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        database.execute("UPDATE runs SET user_id = 'bo' WHERE run_uuid = ?", (RUNS[1],))
    database.close()
    agents = ids(theirs(repo, url).statements, "agent")
    assert agents == {
        "User?name=Ana+Lee&email=ana%40example.org",
        "User?name=Ana+Lee&email=other%40example.org",
        "User?name=Bo&email=bo%40example.org",
        "User?name=ana&email=",
        "User?name=bo&email=",
    }
    assert len(ids(ours(repo, url).statements, "agent")) == 5


def test_a_run_follows_from_its_commit_and_the_revision_of_its_script_there(
    project: tuple[Repo, list[str], str],
) -> None:
    repo, commits, url = project
    found = theirs(repo, url)
    first, second, third = (name("Creation", uid=run, resource_type="Run") for run in RUNS[:3])
    informed = relations(found, "wasInformedBy")
    assert {pair for pair in informed if pair[0] == first} == {(first, name("Commit", sha=commits[1]))}
    assert {pair for pair in informed if pair[0] == second} == {(second, name("Commit", sha=commits[2]))}
    used = relations(found, "used")
    # The second commit did not change the script: the revision there is the first one's.
    assert (first, name("FileRevision", name="train.py", path="train.py", commit=commits[0], status="A")) in used
    assert (second, name("FileRevision", name="train.py", path="src/train.py", commit=commits[0], status="A")) in used
    assert not {pair for pair in used if pair[0] == third and "FileRevision" in pair[1]}  # a commit of nowhere


def test_the_same_with_identifiers_of_our_own(project: tuple[Repo, list[str], str]) -> None:
    repo, commits, url = project
    found = ours(repo, url)
    run = f"execution/experiment%200/{RUNS[0]}"
    assert (run, f"commit/code/{commits[1]}") in relations(found, "wasInformedBy")
    state = f"data/git%3Acode/train.py/{commits[1]}"
    assert (run, state) in relations(found, "used")
    assert (state, f"data/git%3Acode/train.py/{commits[0]}") in relations(found, "wasDerivedFrom")
    tree = f"data/git%3Acode/%2E/{commits[1]}"
    assert (tree, f"commit/code/{commits[1]}") in relations(found, "wasGeneratedBy")
    # What a live capture would have called the tree, by the tags alone, leads there.
    assert (f"data/git%3Arepository/%2E/{commits[1]}", tree) in relations(found, "wasDerivedFrom")
    assert (run, f"data/git%3Arepository/%2E/{commits[1]}") in relations(found, "used")
    assert prov.validate(found) == []


def test_the_parts_of_a_run(project: tuple[Repo, list[str], str]) -> None:
    found = theirs(None, project[2])
    run = name("Run", run_id=RUNS[0], name="run 0")
    creation = name("Creation", uid=RUNS[0], resource_type="Run")
    members = {pair[1] for pair in relations(found, "hadMember") if pair[0] == run}
    assert members == {
        name("Metric", run_id=RUNS[0], name="metric0", step="0"),
        name("Metric", run_id=RUNS[0], name="metric0", step="1"),
        name("Param", run_id=RUNS[0], name="param0"),
        *(name("RunTag", run_id=RUNS[0], name=f"mlflow.{tag}") for tag in ("user", "source.name", "source.git.commit")),
        *(
            name("Artifact", run_id=RUNS[0], path=path)
            for path in ("model", "model/MLmodel", "model/model.pkl", "plot.png")
        ),
        name("ModelArtifact", run_id=RUNS[0], path="model"),
    }
    assert {(member, creation) for member in members} <= relations(found, "wasGeneratedBy")
    assert (name("Experiment", experiment_id="0", name="experiment 0"), run) in relations(found, "hadMember")
    assert (
        name("ModelArtifact", run_id=RUNS[0], path="model"),
        name("Artifact", run_id=RUNS[0], path="model"),
    ) in relations(found, "specializationOf")
    assert attributes(found, name("Artifact", run_id=RUNS[0], path="plot.png"))["file_size"] == ["100"]
    assert prov.validate(found) == []


def test_files_at_an_artifact_root_and_roots_that_are_gone(
    project: tuple[Repo, list[str], str], tmp_path: Path
) -> None:
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        database.execute(
            "UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?", ((tmp_path / "nowhere").as_uri(), RUNS[1])
        )
        database.execute("UPDATE runs SET artifact_uri = 's3://bucket/of/it' WHERE run_uuid = ?", (RUNS[2],))
    database.close()
    (tmp_path / "artifacts" / "0" / RUNS[0] / "artifacts" / "MLmodel").write_text("at the root")
    extraction = Extraction(None, project[2], Mlflow2ProvMapper())
    entities = ids(extraction.statements(), "entity")
    assert {each for each in entities if each.startswith("ModelArtifact") and RUNS[0] in each} == {
        name("ModelArtifact", run_id=RUNS[0], path=""),
        name("ModelArtifact", run_id=RUNS[0], path="model"),
    }
    assert not [each for each in entities if "Artifact" in each and RUNS[1] in each]
    assert len(extraction.problems) == 1
    assert "s3: are listed by the mlflow package" in extraction.problems[0]


def test_deleted_experiments_runs_and_versions(project: tuple[Repo, list[str], str]) -> None:
    found = theirs(None, project[2])
    gone = {pair[0] for pair in relations(found, "wasInvalidatedBy")}
    assert name("Experiment", experiment_id="3", name="experiment 3") in gone
    assert {name("Run", run_id=run, name=f"run {number}") for number, run in enumerate(RUNS) if number in (2, 3)} < gone
    assert name("RegisteredModelVersion", name="first", version="2") in gone
    assert not [each for each in gone if RUNS[0] in each or RUNS[1] in each]
    times = {
        each.arguments[2]
        for each in found.statements
        if each.kind == "wasInvalidatedBy" and RUNS[2] in str(each.arguments[0])
    }
    assert times == {"2025-10-09T09:01:40Z"}
    native = ours(None, project[2])
    assert ("workflow/experiment%203", "deletion/workflow/experiment%203") in relations(native, "wasInvalidatedBy")
    assert f"deletion/execution/experiment%202/{RUNS[2]}" in ids(native.statements, "activity")


def test_a_version_belongs_to_its_model_only_and_comes_from_its_own_artifact(
    project: tuple[Repo, list[str], str],
) -> None:
    found = theirs(None, project[2])
    models = {one: name("RegisteredModel", name=one) for one in ("first", "second")}
    versions = {
        pair: name("RegisteredModelVersion", name=pair[0], version=pair[1])
        for pair in (("first", "1"), ("first", "2"), ("second", "1"))
    }
    assert {pair for pair in relations(found, "specializationOf") if pair[1] in models.values()} == {
        (version, models[model]) for (model, _), version in versions.items()
    }
    for (model, number), run in ((("first", "1"), RUNS[0]), (("second", "1"), RUNS[1])):
        artifact = name("ModelArtifact", run_id=run, path="model")
        version, creation = (
            versions[model, number],
            name("Creation", uid=f"{model}-version-{number}", resource_type="RegisteredModelVersion"),
        )
        assert {pair for pair in relations(found, "wasDerivedFrom") if pair[0] == version} == {(version, artifact)}
        assert (creation, artifact) in relations(found, "used")
        assert {pair for pair in relations(found, "wasInformedBy") if pair[0] == creation} == {
            (creation, name("Creation", uid=run, resource_type="Run"))
        }
    assert not {pair for pair in relations(found, "wasDerivedFrom") if pair[0] == versions["first", "2"]}


def test_nested_runs_also_when_the_outer_one_comes_later(project: tuple[Repo, list[str], str]) -> None:
    inner, outer = (name("Creation", uid=run, resource_type="Run") for run in (RUNS[2], RUNS[3]))
    assert (inner, outer) in relations(theirs(None, project[2]), "wasInformedBy")
    native = ours(None, project[2])
    inner, outer = f"execution/experiment%202/{RUNS[2]}", f"execution/experiment%203/{RUNS[3]}"
    assert (inner, outer) in relations(native, "wasInformedBy")
    assert attributes(native, inner)["within"] == [outer]


def test_every_time_has_its_zone(project: tuple[Repo, list[str], str]) -> None:
    repo, _, url = project
    for found in (theirs(repo, url), ours(repo, url)):
        literals = [
            value for each in found.statements for _, value in each.attributes if isinstance(value, prov.Literal)
        ]
        times = [value.text for value in literals if value.datatype.endswith("dateTime")]
        for each in found.statements:
            places = {"activity": (0, 1), "wasGeneratedBy": (2,), "used": (2,), "wasInvalidatedBy": (2,)}.get(
                each.kind, ()
            )
            times += [value for place in places for value in (each.arguments[place],) if value is not None]
        assert len(times) > 20
        assert all(time.endswith(("Z", "+02:00")) for time in times), times


def test_metrics_with_their_whole_history(project: tuple[Repo, list[str], str], tmp_path: Path) -> None:
    rows = [
        ("odd", 0.0, 1760000000000, 5, True),
        ("odd", 1.7976931348623157e308, 1760000001000, 6, False),
        ("odd", 2.0, 1760000002000, 5, False),
    ]
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        given = "INSERT INTO metrics (key, value, timestamp, step, is_nan, run_uuid) VALUES (?, ?, ?, ?, ?, ?)"
        database.executemany(given, [(*row, RUNS[0]) for row in rows])
    database.close()
    found = theirs(None, project[2])
    keys = {"run_id": RUNS[0], "name": "odd"}
    said = [
        attributes(found, name("Metric", **keys, **more))
        for more in ({"step": "5"}, {"step": "6"}, {"step": "5", "timestamp": "1760000002000"})
    ]
    assert [each["value"] for each in said] == [["NaN"], ["INF"], ["2.0"]]
    series = attributes(ours(None, project[2]), f"execution/experiment%200/{RUNS[0]}/odd")
    (chunk,) = map(json.loads, series["points"])
    assert chunk["steps"] == [5, 1, -1]
    assert chunk["times"] == [1760000000000000, 1000000, 1000000]
    assert (chunk["first"], chunk["values"]) == (0, ["NaN", "INF", 2.0])
    assert (series["value"], series["lastStep"], series["minimum"]) == (["INF"], ["6"], ["2.0"])


def test_parameters_are_hyperparameters_of_their_run(project: tuple[Repo, list[str], str]) -> None:
    found = ours(None, project[2])
    run = f"execution/experiment%201/{RUNS[1]}"
    value = f"value/experiment%201/{RUNS[1]}/param0/f-0.0"
    assert (run, value) in relations(found, "used")
    assert attributes(found, value)["type"] == ["https://w3id.org/pllib/prov-ml#LearningHyperparameterValue"]
    said = attributes(found, run)
    assert said["status"] == ["finished"]
    assert "https://w3id.org/pllib/prov-ml#LearningProcessExecution" in said["type"]
    assert '"name":"run 1"' in said["metadata"][0]
    assert (run, "agent/person/ana") in relations(found, "wasAssociatedWith")
