"""The papers' synthetic set as capture records: what the clients of its scripts would have sent.

One seismic file is curated; it is prepared in four ranges of slices; eight learning workflows run on the sets, two on
each, side by side. Each has three stages: training, validation and evaluation; the training has epochs, and each epoch
200 batches. The papers' set has 300 epochs; ``epochs`` scales it.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from itertools import count
from typing import Any, NamedTuple

Json = dict[str, Any]

EPOCHS, BATCHES = 300, 200
RANGES = ("0-299", "300-599", "600-899", "900-1199")
WORKFLOWS = 8
STORE = "seismic"
RAW, CURATED = "raw/netherlands.sgy", "curated/netherlands.h5"
START = 1_700_000_000_000_000
_BATCH, _EPOCH_REST = 60_000, 500_000
"""Microseconds that a batch takes, or so, and what an epoch takes besides."""


class Sent(NamedTuple):
    """Records that one process sent together."""

    producer: str
    records: list[Json]


def paper_set(epochs: int = EPOCHS, seed: int = 1) -> Iterator[Sent]:
    """All records of the set, process by process, in the order in which they were sent."""
    source = random.Random(seed)
    yield _curation(_Process(source, "curate.py", START))
    at = START + 60_000_000
    for number, slices in enumerate(RANGES):
        yield _preparation(_Process(source, "prepare.py", at), number, slices)
    at += 60_000_000
    for number in range(WORKFLOWS):
        yield from _learning(_Process(source, "train.py", at), number, epochs)


def training_set(number: int) -> str:
    """Key of the training set that a learning workflow uses."""
    return f"{RANGES[number % len(RANGES)]}/train.h5"


def model(number: int) -> str:
    """Key of the model that a learning workflow makes."""
    return f"models/{number}.pt"


def _data(key: str, meaning: str | None = None, **facts: Json) -> Json:
    found: Json = {"$": "data", "store": STORE, "key": key, "version": "s1-1", "path": f"/data/{key}", "size": len(key)}
    return found | ({"as": meaning} if meaning else {}) | ({"facts": facts} if facts else {})


def _value(plain: Any, meaning: str) -> Json:
    return {"$": "value", "v": plain, "as": meaning}


class _Process:
    """Makes the records of one process: numbers and times go on."""

    def __init__(self, source: random.Random, script: str, at: int) -> None:
        self.source, self.at = source, at
        self.producer = f"{source.getrandbits(128):032x}"
        self._numbers = count()
        about = {"host": "node1", "pid": 100 + source.randrange(1000), "command": f"python {script}", "user": "ana"}
        self.first = [self._record("producer", at, **about)]

    def begin(self, wf: str, name: str | None, kind: str = "task", **more: Any) -> Json:
        return self._record("begin", self.at, kind=kind, wf=wf, **({"id": name} if name else {}), **more)

    def end(self, wf: str, name: str | None, elapsed: int, kind: str = "task", **more: Any) -> Json:
        """An end, so many microseconds after the begin, which is now."""
        about = {"kind": kind, "wf": wf, **({"id": name} if name else {}), "status": "finished", "elapsed": elapsed}
        return self._record("end", self.at + elapsed, **about, **more)

    def whole(
        self, wf: str, name: str, elapsed: int, used: Json, generated: Json, stage: str | None = None
    ) -> list[Json]:
        """Begin and end of a task; the next one begins then."""
        more = {"stage": stage} if stage else {}
        found = [self.begin(wf, name, used=used, **more), self.end(wf, name, elapsed, generated=generated)]
        self.at += elapsed
        return found

    def _record(self, op: str, at: int, **more: Any) -> Json:
        return {"n": next(self._numbers), "op": op, "t": at, "m": at * 1000, **more}


def _curation(process: _Process) -> Sent:
    wf, began = "curate/c1", process.at
    facts: dict[str, Json] = {
        "basin": _value("Central Graben", "domain"),
        "field": _value("F3", "domain"),
        "slices": _value(1200, "domain"),
        "coordinates": _value("54.8,4.8", "domain"),
    }
    records = [*process.first, process.begin(wf, None, "workflow", study="seismic")]
    records += process.whole(wf, "import/0", 9_000_000, {"raw": _data(RAW)}, {"curated": _data(CURATED, None, **facts)})
    return Sent(process.producer, [*records, _close(process, wf, began)])


def _preparation(process: _Process, number: int, slices: str) -> Sent:
    wf, began = f"prepare/p{number}", process.at
    settings = {"slices": slices, "tile_size": 40, "noise_threshold": 0.3}
    records = [*process.first, process.begin(wf, None, "workflow", study="seismic")]
    tiles = {"tiles": _data(f"{slices}/tiles.h5")}
    records += process.whole(wf, "tile/0", 8_000_000, {"curated": _data(CURATED), **settings}, tiles)
    made = {"train": _data(f"{slices}/train.h5", "dataset"), "test": _data(f"{slices}/test.h5", "dataset")}
    records += process.whole(wf, "split/1", 4_000_000, {**tiles, "test_fraction": 0.2}, made)
    return Sent(process.producer, [*records, _close(process, wf, began)])


def _close(process: _Process, wf: str, began: int) -> Json:
    elapsed = process.at - began
    process.at = began
    return process.end(wf, None, elapsed, "workflow")


def _learning(process: _Process, number: int, epochs: int) -> Iterator[Sent]:
    wf, began = f"learn/t{number}", process.at
    settings = {"learning_rate": 0.1 / (1 + number), "optimizer": ("adam", "sgd")[number % 2], "epochs": epochs}
    used = {name: _value(value, "hyperparameter") for name, value in settings.items()}
    used["train"] = _data(training_set(number), "dataset")
    opening = [process.begin(wf, None, "workflow", study="seismic", stage="learning")]
    opening.append(process.begin(wf, "training/0", used=used, stage="training"))
    yield Sent(process.producer, [*process.first, *opening])
    training_began, loss = process.at, 1.0
    for epoch in range(epochs):
        loss = 1.0 / (1 + epoch + process.source.random())
        yield Sent(process.producer, list(_epoch(process, wf, epoch, loss)))
    elapsed, process.at = process.at - training_began, training_began
    found = _model(number, loss)
    ending = [
        process.end(wf, "training/0", elapsed, generated={"model": found, "loss": _value(loss, "evaluation_measure")})
    ]
    process.at += elapsed
    for index, stage in enumerate(("validation", "evaluation"), 1):
        data = _data(f"{RANGES[number % len(RANGES)]}/test.h5", "dataset")
        scores = {name: _value(process.source.random(), "evaluation_measure") for name in ("accuracy", "f1")}
        ending += process.whole(wf, f"{stage}/{index}", 3_000_000, {"model": found, "test": data}, scores, stage)
    yield Sent(process.producer, [*ending, _close(process, wf, began)])


def _model(number: int, loss: float) -> Json:
    facts: dict[str, Json] = {
        "layers": _value(5, "model_hyperparameter"),
        "final_loss": _value(loss, "evaluation_measure"),
    }
    return _data(model(number), "model", **facts)


def _epoch(process: _Process, wf: str, epoch: int, loss: float) -> Iterable[Json]:
    name, began = f"epoch/{epoch}", process.at
    section: Json = {"kind": "section", "stage": "training"}
    yield process.begin(wf, name, up="training/0", **section)
    random_ = process.source.random
    for number in range(BATCHES):
        batch = f"batch/{epoch}-{number}"
        yield process.begin(wf, batch, up=name, **section)
        elapsed = int(_BATCH * (0.5 + random_()))
        made = {"loss": _value(loss * (0.9 + 0.2 * random_()), "evaluation_measure")}
        made["accuracy"] = _value(random_(), "evaluation_measure")
        made["samples_seen"] = _value((epoch * BATCHES + number + 1) * 64, "model_hyperparameter")
        yield process.end(wf, batch, elapsed, "section", generated=made)
        process.at += elapsed
    elapsed, process.at = process.at - began + _EPOCH_REST, began
    yield process.end(wf, name, elapsed, "section", generated={"loss": _value(loss, "evaluation_measure")})
    process.at += elapsed
