"""The same records in any order, in any batches, twice: the same graph. On two stacks of their own."""

from __future__ import annotations

import random

CODE = """
    import pllib
    with pllib.workflow("w", study="s") as wf:
        with wf.task("write", used={"seed": 1}) as task:
            open("a.txt", "w").write("x")
            task.generated(a=pllib.data("a.txt", store="s", facts={"n": pllib.domain(3)}), count=1, acc=0.5)
        with wf.task("other", used={"count": 1}) as other:
            other.generated(acc=0.5)
        used = {"a": pllib.dataset("a.txt", store="s"), "acc": 0.5, "lr": pllib.hyperparameter(0.1)}
        with wf.task("fit", stage="training", used=used) as fit:
            for n in range(3):
                with fit.section("epoch") as epoch:
                    epoch.generated(loss=pllib.evaluation(1 / (n + 1)))
            fit.generated(m=pllib.model("m.pkl", store="s", hyperparameters={"k": 1}))
        try:
            with wf.task("broken"):
                raise ValueError("no")
        except ValueError:
            pass
    with pllib.workflow("w", execution="shared") as wf, wf.task("t", used={"x": 1}) as task:
        task.generated(x=2)
"""


def test_shuffled_doubled_and_split_records_give_the_same_graph(lab, other_lab):
    lab.run(CODE, mode="disk")
    records = lab.spooled()
    for producer, own in records.items():
        assert lab.post(producer, own).json()["rejected"] == 0
        shuffled = own * 2
        random.Random(5).shuffle(shuffled)
        while shuffled:
            part, shuffled = shuffled[:7], shuffled[7:]
            assert other_lab.post(producer, part).json()["rejected"] == 0
    lab.settle()
    other_lab.settle()
    first, second = lab.triples(), other_lab.triples()
    producer = next(iter(records))
    assert any(producer in line for line in first)
    about = {line for line in second if not line.startswith("#")}
    assert about <= first  # the shared stack holds more than this test's
    again = len(first)
    for producer, own in records.items():
        lab.post(producer, reversed(own))
    lab.settle()
    assert len(lab.triples()) == again
    mine = {line for line in first if producer in line}
    assert mine == {line for line in second if producer in line}


def test_shipping_a_spool_again_changes_nothing(lab):
    import subprocess
    import sys
    from pathlib import Path

    lab.run(CODE, mode="disk")
    counts = []
    for _ in range(2):
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "pllib",
                "ship",
                "--keep",
                str(lab.folder / "spool"),
                "--url",
                lab.services.tracker_url,
            ],
            capture_output=True,
            text=True,
            cwd=Path(__file__).parents[2],
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        lab.settle()
        counts.append(len(lab.triples()))
        for acked in (lab.folder / "spool").rglob("*.acked"):
            acked.unlink()
    assert counts[0] == counts[1]
