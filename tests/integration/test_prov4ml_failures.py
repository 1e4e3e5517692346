"""Where Prov4ML fails, in real processes: crashes and exceptions, ranks, processes and threads at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pllib import documents
from tests.integration.prov4ml_bench import ROOT, Bench, count, executions, export, points, the_run


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.kill_all()


def test_where_no_folder_can_be_made_that_is_said_and_all_is_captured(bench: Bench) -> None:
    (bench.folder / "prov").write_text("a file")
    code = """
start()
prov4ml.log_param("lr", 0.1)
prov4ml.log_metric("loss", 0.5, T, step=0)
prov4ml.save_model_version(object(), "model")
print(prov4ml.end_run(create_graph=True, crate_ro_crate=True))
"""
    out, err = bench.run(code, PLLIB_SPOOL=str(bench.folder / "spool"))
    assert out.strip() == "(None, None, None, None)"
    (told,) = err.splitlines()
    assert told.startswith("pllib.prov4ml: no files can be made in prov (File exists), so there will be no documents")
    assert (bench.folder / "prov").read_text() == "a file"
    made = documents.document(bench.folder / "spool", "digits")
    names = {each.arguments[0].rpartition("/")[2] for each in made.statements if each.kind == "wasGeneratedBy"}
    assert {"loss", "model"} <= names


# -- the end of the process -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ending", "exit_code", "status", "message"),
    [
        ("raise ValueError('boom')", 1, "failed", "boom"),
        ("sys.exit(3)", 3, "failed", "3"),
        ("sys.exit()", 0, "finished", None),
        ("", 0, "finished", None),
    ],
)
def test_a_run_that_nobody_ends_has_its_document_however_the_script_ends(
    bench: Bench, ending: str, exit_code: int, status: str, message: str | None
) -> None:
    bench.run(f"start()\nprov4ml.log_metric('loss', 0.5, T, step=0)\n{ending}\n", exit_code)
    document = bench.document()
    run = the_run(document)
    if ending != "sys.exit(3)":  # an exit with a code is no exception that nobody caught
        assert run["provlake:status"] == status
        assert run.get("provlake:errorMessage") == message
    assert run["prov:startTime"] <= run["prov:endTime"]
    assert count(document, "loss") == 1


def test_an_exception_in_the_block_of_a_run_is_recorded_and_goes_on(bench: Bench) -> None:
    code = """
try:
    with prov4ml.start_run_ctx("www.example.org", "digits", "prov", create_graph=True):
        prov4ml.log_param("lr", 0.1)
        raise KeyError("gone")
except KeyError:
    print("caught")
"""
    assert bench.run(code)[0].strip() == "caught"
    assert the_run(bench.document())["provlake:errorType"] == "KeyError"
    assert (bench.folder / "prov/digits_0/prov_digits_GR0_0.dot").exists()


def test_after_a_kill_the_last_document_is_valid_and_an_export_is_complete(bench: Bench) -> None:
    code = """
start(save_after_n_logs=10)
for step in range(50):
    prov4ml.log_metric("loss", 1 / (step + 1), T, step)
while not os.path.exists("prov/digits_0/prov_digits_GR0_0.json"):
    time.sleep(0.01)
for step in range(50, 5000):
    prov4ml.log_metric("loss", 1 / (step + 1), T, step)
print("logged", flush=True)
time.sleep(60)
"""
    process = bench.start(code)
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "logged"
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=30)
    saved = bench.document()
    assert count(saved, "loss") >= 10
    assert "provlake:status" not in the_run(saved)
    spool = bench.folder / "prov/digits_0/.pllib"
    (execution,) = documents.executions(spool)
    assert execution.status == "running"
    command = [
        sys.executable,
        "-m",
        "pllib",
        "prov",
        "export",
        "--spool",
        spool,
        "--execution",
        execution.id,
        "-o",
        bench.folder / "all.json",
    ]
    subprocess.run(command, check=True, timeout=60, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert count(json.loads((bench.folder / "all.json").read_text()), "loss") == 5000
    collect = [sys.executable, "-m", "pllib.prov4ml.prov_collection", "--experiment_path", "prov/digits_0"]
    subprocess.run(collect, check=True, timeout=60, cwd=bench.folder, env={**os.environ, "PYTHONPATH": str(ROOT)})
    collected = json.loads((bench.folder / "prov/digits_0/prov_collection.json").read_text())
    assert count(collected, "loss") == 5000
    assert collected["prefix"]["id"] == "http://www.example.org/"


# -- ranks, processes, threads ----------------------------------------------------------------------------------------

EVERY_CALL = """
class Model:
    def state_dict(self): return {}
open("file.txt", "w").write("x")
start(rank=1)
print(os.path.exists("prov"))
prov4ml.log_param("a", 1); prov4ml.log_params({"b": 2})
prov4ml.log_metric("loss", 0.1, T, step=1); prov4ml.log_metric("loss", "no number"); prov4ml.log_metrics({"x": (1, T)})
prov4ml.log_model("m", Model()); prov4ml.log_model(Model(), "m"); prov4ml.save_model_version("m", Model(), T, 1)
prov4ml.log_artifact("file.txt", T); prov4ml.log_artifact("name", "file.txt")
prov4ml.log_dataset([1], "set"); prov4ml.log_dataset("set", [1])
prov4ml.log_system_metrics(T, step=1); prov4ml.log_carbon_metrics(T, step=1); prov4ml.log_current_execution_time("epoch", T, 1)
prov4ml.log_flops_per_batch("f", Model(), (1, 2), T); prov4ml.log_flops_per_epoch("f", Model(), [(1, 2)], T)
prov4ml.log_source_code(); prov4ml.log_source_code("file.txt"); prov4ml.log_execution_command("python", "x.py")
prov4ml.log_context("other", "Training"); prov4ml.create_context("more"); prov4ml.log_input(1); prov4ml.log_output(2)
prov4ml.register_final_metric("loss", 0, prov4ml.FoldOperation.ADD)
prov4ml.log_execution_start_time(); prov4ml.log_execution_end_time()
print(prov4ml.get_run_dir(), prov4ml.get_artifacts_dir(), prov4ml.log_provenance_documents(True, True))
print(prov4ml.ProvenanceTrackedFunction(max)(1, 2))
print(prov4ml.end_run(True, True, True, True))
"""


def test_on_a_rank_that_does_not_collect_every_call_does_nothing_and_raises_nothing(bench: Bench) -> None:
    out, err = bench.run(
        EVERY_CALL, PLLIB_STRICT="yes", HOME=str(bench.folder), XDG_STATE_HOME=str(bench.folder / "state")
    )
    assert out.split("\n")[:-1] == ["False", "None None (None, None, None)", "2", "(None, None, None, None)"]
    assert sorted(each.name for each in bench.folder.iterdir()) == ["file.txt", "script0.py"]
    assert "pllib:" not in err


def test_four_processes_that_start_together_leave_four_runs(bench: Bench) -> None:
    code = """
start()
for step in range(100):
    prov4ml.log_metric("loss", 1.0 * step, T, step)
prov4ml.end_run()
"""
    for _ in range(4):
        bench.start(code)
    bench.all_end()
    assert [each.name for each in bench.runs()] == [f"digits_{number}" for number in range(4)]
    found = [bench.document(number) for number in range(4)]
    assert len({name for each in found for name in executions(each)}) == 4
    assert [count(each, "loss") for each in found] == [100] * 4


def test_the_ranks_of_a_job_share_a_run_and_each_has_its_documents(bench: Bench) -> None:
    code = """
start(True)
for step in range(10):
    prov4ml.log_metric("loss", float(step), T, step)
prov4ml.end_run()
"""
    for rank in range(3):
        bench.start(code, RANK=str(rank), WORLD_SIZE="3", TORCHELASTIC_RUN_ID="job-17")
    bench.all_end()
    assert [each.name for each in bench.runs()] == ["digits_0"]
    names = {name for rank in range(3) for name in executions(bench.document(rank=rank))}
    assert len(names) == 1
    for rank in range(3):
        assert points(bench.folder / f"prov/digits_0/metrics_GR{rank}/loss_training_None_GR{rank}.csv") == [
            (n, float(n)) for n in range(10)
        ]
    whole = json.loads(export(bench.folder / "prov/digits_0/.pllib"))
    assert count(whole, "loss") == 30
    assert the_run(whole)["provlake:status"] == "finished"


def test_four_spawned_ranks_with_eight_threads_each_lose_no_point(bench: Bench) -> None:
    code = """
import multiprocessing
def work(rank):
    start(True, 50, rank)
    def log(number):
        for step in range(100):
            prov4ml.log_metric("loss", float(step), T, step)
            prov4ml.log_metric(f"own{number}", float(step), prov4ml.Context.VALIDATION, step)
    threads = [threading.Thread(target=log, args=(number,)) for number in range(8)]
    [each.start() for each in threads]; [each.join() for each in threads]
    prov4ml.end_run()
if __name__ == "__main__":
    for ranks in (4, 2):
        all = [multiprocessing.get_context("spawn").Process(target=work, args=(rank,)) for rank in range(ranks)]
        [each.start() for each in all]; [each.join() for each in all]
        assert [each.exitcode for each in all] == [0] * ranks
"""
    bench.run(code)
    assert [each.name for each in bench.runs()] == ["digits_0", "digits_1"]  # one for each time that ranks were started
    for folder, ranks in zip(bench.runs(), (4, 2), strict=True):
        for rank in range(ranks):
            found = points(folder / f"metrics_GR{rank}/loss_training_None_GR{rank}.csv")
            assert sorted(found) == sorted((step, float(step)) for step in range(100) for _ in range(8))
            assert points(folder / f"metrics_GR{rank}/own3_validation_None_GR{rank}.csv") == [
                (n, float(n)) for n in range(100)
            ]
        whole = json.loads(export(folder / ".pllib"))
        assert count(whole, "loss") == ranks * 8 * 100
        assert len(executions(whole)) == 1


def test_forked_workers_log_into_the_run_and_leave_its_files_to_their_parent(bench: Bench) -> None:
    code = """
start(save_after_n_logs=1)
prov4ml.log_metric("loss", 1.0, T, 0)
pid = os.fork()
if pid == 0:
    prov4ml.log_metric("loss", 2.0, T, 1)
    sys.exit(0)
os.waitpid(pid, 0)
prov4ml.log_metric("loss", 3.0, T, 2)
prov4ml.end_run()
"""
    bench.run(code)
    document = bench.document()
    assert count(document, "loss") == 3
    assert the_run(document)["provlake:status"] == "finished"
    assert [each.name for each in bench.runs()] == ["digits_0"]


def test_processes_that_say_the_same_number_share_the_run_and_a_later_one_goes_on_with_it(bench: Bench) -> None:
    code = """
start(use_run_id=7)
prov4ml.log_metric("loss", 1.0, T)
prov4ml.end_run()
"""
    bench.run(code)
    first = the_run(bench.document(7))
    bench.run(code)
    document = bench.document(7)
    assert count(document, "loss") == 2
    assert the_run(document)["prov:startTime"] == first["prov:startTime"]
    assert the_run(document)["prov:endTime"] > first["prov:endTime"]
