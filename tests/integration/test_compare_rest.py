"""What differs among runs, and their series side by side, over a real store."""

from __future__ import annotations

import csv
import io

import httpx
import pytest

from tests.integration.runs_graph import START, RunsGraph, chunk

NAN = float("nan")


def line(steps: range, rank: int | None = None, shift: float = 0.0) -> list[str]:
    return [chunk([(step, START + step, step + shift) for step in steps], f"p{rank}", 0, rank)]


def graph() -> RunsGraph:
    made = RunsGraph()
    for place, name in enumerate(("a", "b", "c")):
        run = made.run(
            "digits",
            name,
            parameters={"lr": [0.1, 0.1, 0.2][place], "epochs": 5} | ({"dropout": True} if place else {}),
            tags=[{"team": "x", "try": place}],
        )
        training = made.context(run, "training")
        made.series(training, "loss", line(range(place * 5, 100, place + 1)))
        made.series(made.context(run, "validation"), "loss", line(range(3)))
        _environment(made, run, place)
    ranks = [*line(range(4), 0), *line(range(4), 1, shift=2.0)]
    made.series("execution/digits/a/training/0", "spread", ranks)
    strange = [chunk([(0, START, NAN), (1, START, 1.0), (1, START, NAN), (2, START, float("inf"))], "p", 0)]
    made.series("execution/digits/b/training/0", "spread", strange)
    bare = made.run("bare", "only")
    script = {"class_": "provml:Implementation", "used": True, "store": "laptop", "facts": {"sha256": "77"}}
    made.data(bare, "script", "/home/ana/fit.py", version="s1-77", **script)
    return made


def _environment(made: RunsGraph, run: str, place: int) -> None:
    packages = {"numpy": ["2.2", "2.3", "2.3"][place], "scipy": "1.16"} | ({"torch": "2.8"} if place == 2 else {})
    environment = {"packages": packages, "python": {"version": "3.11.7", "executable": f"/env{place}/python"}}
    made.parameter(run, "environment", environment, class_=None)
    for key, facts in ((".", {"dirty": place == 1, "branch": "main"}), ("fit.py", {})):
        version = ["c0", "c0+dirty", "c0"][place]
        made.data(
            run,
            "code",
            key,
            store="git:example.org/lab/code",
            class_="provml:Implementation",
            used=True,
            version=version,
            facts=facts,
        )
    made.data(run, "train", "t.npz", class_="provml:LearningDataset", used=True, version=["v1", "v1", "v2"][place])
    made.data(run, "test", "s.npz", class_="provml:LearningDataset", used=True)


@pytest.fixture(scope="module")
def turtle() -> str:
    return graph().turtle


def compared(http: httpx.Client, what: str, runs: list[str], **more: object) -> dict:
    answer = http.get(f"/v1/compare/{what}", params={"run": [f"digits/{run}" for run in runs], **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def by_name(differences: list[dict]) -> dict[str, list]:
    return {each["name"]: each["values"] for each in differences}


def test_what_differs_among_runs_is_told_and_what_does_not_is_counted(http):
    found = compared(http, "runs", ["a", "b", "c"])
    assert found["runs"] == [f"execution/digits/{run}" for run in "abc"]
    assert by_name(found["parameters"]) == {"lr": [0.1, 0.1, 0.2], "dropout": [None, True, True]}
    assert by_name(found["tags"]) == {"try": [0, 1, 2]}
    assert by_name(found["code"]) == {"version": ["c0", "c0+dirty", "c0"], "dirty": [False, True, False]}
    assert by_name(found["datasets"]) == {"train: t.npz": ["v1", "v1", "v2"]}
    assert by_name(found["packages"]) == {"numpy": ["2.2", "2.3", "2.3"], "torch": [None, None, "2.8"]}
    assert list(by_name(found["environment"])) == ["python.executable"]
    assert found["same"] == {
        "parameters": 1,
        "tags": 1,
        "code": 3,
        "datasets": 1,
        "packages": 1,
        "environment": 1,
    }
    metrics = {(each["context"], each["name"]): each for each in found["metrics"]}
    assert set(metrics) == {("training", "loss"), ("validation", "loss"), ("training", "spread")}
    assert metrics["training", "loss"]["latest"] == [99.0, 99.0, 97.0]
    assert metrics["training", "loss"]["minimum"] == [0.0, 5.0, 10.0]
    assert metrics["training", "spread"]["latest"] == [5.0, "INF", None]


def test_equal_runs_and_a_bare_one_differ_in_what_one_of_them_lacks(http):
    same = compared(http, "runs", ["a", "a"])
    assert same["runs"] == ["execution/digits/a"]
    assert (same["parameters"], same["packages"]) == ([], [])
    bare = http.get("/v1/compare/runs?run=digits/a&run=execution/bare/only").json()
    assert by_name(bare["parameters"]) == {"lr": [0.1, None], "epochs": [5, None]}
    code = by_name(bare["code"])
    assert (code["script"], code["version"]) == (["fit.py", "/home/ana/fit.py"], ["c0", "s1-77"])
    assert code["repository"] == ["git:example.org/lab/code", None]


def test_series_are_aligned_by_the_steps_that_any_of_them_has(http):
    found = compared(http, "series", ["a", "b", "c"], name="loss", context="training")
    assert (found["alignment"], found["width"], found["steps"]) == ("steps", None, list(range(100)))
    a, b, c = (each["values"] for each in found["runs"])
    assert a == [float(step) for step in range(100)]
    assert b == [float(step) if step in range(5, 100, 2) else None for step in range(100)]
    assert c == [float(step) if step in range(10, 100, 3) else None for step in range(100)]
    assert [each["total"] for each in found["runs"]] == [100, 48, 30]
    assert found["runs"][0]["series"]["id"] == "execution/digits/a/training/0/loss"


def test_series_with_more_steps_than_rows_are_aligned_in_buckets_and_it_is_said(http):
    found = compared(http, "series", ["a", "b"], name="loss", context="training", points=10)
    assert (found["alignment"], found["width"], found["steps"]) == ("buckets", 10, list(range(0, 100, 10)))
    a, b = found["runs"]
    assert (a["values"][3], a["minimum"][3], a["maximum"][3]) == (34.5, 30.0, 39.0)
    assert (b["values"][0], b["minimum"][0], b["maximum"][0]) == (7.0, 5.0, 9.0)


def test_ranks_are_put_together_and_what_is_no_number_is_marked(http):
    found = compared(http, "series", ["a", "b"], name="spread")
    a, b = found["runs"]
    assert (a["values"], a["minimum"], a["maximum"]) == (
        [1.0, 2.0, 3.0, 4.0],
        [0.0, 1.0, 2.0, 3.0],
        [2.0, 3.0, 4.0, 5.0],
    )
    assert b["values"] == ["NaN", 1.0, "INF", None]


def test_a_window_and_csv(http):
    answer = http.get(
        "/v1/compare/series",
        params={
            "run": ["digits/a", "digits/b"],
            "name": "loss",
            "context": "training",
            "from_step": 4,
            "to_step": 7,
            "format": "csv",
        },
    )
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert rows[0] == ["step", "execution/digits/a", "execution/digits/b"]
    assert rows[1:] == [["4", "4.0", ""], ["5", "5.0", "5.0"], ["6", "6.0", ""], ["7", "7.0", "7.0"]]


@pytest.mark.parametrize(
    ("path", "status", "field"),
    [
        ("/v1/compare/runs", 400, "run"),
        ("/v1/compare/runs?run=digits", 400, "run"),
        ("/v1/compare/runs?run=digits/a/b", 400, "run"),
        ("/v1/compare/runs?run=digits/nobody", 404, "run"),
        ("/v1/compare/runs?" + "&".join(f"run=digits/{place}" for place in range(21)), 400, "run"),
        ("/v1/compare/series?run=digits/a", 422, "name"),
        ("/v1/compare/series?name=loss", 400, "run"),
        ("/v1/compare/series?name=loss&run=digits/a", 400, "context"),
        ("/v1/compare/series?name=loss&context=testing&run=digits/a", 404, "name"),
        ("/v1/compare/series?name=nothing&run=digits/a", 404, "name"),
        ("/v1/compare/series?name=loss&run=digits/nobody", 404, "run"),
        ("/v1/compare/series?name=loss&context=training&run=digits/a&points=1", 422, "points"),
    ],
)
def test_what_cannot_be_compared_is_told_in_the_house_form(http, path, status, field):
    answer = http.get(path)
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["field"] == field
    assert error["fix"]
