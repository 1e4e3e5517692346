"""Files, data sets and models in runs: the references and facts that are recorded."""

from __future__ import annotations

import hashlib
import os
import pickle
import threading

import numpy as np
import pytest

import pllib
from pllib.errors import CaptureError
from pllib.runs import background, checksums, logged
from tests.unit.pllib.test_activities import check_schema

PLAIN = {"code": False, "environment": False}


@pytest.fixture
def said(records):
    """All that was used or generated: name to the values in the order in which they were recorded."""

    def read(part):
        assert background.jobs.wait(30)
        check_schema(records())
        found = {}
        for record in records():
            for name, value in record.get(part, {}).items():
                found.setdefault(name, []).append(value)
        return found

    return read


@pytest.fixture
def held():
    """Keeps the background busy until it is let go."""
    free = threading.Event()
    background.jobs.put(lambda _: free.wait(30))
    yield free
    free.set()
    assert background.jobs.wait(30)


def state(path):
    found = os.stat(path)
    return f"s1-{found.st_size:x}-{found.st_mtime_ns:x}"


def test_an_artifact_has_its_state_checksum_and_size(said, tmp_path):
    path = tmp_path / "report.txt"
    path.write_text("fine")
    with pllib.run("digits", **PLAIN) as run:
        run.log_artifact(path)
        run.log_artifact(str(path), "the report", context="evaluation")
        run.log_artifact(path, input=True)
    (one,) = said("generated")["report.txt"]
    assert one == said("used")["report.txt"][0] == said("generated")["the report"][0]
    assert (one["key"], one["version"], one["size"]) == (str(path), state(path), 4)
    assert one["facts"] == {"size": 4, "sha256": hashlib.sha256(b"fine").hexdigest()}


def large(path, content=b"a"):
    path.write_bytes(content * (logged.AT_ONCE + 1))
    return hashlib.sha256(content * (logged.AT_ONCE + 1)).hexdigest()


def test_of_a_large_file_the_reference_is_there_at_once_and_the_checksum_follows(said, records, tmp_path, held):
    path = tmp_path / "weights"
    digest = large(path)
    with pllib.run("digits", **PLAIN) as run:
        run.log_artifact(path)
        first = records()[-1]["generated"]["weights"]
        assert "facts" not in first
        held.set()
    first, second = said("generated")["weights"]
    assert second == {**first, "facts": {"size": first["size"], "sha256": digest}}
    assert first["version"] == state(path)


def test_a_large_file_may_be_removed_at_once(said, tmp_path, held):
    path = tmp_path / "weights"
    digest = large(path)
    with pllib.run("digits", **PLAIN) as run:
        run.log_artifact(path)
        path.unlink()
        held.set()
    assert said("generated")["weights"][1]["facts"]["sha256"] == digest


@pytest.mark.parametrize("how", [lambda path: large(path, b"b"), lambda path: os.truncate(path, 2 * logged.AT_ONCE)])
def test_a_file_that_changes_before_it_was_read_is_said_to(said, tmp_path, held, how):
    path = tmp_path / "data.bin"
    large(path)
    with pllib.run("digits", **PLAIN) as run:
        run.log_dataset(path)
        how(path)
        held.set()
    first, second = said("used")["data.bin"]
    assert second["facts"] == {"size": logged.AT_ONCE + 1, "changed_while_read": True}
    assert second["version"] == first["version"] != state(path)


def test_so_many_files_that_not_all_are_kept_open(said, tmp_path, held, monkeypatch):
    monkeypatch.setattr(logged, "MOST_OPEN", 2)
    with pllib.run("digits", **PLAIN) as run:
        digests = {}
        before = len(os.listdir("/proc/self/fd"))
        for number in range(8):
            digests[f"f{number}"] = large(tmp_path / f"f{number}", bytes([number]))
            run.log_artifact(tmp_path / f"f{number}")
        assert len(os.listdir("/proc/self/fd")) <= before + 2
        (tmp_path / "f7").unlink()
        held.set()
    found = {name: values[1]["facts"] for name, values in said("generated").items()}
    assert found.pop("f7")["not_read"] == "No such file or directory"
    assert {name: facts["sha256"] for name, facts in found.items()} == {n: d for n, d in digests.items() if n != "f7"}


def test_what_is_under_way_when_a_run_ends_is_recorded_when_it_is_done(said, records, tmp_path, held):
    digest = large(tmp_path / "weights")
    run = pllib.start_run("digits", **PLAIN)
    run.log_artifact(tmp_path / "weights")
    run.end(wait=0.0)
    assert records()[-1]["op"] == "end"
    held.set()
    assert said("generated")["weights"][1]["facts"]["sha256"] == digest


def test_a_process_that_ends_first_says_that_there_is_no_checksum(said, tmp_path, monkeypatch):
    large(tmp_path / "f")
    reading = threading.Event()

    def slow(path, file, go_on):
        reading.set()
        while go_on():
            pass
        os.close(file.fd)
        raise checksums.Stopped

    monkeypatch.setattr(checksums, "of_file", slow)
    pllib.start_run("digits", **PLAIN)
    pllib.log_artifact(tmp_path / "f")
    assert reading.wait(30)
    pllib.shutdown()
    assert said("generated")["f"][1]["facts"] == {"size": logged.AT_ONCE + 1, "not_read": logged.NOT_MADE}


def test_a_folder_has_a_manifest_and_the_state_of_what_it_holds(said, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "a").write_text("x")
    with pllib.run("digits", **PLAIN) as run:
        run.log_model(folder, "net")
    with pllib.run("digits", **PLAIN) as run:
        run.log_dataset(folder)
    made, used = said("generated")["net"][0], said("used")["model"][0]
    assert made["version"] == used["version"] == f"m1-{made['facts']['sha256']}"
    assert (made["as"], used["as"], made["facts"]["files"]) == ("model", "dataset", 1)


@pytest.mark.parametrize("call", ["log_artifact", "log_dataset", "log_model"])
def test_a_missing_file_is_an_error_and_is_said_and_nothing_else_is_lost(said, records, tmp_path, call):
    missing = str(tmp_path / "none")
    with pllib.run("digits", **PLAIN) as run:
        run.log_param("lr", 1)
        with pytest.raises(CaptureError, match=f"{call}: .*none was not logged: No such file"):
            getattr(run, call)(missing)
        run.log_param("lr2", 1)
    assert said("used").keys() == {"lr", "lr2"}
    assert not said("generated")
    (remark,) = said("meta")["not_logged"]
    assert remark == f"{call}: {missing}: No such file or directory"


def test_what_is_no_path_is_no_artifact(said):
    with pllib.run("digits", **PLAIN) as run:
        for thing in (None, 3, ["a"], b"bytes\xff"):
            with pytest.raises(CaptureError, match="takes the path"):
                run.log_artifact(thing)


def test_pipes_and_devices_are_not_waited_for(said, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pllib.run("digits", **PLAIN) as run:
        for path in (tmp_path / "pipe", "/dev/zero"):
            with pytest.raises(CaptureError, match="no regular file"):
                run.log_artifact(path)


def test_references_into_stores_and_other_places(said, tmp_path):
    pllib.store("scratch", str(tmp_path))
    (tmp_path / "train.npz").write_text("x")
    with pllib.run("digits", **PLAIN) as run:
        run.log_dataset(
            pllib.dataset("train.npz", "scratch", characteristics={"images": 3}), characteristics={"classes": 2}
        )
        run.log_dataset("s3://bucket/far.npz")
        run.log_dataset(pllib.data("gone.npz", "elsewhere", version="v3"))
    used = said("used")
    near = used["train.npz"][0]
    assert (near["store"], near["key"], near["as"]) == ("scratch", "train.npz", "dataset")
    assert near["facts"]["images"] == {"$": "value", "v": 3, "as": "dataset_characteristic"}
    assert near["facts"]["classes"]["v"] == 2
    assert near["facts"]["sha256"] == hashlib.sha256(b"x").hexdigest()
    assert used["far.npz"] == [
        {"$": "data", "store": "s3://bucket", "key": "far.npz", "path": "s3://bucket/far.npz", "as": "dataset"}
    ]
    assert used["gone.npz"] == [
        {"$": "data", "store": "elsewhere", "key": "gone.npz", "version": "v3", "as": "dataset"}
    ]


def test_names_of_files_of_every_kind(said, tmp_path):
    names = ["a b", "ü…", "x" * 200, ".hidden", "a%2Fb", os.fsdecode(b"bad\xff")]
    with pllib.run("digits", **PLAIN) as run:
        for name in names:
            (tmp_path / name).write_text("x")
            run.log_artifact(tmp_path / name)
    assert len(said("generated")) == len(names)


def test_data_set_objects_are_described(said):
    array = np.zeros((3, 4))
    with pllib.run("digits", **PLAIN) as run:
        run.log_dataset(array, "train", context="training", characteristics={"classes": 2})
        run.log_dataset(list(range(1000)), "numbers")
    train, numbers = said("used")["train"][0], said("used")["numbers"][0]
    assert (train["$"], train["as"], train["v"]["shape"]) == ("summary", "dataset", [3, 4])
    assert train["facts"]["length"] == {"$": "value", "v": 3, "as": "dataset_characteristic"}
    assert train["facts"]["classes"]["v"] == 2
    assert numbers["v"] == {"class": "builtins.list", "length": 1000}  # what it is like, not what it holds


def test_a_data_set_that_a_task_made_is_that_very_one(said):
    with pllib.run("digits", **PLAIN) as run:
        array = np.zeros(3)
        with run.task("load") as task:
            task.generated(images=array)
        run.log_dataset(array, "train")
    found = said("used")["train"][0]
    assert (found["$"], found["id"], found["name"], found["as"]) == ("ref", task.id, "images", "dataset")


def test_a_model_with_its_file_has_both_descriptions(said, tmp_path):
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=0.5).fit([[0.0], [1.0]], [0, 1])
    (tmp_path / "m.pkl").write_bytes(pickle.dumps(model))
    with pllib.run("digits", **PLAIN) as run:
        run.log_model(model, path=tmp_path / "m.pkl")
    (found,) = said("generated")["model"]
    assert (found["$"], found["as"], found["key"]) == ("data", "model", str(tmp_path / "m.pkl"))
    facts = found["facts"]
    assert (facts["framework"], facts["parameters"]) == ("sklearn", 2)
    assert facts["C"] == {"$": "value", "v": 0.5, "as": "model_hyperparameter"}
    assert facts["sha256"] == hashlib.sha256((tmp_path / "m.pkl").read_bytes()).hexdigest()


def test_models_with_no_file_are_values_and_each_is_one(said):
    tree = {"w": np.zeros((2, 3)), "b": np.zeros(3)}
    with pllib.run("digits", **PLAIN) as run:
        run.log_model(tree)
        run.log_model(tree)
        run.log_model(tree, input=True)
    assert said("generated").keys() == {"model", "model.2"}
    made = said("generated")["model"][0]
    assert (made["as"], made["facts"]["parameters"]) == ("model", 9)
    assert said("used")["model"][0]["as"] == "model"


@pytest.mark.parametrize("thing", [None, 3, object(), [1, 2], {"a": 1}, float("nan"), lambda: 0])
def test_a_model_that_is_none_is_described_as_an_object_and_it_is_said(said, thing):
    with pllib.run("digits", **PLAIN) as run:
        run.log_model(thing)
    (found,) = said("generated")["model"]
    assert found["as"] == "model"
    assert found["facts"]["recognised"] is False


def test_checkpoints_in_one_file_are_states_of_it(said, tmp_path):
    path = tmp_path / "checkpoint"
    with pllib.run("digits", **PLAIN) as run:
        for epoch in range(3):
            path.write_text("x" * (epoch + 1))
            run.log_model(path)
    found = said("generated")["model"]
    assert len({one["version"] for one in found}) == 3
    assert [one["size"] for one in found] == [1, 2, 3]
