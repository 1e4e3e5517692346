"""The measures of the whole path, each beside a floor measured in the same run, printed and kept in ``bench/results``.

python bench/run.py            everything, some ten minutes
python bench/run.py capture    only what needs no service
python bench/run.py documents  only PROV documents, in every format; not among everything
python bench/run.py latency    only what a call costs in every state of the tracker, and the client's memory
"""

from __future__ import annotations

import datetime
import os
import platform
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT))
os.environ["PYTHONPATH"] = str(CHECKOUT)

from bench import capture, extraction, latency, pipeline, points, prov_documents, queues, telemetry  # noqa: E402 - after the path
from bench.measures import Measure, table  # noqa: E402


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _capture() -> list[Measure]:
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


def _latency() -> list[Measure]:
    measures = []
    for pace in latency.CALLS:
        for state in latency.STATES:
            say(f"latency, tracker {state}, {pace} …")
            measures += latency.latency(state, pace)
    for mode in latency.MEMORY_MODES:
        say(f"memory, {mode} …")
        measures.append(latency.memory(mode))
    return measures


def _pipeline() -> list[Measure]:
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


def main(what: list[str]) -> int:
    measures: list[Measure] = []
    if not what or "capture" in what:
        measures += _capture()
    if not what or "latency" in what:
        measures += _latency()
    if "documents" in what:
        say("PROV documents …")
        measures += prov_documents.documents()
    if "extraction" in what:
        say("extraction …")
        measures += extraction.extraction()
    if not what:
        measures += _pipeline()
    machine = f"{platform.platform()}, {os.cpu_count()} processors, Python {platform.python_version()}"
    when = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    report = f"# Measures of {when}\n\n{machine}. Medians; the floor is measured in turn with the figure.\n\n{table(measures)}\n"
    print(report)
    results = CHECKOUT / "bench" / "results"
    results.mkdir(exist_ok=True)
    (results / "latest.md").write_text(report)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
