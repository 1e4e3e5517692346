"""An experiment run: handwritten digits learnt by scikit-learn, with all that there is to know about it.

    python examples/runs/train.py --lr 0.01 --epochs 10

Needs pllib and scikit-learn. Without a tracker it is all the same: the records wait on disk for ``pllib ship``.
"""

from __future__ import annotations

import argparse
import pickle
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

import pllib


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lr", type=float, default=0.01, help="learning rate (default 0.01)")
    parser.add_argument("--epochs", type=int, default=10, help="passes over the training set (default 10)")
    parser.add_argument("--hidden", type=int, default=32, help="units of the hidden layer (default 32)")
    parser.add_argument("--out", type=Path, default=Path("digits-run"), help="folder for the files")
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)

    images, labels = load_digits(return_X_y=True)
    data = chosen.out / "digits.npz"
    np.savez(data, images=images, labels=labels)
    settings = {"lr": chosen.lr, "epochs": chosen.epochs, "hidden": chosen.hidden}

    with pllib.run("digits", study="examples", params=settings, tags={"purpose": "example"}) as run:
        run.log_dataset(data, "digits", characteristics={"images": len(images), "classes": 10})
        x, x_test, y, y_test = train_test_split(images / 16, labels, test_size=0.25, random_state=0)
        x, x_val, y, y_val = train_test_split(x, y, test_size=0.2, random_state=0)

        network = MLPClassifier((chosen.hidden,), learning_rate_init=chosen.lr, random_state=0)
        for epoch in range(chosen.epochs):
            with run.timed("epoch", context="training", step=epoch):
                network.partial_fit(x, y, classes=np.arange(10))
            run.log_metric("loss", network.loss_, step=epoch, context="training")
            guess = network.predict_proba(x_val)
            run.log_metric("loss", log_loss(y_val, guess), step=epoch, context="validation")
            run.log_metric("accuracy", accuracy_score(y_val, guess.argmax(axis=1)), step=epoch, context="validation")

        accuracy = accuracy_score(y_test, network.predict(x_test))
        run.log_metric("accuracy", accuracy, context="testing")
        model = chosen.out / "model.pkl"
        model.write_bytes(pickle.dumps(network))
        run.log_model(network, path=model)
    print(f"run {run.id}: {accuracy:.1%} of the test images are recognised")


if __name__ == "__main__":
    main()
