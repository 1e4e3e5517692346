"""Measures PLLib beside floors and peers, and writes one report with plots into ``bench/results``.

With no section everything of ``make bench`` is measured, in under 15 minutes on two cores at rest, into ``report.md``. Sections by
name are measured alone, into a file named after them. A section that fails is told in the report, the others go on, and the exit
code is 1. Figures mean something only on a machine that does nothing else meanwhile.

examples:
  python bench/run.py                 everything of make bench
  python bench/run.py peers capture   two sections of it
  python bench/run.py peers-full      the whole comparison with peers: more settings of load, slow servers, more repetitions
  python bench/run.py paper           the papers' synthetic set, ten million triples (make bench-paper)
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT))
os.environ["PYTHONPATH"] = str(CHECKOUT)

from bench import report  # noqa: E402 - after the path
from bench.measures import Measure, table  # noqa: E402
from bench.report import Outcome  # noqa: E402

RESULTS = CHECKOUT / "bench" / "results"
Work = Callable[[], list[Measure]]


class Section(NamedTuple):
    """A part of the report. ``functions`` give its measures: ``module:function`` in ``bench``, imported when it is run."""

    title: str
    functions: tuple[str, ...]
    always: bool = True
    """Whether it is in ``make bench``."""


SECTIONS = {
    "capture": Section("Capture", ("run:capture_measures",)),
    "latency": Section("A call in every state of the tracker", ("run:latency_measures",)),
    "overhead": Section("Loops of tasks, with capture and without", ("overhead:measures",)),
    "peers": Section("Beside the peers", ("peers.compare:measures",)),
    "ingest": Section("Ingest: from accepted to visible", ("ingest:measures",)),
    "pipeline": Section("Queues and the path to an answer", ("run:pipeline_measures",)),
    "queries": Section("Queries", ("queries:measures",)),
    "paper": Section("The papers' synthetic set", ("paper:measures",), always=False),
    "growth": Section("Ingest and point queries in a store that grows", ("ingest:growth",), always=False),
    "stores": Section("Fuseki, and two managers", ("stores:measures",), always=False),
    "peers-full": Section("Beside the peers, the whole matrix", ("peers.compare:full",), always=False),
    "latency-paced": Section(
        "Paced calls in every state of the tracker, and the client's memory in an hour",
        ("run:paced_measures",),
        always=False,
    ),
    "documents": Section("PROV documents", ("prov_documents:documents",), always=False),
    "extraction": Section("Extraction from git and MLflow", ("extraction:extraction",), always=False),
}


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def capture_measures() -> list[Measure]:
    """What needs no service."""
    from bench import capture, points, telemetry

    say("import …")
    measures = [capture.import_time()]
    for mode in ("memory", "process", "disk"):
        say(f"capture, {mode} …")
        measures += [capture.capture(mode), capture.capture(mode, "pllib[fast]")]
    for mode in ("memory", "process", "disk"):
        say(f"points of series, {mode} …")
        measures += points.points(mode)
    say("telemetry …")
    return [*measures, *points.bytes_of_points(), telemetry.sample()]


def latency_measures() -> list[Measure]:
    """What a call costs in every state of the tracker, at full speed."""
    return _latency("full")


def _latency(pace: str) -> list[Measure]:
    from bench import latency

    measures = []
    for state in latency.STATES:
        say(f"latency, tracker {state}, {pace} …")
        measures += latency.latency(state, pace)
    return measures


def paced_measures() -> list[Measure]:
    """The same for calls with work between them, and what the client keeps in memory with no tracker."""
    from bench import latency

    measures = _latency("paced")
    for mode in latency.MEMORY_MODES:
        say(f"memory, {mode} …")
        measures.append(latency.memory(mode))
    return measures


def pipeline_measures() -> list[Measure]:
    """The queues, and a stack of services from capture to lineage."""
    from bench import pipeline, queues

    say("queues …")
    measures = [queues.embedded(), *queues.on_server(), queues.tracker()]
    say("starting services …")
    with pipeline.stack() as urls:
        say("chain of 1,000 tasks …")
        measures.append(pipeline.chain(urls, 1000))
        say("lineage …")
        measures.append(pipeline.lineage(urls))
        say("time until visible …")
        measures.append(pipeline.visible(urls))
    return measures


def found(path: str) -> Work:
    """The function of a path ``module:function`` in ``bench``."""
    module, _, name = path.partition(":")
    work: Work = globals()[name] if module == "run" else getattr(importlib.import_module(f"bench.{module}"), name)
    return work


def run_section(name: str, section: Section) -> Outcome:
    """Its measures; whatever it fails with is told on standard error and in the outcome, with what it measured before."""
    say(f"== {name} ==")
    start = time.monotonic()
    measures: list[Measure] = []
    error = ""
    try:
        for path in section.functions:
            measures += found(path)()
    except (Exception, SystemExit) as failure:  # noqa: BLE001 - the other sections go on; the exit code tells
        traceback.print_exc()
        error = f"{type(failure).__name__}: {failure}".splitlines()[0][:300]
    seconds = time.monotonic() - start
    say(f"   {seconds:.0f} s")
    return Outcome(name, section.title, measures, seconds, error)


def run(names: Sequence[str], folder: Path, sections: dict[str, Section], command: str) -> int:
    """Runs the sections (all of ``make bench`` when none is named) and writes the report; the exit code."""
    chosen = list(names) or [name for name, section in sections.items() if section.always]
    outcomes = [run_section(name, sections[name]) for name in chosen]
    file = report.write(outcomes, folder, command, not names, _versions_of_peers())
    say("")
    for outcome in outcomes:
        if outcome.measures:
            print(f"{outcome.title}\n\n{table(outcome.measures)}\n")
        if outcome.error:
            say(f"{outcome.name} failed: {outcome.error}")
    say(f"the report is {file}")
    return int(any(outcome.error for outcome in outcomes))


def _versions_of_peers() -> dict[str, str]:
    """Of the environments that are there."""
    from bench.peers import environments

    return environments.versions()


def main(arguments: Sequence[str]) -> int:
    lines = [
        f"  {name:<15}{section.title}{'' if section.always else ' (only by name)'}"
        for name, section in SECTIONS.items()
    ]
    parser = argparse.ArgumentParser(
        prog="bench/run.py",
        description=__doc__,
        epilog="sections:\n" + "\n".join(lines),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "sections", nargs="*", metavar="SECTION", help="what to measure; with none, everything of make bench"
    )
    parser.add_argument(
        "--results", type=Path, default=RESULTS, metavar="DIR", help="where the report goes (bench/results)"
    )
    given = parser.parse_args(arguments)
    unknown = [name for name in given.sections if name not in SECTIONS]
    if unknown:
        parser.error(f"no section is called {', '.join(unknown)}; there are {', '.join(SECTIONS)}")
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
        os.environ["TMPDIR"] = tempfile.tempdir = folder  # of all that is started, so that nothing of it stays
        return run(given.sections, given.results, SECTIONS, " ".join(["python bench/run.py", *arguments]))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
