"""Learning: a network for each set and each setting, each a run of its own; one setting is too bold, and its run fails.

Writes ``models/{set}/{number}/model.pkl``, beside it a checkpoint for each epoch and ``model.json`` (settings and
evaluations), and ``models/runs.json``: what happened in every run, by plain Python.
"""

from __future__ import annotations

import argparse
import json
import pickle
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score, f1_score
from sklearn.neural_network import MLPClassifier

import pllib

SETTINGS = [
    {"learning_rate": 0.05, "batch_size": 64, "hidden_units": 16},
    {"learning_rate": 0.02, "batch_size": 32, "hidden_units": 24},
]
TOO_BOLD = {"learning_rate": 1000.0, "batch_size": 64, "hidden_units": 16}
MOST_LOSS = 1000.0


class Diverged(ArithmeticError):
    """The loss grows instead of falling."""


class Run:
    """One network on one set: how it is trained, and what came of it."""

    def __init__(self, work: Path, name: str, number: int, setting: dict[str, Any], epochs: int) -> None:
        self.sets, self.folder = work / "prepared" / name, work / "models" / name / str(number)
        self.setting, self.epochs = setting, epochs
        self.told: dict[str, Any] = {"set": name, "model": f"{name}/{number}/model.pkl", **setting, "epochs": []}
        self.network = MLPClassifier(
            (setting["hidden_units"],), solver="sgd", learning_rate_init=setting["learning_rate"], random_state=number
        )

    def go(self) -> None:
        """Trains and validates, captured as one execution of the workflow."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with pllib.workflow("train-salt", study="seismic") as wf:
            self.train(wf)
            self.validate(wf)
        (self.folder / "model.json").write_text(json.dumps(self.told, indent=1))

    def load(self, part: str) -> tuple[Any, np.ndarray, np.ndarray]:
        """A set as reference, and what it holds."""
        path = self.sets / f"{part}.npz"
        with np.load(path) as file:
            return pllib.dataset(path, store="prepared"), file["x"], file["y"]

    def train(self, wf: Any) -> None:
        """All epochs; the model is written at the end."""
        reference, x, y = self.load("train")
        hyperparameters = {**self.setting, "epochs": self.epochs}
        marked = {name: pllib.hyperparameter(value) for name, value in hyperparameters.items()}
        used = {"train": reference, "task": pllib.learning_task("salt or layers"), **marked}
        with wf.task("fit", stage="training", used=used) as training:
            for number in range(self.epochs):
                self.epoch(training, number, x, y)
            layers = {"layers": self.network.n_layers_, "weights": sum(w.size for w in self.network.coefs_)}
            scores = {"final_loss": self.told["epochs"][-1]["loss"]}
            training.generated(model=self.save("model.pkl", layers, scores))
            self.told.update(layers, **scores)

    def epoch(self, training: Any, number: int, x: np.ndarray, y: np.ndarray) -> None:
        """One pass over the set, batch by batch, with a checkpoint at its end."""
        began = time.perf_counter()
        found: dict[str, Any] = {"batch_losses": [], "batch_seconds": []}
        self.told["epochs"].append(found)
        order = np.random.default_rng(number).permutation(len(y))
        with training.section("epoch", used={"epoch": number}) as epoch:
            for start in range(0, len(y), self.setting["batch_size"]):
                rows = order[start : start + self.setting["batch_size"]]
                with epoch.section("batch", used={"first_row": start}) as batch:
                    loss, seconds = self.fit(x[rows], y[rows])
                    batch.generated(loss=pllib.evaluation(loss))
                found["batch_losses"].append(loss)
                found["batch_seconds"].append(seconds)
            found["loss"], found["samples_seen"] = float(np.mean(found["batch_losses"])), int(self.network.t_)
            checkpoint = self.save(f"checkpoint-{number}.pkl", {}, {})
            seen = pllib.model_hyperparameter(found["samples_seen"])
            epoch.generated(loss=pllib.evaluation(found["loss"]), samples_seen=seen, checkpoint=checkpoint)
        found["seconds"] = time.perf_counter() - began

    def fit(self, x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
        """One batch: its loss, and the seconds that it took."""
        began = time.perf_counter()
        with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # a run that diverges overflows
            self.network.partial_fit(x, y, classes=[0, 1])
        loss = float(self.network.loss_)
        if not loss < MOST_LOSS:
            raise Diverged(f"the loss is {loss:.3g}")
        return loss, time.perf_counter() - began

    def save(self, name: str, hyperparameters: dict[str, Any], evaluations: dict[str, Any]) -> Any:
        """Writes the network as it is now; the reference to it."""
        path = self.folder / name
        path.write_bytes(pickle.dumps(self.network))
        return pllib.model(path, store="models", hyperparameters=hyperparameters, evaluations=evaluations)

    def validate(self, wf: Any) -> None:
        """How good the model is on data that it has not seen."""
        reference, x, y = self.load("validation")
        used = {"model": pllib.model(self.folder / "model.pkl", store="models"), "validation": reference}
        with wf.task("validate", stage="validation", used=used) as validation:
            guess = self.network.predict(x)
            scores = {"accuracy": float(accuracy_score(y, guess)), "f1": float(f1_score(y, guess))}
            validation.generated({measure: pllib.evaluation(value) for measure, value in scores.items()})
        self.told["validation"] = scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder for the files")
    parser.add_argument("--epochs", type=int, default=5, help="passes over each training set (default 5)")
    chosen = parser.parse_args()
    for store in ("prepared", "models"):
        pllib.store(store, root=str(chosen.work / store))
    sets = sorted(path.parent.name for path in (chosen.work / "prepared").glob("*/train.npz"))
    plan = [(name, number, setting) for name in sets for number, setting in enumerate(SETTINGS)]
    told = []
    for name, number, setting in [*plan, (sets[-1], len(SETTINGS), TOO_BOLD)]:
        run = Run(chosen.work, name, number, setting, chosen.epochs)
        told.append(run.told)
        try:
            run.go()
        except Diverged as error:
            run.told["failed"] = str(error)
            print(f"gave up {run.told['model']}: {error}")
        else:
            print(f"trained {run.told['model']}: validation accuracy {run.told['validation']['accuracy']:.3f}")
    (chosen.work / "models" / "runs.json").write_text(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
