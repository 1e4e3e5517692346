"""A plan that is drafted, corrected, pushed, compared and drawn from the shell; captures that are checked against it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PRODUCER = "0123456789abcdef" * 2
RUN = """
import pllib
with pllib.workflow("train-MARK") as wf, wf.task("fit", stage="training", used={"lr": 0.5, "epochs": 3}) as fit:
    fit.generated(loss=0.25)
"""
RUN_AS_NOT_PLANNED = """
import pllib
with pllib.workflow("train-MARK") as wf:
    with wf.task("fit", stage="training", used={"lr": "fast", "speed": 1}) as fit:
        fit.generated(loss=0.25)
    with wf.task("plot"):
        pass
"""


def pllib(lab: Any, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pllib", *arguments],
        env={
            "PYTHONPATH": str(ROOT),
            "PLLIB_URL": lab.services.tracker_url,
            "PLLIB_QUERY_URL": lab.services.query_url,
            "HOME": str(lab.folder),
        },
        cwd=lab.folder,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_plan_is_drafted_corrected_pushed_compared_and_drawn(lab: Any) -> None:
    name, file = f"train-{lab.mark}", lab.folder / "plan.json"
    lab.run(RUN)
    lab.settle()
    assert pllib(lab, "prospective", "draft", name, "-o", "plan.json").returncode == 0
    plan = json.loads(file.read_text())
    assert plan["transformations"]["fit"]["inputs"] == {"lr": {"dtype": "float"}, "epochs": {"dtype": "integer"}}
    assert json.loads(pllib(lab, "prospective", "draft", name).stdout) == plan

    plan["transformations"]["fit"]["inputs"]["learning_rate"] = plan["transformations"]["fit"]["inputs"].pop("lr")
    plan["align"] = {"lr": "learning_rate"}
    file.write_text(json.dumps(plan))
    assert pllib(lab, "prospective", "push", "plan.json").stdout == f"{name}: version 1\n"
    assert pllib(lab, "prospective", "push", "plan.json").stdout == f"{name}: version 1\n"
    for of in ("plan.json", name):
        as_planned = pllib(lab, "prospective", "validate", of)
        assert (as_planned.returncode, as_planned.stdout) == (0, f"{name}: all runs are as planned\n"), (
            as_planned.stderr
        )

    lab.run(RUN_AS_NOT_PLANNED)
    lab.settle()
    other = pllib(lab, "prospective", "validate", name)
    assert other.returncode == 1
    assert other.stdout.splitlines() == [
        "fit, inputs: learning_rate is string, planned as float",
        "fit, inputs: speed is there and not planned",
        "plot: is done and not planned",
    ]
    assert pllib(lab, "prospective", "draw", name, "-o", "plan.svg").returncode == 0
    assert "fit" in (lab.folder / "plan.svg").read_text()
    assert pllib(lab, "prospective", "draw", name, "-o", "plan.dot").returncode == 0
    assert (lab.folder / "plan.dot").read_text().startswith("digraph plan {")


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (("draft", "none-MARK"), 1, "no workflow"), (("validate", "none-MARK"), 1, "no specification"),
        (("push", "wrong.json"), 1, "transformations"), (("push", "text.json"), 1, "no JSON"),
        (("push", "missing.json"), 1, "No such file"), (("validate", "list.json"), 1, "no JSON object"),
        (("draw", "train", "-o", "plan.png"), 2, ".svg"), (("validate", "empty.json"), 2, "workflow"), ((), 2, "ACTION"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_told_in_one_line(lab: Any, arguments: tuple[str, ...], code: int, word: str) -> None:
    files = {"wrong": '{"workflow": "w", "transformations": 3}', "text": "{", "list": "[]", "empty": "{}"}
    for name, text in files.items():
        (lab.folder / f"{name}.json").write_text(text)
    done = pllib(lab, "prospective", *(each.replace("MARK", lab.mark) for each in arguments))
    assert (done.returncode, word in done.stderr, "Traceback" in done.stderr) == (code, True, False), done.stderr


def test_stores_and_what_descends_from_a_file_from_the_shell(lab: Any) -> None:
    new, old = f"new-{lab.mark}", f"old-{lab.mark}"
    lab.run(f"""
        import pllib
        with pllib.workflow("train-MARK") as wf:
            with wf.task("fit", stage="training", used={{"x": pllib.data("raw", store="{old}", version="1")}}) as fit:
                fit.generated(model=pllib.model("m.pkl", store="{old}"))
        """)
    lab.settle()
    same = pllib(lab, "stores", "same", new, old)
    assert (same.returncode, same.stdout) == (0, f"{new} is the same store as: {old}\n"), same.stderr
    lab.settle()
    assert pllib(lab, "stores", "same", new, new).returncode == 1
    lines = {line.split()[0]: line for line in pllib(lab, "stores").stdout.splitlines()}
    assert lines[old].split() == [old, new, "2"]
    assert lines[new].split() == [new, old, "0"]
    models = pllib(lab, "lineage", "raw", "--store", new, "--forward", "--type", "Model")
    rows = models.stdout.splitlines()[2:]
    assert len(rows) == 1, models
    assert "m.pkl" in rows[0]


def record(op: str, number: int, wf: str, **more: Any) -> dict[str, Any]:
    moment = time.time_ns() // 1000
    base = {"n": number, "op": op, "t": moment, "m": number, "kind": "task", "wf": wf, "id": f"fit/{number // 2}"}
    return {**base, **({"status": "finished"} if op == "end" else {}), **more}


def test_captures_are_checked_against_the_plan_where_that_is_asked(lab: Any) -> None:
    wf = f"checked-{lab.mark}/1"
    plan = {"inputs": {"lr": {"dtype": "float"}}, "outputs": {"loss": {"dtype": "float"}}}
    form = {"workflow": f"checked-{lab.mark}", "transformations": {"fit": plan}}
    lab.http.post(f"{lab.services.tracker_url}/v1/prospective", json=form).raise_for_status()
    records = [
        record("begin", 0, wf, used={"lr": 0.5}),
        record("end", 1, wf, generated={"loss": 0.1}),
        record("begin", 2, wf, used={"lr": "fast"}),
        record("end", 3, wf, generated={"other": 1}),
        record("end", 5, wf, status="failed"),
    ]
    batch = {"version": 1, "producer": PRODUCER, "records": records}

    def send(query: str) -> Any:
        return lab.http.post(f"{lab.services.tracker_url}/v1/captures{query}", json=batch)

    wrong_type, missing = "input `lr` of `fit` is `fast` (str), expected float", "`fit` has no output `loss`"
    unknown = "`other` is no output of `fit`"
    refused = send("?validate=error").json()
    assert (refused["accepted"], refused["rejected"]) == (3, 2)
    assert [(one["index"], one["status"], one["message"]) for one in refused["results"]] == [
        (2, 422, wrong_type),
        (3, 422, f"{unknown}; {missing}"),
    ]
    assert [each["code"] for each in refused["results"][1]["errors"]] == ["E103", "E105"]
    quarantined = lab.http.get(f"{lab.services.tracker_url}/v1/quarantine", params={"limit": 500}).json()["quarantined"]
    assert {wrong_type, f"{unknown}; {missing}"} <= {one["message"] for one in quarantined}

    warned = send("?validate=warn").json()
    assert (warned["accepted"], warned["rejected"]) == (5, 0)
    assert [(one["index"], one["status"]) for one in warned["results"]] == [(2, 200), (3, 200)]
    assert warned["results"][0]["warnings"] == [{"code": "W104", "type": "wrong_type", "explanation": wrong_type}]
    assert send("").json() == {"accepted": 5, "rejected": 0, "results": []}
    unknown_word = send("?validate=strict")
    assert (unknown_word.status_code, unknown_word.json()["error"]["field"]) == (422, "query.validate")


def test_a_workflow_with_no_plan_is_told_of(lab: Any) -> None:
    batch = {"version": 1, "producer": PRODUCER, "records": [record("begin", 0, f"unplanned-{lab.mark}/1")]}
    answer = lab.http.post(f"{lab.services.tracker_url}/v1/captures?validate=warn", json=batch).json()
    assert [each["code"] for each in answer["results"][0]["warnings"]] == ["W101"]
