"""``pllib runs`` and ``Client``'s questions about runs, against a real query engine and store."""

from __future__ import annotations

import csv
import io
import json
import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import pytest

from pllib.cli import main
from pllib.query import Client, QueryRefused
from tests.integration.query_graph import Served
from tests.integration.runs_graph import START, RunsGraph, chunk

NAN = float("nan")
HOSTILE = "my execution/ü:1"


def graph() -> RunsGraph:
    made = RunsGraph()
    for place, last in enumerate((0.5, 0.2, 0.9)):
        run = made.run(
            "my-execution",
            f"r{place}",
            parameters={"lr": [0.1, 0.01, 0.1][place], "bias": place == 0},
            tags=[{"team": "a"}],
            started=START + place * 1_000_000_000,
            status="failed" if place == 2 else "finished",
        )
        values = [1.0, NAN, 0.7, last]
        points = [(step, START + step * 1_000_000, value) for step, value in enumerate(values)]
        made.series(made.context(run, "validation"), "loss", [chunk(points, "aa", 0)], unit="nat")
        made.series(made.context(run, "training"), "loss", [chunk(points[:1], "aa", 0)])
        made.series(run, "epochs per second", [chunk([(0, START, 2.5)], "aa", 0)])
        made.data(run, "model", "m.pkl", class_="provml:Model", version=f"v{place}", facts={"parameters": 7})
        made.session(run, "aa-0", process="aa", rank=0)
        made.series(run, "energy_consumed", [chunk([(0, START, 0.25)], "aa", 0)], unit="kWh", telemetry=True)
    long = made.run("long", "one")
    made.series(long, "loss", [chunk([(step, START + step, 1 / (step + 1)) for step in range(5000)], "aa", 0)])
    made.series(made.run(HOSTILE, "a b"), "loss/µ", [chunk([(0, START, 1.0)], "aa", 0)])
    made.say("execution/my-execution/r2", 'provlake:errorType "ValueError"', 'provlake:errorMessage "no\\nsuch"')
    return made


@pytest.fixture(scope="module")
def turtle() -> str:
    return graph().turtle


@pytest.fixture(scope="module")
def url(engine: Served) -> str:
    return engine.query_url


@pytest.fixture(scope="module")
def client(url: str) -> Client:
    return Client(url)


@pytest.fixture
def pllib(
    url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    """A function that runs ``pllib runs``: its exit code, what it printed, and its complaints."""
    monkeypatch.setenv("PLLIB_QUERY_URL", url)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(["runs", *arguments])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def test_the_client_lists_and_ranks_runs(client):
    best = next(client.runs(experiment="my-execution", metric="loss", context="validation"))
    assert best["execution"] == "r1"
    assert [run["execution"] for run in client.runs(params={"lr": 0.1}, order="asc")] == ["r0", "r2"]
    assert [run["execution"] for run in client.runs(params={"bias": True})] == ["r0"]
    assert len(list(client.runs(limit=1))) == 5
    assert client.run(best["iri"])["id"] == client.run("my-execution/r1")["id"] == client.run(best["id"])["id"]


def test_the_client_fetches_series_with_numbers_that_json_lacks(client):
    found = client.series("my-execution/r0", "loss", context="validation")
    assert found["steps"] == [0, 1, 2, 3]
    assert math.isnan(found["values"][1])
    assert client.series(found["series"]["iri"])["total"] == client.series(found["series"]["id"])["total"] == 4
    hostile = next(client.runs(experiment=HOSTILE))
    assert client.series(hostile["id"], "loss/µ")["values"] == [1.0]
    assert [each["name"] for each in client.run_series(hostile["id"])] == ["loss/µ"]
    aligned = client.compare(["my-execution/r0", "my-execution/r1"], "loss", context="validation")
    assert math.isnan(aligned["runs"][1]["values"][1])
    assert [each["name"] for each in client.compare(["my-execution/r0", "my-execution/r1"])["parameters"]] == [
        "bias",
        "lr",
    ]
    with pytest.raises(QueryRefused, match="no series"):
        client.series("my-execution/r0", "nothing")


def test_runs_as_a_table(pllib):
    code, out, err = pllib("list", "--experiment", "my-execution", "--metric", "loss", "--context", "validation")
    lines = out.splitlines()
    assert code == 0
    assert lines[0].split()[:6] == ["run", "status", "started", "seconds", "bias", "lr"]
    assert [line.split()[0] for line in lines[2:]] == ["my-execution/r1", "my-execution/r0", "my-execution/r2"]
    assert "validation/loss" in lines[0]
    assert err == ""


def test_runs_as_json_lines_and_csv(pllib):
    _, out, _ = pllib("list", "--param", "lr=0.1", "--format", "json", "--order", "asc")
    assert [json.loads(line)["execution"] for line in out.splitlines()] == ["r0", "r2"]
    _, out, _ = pllib("list", "--experiment", "my-execution", "--format", "csv", "--limit", "2")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["run"] for row in rows] == ["my-execution/r2", "my-execution/r1"]
    assert rows[0]["parameters.lr"] == "0.1"
    assert rows[0]["tags.team"] == "a"
    assert rows[0]["metrics.validation/loss.latest"] == "0.9"


def test_one_run_is_shown_with_all_that_is_known(pllib):
    code, out, _ = pllib("show", "my-execution/r2")
    assert code == 0
    for text in (
        "failed",
        "ValueError no such",
        "Parameters",
        "Metrics",
        "validation/loss",
        "Models",
        "m.pkl",
        "parameters=7",
    ):
        assert text in out
    for text in ("Sessions", "agent/process/aa", "Energy and carbon", "kWh"):
        assert text in out
    _, out, _ = pllib("show", "my-execution/r2", "--format", "json")
    assert json.loads(out)["energy"]["energy_consumed"] == {"value": 0.25, "unit": "kWh"}


def test_runs_are_compared(pllib):
    code, out, _ = pllib("compare", "my-execution/r0", "my-execution/r1")
    assert code == 0
    assert [line.split() for line in out.splitlines() if line.startswith("parameters")] == [
        ["parameters", "bias", "True", "False"],
        ["parameters", "lr", "0.1", "0.01"],
    ]
    assert ["latest", "validation/loss", "0.5", "0.2"] in [line.split() for line in out.splitlines()]
    assert "the same in all: 1 tags" in out
    _, out, _ = pllib("compare", "my-execution/r0", "my-execution/r1", "--format", "csv")
    assert ["parameters", "lr", "0.1", "0.01"] in list(csv.reader(io.StringIO(out)))


def test_a_series_is_shown_as_a_course_and_as_points(pllib):
    code, out, _ = pllib("series", "loss", "my-execution/r0", "--context", "validation")
    assert code == 0
    assert "█x" in out
    assert "4 of 4 points; 1 NaN" in out
    _, out, _ = pllib("series", "loss", "my-execution/r0", "--context", "validation", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["value"] for row in rows] == ["1.0", "NaN", "0.7", "0.5"]
    _, out, _ = pllib("series", "loss", "long/one", "--points", "50", "--format", "json")
    assert len(json.loads(out)["steps"]) == 50
    _, out, _ = pllib("series", "loss", "long/one", "--points", "50")
    assert "50 of 5000 points, chosen by lttb" in out


def test_series_of_several_runs_side_by_side(pllib):
    code, out, _ = pllib("series", "loss", "my-execution/r0", "my-execution/r1", "--context", "validation")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[2:4]] == ["my-execution/r0", "my-execution/r1"]
    _, out, _ = pllib(
        "series", "loss", "my-execution/r0", "my-execution/r1", "--context", "validation", "--format", "csv"
    )
    assert list(csv.reader(io.StringIO(out)))[-1] == ["3", "0.5", "0.2"]


@pytest.mark.parametrize("more", [["my-execution/r1"], [], ["--x", "time"]])
def test_series_are_drawn(pllib, tmp_path: Path, more: list[str]):
    path = tmp_path / "loss.svg"
    code, out, _ = pllib("series", "loss", "my-execution/r0", *more, "--context", "validation", "--svg", str(path))
    assert (code, out) == (0, "")
    root = ElementTree.parse(path).getroot()  # noqa: S314 - our own text
    texts = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "loss [nat]" in texts
    assert ("my-execution/r1" in texts) == bool(more and more[0] != "--x")


def test_the_only_context_need_not_be_said(pllib):
    code, out, _ = pllib("series", "epochs per second", "my-execution/r0")
    assert code == 0
    assert "1 of 1 points" in out


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["show", "my-execution/nobody"], 1, "no run with the id"),
        (["show", "nobody"], 2, "'nobody' names no execution: write WORKFLOW/EXECUTION"),
        (["list", "--metric", "accurcy"], 1, "no run has a metric"),
        (["list", "--param", "lr"], 2, "NAME=VALUE"),
        (["list", "--limit", "0"], 2, "--limit"),
        (["series", "loss", "my-execution/r0"], 2, "validation"),
        (["series", "loss", "my-execution/r0", "my-execution/r1", "--x", "time"], 2, "aligned by step"),
        (["series", "nothing", "my-execution/r0"], 1, "no series"),
        (["series", "loss", "long/one", "--points", "3"], 1, "points"),
        (["compare", "nobody"], 2, "WORKFLOW/EXECUTION"),
        (["show", "x/y", "--query-url", "http://127.0.0.1:9"], 1, "no answer"),
    ],
)
def test_what_cannot_be_done_is_said_with_the_exit_code_of_its_kind(pllib, arguments, code, told):
    found, out, err = pllib(*arguments)
    assert found == code
    assert told in err
    assert out == ""
