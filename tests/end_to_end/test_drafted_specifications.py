"""A specification that is drafted from what was captured, taken by the tracker, and drawn."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from typing import Any

SCRIPT = """
import pllib
with pllib.workflow("MARK-train", study="MARK-study") as wf:
    with wf.task("read", used={"path": pllib.data("raw.csv", store="lab")}) as read:
        rows = read.generated(rows=10, names=["a", "b"], meta={"x": 1})
    with wf.task("fit", stage="training", used={"rows": rows["rows"], "lr": pllib.hyperparameter(0.1)}) as fit:
        for number in range(2):
            with fit.section("epoch", used={"number": number}) as epoch:
                epoch.generated(loss=pllib.evaluation(0.5 / (number + 1)))
        fit.generated(model=pllib.model("m.pkl", store="lab"), ok=True, note="fine", mixed=1)
    with wf.task("fit", stage="training", used={"rows": rows["rows"]}) as fit:
        fit.generated(mixed="two")
"""


def test_what_was_captured_is_drafted_taken_and_drawn(lab: Any) -> None:
    lab.run(SCRIPT)
    lab.settle()
    answer = lab.get(f"/v1/workflows/{lab.mark}-train/specification")
    assert answer.status_code == 200, answer.text
    draft = answer.json()
    assert draft == {
        "workflow": f"{lab.mark}-train",
        "study": f"{lab.mark}-study",
        "transformations": {
            "epoch": {
                "kind": "section",
                "stage": "training",
                "part_of": "fit",
                "inputs": {"number": {"dtype": "integer"}},
                "outputs": {"loss": {"as": "evaluation_measure", "dtype": "float"}},
            },
            "fit": {
                "stage": "training",
                "inputs": {"lr": {"as": "hyperparameter", "dtype": "float"}, "rows": {"dtype": "integer"}},
                "outputs": {
                    "mixed": {"dtype": "any"},
                    "model": {"as": "model", "dtype": "string"},
                    "note": {"dtype": "string"},
                    "ok": {"dtype": "boolean"},
                },
            },
            "read": {
                "inputs": {"path": {"dtype": "string"}},
                "outputs": {
                    "meta": {"dtype": "complex_attribute"},
                    "names": {"dtype": "list"},
                    "rows": {"dtype": "integer"},
                },
            },
        },
    }
    before = lab.triples()
    taken = lab.http.post(f"{lab.services.tracker_url}/v1/prospective", json=draft)
    assert taken.status_code == 201, taken.text
    lab.settle()
    assert lab.triples() == before  # the draft says what was known, and no more

    drawing = lab.get(f"/v1/workflows/{lab.mark}-train/drawing")
    assert drawing.headers["content-type"] == "image/svg+xml"
    root = ElementTree.fromstring(drawing.content)  # noqa: S314 - our own
    texts = {"".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"read", "fit", "epoch", "rows", "model"} <= texts
    dot = lab.get(f"/v1/workflows/{lab.mark}-train/drawing", format="dot")
    assert dot.text.startswith("digraph plan {")


def test_what_cannot_be_drafted_is_told(lab: Any) -> None:
    for path in ("specification", "drawing"):
        missing = lab.get(f"/v1/workflows/{lab.mark}-none/{path}")
        assert missing.status_code == 404
        assert missing.json()["error"]["field"] == "name"
    wrong = lab.get(f"/v1/workflows/{lab.mark}-none/drawing", format="png")
    assert wrong.status_code == 400
    assert wrong.json()["error"]["field"] == "format"
