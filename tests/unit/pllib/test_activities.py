"""What the capture calls record: begins and ends, nesting, links, failures."""

from __future__ import annotations

import json
import math
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

import pllib
from pllib import values

SCHEMA = json.loads((Path(pllib.__file__).parent / "schema" / "capture-v1.json").read_text())


def check_schema(records: list[dict[str, Any]]) -> None:
    batch = {"version": 1, "producer": "0" * 32, "records": records}
    jsonschema.validate(batch, SCHEMA)


def by(records: list[dict[str, Any]], op: str, name: str) -> dict[str, Any]:
    found = [r for r in records if r["op"] == op and r.get("id", "").startswith(name + "/")]
    assert len(found) == 1, found
    return found[0]


def test_a_task_is_recorded_by_a_begin_and_an_end(records):
    with pllib.workflow("prepare", study="digits", person="ana") as wf, wf.task("crop", used={"tile": 40}) as task:
        task.generated(count=3)
    found = records()
    check_schema(found)
    assert [(r["op"], r["kind"]) for r in found] == [
        ("begin", "workflow"),
        ("begin", "task"),
        ("end", "task"),
        ("end", "workflow"),
    ]
    begin, end = found[1], found[2]
    assert begin["used"] == {"tile": 40}
    assert end["generated"] == {"count": 3}
    assert end["id"] == begin["id"]
    assert end["wf"] == begin["wf"] == found[0]["wf"]
    assert "up" not in begin
    assert found[0]["study"] == "digits"
    assert found[0]["person"] == "ana"
    assert end["t"] >= begin["t"]
    assert "used" not in end


def test_sequence_numbers_are_without_gaps(records):
    with pllib.workflow("w") as wf:
        for _ in range(3):
            with wf.task("t"):
                pass
    assert [r["n"] for r in records()] == list(range(1, 9))


def test_nested_activities_name_their_parent_and_inherit_the_stage(records):
    with pllib.workflow("train"), pllib.task("fit", stage="training") as fit:
        with fit.section("epoch") as epoch, epoch.section("batch"):
            pass
        with pllib.section("epoch2"):
            pass
    found = records()
    check_schema(found)
    assert by(found, "begin", "epoch")["up"] == by(found, "begin", "fit")["id"]
    assert by(found, "begin", "batch")["up"] == by(found, "begin", "epoch")["id"]
    assert by(found, "begin", "batch")["stage"] == "training"
    assert by(found, "begin", "epoch2")["up"] == by(found, "begin", "fit")["id"]
    assert "up" not in by(found, "begin", "fit")


def test_a_cycle_records_its_iterations_and_tasks_belong_to_them(records):
    with pllib.workflow("w") as wf:
        for shot in wf.cycle("shot", ["a", "b"]):
            with pllib.task("migrate", used={"shot": shot}):
                pass
    found = records()
    check_schema(found)
    iterations = [r for r in found if r["op"] == "begin" and r["kind"] == "iteration"]
    cycle = next(r for r in found if r["op"] == "begin" and r["kind"] == "cycle")
    tasks = [r for r in found if r["op"] == "begin" and r["kind"] == "task"]
    assert [r["up"] for r in iterations] == [cycle["id"]] * 2
    assert [r["up"] for r in tasks] == [r["id"] for r in iterations]


def test_leaving_a_cycle_early_ends_it(records):
    with pllib.workflow("w") as wf:
        for number in wf.cycle("c", range(10)):
            if number == 1:
                break
    assert sum(r["op"] == "begin" for r in records()) == sum(r["op"] == "end" for r in records())


def test_a_task_whose_body_raises_is_failed_and_the_exception_goes_on(records):
    with pytest.raises(ZeroDivisionError), pllib.workflow("w") as wf, wf.task("t") as task:
        task.generated(partial=1)
        raise ZeroDivisionError("no")
    end = by(records(), "end", "t")
    assert end["status"] == "failed"
    assert end["error"] == {"type": "ZeroDivisionError", "message": "no"}
    assert end["generated"] == {"partial": 1}


def test_equal_numbers_and_strings_link_to_the_task_that_generated_them(records):
    with pllib.workflow("w") as wf:
        with wf.task("a") as a:
            a.generated(x=0.25, name="n", count=1)
        with wf.task("b", used={"x": 0.25, "name": "n", "count": 1.0, "y": 0.25}):
            pass
    begin = by(records(), "begin", "b")
    assert begin["links"] == {by(records(), "begin", "a")["id"]: ["x", "name"]}
    assert begin["used"] == {"count": 1.0, "y": 0.25}  # another type, another name: not the same value


def test_values_that_two_tasks_generated_are_among_them_not_guessed(records):
    with pllib.workflow("w") as wf:
        for name in "ab":
            with wf.task(name) as task:
                task.generated(acc=0.9)
        with wf.task("c", used={"acc": 0.9}):
            pass
    found = records()
    ids = [by(found, "begin", name)["id"] for name in "ab"]
    assert by(found, "begin", "c")["used"] == {"acc": {"$": "among", "v": 0.9, "of": [[i, "acc"] for i in ids]}}


def test_a_handle_is_exact_even_among_equal_values(records):
    with pllib.workflow("w") as wf:
        with wf.task("a") as a:
            out = a.generated(acc=0.9)
        with wf.task("b") as b:
            b.generated(acc=0.9)
        with wf.task("c", used={"score": out.acc}):
            pass
    begin = by(records(), "begin", "c")
    assert begin["used"] == {"score": {"$": "ref", "id": by(records(), "begin", "a")["id"], "name": "acc"}}


def test_equal_values_of_two_executions_do_not_link(records):
    with pllib.workflow("w") as wf, wf.task("a") as a:
        a.generated(x=1)
    with pllib.workflow("w") as wf, wf.task("b", used={"x": 1}):
        pass
    assert by(records(), "begin", "b")["used"] == {"x": 1}


def test_objects_link_by_identity_under_any_name(records):
    array, other = np.zeros(3), np.zeros(3)
    with pllib.workflow("w") as wf:
        with wf.task("a") as a:
            a.generated(table=array)
        with wf.task("b", used={"data": array, "other": other}):
            pass
    used = by(records(), "begin", "b")["used"]
    assert used["data"] == {"$": "ref", "id": by(records(), "begin", "a")["id"], "name": "table"}
    assert used["other"]["$"] == "summary"


def test_a_new_object_at_an_old_address_is_not_the_old_one(records):
    with pllib.workflow("w") as wf:
        for _ in range(50):
            with wf.task("a") as a:
                a.generated(table=np.zeros(4))
            with wf.task("b", used={"table": np.ones(4)}):
                pass
    begins = [r for r in records() if r["op"] == "begin" and r.get("id", "").startswith("b/")]
    assert all(r["used"]["table"]["$"] == "summary" for r in begins)


def test_numpy_numbers_are_the_numbers(records):
    with pllib.workflow("w") as wf:
        with wf.task("a") as a:
            a.generated(x=np.float64(0.5), n=np.int32(4))
        with wf.task("b", used={"x": 0.5, "n": 4}):
            pass
    assert by(records(), "end", "a")["generated"] == {"x": 0.5, "n": 4}
    assert list(by(records(), "begin", "b")["links"].values()) == [["x", "n"]]


def test_a_file_generated_and_used_has_one_state_and_a_changed_one_another(records, tmp_path):
    path = tmp_path / "a.txt"
    with pllib.workflow("w") as wf:
        with wf.task("write") as write:
            file = path.open("w")
            write.generated(out=pllib.data(path, store="s"))
            file.write("one")  # written after generated(): the state is taken at the end of the task
            file.close()
        with wf.task("read", used={"x": pllib.data(path, store="s")}):
            pass
        path.write_text("another")
        with wf.task("again", used={"x": pllib.data(path, store="s")}):
            pass
    found = records()
    check_schema(found)
    out, first, second = (
        by(found, "end", "write")["generated"]["out"],
        by(found, "begin", "read")["used"]["x"],
        by(found, "begin", "again")["used"]["x"],
    )
    assert out["version"] == first["version"] != second["version"]
    assert out["size"] == 3
    assert out["key"] == first["key"]


def test_keys_are_relative_to_the_root_of_a_known_store(records, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pllib.store("scratch", root=str(tmp_path))
    (tmp_path / "d").mkdir()
    with pllib.workflow("w") as wf:
        given = {"a": tmp_path / "d" / "f", "b": "d/../d//f", "c": "/elsewhere/f", "s3": "s3://bucket/k"}
        used = {name: pllib.data(path, store=None if name == "s3" else "scratch") for name, path in given.items()}
        with wf.task("t", used=used):
            pass
    found = by(records(), "begin", "t")["used"]
    assert (found["a"]["key"], found["b"]["key"], found["c"]["key"]) == ("d/f", "d/f", "/elsewhere/f")
    assert (found["s3"]["store"], found["s3"]["key"]) == ("s3://bucket", "k")


def test_a_key_in_a_store_with_no_root_here_is_no_path(records, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "surveys").mkdir()
    (tmp_path / "surveys" / "f3").write_text("a file that has the name of a document")
    used = {"document": pllib.data("surveys/f3", store="survey-docs"), "file": pllib.data("surveys/f3")}
    used["absolute"] = pllib.data(tmp_path / "surveys" / "f3", store="shared")
    with pllib.workflow("w") as wf, wf.task("t", used=used):
        pass
    found = by(records(), "begin", "t")["used"]
    assert found["document"] == {"$": "data", "store": "survey-docs", "key": "surveys/f3"}
    assert found["file"]["version"] == found["absolute"]["version"]


def test_meanings_and_facts(records):
    with pllib.workflow("w") as wf:
        used = {"lr": pllib.hyperparameter(0.1), "set": pllib.dataset("d", "s", characteristics={"n": 5})}
        with wf.task("fit", stage="training", used=used) as fit:
            fit.generated(m=pllib.model("m.pkl", "s", hyperparameters={"k": 3}, evaluations={"loss": 0.5}))
    found = records()
    check_schema(found)
    assert by(found, "begin", "fit")["used"]["lr"] == {"$": "value", "v": 0.1, "as": "hyperparameter"}
    assert by(found, "begin", "fit")["used"]["set"]["facts"] == {
        "n": {"$": "value", "v": 5, "as": "dataset_characteristic"}
    }
    assert by(found, "end", "fit")["generated"]["m"]["facts"] == {
        "k": {"$": "value", "v": 3, "as": "model_hyperparameter"},
        "loss": {"$": "value", "v": 0.5, "as": "evaluation_measure"},
    }


def test_a_value_that_changes_after_the_call_is_recorded_as_it_was(records):
    layers = [1, 2]
    with pllib.workflow("w") as wf, wf.task("t", used={"layers": layers}):
        layers.append(3)
    assert by(records(), "begin", "t")["used"] == {"layers": [1, 2]}


def test_a_replaced_value_is_kept_in_the_metadata(records):
    with pllib.workflow("w") as wf, wf.task("t") as task:
        task.generated(loss=0.5)
        task.generated(loss=0.25)
    end = by(records(), "end", "t")
    assert end["generated"] == {"loss": 0.25}
    assert end["meta"]["replaced"]["v"] == {"loss": [0.5]}


def test_threads_get_the_open_activity_by_carry(records):
    def work(number: int) -> None:
        with pllib.task("part", used={"number": number}):
            pass

    with pllib.workflow("w") as wf, wf.task("all") as outer:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(pllib.carry(work), range(20)))
        bare = threading.Thread(target=work, args=(99,))
        bare.start()
        bare.join()
    pllib.shutdown()
    parts = [r for r in records() if r["op"] == "begin" and r.get("id", "").startswith("part/")]
    assert sum(r.get("up") == outer.id for r in parts) == 20
    assert len({r["id"] for r in parts}) == 21


def test_a_task_outside_a_workflow_belongs_to_one_named_after_the_script(records):
    with pllib.task("alone"):
        pass
    assert by(records(), "begin", "alone")["wf"].count("/") == 1
    pllib.activities._end_implicit()


def test_calls_after_the_end_are_errors_when_strict_and_counted_otherwise(records):
    with pllib.workflow("w") as wf, wf.task("t") as task:
        pass
    with pytest.raises(pllib.CaptureError, match="after the end"):
        task.generated(x=1)
    pllib.configure(strict=False)
    task.generated(x=1)
    assert sum(pllib.stats()["errors"].values()) == 1


def test_output_and_annotations(records):
    with pllib.workflow("w") as wf, wf.task("t", meta={"a": 1}) as task:
        task.annotate(b={"c": 2})
        task.output(stdout="hello", stderr="x" * 200_000)
    end = by(records(), "end", "t")
    check_schema(records())
    assert end["meta"] == {"a": 1, "b": {"$": "json", "v": {"c": 2}}}
    assert end["stdout"] == "hello"
    assert len(end["stderr"]) == 100_000


def test_a_shared_execution_asks_for_matching_and_makes_ids_unique_by_producer(records):
    with pllib.workflow("mpi", execution="job 7") as wf, wf.task("t"):
        pass
    begin = by(records(), "begin", "t")
    assert begin["wf"] == "mpi/job%207"
    assert begin["match"] is True
    assert pllib.stats()["producer"] in begin["id"]


def test_an_attached_token_goes_on_inside(records):
    with pllib.workflow("w") as wf, wf.task("outer") as outer:
        token = outer.token
    with pllib.attach(token), pllib.task("inner"):
        pass
    begin = by(records(), "begin", "inner")
    assert begin["wf"] == outer.wf
    assert begin["up"] == outer.id


def test_disabled_captures_nothing(records):
    pllib.configure(enabled=False)
    with pllib.workflow("w") as wf, wf.task("t") as task:
        task.generated(x=1)
    assert records() == []


def test_what_a_workflow_itself_generated_is_no_tasks(records):
    """A reference on the wire names a task, so the value is used as one of unknown origin."""
    with pllib.workflow("w") as wf:
        handle = wf.generated(x=0.5, path=Path("/a/b"), marked=pllib.evaluation(math.nan)).x
        made = wf.add(generated={"y": "text", "z": [1, {"a": 2}]})
        with wf.task("t", used={"x": handle, "y": "text", "z": made.z}):
            pass
    begin, end = by(records(), "begin", "t"), records()[-1]
    check_schema(records())
    assert begin["used"] == {"x": 0.5, "y": "text", "z": {"$": "json", "v": [1, {"a": 2}]}}
    assert "links" not in begin
    assert end["generated"]["marked"] == {"$": "float", "v": "NaN", "as": "evaluation_measure"}
    assert end["generated"]["path"]["key"] == "/a/b"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800"])
def test_what_json_has_no_form_for_and_several_generated_is_recorded(records, value):
    with pllib.workflow("w") as wf:
        for _ in range(2):
            with wf.task("make") as task:
                task.generated(x=value)
        wf.task("use", used={"x": value}).begin()
    begin = next(record for record in records() if record.get("id", "").startswith("use/"))
    assert begin["used"]["x"]["$"] == "among"
    assert begin["used"]["x"]["v"] == values.exact(value)
