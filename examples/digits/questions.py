"""The papers' seven questions, carried over to handwritten digits."""

from __future__ import annotations

from typing import Any

from examples.common.tables import Question


def questions(best: dict[str, Any]) -> list[Question]:
    """The seven questions about the best of what ``train.py`` says it has learnt."""
    image_range = best["image_range"]
    model = {"model": best["model"], "store": "digits"}
    dataset = {"dataset": f"{image_range}/train.npz", "store": "digits"}
    prepared = {"attribute": "image_range", "value": image_range}
    return [
        Question(
            "q1", "Where do the images come from that the best model was trained on, and what do they show?", model
        ),
        Question("q2", "With which parameters was its training set prepared?", model),
        Question(
            "q3",
            "Which hyperparameters and evaluations has the model with the least loss on this training set?",
            dataset,
        ),
        Question("q4", "How long did a batch take in each epoch of the models trained on it?", dataset),
        Question(
            "q5",
            f"And of all models on the images {image_range}: batch time an epoch, and how good are they?",
            prepared,
        ),
        Question("q6", "Which source file are those sets made of, and what does it hold?", prepared),
        Question(
            "q7",
            f"The models on the images {image_range}, by their least batch loss, with settings and scores?",
            prepared,
        ),
    ]
