"""Series over a real store: their points whatever chunks bring them, and how they look beside all else."""

from __future__ import annotations

import csv
import io

import httpx
import pytest

from tests.integration.runs_graph import START, RunsGraph, chunk

NAN, INF = float("nan"), float("inf")
HOSTILE = 'loss/"mean": µ\\ <b>%2F'


def graph() -> RunsGraph:
    made = RunsGraph()
    run = made.run("digits", "a-1", seconds=None, status=None)
    training = made.context(run, "training")
    points = [(step, START + step * 1000, 1.0 / (step + 1)) for step in range(3000)]
    chunks = [chunk(points[begin : begin + 1000], "aa", begin) for begin in range(0, 3000, 1000)]
    made.series(training, "loss", chunks)
    made.series(
        run,
        "strange",
        [
            chunk([(-5, START, 1.5), (3, START + 1, NAN), (-7, START + 2, 2.5)], "aa", 0),
            chunk([(3, START + 3, INF), (2, START + 4, -INF), (3, START + 3, -1e308)], "aa", 3),
        ],
    )
    ranks = []
    for rank in (0, 1):
        of_rank = [(step, START + step * 10 + rank, float(step + 100 * rank)) for step in range(10)]
        # The same points again in other chunks: a producer that had to begin anew, or chunks written by another hand.
        ranks += [chunk(of_rank[:6], f"p{rank}", 0, rank), chunk(of_rank[3:], f"p{rank}", 3, rank)]
        ranks += [chunk(of_rank[2:4], f"p{rank}", 2, rank)]
    made.series(training, "shared", reversed(ranks))
    made.series(run, HOSTILE, [chunk([(0, START, 0.25)], 'p/"q"', 0)])
    made.series(made.context(run, 'con/text: "ü"'), "x", [chunk([(0, START, 0.5)], "aa", 0)])
    made.series(run, "cpu.percent", [chunk([(0, START, 12.5)], "aa", 0)], unit="%", telemetry=True)
    made.series(made.context(run, "fit", "12"), "only", [])
    return made


@pytest.fixture(scope="module")
def turtle() -> str:
    return graph().turtle


def listed(http: httpx.Client, **filters: object) -> dict[str, dict]:
    answer = http.get("/v1/runs/digits/a-1/series", params=filters)
    assert answer.status_code == 200, answer.text
    return {item["name"]: item for item in answer.json()["items"]}


def points(http: httpx.Client, name: str, **parameters: object) -> dict:
    answer = http.get(listed(http)[name]["points"], params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_series_of_a_run_are_listed_with_what_they_have_come_to(http):
    found = listed(http)
    assert set(found) == {"loss", "strange", "shared", HOSTILE, "x", "cpu.percent", "only"}
    loss = found["loss"]
    assert loss["id"] == "execution/digits/a-1/training/0/loss"
    assert (loss["context"], loss["activity"]) == ("training", "execution/digits/a-1/training/0")
    assert (loss["latest"], loss["minimum"], loss["maximum"]) == (1 / 3000, 1 / 3000, 1.0)
    assert (loss["last_step"], loss["chunks"], loss["telemetry"]) == (2999, 3, False)
    assert (found["cpu.percent"]["unit"], found["cpu.percent"]["telemetry"]) == ("%", True)
    assert found["strange"]["context"] is None
    assert found["only"]["context"] == "fit/12"
    assert (found["only"]["latest"], found["only"]["chunks"]) == (None, 0)


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({"context": "training"}, {"loss", "shared"}),
        ({"context": "training", "name": "loss"}, {"loss"}),
        ({"context": ""}, {"strange", HOSTILE, "cpu.percent"}),
        ({"context": 'con/text: "ü"'}, {"x"}),
        ({"name": HOSTILE}, {HOSTILE}),
        ({"telemetry": True}, {"cpu.percent"}),
        ({"telemetry": False, "context": ""}, {"strange", HOSTILE}),
        ({"context": "nowhere"}, set()),
    ],
)
def test_series_are_filtered(http, filters, names):
    assert set(listed(http, **filters)) == names


def test_pages_of_one_give_the_same_series(http):
    whole, found, following = list(listed(http)), [], "/v1/runs/digits/a-1/series?limit=1"
    while following:
        page = http.get(following).json()
        found += [item["name"] for item in page["items"]]
        following = page["next"]
    assert found == whole


def test_all_points_come_when_there_is_room_for_them(http):
    found = points(http, "loss", points=3000)
    assert found["steps"] == list(range(3000))
    assert found["values"] == [1.0 / (step + 1) for step in range(3000)]
    assert found["times"][1].endswith(".001000Z")
    assert (found["total"], found["returned"], found["downsampled"], found["method"]) == (3000, 3000, False, None)
    assert (found["producers"], found["sources"]) == ([{"process": "agent/process/aa", "rank": None}], None)


@pytest.mark.parametrize("method", ["lttb", "minmax", "every"])
def test_fewer_points_are_chosen_and_it_is_said(http, method):
    found = points(http, "loss", points=100, method=method)
    assert (found["total"], found["downsampled"], found["method"]) == (3000, True, method)
    assert found["returned"] == len(found["steps"]) == len(found["values"]) <= 100
    assert (found["steps"][0], found["steps"][-1]) == (0, 2999)
    assert all(value == 1.0 / (step + 1) for step, value in zip(found["steps"], found["values"], strict=True))


def test_steps_out_of_order_negative_and_repeated_are_ordered_and_nothing_is_dropped(http):
    found = points(http, "strange")
    assert found["steps"] == [-7, -5, 2, 3, 3, 3]
    assert found["values"] == [2.5, 1.5, "-INF", "NaN", "INF", -1e308]
    assert found["non_finite"] == {"NaN": 1, "INF": 1, "-INF": 1}
    by_time = points(http, "strange", x="time")
    assert by_time["steps"] == [-5, 3, -7, 3, 3, 2]
    assert listed(http)["strange"]["latest"] == -1e308
    assert (listed(http)["strange"]["minimum"], listed(http)["strange"]["maximum"]) == (-1e308, 2.5)


def test_ranks_are_merged_each_point_once_and_can_be_told_apart(http):
    found = points(http, "shared")
    assert found["steps"] == [step for step in range(10) for _ in (0, 1)]
    assert found["values"] == [float(step + 100 * rank) for step in range(10) for rank in (0, 1)]
    assert [found["producers"][source]["rank"] for source in found["sources"]] == [0, 1] * 10
    assert points(http, "shared", rank=1)["values"] == [float(step + 100) for step in range(10)]
    assert points(http, "shared", rank=7)["total"] == 0


def test_a_window_is_cut_out(http):
    assert points(http, "loss", from_step=10, to_step=12)["steps"] == [10, 11, 12]
    begin, end = (points(http, "loss", points=3000)["times"][step] for step in (5, 8))
    assert points(http, "loss", **{"from": begin, "to": end})["steps"] == [5, 6, 7]
    empty = points(http, "loss", from_step=5000)
    assert (empty["total"], empty["returned"], empty["steps"], empty["downsampled"]) == (0, 0, [], False)


def test_csv_by_name_and_by_accept(http):
    path = listed(http)["strange"]["points"]
    by_name, by_accept = http.get(path, params={"format": "csv"}), http.get(path, headers={"Accept": "text/csv"})
    assert by_name.text == by_accept.text
    assert by_name.headers["content-type"].startswith("text/csv")
    assert by_name.headers["X-PLLib-Points"] == "total=6, returned=6, method=all"
    rows = list(csv.DictReader(io.StringIO(by_name.text)))
    assert [row["value"] for row in rows] == ["2.5", "1.5", "-INF", "NaN", "INF", "-1e+308"]
    shared = http.get(listed(http)["shared"]["points"], params={"format": "csv"}).text
    assert [row["rank"] for row in csv.DictReader(io.StringIO(shared))] == ["0", "1"] * 10


def test_hostile_names_are_found_by_their_links(http):
    assert points(http, HOSTILE)["values"] == [0.25]
    assert points(http, HOSTILE)["series"]["name"] == HOSTILE
    assert points(http, HOSTILE)["producers"] == [{"process": "agent/process/p%2F%22q%22", "rank": None}]
    assert listed(http, context='con/text: "ü"')["x"]["context"] == 'con/text: "ü"'


@pytest.mark.parametrize(
    ("path", "status", "code", "field"),
    [
        ("/v1/series/execution/digits/a-1/training/0/nothing", 404, "not_found", "id"),
        ("/v1/series/execution/digits/a-1/training/0", 404, "not_found", "id"),
        ("/v1/series/x%00y", 404, "not_found", "id"),
        ("/v1/runs/digits/nobody/series", 404, "not_found", "execution"),
        ("/v1/series/execution/digits/a-1/training/0/loss?method=best", 400, "bad_parameter", "method"),
        ("/v1/series/execution/digits/a-1/training/0/loss?x=epoch", 400, "bad_parameter", "x"),
        ("/v1/series/execution/digits/a-1/training/0/loss?format=xml", 400, "bad_parameter", "format"),
        ("/v1/series/execution/digits/a-1/training/0/loss?points=2", 422, "bad_parameter", "points"),
        ("/v1/series/execution/digits/a-1/training/0/loss?points=2000000", 422, "bad_parameter", "points"),
        ("/v1/series/execution/digits/a-1/training/0/loss?from_step=1.5", 422, "bad_parameter", "from_step"),
        (
            "/v1/series/execution/digits/a-1/training/0/loss?from_step=99999999999999999999",
            422,
            "bad_parameter",
            "from_step",
        ),
        ("/v1/series/execution/digits/a-1/training/0/loss?rank=-1", 422, "bad_parameter", "rank"),
        ("/v1/series/execution/digits/a-1/training/0/loss?from=yesterday", 422, "bad_parameter", "from"),
    ],
)
def test_what_cannot_be_answered_is_told_in_the_house_form(http, path, status, code, field):
    answer = http.get(path)
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert (error["code"], error["field"]) == (code, field)
    assert error["message"]
    assert error["fix"]


def test_a_format_that_nobody_has_is_not_acceptable(http):
    answer = http.get(listed(http)["loss"]["points"], headers={"Accept": "image/png"})
    assert answer.status_code == 406


def test_a_literal_that_is_no_chunk_is_told_as_a_fault_of_the_store(engine, http):
    broken = RunsGraph()
    run = broken.run("broken", "b-1")
    series = broken.series(run, "loss", [])
    broken.say(series, 'provlake:points "{\\"by\\": 1}"^^rdf:JSON')
    engine.load(broken.turtle)
    answer = http.get(f"/v1/series/{series}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "store_failed")


def test_the_points_do_not_flood_the_page_of_a_series(http):
    path = "/id/execution/digits/a-1/training/0/loss"
    said = http.get(path, headers={"Accept": "application/json"}).json()
    assert "provlake:points" not in said["properties"]
    assert said["properties"]["provlake:lastStep"] == [2999]
    assert said["points"] == {"route": "/v1/series/execution/digits/a-1/training/0/loss", "chunks": 3}
    page = http.get(path, headers={"Accept": "text/html"})
    assert 'href="/v1/series/execution/digits/a-1/training/0/loss"' in page.text
    assert len(page.content) < 10_000
    turtle = http.get(path, headers={"Accept": "text/turtle"})
    assert "values" not in turtle.text
    assert "/v1/series/" in turtle.headers["Link"]


def test_an_activity_and_lists_of_values_show_series_as_values_with_their_latest(http):
    found = http.get("/v1/activities/execution/digits/a-1/training/0").json()
    loss = next(value for value in found["generated"] if value["names"] == ["loss"])
    assert (loss["value"], loss["datatype"]) == (1 / 3000, "xsd:double")
    assert (loss["series"]["last_step"], loss["series"]["maximum"]) == (2999, 1.0)
    assert loss["series"]["points"] == "/v1/series/execution/digits/a-1/training/0/loss"
    (value,) = http.get("/v1/values?attribute=loss&execution=digits/a-1").json()["items"]
    assert value["series"]["minimum"] == 1 / 3000
    lineage = http.get("/v1/lineage?of=execution/digits/a-1/strange").json()
    node = next(node for node in lineage["nodes"] if node["id"] == "execution/digits/a-1/strange")
    assert (node["label"], node["workflow"], node["execution"], node["value"]) == ("strange", "digits", "a-1", -1e308)
    assert node["points"] == "/v1/series/execution/digits/a-1/strange"
