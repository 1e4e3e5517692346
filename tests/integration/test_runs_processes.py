"""Runs in real processes: ranks, threads, forks, launchers, repositories, and every way in which a process ends."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import signal
import sys
from pathlib import Path

import pytest

from tests.integration.runs_bench import ROOT, Bench, git, points

MPIRUN = ("mpirun", "-n", "4", "--oversubscribe", "--bind-to", "none")
FOR_ROOT = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


needs_mpirun = pytest.mark.skipif(
    shutil.which("mpirun") is None, reason="mpirun is not installed (Debian: openmpi-bin)"
)

THREADS = """
def work(number):
    for step in range(100):
        run.log_metric("loss", number, step=step, context="training")

with pllib.run("shared", params={"lr": 0.1}, **QUIET) as run:
    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
assert not pllib.stats()["errors"], pllib.stats()
"""


def check_shared(bench: Bench, processes: int) -> None:
    """One run, one context, all points of all threads of all processes."""
    records = bench.records()
    assert len({record["wf"] for record in records if "wf" in record}) == 1
    assert {record["id"] for record in records if "id" in record} == {"training/0"}
    sessions = [record["session"] for record in bench.of("begin", kind="workflow")]
    assert len(set(sessions)) == len(sessions) == processes
    assert sorted(sessions) == sorted(record["session"] for record in bench.of("end", kind="workflow"))
    assert points(bench.of("points")) == sorted((s, n) for s in range(100) for n in range(8) for _ in range(processes))


def test_processes_of_a_shared_execution_and_their_threads_log_in_one_run(bench):
    command = (sys.executable, bench.script(THREADS))
    bench.finish([bench.start(*command, PLLIB_EXECUTION="job7") for _ in range(4)])
    check_shared(bench, 4)


@needs_mpirun
@pytest.mark.parametrize("wrapped", [(), ("sh", "-c", '"$0" "$@"; true')], ids=["directly", "in a shell"])
def test_ranks_under_mpirun_log_in_one_run_and_the_next_job_in_another(bench, wrapped):
    for _ in range(2):
        bench.run(THREADS, *MPIRUN, *wrapped, **FOR_ROOT)
    begun = bench.of("begin", kind="workflow")
    assert sorted(record["rank"] for record in begun) == [0, 0, 1, 1, 2, 2, 3, 3]
    runs = {record["wf"] for record in begun}
    assert len(runs) == 2
    for run in runs:
        own = [record for record in bench.of("points") if record["wf"] == run]
        assert len(points(own)) == 4 * 8 * 100
        assert {record["rank"] for record in own} == {0, 1, 2, 3}


@needs_mpirun
def test_with_one_rank_collecting_the_others_leave_nothing(bench):
    code = """
with pllib.run("quiet", collect_all_processes=False, **QUIET) as run:
    run.log_metric("loss", 1)
    run.log_artifact("/no/such/file") if run.rank else None
    with pllib.task("t") as task:
        task.generated(x=1)
    with open(f"rank{run.rank}", "w") as file:
        file.write(run.id)
"""
    bench.run(code, *MPIRUN, **FOR_ROOT)
    told = [(bench.folder / f"rank{number}").read_text() for number in range(4)]
    assert len(set(told)) == 1  # all know the run
    assert {record["by"] for record in bench.records()} == {bench.of("begin")[0]["by"]}
    assert [record["rank"] for record in bench.of("begin", kind="workflow")] == [0]


@needs_mpirun
def test_what_a_rank_starts_by_multiprocessing_has_runs_of_its_own(bench):
    code = """
def trial(number):
    with pllib.run("trial", params={"n": number}, **QUIET):
        pass

if __name__ == "__main__":
    with pllib.run("search", **QUIET):
        children = [multiprocessing.Process(target=trial, args=(n,)) for n in range(2)]
        for child in children: child.start()
        for child in children: child.join()
"""
    bench.run(code, *MPIRUN, **FOR_ROOT)
    begun = bench.of("begin", kind="workflow")
    assert len({record["wf"] for record in begun if record["wf"].startswith("search/")}) == 1
    assert len({record["wf"] for record in begun if record["wf"].startswith("trial/")}) == 8


def test_processes_that_start_at_the_same_instant_have_runs_of_their_own(bench):
    code = """
while not os.path.exists("go"): pass
with pllib.run("alike", **QUIET) as run:
    run.log_metric("loss", 1)
"""
    command = (sys.executable, bench.script(code))
    started = [bench.start(*command) for _ in range(6)]
    (bench.folder / "go").touch()
    bench.finish(started)
    assert len({record["wf"] for record in bench.of("begin")}) == 6


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_log_in_the_run_by_its_token(bench, method):
    code = f"""
def work(token, number):
    with pllib.attach(token), pllib.task("part", used={{"n": number}}):
        for step in range(50):
            pllib.log_metric("loss", number, step=step, context="training")
        pllib.log_param("part", number)

if __name__ == "__main__":
    context = multiprocessing.get_context("{method}")
    with pllib.run("parts", **QUIET) as run:
        children = [context.Process(target=work, args=(run.token, number)) for number in range(4)]
        for child in children: child.start()
        for child in children: child.join()
        assert [child.exitcode for child in children] == [0] * 4
"""
    bench.run(code)
    assert len({record["wf"] for record in bench.records() if "wf" in record}) == 1
    assert points(bench.of("points", id="training/0")) == sorted((s, n) for s in range(50) for n in range(4))
    assert [record["status"] for record in bench.of("end", kind="workflow")] == ["finished"]
    contexts = bench.of("begin", id="training/0")
    assert sorted(r["session"] for r in contexts) == sorted(r["session"] for r in bench.of("end", id="training/0"))


ENDS = [
    ("pass", 0, "finished", None),
    ("sys.exit(0)", 0, "finished", None),
    ("raise ValueError('it diverged')", 1, "failed", {"type": "ValueError", "message": "it diverged"}),
    # Where SIGINT was ignored when Python started it ends with 1.
    ("raise KeyboardInterrupt", (1, -signal.SIGINT), "failed", {"type": "KeyboardInterrupt", "message": ""}),
    ("try: 1 / 0\nexcept ZeroDivisionError: pass", 0, "finished", None),
    ("threading.Thread(target=lambda: 1 / 0).start()", 0, "finished", None),
]


@pytest.mark.parametrize(("ending", "exit_code", "status", "error"), ENDS, ids=[one[0][:20] for one in ENDS])
def test_a_run_that_is_left_open_ends_as_the_process_does(bench, ending, exit_code, status, error):
    code = f"pllib.start_run('open')\npllib.log_metric('loss', 1, context='training')\n{ending}\n"
    bench.run(code, exit_code=exit_code)
    ends = bench.of("end")
    assert [(record.get("id"), record["status"]) for record in ends] == [("training/0", status), (None, status)]
    assert ends[-1].get("error") == error
    assert points(bench.of("points")) == [(0, 1)]


def test_a_child_that_fails_leaves_a_failed_run(bench):
    code = """
def work():
    pllib.start_run("child", **QUIET)
    raise ValueError("in the child")

if __name__ == "__main__":
    child = multiprocessing.get_context("spawn").Process(target=work)
    child.start()
    child.join()
"""
    bench.run(code)
    assert [(record["status"], record["error"]["message"]) for record in bench.of("end")] == [
        ("failed", "in the child")
    ]


def test_of_a_process_that_is_killed_everything_is_there_but_the_end(bench):
    code = """
pllib.start_run("killed", params={"lr": 0.1}, **QUIET)
pllib.log_text("note", "before")
os.kill(os.getpid(), 9)
"""
    bench.run(code, exit_code=-9)
    assert [record["op"] for record in bench.records()] == ["producer", "begin", "add", "add"]


def test_forks_while_the_surroundings_are_looked_at_do_not_hang(bench):
    """The background thread imports modules that the children import, too."""
    code = """
import signal
signal.alarm(60)
pllib.start_run("forks")
for _ in range(20):
    pid = os.fork()
    if not pid:
        import importlib.metadata, subprocess, tempfile
        pllib.log_metric("loss", 1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
pllib.end_run()
"""
    bench.run(code)
    assert bench.of("add")[-1]["used"]["environment"]


def test_a_script_in_a_repository_says_which_code_it_is_and_no_secret(bench):
    folder = bench.folder / "repository" / "src"
    folder.mkdir(parents=True)
    script = bench.script('with pllib.run("digits"): pass\n', folder / "train.py")
    git(folder.parent, "init", "-q")
    git(folder, "remote", "add", "origin", "https://ana:hunter2@example.org/lab/code.git")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")
    commit = git(folder, "rev-parse", "HEAD")
    for changed in (False, True):
        if changed:
            script.write_text(script.read_text() + "# changed\n")
        bench.finish([bench.start(sys.executable, script, "--token", "hunter2", "--lr", "0.1")])
    said = [record["used"] for record in bench.of("add") if "code" in record["used"]]
    clean, dirty = sorted(said, key=lambda used: used["code"]["facts"]["dirty"])
    assert (clean["code"]["store"], clean["code"]["key"]) == ("git:example.org/lab/code", ".")
    assert clean["code"]["version"] == clean["script"]["version"] == commit
    assert clean["code"]["facts"]["dirty"] is False
    assert (clean["script"]["key"], clean["script"]["as"]) == ("src/train.py", "implementation")
    assert dirty["code"]["facts"]["dirty"] is True
    assert dirty["code"]["version"].startswith(f"{commit}+")
    assert dirty["script"]["facts"]["sha256"] == hashlib.sha256(script.read_bytes()).hexdigest()
    environment = next(
        record["used"]["environment"]["v"] for record in bench.of("add") if "environment" in record["used"]
    )
    assert environment["command"][1:] == ["--token", "***", "--lr", "0.1"]
    assert "hunter2" not in json.dumps(bench.records())


def test_the_example_runs_and_says_all_that_it_did(bench):
    bench.finish(
        [bench.start(sys.executable, ROOT / "examples" / "runs" / "train.py", "--epochs", "3", "--out", bench.folder)]
    )
    used = {name: value for record in bench.of("add") for name, value in record.get("used", {}).items()}
    assert {"lr", "epochs", "digits", "environment"} <= used.keys()
    (model,) = [record["generated"]["model"] for record in bench.of("add") if "model" in record.get("generated", {})]
    assert model["facts"]["framework"] == "sklearn"
    assert model["facts"]["sha256"] == hashlib.sha256((bench.folder / "model.pkl").read_bytes()).hexdigest()
    losses = [record for record in bench.of("points", series="loss") if record["id"] == "training/0"]
    assert [step for step, _ in points(losses)] == [0, 1, 2]
    assert [record["status"] for record in bench.of("end", kind="workflow")] == ["finished"]


def test_the_code_of_the_how_to_does_what_it_says(bench):
    (code,) = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs/how-to/track-runs.md").read_text(encoding="utf-8"), re.DOTALL
    )
    before = """
pllib.configure(strict=True)
train, validate, model = lambda: 0.5, lambda: 0.9, object()
for name in ("digits.npz", "model.pkl"):
    open(name, "w").close()
"""
    bench.run(before + code)
    used = {name for record in bench.of("add") for name in record.get("used", {})}
    assert {"lr", "epochs", "digits.npz", "environment"} <= used
    assert {record["series"] for record in bench.of("points")} == {"loss", "accuracy", "time.epoch"}
