"""A digits-like run as capture records, and what the tracker makes of records: documents, as the manager gets them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from manager.documents import decode_document
from manager.ontology import classes
from manager.triples import Writer, join
from pllib.provml.iris import DEFAULT_BASE
from tracker.conversion import Document
from tracker.names import Specifications
from tracker.plans import Fresh, Known
from tracker.records import decode_record

Json = Any

PRODUCER = "0123456789abcdef" * 2
T = 1_700_000_000_000_000
PREPARE, TRAIN = "prepare/1", "train/9f-1"
SET = {
    "$": "data",
    "store": "scratch",
    "key": "train.npz",
    "version": "s1-2f",
    "path": "/scratch/train.npz",
    "size": 123,
}


def document(records: Iterable[Json], known: Known | None = None, producer: str = PRODUCER) -> bytes:
    """One batch's records as one document.

    Args:
        producer: who sends them.
        known: what earlier batches said, so that this one need not.
    """
    fresh = Fresh(known or Known())
    found = Document(producer, Specifications(), fresh)
    for record in records:
        found.add(decode_record(json.dumps(record).encode()))
    if known is not None:
        known.add(fresh.statements)
    return found.encoded()


def body(*documents: bytes) -> bytes:
    """A request to the manager."""
    return b'{"version":1,"documents":[' + b",".join(documents) + b"]}"


def lines(*documents: bytes, base: str = DEFAULT_BASE) -> list[str]:
    """The N-Triples of documents."""
    writer = Writer(base, classes())
    text, _ = join(writer.lines(decode_document(one)) for one in documents)
    return text.decode().splitlines()


def begin(number: int, wf: str, name: str | None, kind: str = "task", at: int = 0, **more: Json) -> Json:
    record = {"n": number, "op": "begin", "t": T + at, "m": 1, "kind": kind, "wf": wf, "id": name, **more}
    return {key: value for key, value in record.items() if value is not None}


def end(number: int, wf: str, name: str | None, kind: str = "task", at: int = 0, **more: Json) -> Json:
    return begin(number, wf, name, kind, at, **{"status": "finished", **more, "op": "end"})


def value(plain: Json, meaning: str, **more: Json) -> Json:
    return {"$": "value", "v": plain, "as": meaning, **more}


def run() -> list[Json]:
    """Records of every kind, with every kind of value: data are prepared, a model is trained, validated and evaluated."""
    ref = {"$": "ref", "id": "split/1", "name": "part", "wf": PREPARE}
    model = {"$": "data", "store": "scratch", "key": "m.pt", "version": "s2", "as": "model"}
    model |= {"facts": {"layers": value(3, "model_hyperparameter"), "acc": value(0.9, "evaluation_measure")}}
    summary = {"$": "summary", "v": {"type": "numpy.ndarray", "shape": [3, 4]}}
    return [
        {
            **{"n": 0, "op": "producer", "t": T, "m": 1, "host": "node1", "pid": 12, "user": "ana", "command": "python train.py"},
            **{"python": "3.11", "pllib": "0.1", "software": {"numpy": "2.3"}, "env": {"SLURM_JOB_ID": "7"}},
        },
        begin(1, PREPARE, None, "workflow", study="digits"),
        begin(2, PREPARE, "split/1", at=10, used={"basin": value("Santos", "domain"), "seed": 7, "none": None}),
        end(3, PREPARE, "split/1", at=20, generated={"part": {"$": "json", "v": {"b": [1, {}], "a": None}}, "train": {
            **SET, "as": "dataset", "facts": {"n_images": value(500, "dataset_characteristic")}}}, stdout="é\n\"", stderr="\\"),
        end(4, PREPARE, None, "workflow", at=30),
        begin(5, TRAIN, None, "workflow", at=40, study="digits"),
        begin(6, TRAIN, "features/0", at=41, stage="feature_extraction", used={"train": SET}),
        end(7, TRAIN, "features/0", at=49, generated={"features": {**summary, "as": "feature_set"}}),
        begin(8, TRAIN, "fit/1", at=50, stage="training", person="ana", used={
            "train": {**SET, "as": "dataset"}, "lr": value(0.1, "hyperparameter"), "part": ref,
            "goal": value("classify", "learning_task"), "how": value("adam", "implementation")}, meta={"note": "first"}),
        begin(9, TRAIN, "epoch/1", "section", at=60, stage="training", up="fit/1"),
        end(10, TRAIN, "epoch/1", "section", at=70, generated={
            "loss": value(0.25, "evaluation_measure"), "nan": {"$": "float", "v": "NaN"}, "model": model,
            "when": {"$": "datetime", "v": "2026-01-31T12:00:00+00:00"}, "raw": {"$": "bytes", "v": "AAEC"},
            "big": {"$": "int", "v": str(2**100)}, "list": [1, "a", None], "array": summary, "yes": True}),
        end(11, TRAIN, "fit/1", at=80, generated={"acc": 0.5}),
        begin(12, TRAIN, "check/2", at=90, stage="validation", links={"epoch/1": ["loss"]}, used={"model": model}),
        end(13, TRAIN, "check/2", at=95, status="failed", error={"type": "ValueError", "message": "no"}),
        begin(14, TRAIN, "judge/3", at=96, stage="evaluation", match=True, used={
            "acc": {"$": "among", "v": 0.5, "of": [["fit/1", "acc"], ["epoch/1", "loss"]]}}),
        end(15, TRAIN, "judge/3", at=97, match=True, generated={"score": 1.0}),
        begin(16, TRAIN, "loop/1", "cycle", at=98), end(17, TRAIN, "loop/1", "cycle", at=99),
        begin(18, TRAIN, "turn/1", "iteration", at=98, up="loop/1"), end(19, TRAIN, "turn/1", "iteration", at=99),
        end(20, TRAIN, None, "workflow", at=100),
        {"n": 21, "op": "gap", "t": T, "m": 1, "count": 3, "from": T, "to": T + 5, "reason": "full"},
    ]  # fmt: skip


def add(number: int, wf: str, name: str | None, kind: str = "task", at: int = 0, **more: Json) -> Json:
    return begin(number, wf, name, kind, at, **{**more, "op": "add"})


def points(number: int, wf: str, name: str | None, series: str, values: Sequence[Json], **more: Json) -> Json:
    """Points of a series a second apart, at steps that follow each other, unless ``more`` says otherwise."""
    count = len(values)
    kind = "task" if name else "workflow"
    lists = {
        "first": 0,
        "steps": [0, *[1] * (count - 1)],
        "times": [T, *[1_000_000] * (count - 1)],
        "values": [*values],
    }
    return begin(number, wf, name, kind, 0, **{"series": series, **lists, **more, "op": "points"})


RUN = "digits/run-1"


def shared_run(rank: int = 0, first: int = 0) -> list[Json]:
    """Records of one process of a training run that several share: a session, a context, what was added, and series."""
    session = {"session": f"{rank:032x}-{first}"}
    context = {"session": f"{rank:032x}-{first + 2}"}
    at = 1000 * rank
    return [
        begin(first, RUN, None, "workflow", at=at, stage="learning", study="digits", rank=rank,
              within={"wf": TRAIN, "id": "fit/1"}, **session),
        add(first + 1, RUN, None, "workflow", at=at + 1, used={"lr": value(0.1, "hyperparameter")}, meta={"tag": "a"}),
        begin(first + 2, RUN, "training/0", at=at + 2, stage="training", up=None, rank=rank, **context),
        add(first + 3, RUN, "training/0", at=at + 3, generated={"note": "x"}, links={"prepare/0": ["data"]}),
        points(first + 4, RUN, "training/0", "loss", [0.5 - rank, 0.25, "NaN", "INF", -1], rank=rank, **{"as": "evaluation_measure"}),
        points(first + 5, RUN, "training/0", "loss", [0.125 + rank], rank=rank, first=5, steps=[5], **{"as": "evaluation_measure"}),
        points(first + 6, RUN, None, "cpu.percent", [50, 60.5], telemetry=True, unit="%"),
        end(first + 7, RUN, "training/0", at=at + 80, elapsed=78, **context),
        end(first + 8, RUN, None, "workflow", at=at + 90, status="failed" if rank else "finished",
            **({"error": {"type": "ValueError", "message": f"rank {rank}"}} if rank else {}), **session),
    ]  # fmt: skip


def chain(tasks: int, values: int = 10) -> list[Json]:
    """Records of tasks that each use what the one before generated."""
    names = [f"out{index}" for index in range(values)]
    records = []
    for task in range(tasks):
        links = {"links": {f"step/{task - 1}": names}} if task else {}
        records.append(begin(2 * task, TRAIN, f"step/{task}", at=10 * task, **links))
        generated = {name: (task + index) / 7 for index, name in enumerate(names)}
        records.append(end(2 * task + 1, TRAIN, f"step/{task}", at=10 * task + 5, generated=generated))
    return records
