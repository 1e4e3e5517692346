"""What is to be reached, row by row. A measure answers a row by its ``reach``; it says itself whether the row is met."""

from __future__ import annotations

from bench.measures import Measure

ROWS = {
    "capture-memory": (
        "capture of a task (10 + 10 values, both ends), `memory`",
        "at most half of flowcept's decorated call, and below provlake's in-memory client",
    ),
    "capture-process": (
        "the same, default durable spool",
        "below flowcept's offline call, which is not durable; ≤ 3 × JSON and append of the same values",
    ),
    "metric": ("one metric point", "≤ 5 µs p50, durable"),
    "overhead-10ms": ("overhead on a loop of 10 ms tasks, online", "≤ 1 %"),
    "overhead-1ms": ("overhead on a loop of 1 ms tasks, online", "≤ 5 %"),
    "memory-dead": ("client memory per 100,000 tasks under a dead server", "≤ 64 MB"),
    "backlog": ("ingest under backlog", "≥ 80 % of the store's own bulk load of the same triples from a file"),
    "backlog-lmdb": ("ingest under backlog beside flowcept into LMDB", "≥ its tasks a second (a stretch)"),
    "visible": ("visible after capture, at rest", "p50 ≤ 0.5 s, p99 ≤ 1 s"),
    "papers": ("Q1 / Q5 / Q7 at 10 million triples", "≤ 50 ms / 1 s / 1 s"),
    "lineage": ("lineage, 1,000 deep with 10,000 values", "≤ 200 ms; cost linear in the answer"),
    "growth": ("ingest at 10 million triples", "≥ 70 % of the rate at 100,000; point queries flat"),
}
"""By key: what, and the aim."""


def verdict(measures: list[Measure]) -> str:
    """``met``, ``missed`` or ``not in this run``, for the measures of one row: it is met when all of them are.

    Nothing where they stand beside each other with no bound.
    """
    told = [one.reached for one in measures if one.reached is not None]
    if not told:
        return "" if measures else "not in this run"
    return "met" if all(told) else "**missed**"


def table(measures: list[Measure]) -> str:
    """Markdown: each row, what was found, and whether it is met."""
    lines = ["| what | to reach | found | |", "|---|---|---|---|"]
    for key, (what, aim) in ROWS.items():
        answers = [one for one in measures if one.reach == key]
        found = "; ".join(_found(one) for one in answers) or "–"
        lines.append(f"| {what} | {aim} | {found} | {verdict(answers)} |")
    return "\n".join(lines)


def _found(one: Measure) -> str:
    if one.value != one.value:
        return f"{one.what}: missing, {one.note}"
    ratio = f", {one.ratio:.2f} × {one.floor_is}" if one.ratio is not None else ""
    return f"{one.what}: {one.value:.3g} {one.unit} ± {one.spread:.2g}{ratio}"
