"""The papers' questions where a store was renamed between the workflows, whenever that was stated."""

from __future__ import annotations

from typing import Any

import pytest

PREPARE = """
import pathlib, pllib
pathlib.Path("d").mkdir(exist_ok=True)
pllib.store("old-MARK", root="d")
pathlib.Path("d/raw").write_text("raw MARK")
with pllib.workflow("prepare-MARK") as wf:
    raw = pllib.data("raw", store="old-MARK", facts={"basin": pllib.domain("North Sea")})
    with wf.task("cut", used={"raw": raw, "tile-MARK": 40}) as task:
        pathlib.Path("d/train").write_text("train MARK")
        task.generated(train=pllib.dataset("train", store="old-MARK"))
"""
TRAIN = """
import pathlib, pllib
pllib.store("new-MARK", root="d")
with pllib.workflow("train-MARK") as wf:
    used = {"train": pllib.dataset("train", store="new-MARK"), "lr": pllib.hyperparameter(0.5)}
    with wf.task("fit", stage="training", used=used) as fit:
        with fit.section("epoch") as epoch, epoch.section("batch") as batch:
            batch.generated(loss=pllib.evaluation(0.25))
        pathlib.Path("d/model").write_text("model MARK")
        fit.generated(model=pllib.model("model", store="new-MARK"))
"""
EVALUATE = """
import pllib
pllib.store("third-MARK", root="d")
with pllib.workflow("evaluate-MARK") as wf:
    with wf.task("judge", stage="evaluation", used={"model": pllib.model("model", store="third-MARK")}) as task:
        task.generated(score=pllib.evaluation(0.75))
"""


def state(lab: Any) -> None:
    """Says that the three names are of one store, by two statements that share one of them."""
    for new, old in (("new", "old"), ("third", "new")):
        body = {"name": f"{new}-{lab.mark}", "same_as": [f"{old}-{lab.mark}"]}
        lab.http.post(f"{lab.services.tracker_url}/v1/stores", json=body).raise_for_status()
    lab.settle()


def rows(lab: Any, name: str, **parameters: Any) -> list[dict[str, Any]]:
    answer = lab.get(f"/v1/analyses/{name}/run", **parameters)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["rows"])


@pytest.mark.parametrize("when", range(4))
def test_questions_step_over_a_rename_whenever_it_was_stated(lab: Any, when: int) -> None:
    for number, script in enumerate((PREPARE, TRAIN, EVALUATE)):
        if number == when:
            state(lab)
        lab.run(script)
        lab.settle()
    if when == 3:
        parameter = {"attribute": f"tile-{lab.mark}", "value": 40}
        assert [rows(lab, name, **parameter) for name in ("q5", "q6", "q7")] == [[], [], []]
        state(lab)
    tile = {"attribute": f"tile-{lab.mark}", "value": 40}
    (q1,) = rows(lab, "q1", model="model", store=f"third-{lab.mark}")
    assert (q1["basin"], q1["path"]) == ("North Sea", "raw")
    (q2,) = rows(lab, "q2", model="model", store=f"new-{lab.mark}")
    assert q2[f"tile-{lab.mark}"] == 40
    (q3,) = rows(lab, "q3", dataset="train", store=f"old-{lab.mark}")
    assert (q3["least"], q3["lr"], q3["evaluation score"]) == (0.25, 0.5, 0.75)
    (q5,) = rows(lab, "q5", **tile)
    assert q5["evaluation score"] == 0.75
    (q6,) = rows(lab, "q6", **tile)
    assert (q6["path"], q6["store"], q6["basin"]) == ("raw", f"old-{lab.mark}", "North Sea")
    (q7,) = rows(lab, "q7", **tile)
    assert (q7["least"], q7["lr"], q7["evaluation score"]) == (0.25, 0.5, 0.75)


def test_the_graph_is_the_same_whenever_it_was_stated_and_other_states_are_not_joined(lab: Any) -> None:
    lab.run(PREPARE)
    state(lab)
    lab.run(TRAIN)
    lab.run(EVALUATE)
    lab.run(PREPARE.replace("train MARK", "train MARK, once more"))  # another state, under the old name only
    lab.settle()
    same = lab.select(f'SELECT ?a ?b {{ ?a provlake:sameStateAs ?b FILTER(CONTAINS(STR(?a), "{lab.mark}")) }}')
    pairs = {(row["a"].split("/data/")[1], row["b"].split("/data/")[1]) for row in same}
    sets = {each for pair in pairs for each in pair if "/train/" in each}
    models = {each for pair in pairs for each in pair if "/model/" in each}
    assert {each.split("/")[0] for each in sets} == {f"old-{lab.mark}", f"new-{lab.mark}"}
    assert {each.split("/")[0] for each in models} == {f"new-{lab.mark}", f"third-{lab.mark}"}
    assert pairs == {(a, b) for group in (sets, models) for a in group for b in group if a != b}
    assert len(sets) == len(models) == 2
