"""Learning: a network for each set and each setting, with epochs and batches, then validation and evaluation.

Writes ``{range}/model-{number}.pkl`` for each and ``results.json`` (what was learnt, by plain Python) into the work folder.
"""

from __future__ import annotations

import argparse
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score, f1_score
from sklearn.neural_network import MLPClassifier

import pllib

SETTINGS = [
    {"learning_rate": 0.001, "batch_size": 64, "hidden_units": 32},
    {"learning_rate": 0.01, "batch_size": 64, "hidden_units": 32},
    {"learning_rate": 0.01, "batch_size": 128, "hidden_units": 64},
]


def load(path: Path) -> tuple[np.ndarray, np.ndarray]:
    with np.load(path) as file:
        return file["x"], file["y"]


def fit_epoch(training: Any, network: MLPClassifier, x: np.ndarray, y: np.ndarray, size: int, number: int) -> float:
    """One epoch, batch by batch; the mean loss."""
    order = np.random.default_rng(number).permutation(len(y))
    losses = []
    with training.section("epoch", used={"epoch": number}) as epoch:
        for start in range(0, len(y), size):
            rows = order[start : start + size]
            with epoch.section("batch", used={"first_row": start}) as batch:
                network.partial_fit(x[rows], y[rows], classes=np.arange(10))
                losses.append(float(network.loss_))
                batch.generated(loss=pllib.evaluation(losses[-1]))
        mean = float(np.mean(losses))
        epoch.generated(loss=pllib.evaluation(mean), samples_seen=pllib.model_hyperparameter(int(network.t_)))
    return mean


def train(wf: Any, folder: Path, number: int, setting: dict[str, Any], epochs: int) -> dict[str, Any]:
    """Trains, validates and evaluates one network; what came of it."""
    train_set = pllib.dataset(folder / "train.npz", store="digits")
    x, y = load(folder / "train.npz")
    hyperparameters = {name: pllib.hyperparameter(value) for name, value in {**setting, "epochs": epochs}.items()}
    used = {"train": train_set, "task": pllib.learning_task("classification"), **hyperparameters}
    with wf.task("fit", stage="training", used=used) as training:
        network = MLPClassifier(
            (setting["hidden_units"],), learning_rate_init=setting["learning_rate"], random_state=number
        )
        losses = [fit_epoch(training, network, x, y, setting["batch_size"], epoch) for epoch in range(epochs)]
        path = folder / f"model-{number}.pkl"
        path.write_bytes(pickle.dumps(network))
        model = pllib.model(
            path,
            store="digits",
            hyperparameters={"layers": network.n_layers_, "weights": sum(w.size for w in network.coefs_)},
            evaluations={"final_loss": losses[-1]},
        )
        training.generated(model=model)
    found: dict[str, Any] = {"model": str(path.relative_to(folder.parent)), "least_loss": min(losses), **setting}
    for name in ("validation", "test"):
        x, y = load(folder / f"{name}.npz")
        stage = "validation" if name == "validation" else "evaluation"
        used = {"model": pllib.model(path, store="digits"), name: pllib.dataset(folder / f"{name}.npz", store="digits")}
        with wf.task(stage, stage=stage, used=used) as scoring:
            with path.open("rb") as file:
                guess = pickle.load(file).predict(x)  # noqa: S301 - the file that this script has just written
            scores = {"accuracy": float(accuracy_score(y, guess)), "f1": float(f1_score(y, guess, average="macro"))}
            scoring.generated({measure: pllib.evaluation(value) for measure, value in scores.items()})
        found[stage] = scores
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder for the files")
    parser.add_argument("--epochs", type=int, default=12, help="passes over the training set (default 12)")
    chosen = parser.parse_args()
    pllib.store("digits", root=str(chosen.work))
    results = []
    with pllib.workflow("train", study="digits") as wf:
        for folder in sorted(path.parent for path in chosen.work.glob("*/train.npz")):
            for number, setting in enumerate(SETTINGS):
                results.append({"image_range": folder.name, **train(wf, folder, number, setting, chosen.epochs)})
                accuracy = results[-1]["validation"]["accuracy"]
                print(f"trained {results[-1]['model']}: validation accuracy {accuracy:.3f}")
    (chosen.work / "results.json").write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
