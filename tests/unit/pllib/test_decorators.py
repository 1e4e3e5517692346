"""Decorated functions: arguments used, results generated, and the function stays what it was."""

from __future__ import annotations

import asyncio
import inspect
import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

import pllib

from_annotations = pllib  # the string annotations below are looked up in this module


def ends(records, name):
    return [r for r in records() if r["op"] == "end" and r.get("id", "").startswith(name + "/")]


def begins(records, name):
    return [r for r in records() if r["op"] == "begin" and r.get("id", "").startswith(name + "/")]


def test_arguments_are_used_and_the_result_generated(records):
    @pllib.task(stage="training")
    def fit(dataset: pllib.Dataset, lr: pllib.Hyperparameter, epochs: int = 3) -> pllib.Evaluation:
        """Fits."""
        return lr * 2

    with pllib.workflow("train"):
        assert fit("train.npz", lr=0.1) == 0.2
    begin = begins(records, "fit")[0]
    assert begin["stage"] == "training"
    assert begin["used"]["dataset"]["$"] == "data"
    assert begin["used"]["dataset"]["as"] == "dataset"
    assert begin["used"]["lr"] == {"$": "value", "v": 0.1, "as": "hyperparameter"}
    assert begin["used"]["epochs"] == 3
    assert ends(records, "fit")[0]["generated"] == {"result": {"$": "value", "v": 0.2, "as": "evaluation_measure"}}
    assert fit.__name__ == "fit"
    assert fit.__doc__ == "Fits."


def test_results_get_names_from_a_dict_or_returns(records):
    @pllib.task
    def first():
        return {"a": 1, "b": 2}

    @pllib.task("renamed", returns=("c", "d"))
    def second(a):
        return a, 4

    @pllib.task(returns="model")
    def third():
        return "m"

    with pllib.workflow("w"):
        second(first()["a"])
        third()
    assert ends(records, "first")[0]["generated"] == {"a": 1, "b": 2}
    assert ends(records, "renamed")[0]["generated"] == {"c": 1, "d": 4}
    assert begins(records, "renamed")[0]["links"]
    assert ends(records, "third")[0]["generated"] == {"model": "m"}


def test_async_functions(records):
    @pllib.task
    async def double(x):
        await asyncio.sleep(0)
        return x * 2

    async def main():
        with pllib.workflow("w"):
            return await asyncio.gather(*(double(n) for n in range(5)))

    assert inspect.iscoroutinefunction(double)
    assert asyncio.run(main()) == [0, 2, 4, 6, 8]
    assert sorted(r["generated"]["result"] for r in ends(records, "double")) == [0, 2, 4, 6, 8]


def test_generators_run_inside_their_task_and_callers_outside(records):
    @pllib.task
    def numbers(stop):
        for n in range(stop):
            with pllib.task("inner"):
                pass
            got = yield n
            if got:
                return "stopped"

    with pllib.workflow("w"):
        generator = numbers(3)
        assert next(generator) == 0
        with pllib.task("outside"):
            pass
        with pytest.raises(StopIteration, match="stopped"):
            generator.send("stop")
        assert list(numbers(2)) == [0, 1]
        early = numbers(5)
        next(early)
        early.close()
    outer = begins(records, "numbers")
    assert "up" not in begins(records, "outside")[0]
    assert begins(records, "inner")[0]["up"] == outer[0]["id"]
    finished = ends(records, "numbers")
    assert [r["status"] for r in finished] == ["finished"] * 3
    assert finished[0]["generated"] == {"result": "stopped"}
    assert finished[1]["meta"] == {"yielded": 2}


def test_async_generators(records):
    @pllib.task
    async def numbers():
        for n in range(3):
            yield n

    async def main():
        with pllib.workflow("w"):
            return [n async for n in numbers()]

    assert asyncio.run(main()) == [0, 1, 2]
    assert ends(records, "numbers")[0]["meta"] == {"yielded": 3}


def test_failures_go_on(records):
    @pllib.task
    def broken():
        raise KeyError("x")

    @pllib.task
    def broken_generator():
        yield 1
        raise OSError("y")

    with pllib.workflow("w"):
        with pytest.raises(KeyError):
            broken()
        with pytest.raises(OSError, match="y"):
            list(broken_generator())
        with pytest.raises(TypeError, match="positional"):
            broken(1)
    assert [r["error"]["type"] for r in ends(records, "broken")] == ["KeyError", "TypeError"]
    assert ends(records, "broken_generator")[0]["status"] == "failed"


def test_a_workflow_function(records):
    @pllib.workflow(study="s")
    def main(x):
        with pllib.task("t"):
            return x

    assert main(5) == 5
    found = records()
    assert [r["kind"] for r in found] == ["workflow", "task", "task", "workflow"]
    assert found[0]["used"] == {"x": 5}
    assert found[3]["generated"] == {"result": 5}


def part(number):
    with pllib.task("part", used={"number": number}):
        return number * 2


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_process_pools_record_under_identities_of_their_own(records, tmp_path, monkeypatch, method):
    monkeypatch.setenv("PLLIB_SPOOL", str(tmp_path / "spool"))
    monkeypatch.setenv("PLLIB_MODE", "disk")
    with (
        pllib.workflow("w") as wf,
        wf.task("all") as outer,
        ProcessPoolExecutor(2, mp_context=get_context(method)) as pool,
    ):
        assert list(pool.map(pllib.carry(abs), [-1, -2])) == [1, 2]
        carried = pickle.loads(pickle.dumps(pllib.carry(part)))
        assert list(pool.map(carried, range(6))) == [0, 2, 4, 6, 8, 10]
    found = begins(records, "part")
    assert len(found) == len({r["id"] for r in found}) == 6
    assert {r["up"] for r in found} == {outer.id}
    assert {r["wf"] for r in found} == {wf.wf}
    assert pllib.stats()["producer"] not in {r["id"].split("/")[1].split("-")[0] for r in found}
    assert len(ends(records, "all")) == 1
