"""Series as scripts log them, through the whole stack: while they run, from several processes, and after one was killed."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from itertools import accumulate

from tests.end_to_end.conftest import ROOT

OPENED = """
import pllib, sys, time
from pllib.series import Series
with pllib.workflow("outer-MARK") as outer, outer.task("search") as search:
    with pllib.workflow("train-MARK", execution="e", within=search) as wf, wf.task("training", stage="training", number="0") as task:
        loss = Series(task, "loss", unit="nats")
        for step in range(1500):
            loss.log(1 / (step + 1), step)
        task.add(generated={"weights": 0.125})
        with wf.task("test", used={"weights": 0.125}):
            pass
        print("open", flush=True)
        sys.stdin.readline()
        loss.log(float("nan"), 1500)
"""

KILLED = """
import os, pllib
from pllib.series import Series
wf = pllib.workflow("train-MARK", execution="e", rank=1).__enter__()
task = wf.task("training", stage="training", number="0").__enter__()
loss = Series(task, "loss", unit="nats")
for step in range(2000):
    loss.log(step, step)
os._exit(1)
"""

LATEST = """SELECT ?v ?step ?least ?most ?unit { ?s a provlake:Series ; prov:value ?v ; provlake:lastStep ?step ; provlake:minimum ?least ;
    provlake:maximum ?most ; provlake:unit ?unit . FILTER(CONTAINS(STR(?s), "train-MARK/e/training/0/loss")) }"""


def latest(lab):
    rows = lab.select(LATEST.replace("MARK", lab.mark))
    return {name: row[name] if name == "unit" else float(row[name]) for row in rows for name in row}


def points(lab):
    """The points of the series, by producer and index."""
    rows = lab.select(
        f'SELECT ?chunk {{ ?s provlake:points ?chunk FILTER(CONTAINS(STR(?s), "train-{lab.mark}/e/training/0/loss")) }}'
    )
    found = {}
    for row in rows:
        chunk = json.loads(row["chunk"])
        for place, point in enumerate(zip(accumulate(chunk["steps"]), chunk["values"])):
            assert found.setdefault((chunk["by"], chunk["first"] + place), point) == point
    return found


def test_a_series_is_there_while_it_grows_and_whole_when_a_process_was_killed(lab):
    path = lab.folder / "opened.py"
    path.write_text(OPENED.replace("MARK", lab.mark))
    environment = {
        "PLLIB_URL": lab.services.tracker_url,
        "PLLIB_SPOOL": str(lab.folder / "spool"),
        "PYTHONPATH": str(ROOT),
    }
    process = subprocess.Popen(
        [sys.executable, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=lab.folder,
    )
    try:
        assert process.stdout.readline() == "open\n"
        deadline = time.monotonic() + 20
        while latest(lab).get("step") != 1499:
            assert time.monotonic() < deadline, latest(lab)
            time.sleep(0.05)
        assert latest(lab) == {"v": 1 / 1500, "step": 1499, "least": 1 / 1500, "most": 1.0, "unit": "nats"}
        assert lab.run(KILLED, check=False).returncode == 1
        shipped = [sys.executable, "-m", "pllib", "ship", str(lab.folder / "spool")]
        subprocess.run(shipped, env=environment, check=True, timeout=60, cwd=lab.folder)
        assert process.communicate("go on\n", timeout=60)[0] == ""
        assert process.returncode == 0
    finally:
        process.kill()
        process.communicate()
    lab.settle()
    found = points(lab)
    assert len(found) == 3501
    assert sorted(point for point in found.values() if point[1] == "NaN") == [(1500, "NaN")]
    assert latest(lab) == {"v": 1999, "step": 1999, "least": 0, "most": 1999, "unit": "nats"}
    sessions = lab.select(
        f"SELECT ?s ?rank ?status {{ ?s a provlake:Session ; provlake:sessionOf ?e OPTIONAL {{ ?s provlake:rank ?rank }} "
        f'OPTIONAL {{ ?s provlake:status ?status }} FILTER(STRENDS(STR(?e), "train-{lab.mark}/e")) }}'
    )
    assert sorted((row.get("rank"), row.get("status")) for row in sessions if "rank" in row) == [("1", None)]
    assert [row["status"] for row in sessions if "rank" not in row] == ["finished"]
    within = lab.select(f'SELECT ?o {{ ?e provlake:within ?o FILTER(STRENDS(STR(?e), "train-{lab.mark}/e")) }}')
    assert "/search/" in within[0]["o"]
    informed = lab.select(
        f'SELECT ?a {{ ?t prov:wasInformedBy ?a FILTER(CONTAINS(STR(?t), "train-{lab.mark}/e/test/")) }}'
    )
    assert [row["a"].endswith("/training/0") for row in informed] == [True]
