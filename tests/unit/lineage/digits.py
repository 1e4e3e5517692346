"""A small study of handwritten digits, curated, prepared and learnt in three workflows; numbers to reckon with by hand.

Two ranges of images are prepared; two models are learnt on the first (``0-899``), one on the second (``0-1796``). Each
has two epochs of two batches. An older curated file and an older training set, of which an older model was learnt, lie
under the same paths: nothing of them belongs to any answer about the newer ones.
"""

from __future__ import annotations

from typing import NamedTuple

from tests.unit.lineage.graphs import Graph

STORE = "digits"
RANGES = {"0-899": 900, "0-1796": 1797}


class Setting(NamedTuple):
    """One model: its set, its settings, the losses of its batches by epoch, and what batches took (seconds)."""

    model: str
    image_range: str
    learning_rate: float
    losses: tuple[tuple[float, float], tuple[float, float]]
    batch_seconds: tuple[tuple[float, float], tuple[float, float]]
    accuracy: tuple[float, float]


SETTINGS = [
    Setting("m0", "0-899", 0.1, ((0.9, 0.7), (0.6, 0.5)), ((1.0, 3.0), (2.0, 2.0)), (0.80, 0.75)),
    Setting("m1", "0-899", 0.01, ((0.8, 0.4), (0.3, 0.35)), ((1.0, 1.0), (1.0, 2.0)), (0.90, 0.85)),
    Setting("m2", "0-1796", 0.01, ((0.2, 0.1), (0.15, 0.25)), ((4.0, 4.0), (4.0, 4.0)), (0.95, 0.94)),
]


def digits() -> Graph:
    """The graph of the whole study."""
    graph = Graph()
    _curate(graph, "c0", "s1-old", "an older source", 10, at=0)
    _curate(graph, "c1", "s1-new", "UCI", 1797, at=100)
    _prepare(graph, "p0", {"0-899": 10}, "s1-old", 0.5, at=50)
    _prepare(graph, "p1", RANGES, "s1-new", 0.2, at=200)
    _train(
        graph, "t0", [Setting("m0", "0-899", 0.1, ((0.001, 0.001),) * 2, ((9.0, 9.0),) * 2, (0.1, 0.1))], "s1-old", 70
    )
    _train(graph, "t1", SETTINGS, "s1-new", 300)
    return graph


def _curate(graph: Graph, execution: str, version: str, source: str, images: int, at: float) -> None:
    run = graph.run("curate", execution, start=at, end=at + 20)
    read = graph.task(run, "read", 0, start=at, end=at + 5)
    graph.reads(read, "raw", graph.data("scikit-learn", "/lib/digits.csv.gz", "s1-raw"))
    table = graph.generate(read, "table", {"shape": [1797, 65]})
    check = graph.task(run, "check", 1, start=at + 6, end=at + 10)
    graph.hand(check, table)
    graph.use(check, "grey_levels", 17)
    curated = graph.data(STORE, "curated.npz", version)
    graph.writes(check, "curated", curated)
    graph.fact(check, curated, "source", source, "domain")
    graph.fact(check, curated, "number_of_images", images, "domain")


def _prepare(graph: Graph, execution: str, ranges: dict[str, int], version: str, fraction: float, at: float) -> None:
    run = graph.run("prepare", execution, start=at, end=at + 20)
    for turn, (image_range, images) in enumerate(ranges.items()):
        crop = graph.task(run, "crop", 2 * turn, start=at, end=at + 2)
        graph.reads(crop, "curated", graph.data(STORE, "curated.npz", version))
        graph.use(crop, "image_range", image_range)
        graph.use(crop, "margin", 1)
        prepared = graph.generate(crop, "prepared", {"shape": [images, 48]})
        split = graph.task(run, "split", 2 * turn + 1, start=at + 3, end=at + 5)
        graph.hand(split, prepared)
        graph.use(split, "image_range", image_range)
        graph.use(split, "test_fraction", fraction)
        for part in ("train", "validation", "test"):
            data = graph.data(STORE, f"{image_range}/{part}.npz", version)
            graph.writes(split, part, data, "dataset")
            graph.fact(split, data, "images", images // 2, "dataset_characteristic")


def _train(graph: Graph, execution: str, settings: list[Setting], version: str, at: float) -> None:
    run = graph.run("train", execution, learning=True, start=at, end=at + 100)
    for number, setting in enumerate(settings):
        _learn(graph, run, number, setting, version, at + 30 * number)


def _learn(graph: Graph, run: str, number: int, setting: Setting, version: str, at: float) -> None:
    fit = graph.task(run, "fit", number, stage="training", start=at, end=at + 20)
    graph.reads(fit, "train", graph.data(STORE, f"{setting.image_range}/train.npz", version), "dataset")
    graph.use(fit, "learning_rate", setting.learning_rate, "hyperparameter")
    graph.use(fit, "epochs", 2, "hyperparameter")
    clock = at
    for turn, (losses, seconds) in enumerate(zip(setting.losses, setting.batch_seconds)):
        key = f"{number}-{turn}"
        epoch = graph.task(run, "epoch", key, "section", "training", fit, start=clock, end=clock + sum(seconds))
        for index, (loss, took) in enumerate(zip(losses, seconds)):
            batch = graph.task(
                run, "batch", f"{key}-{index}", "section", "training", epoch, start=clock, end=clock + took
            )
            graph.generate(batch, "loss", loss, "evaluation_measure")
            clock += took
        graph.generate(epoch, "loss", sum(losses) / 2, "evaluation_measure")
        graph.generate(epoch, "samples_seen", 100 * (turn + 1), "model_hyperparameter")
    model = graph.data(STORE, f"{setting.image_range}/{setting.model}.pkl", version)
    graph.writes(fit, "model", model, "model")
    graph.fact(fit, model, "layers", 3, "model_hyperparameter")
    graph.fact(fit, model, "final_loss", sum(setting.losses[1]) / 2, "evaluation_measure")
    for turn, stage in enumerate(("validation", "evaluation")):
        scoring = graph.task(run, stage, number, stage=stage, start=at + 21 + turn, end=at + 22 + turn)
        graph.reads(scoring, "model", model, "model")
        part = "validation" if stage == "validation" else "test"
        graph.reads(scoring, part, graph.data(STORE, f"{setting.image_range}/{part}.npz", version), "dataset")
        graph.generate(scoring, "accuracy", setting.accuracy[turn], "evaluation_measure")
