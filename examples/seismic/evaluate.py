"""Evaluation: every model that there is, on the test set of the data that it was made for; the best one is named.

Writes ``models/best.json``: the best model and the scores of all. Knows of a model what its ``model.json`` says.
"""

from __future__ import annotations

import argparse
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score, f1_score

import pllib


def evaluate(wf: Any, work: Path, about: dict[str, Any]) -> tuple[dict[str, float], Any]:
    """Scores of one model, and the handle of its accuracy."""
    model, test = work / "models" / about["model"], work / "prepared" / about["set"] / "test.npz"
    used = {"model": pllib.model(model, store="models"), "test": pllib.dataset(test, store="prepared")}
    with wf.task("evaluate", stage="evaluation", used=used) as task:
        with np.load(test) as file:
            x, y = file["x"], file["y"]
        guess = pickle.loads(model.read_bytes()).predict(x)  # noqa: S301 - a file of the user's own study
        scores = {"accuracy": float(accuracy_score(y, guess)), "f1": float(f1_score(y, guess))}
        handles = task.generated({measure: pllib.evaluation(value) for measure, value in scores.items()})
    return scores, handles.accuracy


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder for the files")
    work = parser.parse_args().work
    for store in ("prepared", "models"):
        pllib.store(store, root=str(work / store))
    scores, accuracies = {}, {}
    with pllib.workflow("evaluate-salt", study="seismic") as wf:
        for path in sorted((work / "models").glob("*/*/model.json")):
            about = json.loads(path.read_text())
            scores[about["model"]], accuracies[about["model"]] = evaluate(wf, work, about)
        with wf.task("choose", used=accuracies) as choose:
            best = max(scores, key=lambda model: scores[model]["accuracy"])
            found = work / "models" / "best.json"
            found.write_text(json.dumps({"best": best, "scores": scores}, indent=1))
            choose.generated(best=best, report=pllib.data(found, store="models"))
    print(f"the best is {best}: accuracy {scores[best]['accuracy']:.3f}")


if __name__ == "__main__":
    main()
