"""What was found out about PLLib and its peers, as measures: cells of tables, bars of plots, and answers to the reach table."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from bench.measures import Cell, Measure, Point, measure, missing
from bench.peers.settings import SETTINGS, Setting

if TYPE_CHECKING:
    from bench.peers.compare import Found

FLOOR = "the same values as JSON, appended to a file"
COST = "A task on the caller's thread"
PRICE = "What it takes beside"
CROWD = "Many at once"
KILL = "Left after kill -9"
LOOPS = "Overhead on loops"
TROUBLE = {
    "up": "For comparison: the server stays",
    "down": "The server goes away while the script runs",
    "hung": "The server takes all and answers nothing",
    "slow": "The server is 0.2 s late with each piece",
}
Answers = list[dict[str, Any]]
Make = Callable[[str, Answers], Measure]


def measures(found: Found) -> list[Measure]:
    """All of it, setting by setting."""
    made = [one for setting in found.plan.settings for one in _of(found, setting)]
    return [*made, *_reached(found)]


def _of(found: Found, setting: Setting) -> Iterator[Measure]:
    if setting.peer in found.missing:
        yield missing(setting.title, found.missing[setting.peer], Cell(COST, setting.title, "10 + 10 values, p50"))
        return
    for kind, table, column, make in _figures(found):
        cell = Cell(table, setting.title, column)
        what = f"{setting.title}: {table}, {column}"
        answers = found.answers.get((setting.key, kind))
        if answers:
            yield make(what, answers)._replace(cell=cell, point=_bar(setting, cell))
        elif (setting.key, kind) in found.failures:
            yield missing(what, found.failures[setting.key, kind], cell)


def _bar(setting: Setting, cell: Cell) -> Point | None:
    """The columns that are drawn."""
    drawn = {(COST, "10 + 10 values, p50"), (COST, "a point, p50"), (KILL, "tasks left"), (LOOPS, "training")}
    title = setting.title.replace("*", "").replace("`", "")
    return Point(f"{cell.table}: {cell.column}", title) if (cell.table, cell.column) in drawn else None


def _figures(found: Found) -> Iterator[tuple[str, str, str, Make]]:
    """Kind of answer, table, column, and how the measure is made."""
    for size in ("10", "0", "100"):
        yield "cost", COST, f"{size} + {size} values, p50", _cost(size, "p50")
        if size == "10":
            yield "cost", COST, "p99", _cost(size, "p99")
            yield "cost", COST, "CPU", _cost(size, "cpu")
    yield "cost", COST, "a point, p50", _cost("metric", "p50")
    for name in ("training", *(f"loop {name}" for name in found.plan.loops)):
        yield name, LOOPS, name.replace("loop ", "tasks of "), _overhead("wall")
        yield name, LOOPS, f"{name.replace('loop ', '')}, CPU of all threads", _overhead("cpu")
    for workers in found.plan.threads:
        yield f"{workers} threads", CROWD, f"{workers} threads", _rate
    for workers in found.plan.processes:
        yield f"{workers} processes", CROWD, f"{workers} processes", _rate
    yield "cost", PRICE, "import", _import(found)
    yield "whole", PRICE, "memory of 100,000 tasks", _scaled("memory", 0.1, "MB")
    yield "whole", PRICE, "CPU a task, all threads, to the end", _scaled("cpu", 1, "µs")
    yield "whole", PRICE, "tasks a second, to the end", _scaled("rate", 1, "/s")
    yield "whole", PRICE, "on disk", _per_task("disk")
    yield "whole", PRICE, "on the wire", _per_task("wire")
    yield "kill", KILL, "tasks left", _left
    for state in found.plan.states:
        yield state, TROUBLE[state], "a task, p50", _trouble("p50", "µs")
        yield state, TROUBLE[state], "longest call", _trouble("max", "µs")
        yield state, TROUBLE[state], "end of the script", _trouble("end", "s")
        yield state, TROUBLE[state], "tasks left", _left


def _cost(shape: str, figure: str) -> Make:
    def make(what: str, answers: Answers) -> Measure:
        floors = [one[shape]["floor"] for one in answers]
        return measure(what, [one[shape][figure] for one in answers], "µs", "–", FLOOR, floors)

    return make


def _overhead(clock: str) -> Make:
    def make(what: str, answers: Answers) -> Measure:
        return measure(what, [(ratio - 1) * 100 for one in answers for ratio in one[clock]], "%", "–")

    return make


def _rate(what: str, answers: Answers) -> Measure:
    failed = sum(one["failed"] for one in answers)
    made = measure(what, [rate for one in answers for rate in one["rates"]], "/s", "–")
    return made._replace(note=f"{failed:,} calls raised") if failed else made


def _import(found: Found) -> Make:
    def make(what: str, answers: Answers) -> Measure:
        floors = [one["import"] for one in found.answers.get(("pllib-memory", "cost"), [])]
        return measure(what, [one["import"] for one in answers], "ms", "–", "PLLib's import", floors or None)

    return make


def _scaled(name: str, factor: float, unit: str) -> Make:
    def make(what: str, answers: Answers) -> Measure:
        made = measure(what, [one[name] * factor for one in answers], unit, "–")
        unended = any(one.get("unended") for one in answers)
        return made._replace(note="its end was not awaited") if unended else made

    return make


def _per_task(name: str) -> Make:
    def make(what: str, answers: Answers) -> Measure:
        if answers[0][name] is None:
            return missing(what, "–")
        return measure(what, [one[name] / one["tasks"] for one in answers], "B", "–")

    return make


def _left(what: str, answers: Answers) -> Measure:
    """Share of the tasks whose calls had returned."""
    if any(one["captured"] is None for one in answers):
        return missing(what, "a call never returned")
    made = measure(what, [100 * one["kept"] / one["captured"] for one in answers], "%", "–")
    return made._replace(note=f"{answers[0]['kept']:,} of {answers[0]['captured']:,}")


def _trouble(name: str, unit: str) -> Make:
    def make(what: str, answers: Answers) -> Measure:
        blocked = [one["blocked"] for one in answers if "blocked" in one]
        if blocked:
            return missing(what, f"a call had not returned after {blocked[0]:.0f} s")
        if any(one[name] is None for one in answers):
            return missing(what, "not ended in time")
        return measure(what, [one[name] for one in answers], unit, "–")

    return make


# -- the reach table


def _reached(found: Found) -> Iterator[Measure]:
    p50 = _p50s(found)
    memory, process = p50.get("pllib-memory"), p50.get("pllib-process")
    rows = (
        ("capture-memory", memory, "flowcept-offline", 0.5, "flowcept's decorated call"),
        ("capture-memory", memory, "provlake-memory", 1.0, "provlake's in memory"),
        ("capture-process", process, "flowcept-offline", 1.0, "flowcept's offline call"),
        ("capture-process", process, "flowcept-offline-task", None, "its leanest, which leaves all work to the end"),
    )
    for key, own, peer, bound, name in rows:
        if own and peer in p50:
            floor = statistics.median(p50[peer])
            reached = None if bound is None else statistics.median(own) <= bound * floor
            yield measure(f"10 + 10 values, `{key[8:]}`, p50", own, "µs", "", name, p50[peer])._replace(
                reach=key, reached=reached
            )
    yield from _own_rows(found)


def _p50s(found: Found) -> dict[str, list[float]]:
    return {
        setting.key: [one["10"]["p50"] for one in answers]
        for setting in SETTINGS
        if (answers := found.answers.get((setting.key, "cost")))
    }


def _own_rows(found: Found) -> Iterator[Measure]:
    own = found.answers.get(("pllib-process", "cost"), [])
    if own:
        floors, samples = [one["10"]["floor"] for one in own], [one["10"]["p50"] for one in own]
        made = measure("10 + 10 values, `process`, p50", samples, "µs", "", FLOOR, floors)
        yield made._replace(reach="capture-process", reached=(made.ratio or 0) <= 3)
        floors = [one["metric"]["floor"] for one in own]
        point = measure("a point, `process`, p50", [one["metric"]["p50"] for one in own], "µs", "", FLOOR, floors)
        yield point._replace(reach="metric", reached=point.value <= 5)
    answers = found.answers.get(("pllib-process", "whole"))
    if answers:
        made = _scaled("memory", 0.1, "MB")("`process`, no tracker", answers)
        yield made._replace(reach="memory-dead", reached=made.value <= 64)
    answers = found.answers.get(("flowcept-online-redis", "whole"))
    if answers:
        yield _scaled("rate", 1, "tasks/s")("flowcept into Redis and LMDB, to the end", answers)._replace(
            reach="backlog-lmdb"
        )
