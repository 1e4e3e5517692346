"""Runs over a real store: the table and its filters, ranking, one run in full, and what differs among several."""

from __future__ import annotations

import httpx
import pytest

from tests.integration.runs_graph import START, RunsGraph, chunk

NAN = float("nan")
DAY = 86_400_000_000
HOSTILE = 'ex/per:"iment" ü%2F'


def measured(values: list[float], by: str = "aa") -> list[str]:
    return [chunk([(step, START + step, value) for step, value in enumerate(values)], by, 0)]


def graph() -> RunsGraph:
    made = RunsGraph()
    losses = {"r1": [0.9, 0.5], "r2": [0.8, 0.1, 0.3], "r3": [0.7, NAN], "r4": [0.4]}
    rates = {"r1": 0.1, "r2": 0.01, "r3": 0.1, "r4": "0.1"}
    for place, (name, values) in enumerate(losses.items()):
        run = made.run(
            "digits",
            name,
            parameters={"lr": rates[name], "epochs": place, "fixed": "same"},
            tags=[{"place": place}, {"team": "a"}],
            started=START + place * DAY,
            status="failed" if name == "r3" else "finished",
            study="numbers",
            person="ana" if place % 2 else "bob",
        )
        made.series(made.context(run, "validation"), "loss", measured(values))
        made.series(made.context(run, "training"), "loss", measured([value / 10 for value in values]))
        made.series(run, "cpu.percent", measured([float(place)]), unit="%", telemetry=True)
        _uses(made, run, place)
    running = made.run("digits", "r5", started=START + 9 * DAY, seconds=None, status=None)
    made.parameter(running, "lr", 0.1)
    made.parameter(made.context(running, "training"), "depth", 3)
    made.say(running, "provlake:within <execution/digits/r1/training/0>")
    made.session(running, "aa-0", process="aa", rank=0, seconds=None, status=None)
    made.session(running, "bb-0", process="bb", rank=1, started=START + 5, status="failed", resumes=True)
    made.series(made.run(HOSTILE, 'a"b/c', parameters={'p/"x": é': 'v"\\ /'}), 'm/"', measured([1.0]))
    made.say("execution/plain/p-1", "a provlake:WorkflowExecution", "prov:wasInfluencedBy <workflow/plain>")
    return made


def _uses(made: RunsGraph, run: str, place: int) -> None:
    training = f"{run}/training/0"
    made.data(training, "train", "train.npz", class_="provml:LearningDataset", used=True, facts={"length": 1797})
    made.data(
        training,
        "model",
        f"model-{place}.pkl",
        class_="provml:Model",
        facts={"framework": "sklearn", "parameters": 650},
    )
    made.data(run, "plot", "plot.png", version=f"s1-{place}")
    commit = {0: "decaf0", 2: "c0ffee+17"}.get(place, "c0ffee")  # a tree that was changed is another state
    for key in (".", "train.py"):
        made.data(
            run,
            "code",
            key,
            store="git:example.org/lab/code",
            class_="provml:Implementation",
            used=True,
            version=commit,
            facts={"dirty": place == 2, "branch": "main"} if key == "." else {},
        )
    packages = {"numpy": "2.3" if place else "2.2", "scipy": "1.16"} | ({"torch": "2.8"} if place == 1 else {})
    environment = {"packages": packages, "python": {"version": "3.11.7"}, "platform": {"host": f"node{place}"}}
    made.parameter(run, "environment", environment, class_=None)
    made.parameter(run, "note", f"n{place}", class_=None)
    for name, unit in (("emissions", "kg CO2eq"), ("energy_consumed", "kWh")):
        made.series(run, name, measured([0.5 + place]), unit=unit, telemetry=True)


@pytest.fixture(scope="module")
def turtle() -> str:
    return graph().turtle


def runs(http: httpx.Client, **filters: object) -> list[dict]:
    answer = http.get("/v1/runs", params={"experiment": "digits", **filters})
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


def names(http: httpx.Client, **filters: object) -> list[str]:
    return [run["execution"] for run in runs(http, **filters)]


def test_runs_are_a_table_of_parameters_tags_and_metrics(http):
    found = runs(http)
    assert [run["execution"] for run in found] == ["r5", "r4", "r3", "r2", "r1"]
    second = found[3]
    assert second["parameters"] == {"lr": 0.01, "epochs": 1, "fixed": "same"}
    assert second["tags"] == {"place": 1, "team": "a"}
    metrics = {(metric["context"], metric["name"]): metric for metric in second["metrics"]}
    assert set(metrics) == {("training", "loss"), ("validation", "loss")}
    loss = metrics["validation", "loss"]
    assert (loss["latest"], loss["minimum"], loss["maximum"], loss["last_step"]) == (0.3, 0.1, 0.8, 2)
    assert (second["status"], second["duration"], second["sessions"]) == ("finished", 60.0, 0)
    running = found[0]
    assert (running["status"], running["ended"], running["sessions"]) == ("running", None, 2)
    assert running["parameters"] == {"lr": 0.1, "depth": 3}


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"metric": "loss", "context": "validation", "limit": 1}, ["r2"]),
        ({"metric": "loss", "context": "validation"}, ["r2", "r4", "r1", "r3"]),
        ({"metric": "loss", "context": "validation", "order": "desc"}, ["r1", "r4", "r2", "r3"]),
        ({"metric": "loss", "context": "validation", "by": "minimum"}, ["r2", "r4", "r1", "r3"]),
        ({"metric": "loss", "context": "validation", "by": "maximum", "order": "desc"}, ["r1", "r2", "r3", "r4"]),
        ({"metric": "loss"}, ["r2", "r4", "r1", "r3"]),
        ({"metric": "loss", "context": ""}, []),
        ({"metric": "cpu.percent", "context": "", "order": "desc"}, ["r4", "r3", "r2", "r1"]),
        ({"metric": "loss", "context": "validation", "status": "failed"}, ["r3"]),
        ({"param.lr": "0.1"}, ["r5", "r4", "r3", "r1"]),
        ({"param.lr": "0.1", "param.epochs": "0"}, ["r1"]),
        ({"param.lr": "0.1", "metric": "loss", "context": "validation"}, ["r4", "r1", "r3"]),
        ({"param.depth": "3"}, ["r5"]),
        ({"param.fixed": "other"}, []),
        ({"param.note": "n0"}, []),
        ({"status": "running"}, ["r5"]),
        ({"person": "ana"}, ["r4", "r2"]),
        ({"study": "numbers", "order": "asc", "limit": 2}, ["r1", "r2"]),
        ({"study": "nothing"}, []),
        ({"experiment": "nothing"}, []),
        ({"experiment": HOSTILE, 'param.p/"x": é': 'v"\\ /'}, ['a"b/c']),
    ],
)
def test_runs_are_filtered_and_ranked_by_parameters_of_the_request(http, filters, found):
    assert names(http, **filters) == found


def test_top_runs_is_a_named_analysis_with_a_column_a_parameter(http):
    def top(**parameters: str) -> list[tuple[str, float]]:
        answer = http.get("/v1/analyses/top-runs/run", params=parameters)
        assert answer.status_code == 200, answer.text
        return [(row["run"].rpartition("/")[2], row["latest"]) for row in answer.json()["rows"]]

    validation = {"context": "validation", "experiment": "digits"}
    assert top(**validation) == [("r2", 0.3), ("r4", 0.4), ("r1", 0.5)]
    assert top(best="greatest", **validation) == [("r1", 0.5), ("r4", 0.4), ("r2", 0.3)]
    assert [run for run, _ in top()] == ["r2", "r4", "r1", "r2", "r4", "r1"]
    assert top(experiment="nothing") == []
    assert top(metric="emissions", best="greatest")[0] == ("r4", 3.5)
    (row, *_) = http.get("/v1/analyses/top-runs/run", params=validation).json()["rows"]
    assert (row["lr"], row["epochs"], row["minimum"], row["part"]) == (0.01, 1, 0.1, "validation")


def test_a_reading_of_the_machine_that_ranks_is_among_the_metrics(http):
    (run, *_) = runs(http, metric="cpu.percent", order="desc")
    assert ("cpu.percent", 3.0) in [(metric["name"], metric["latest"]) for metric in run["metrics"]]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/runs",
        "/v1/runs?order=asc",
        "/v1/runs?metric=loss&context=validation",
        "/v1/runs?metric=loss&order=desc&by=maximum",
        "/v1/runs?param.lr=0.1",
    ],
)
def test_pages_of_one_give_the_same_runs(http, path):
    whole = [run["id"] for run in http.get(path).json()["items"]]
    found, following = [], f"{path}{'&' if '?' in path else '?'}limit=1"
    while following:
        page = http.get(following).json()
        found += [run["id"] for run in page["items"]]
        following = page["next"]
    assert found == whole
    assert len(whole) > 1


def test_only_runs_of_experiments_are_listed(http):
    assert {run["experiment"] for run in http.get("/v1/runs").json()["items"]} == {"digits", HOSTILE}


def test_a_run_in_full(http):
    run = http.get("/v1/runs/digits/r3").json()
    assert run["parameters"] == {"lr": 0.1, "epochs": 2, "fixed": "same"}
    assert (run["studies"], run["agents"]) == (["numbers"], ["agent/person/bob"])
    assert {part["transformation"] for part in run["contexts"]} == {"training", "validation"}
    (model,) = run["models"]
    assert model["data"]["key"] == "model-2.pkl"
    assert (model["context"], model["role"]) == ("training", "generated")
    assert model["facts"] == {"framework": "sklearn", "parameters": 650}
    (dataset,) = run["datasets"]
    assert (dataset["data"]["key"], dataset["role"], dataset["facts"]) == ("train.npz", "used", {"length": 1797})
    assert [item["data"]["key"] for item in run["artifacts"]] == ["plot.png"]
    code = {item["data"]["key"]: item for item in run["code"]}
    assert set(code) == {".", "train.py"}
    assert (code["."]["data"]["version"], code["."]["facts"]) == ("c0ffee+17", {"dirty": True, "branch": "main"})
    assert run["environment"]["packages"] == {"numpy": "2.3", "scipy": "1.16"}
    assert [(value["names"], value["value"]) for value in run["values"]] == [(["note"], "n2")]
    assert run["energy"] == {
        "emissions": {"value": 2.5, "unit": "kg CO2eq"},
        "energy_consumed": {"value": 2.5, "unit": "kWh"},
    }
    assert "cpu.percent" in {series["name"] for series in run["telemetry"]}
    assert run["truncated"] is False


def test_nested_runs_and_sessions_are_told_from_both_sides(http):
    outer, inner = http.get("/v1/runs/digits/r1").json(), http.get("/v1/runs/digits/r5").json()
    (nested,) = outer["nested"]
    assert (nested["id"], nested["status"]) == ("execution/digits/r5", "running")
    assert nested["inside"] == "execution/digits/r1/training/0"
    assert inner["within"] == ["execution/digits/r1/training/0"]
    assert [(part["process"], part["rank"], part["status"], part["resumes"]) for part in inner["parts"]] == [
        ("agent/process/aa", 0, "running", False),
        ("agent/process/bb", 1, "failed", True),
    ]
    execution = http.get("/v1/executions/digits/r5").json()
    assert execution["session_count"] == 2
    assert execution["sessions"] == inner["parts"]
    assert http.get("/v1/executions/digits/r1").json()["metadata"] == {"place": 0, "team": "a"}


def test_hostile_names_of_experiments_and_runs_are_found(http):
    (run,) = runs(http, experiment=HOSTILE)
    path = "/v1/runs/" + run["id"].removeprefix("execution/")
    found = http.get(path).json()
    assert (found["experiment"], found["execution"]) == (HOSTILE, 'a"b/c')
    assert found["parameters"] == {'p/"x": é': 'v"\\ /'}
    assert [metric["name"] for metric in found["metrics"]] == ['m/"']


@pytest.mark.parametrize(
    ("path", "status", "code", "field"),
    [
        ("/v1/runs/digits/nobody", 404, "not_found", "execution"),
        ("/v1/runs?metric=accurcy", 404, "not_found", "metric"),
        ("/v1/runs?metric=loss&order=up", 400, "bad_parameter", "order"),
        ("/v1/runs?metric=loss&by=mean", 400, "bad_parameter", "by"),
        ("/v1/runs?by=latest", 400, "bad_parameter", "by"),
        ("/v1/runs?context=training", 400, "bad_parameter", "context"),
        ("/v1/runs?status=asleep", 400, "bad_parameter", "status"),
        ("/v1/runs?param.=1", 400, "bad_parameter", "param."),
        ("/v1/runs?limit=0", 422, "bad_parameter", "limit"),
        ("/v1/runs?metric=loss&cursor=x", 400, "bad_cursor", "cursor"),
        ("/v1/runs?" + "&".join(f"param.p{place}=1" for place in range(30)), 400, "bad_parameter", "param"),
    ],
)
def test_what_cannot_be_answered_is_told_in_the_house_form(http, path, status, code, field):
    answer = http.get(path)
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert (error["code"], error["field"]) == (code, field)
    assert error["fix"]
    if field == "metric":
        assert "loss" in error["fix"]


def test_a_cursor_of_a_ranking_holds_a_number_and_one_of_times_is_refused(http):
    by_time = http.get("/v1/runs?limit=1").json()["next"].partition("cursor=")[2]
    answer = http.get(f"/v1/runs?metric=loss&limit=1&cursor={by_time}")
    assert answer.json()["error"]["code"] == "bad_cursor"
