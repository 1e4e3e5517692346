"""OpenLineage events as documents: what they say, what they may not say, and what is kept of them."""

from __future__ import annotations

import contextlib
import json
import math
import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manager.documents import decode_document
from manager.ontology import classes
from manager.triples import Writer
from pllib.provml.openlineage import Job, job_of, without_omitted, workflow_of
from tests import openlineage_events as night
from tracker.errors import RecordError
from tracker.openlineage import conversion
from tracker.openlineage.events import read
from tracker.openlineage.metadata import MAX_EVENT_BYTES

Json = Any

BASE = "http://127.0.0.1:8472/id/"
SCHEMA = jsonschema.Draft202012Validator(
    json.loads((Path(__file__).parents[4] / "manager/schema/prov-ml-v1.json").read_text())
)
RUN = "3b452093-782c-4ef2-9c0c-aafe2aa6f34d"
START: Json = {
    "eventType": "START",
    "eventTime": "2026-08-20T00:00:00Z",
    "producer": "https://example.org/producer",
    "run": {"runId": RUN},
    "job": {"namespace": "ns", "name": "job"},
}


def documents(events: Iterable[Json]) -> list[Json]:
    found = [document for event in events for document in conversion.documents(read(event))]
    SCHEMA.validate({"version": 1, "documents": found})
    return found


def triples(events: Iterable[Json]) -> set[str]:
    writer = Writer(BASE, classes())
    return {line for each in documents(events) for line in writer.lines(decode_document(msgspec.json.encode(each)))}


def said(found: Iterable[str], subject: str, predicate: str) -> list[str]:
    """Objects, as texts or ids."""
    begin = f"<{BASE}{subject}> "
    lines = [line[len(begin) : -2] for line in found if line.startswith(begin)]
    split = [line.partition("> ") for line in lines]
    return sorted(
        text.strip("<>").removeprefix(BASE) if text.startswith("<") else text.split('"')[1]
        for name, _, text in split
        if name.endswith(predicate)
    )


def execution(job: tuple[str, str], run: str) -> str:
    return f"execution/{job[0]}%3A{job[1]}/{run}"


def test_a_night_of_airflow_spark_and_dbt(constraint_violations: Any) -> None:
    found = triples(night.night())
    assert constraint_violations(sorted(found)) == []
    query = execution(night.QUERY_JOB, night.QUERY)
    table, daily = "data/s3%3A%2F%2Flake/warehouse%2Fshop.db%2Forders", "data/snowflake%3A%2F%2Facme.eu-central-1.aws"
    assert said(found, query, "startedAtTime") == ["2026-08-20T00:01:10.000000Z"]
    assert said(found, query, "endedAtTime") == ["2026-08-20T00:04:00.250000Z"]
    assert said(found, query, "status") == ["finished"]
    assert said(found, query, "used") == ["data/s3%3A%2F%2Fraw-orders/2026%2F08%2F20"]
    assert said(found, f"{table}/snapshot-2", "wasGeneratedBy") == [query]
    # The version that the table had when the query began is not one that the query made.
    assert not said(found, f"{table}/snapshot-1", "wasGeneratedBy")
    assert said(found, execution(night.MODEL_JOB, night.MODEL), "used") == [f"{table}/snapshot-2"]
    broken = execution(night.BROKEN_JOB, night.BROKEN)
    assert said(found, broken, "used") == [f"{daily}/analytics.public.daily_orders"]
    assert (said(found, broken, "status"), said(found, broken, "errorMessage")) == (
        ["failed"],
        ["relation does not exist"],
    )
    parents = {
        (night.TASK_JOB, night.TASK): (night.DAG_JOB, night.DAG),
        (night.APPLICATION_JOB, night.APPLICATION): (night.TASK_JOB, night.TASK),
        (night.QUERY_JOB, night.QUERY): (night.APPLICATION_JOB, night.APPLICATION),
        (night.BROKEN_JOB, night.BROKEN): (night.DBT_JOB, night.DBT_RUN),
        (night.DBT_JOB, night.DBT_RUN): (night.DAG_JOB, night.DAG),
    }
    for child, parent in parents.items():
        assert said(found, execution(*child), "wasInformedBy") == [execution(*parent)]
        assert said(found, execution(*child), "within") == [execution(*parent)]


def test_code_schemas_and_software_have_their_places() -> None:
    found = triples(night.night())
    code = "data/git%3Agit.example.org%2Flab%2Fdags/nightly.py/1f2e"
    assert code in said(found, execution(night.TASK_JOB, night.TASK), "used")
    assert "https://w3id.org/pllib/prov-ml#Implementation" in said(found, code, "type")
    schema = "store/s3%3A%2F%2Flake/schema/warehouse%2Fshop.db%2Forders"
    assert said(found, f"{schema}/attribute/id", "comment") == ["number of the order"]
    assert said(found, f"{schema}/attribute/customer.city", "hasDataSchema") == [schema]
    workflow = "workflow/spark-prod%3Aorders_loader.atomic_replace_table_as_select.lake_orders"
    assert said(found, f"{workflow}/attribute/warehouse%2Fshop.db%2Forders", "hasDataSchema") == [schema]
    ran = said(found, execution(night.QUERY_JOB, night.QUERY), "wasAssociatedWith")
    assert "agent/software/spark/3.5.1" in ran
    assert said(found, "agent/software/spark/3.5.1", "version") == ["3.5.1"]


def test_a_parent_that_sends_no_events_is_known_by_its_children() -> None:
    found = triples(night.spark())
    task = execution(night.TASK_JOB, night.TASK)
    assert said(found, task, "type") == ["https://w3id.org/pllib/provlake#WorkflowExecution"]
    assert said(found, task, "wasInfluencedBy") == ["workflow/airflow%3Anightly.load_orders"]
    assert triples(night.spark()) < triples([*night.airflow(), *night.spark()])


def test_a_run_that_names_itself_as_parent_has_none() -> None:
    facets = night.parent("p", RUN, ("ns", "job"))
    assert not said(
        triples([{**START, "run": {"runId": RUN, "facets": facets}}]), f"execution/ns%3Ajob/{RUN}", "InformedBy"
    )


def test_any_order_and_any_repetition_say_the_same() -> None:
    events = night.night()
    shuffled = [*events, *events]
    random.Random(7).shuffle(shuffled)
    assert triples(shuffled) == triples(events)


def test_events_of_jobs_and_datasets_are_plans_and_references() -> None:
    column = {"schema": night.facet("p", "SchemaDatasetFacet", fields=[{"name": "id"}, {"name": 5}, 7])}
    place = {"namespace": "pg", "name": "shop.orders"}
    told = {"documentation": night.facet("p", "DocumentationDatasetFacet", description="all of them")}
    time = {"eventTime": "2026-08-20T00:00:00Z"}
    of_data = {**time, "dataset": {**place, "facets": {**column, **told}}}
    of_job = {**time, "job": START["job"], "inputs": [place], "outputs": [{"namespace": "s3://b", "name": "k"}]}
    found = triples([of_data, of_job])
    assert json.loads(_metadata(documents([of_data]), "entities")) == of_data
    assert json.loads(_metadata(documents([of_job]), "plans")) == of_job
    assert said(found, "workflow/ns%3Ajob", "hasInput") == ["workflow/ns%3Ajob/attribute/shop.orders"]
    assert said(found, "workflow/ns%3Ajob", "hasOutput") == ["workflow/ns%3Ajob/attribute/k"]
    assert said(found, "store/pg/schema/shop.orders/attribute/id", "label") == ["id"]
    assert said(found, "data/pg/shop.orders", "key") == ["shop.orders"]
    assert not [line for line in found if "/execution/" in line]


def _metadata(found: Iterable[Json], part: str) -> str:
    (kept,) = [each["metadata"] for document in found for each in document.get(part, ()) if "metadata" in each]
    (event,) = kept.values()
    return json.dumps(event)


def test_datasets_of_one_name_in_two_namespaces_are_two() -> None:
    inputs = [{"namespace": "a", "name": "t"}, {"namespace": "b", "name": "t"}, {"namespace": "a", "name": "t"}]
    found = triples([{**START, "inputs": inputs}])
    assert said(found, f"execution/ns%3Ajob/{RUN}", "used") == ["data/a/t", "data/b/t"]
    assert said(found, "workflow/ns%3Ajob/attribute/t", "hasDataStore") == ["store/a/plan", "store/b/plan"]


BAD = [
    (5, "$"),
    ([], "$"),
    ({}, "$.eventTime"),
    ({**START, "eventTime": "yesterday"}, "$.eventTime"),
    ({**START, "eventTime": "0001-01-01T00:00:00+05:00"}, "$.eventTime"),
    ({**START, "eventType": "DONE"}, "$.eventType"),
    ({**START, "run": {}}, "$.run.runId"),
    ({**START, "run": {"runId": "7"}}, "$.run.runId"),
    ({**START, "run": {"runId": RUN, "facets": {"parent": {"run": {"runId": RUN}}}}}, "$.run.facets.parent.job"),
    ({**START, "run": {"runId": RUN, "facets": {"parent": 5}}}, "$.run.facets.parent"),
    ({**START, "job": None}, "$.job"),
    ({**START, "job": {"namespace": "n", "name": ""}}, "$.job.name"),
    ({**START, "job": {"namespace": "n", "name": "x" * 2001}}, "$.job.name"),
    ({"eventTime": START["eventTime"]}, "$.run"),
    ({**START, "run": None}, "$.run"),
    ({**START, "inputs": {}}, "$.inputs"),
    ({**START, "inputs": [{"namespace": "n", "name": "a"}, {"namespace": "n"}]}, "$.inputs[1].name"),
    ({**START, "outputs": [{"namespace": "é" * 300, "name": "a"}]}, "$.outputs[0].namespace"),
    (
        {**START, "inputs": [{"namespace": "n", "name": "a", "facets": {"version": {}}}]},
        "$.inputs[0].facets.version.datasetVersion",
    ),
]


@pytest.mark.parametrize(("event", "field"), BAD)
def test_what_is_wrong_is_named_with_its_fix(event: Json, field: str) -> None:
    with pytest.raises(RecordError) as refusal:
        read(event)
    assert refusal.value.field == field
    assert ": " in refusal.value.message


def test_a_facet_that_only_adds_detail_may_have_any_form() -> None:
    odd = [None, 5, "x", [], {}, {"fields": 5}, {"name": 5, "version": []}, {"type": "git", "repoUrl": "http://["}]
    for facet in odd:
        run = {"runId": RUN, "facets": {"processing_engine": facet, "errorMessage": facet, "x": facet}}
        job = {**START["job"], "facets": {"sourceCodeLocation": facet}}
        data = {"namespace": "n", "name": "d", "facets": {"schema": facet}}
        event = {**START, "eventType": "FAIL", "run": run, "job": job, "inputs": [data]}
        assert said(triples([event]), f"execution/ns%3Ajob/{RUN}", "used") == ["data/n/d"]


def test_numbers_and_texts_that_json_has_not_are_kept_with_a_mark() -> None:
    facets = {"odd": {"nan": math.nan, "big": 10**30, "half": "\udcff", "\udcff": 1}}
    (event,) = read({**START, "run": {"runId": RUN, "facets": facets}}).metadata.values()
    odd = event["run"]["facets"]["odd"]
    assert (odd["nan"]["v"], odd["big"]["v"], odd["half"]["v"]["escaped"]) == ("NaN", str(10**30), "\\udcff")
    triples([{**START, "run": {"runId": RUN, "facets": facets}}])


def test_what_is_kept_of_an_event_is_bounded() -> None:
    plan = {**night.facet("p", "LogicalPlan"), "plan": "x" * 70_000}
    small = {"nominalTime": night.facet("p", "NominalTimeRunFacet", nominalStartTime="2026-08-20T00:00:00Z")}
    run = {"runId": RUN, "facets": {"spark.logicalPlan": plan, **small}}
    (event,) = read({**START, "run": run}).metadata.values()
    assert event["run"]["facets"]["nominalTime"] == small["nominalTime"]
    assert event["run"]["facets"]["spark.logicalPlan"]["_producer"] == "p"
    assert event["run"]["facets"]["spark.logicalPlan"]["pllib_omitted"].endswith(" bytes")
    assert without_omitted(event)["run"]["facets"] == small
    fields = night.facet("p", "Wide", text="y" * 2000)
    many = [{"namespace": "n", "name": f"d{n}", "facets": {"wide": fields}} for n in range(700)]
    (event,) = read({**START, "run": run, "inputs": many}).metadata.values()
    assert [each["name"] for each in event["inputs"]] == [each["name"] for each in many]
    assert len(json.dumps(event)) < MAX_EVENT_BYTES
    long = [{"namespace": "n", "name": f"d{n}{'z' * 300}"} for n in range(4000)]
    (event,) = read({**START, "run": run, "inputs": long}).metadata.values()
    assert "inputs" not in without_omitted(event)


def test_facets_that_are_too_large_or_too_deep_cost_no_lineage() -> None:
    deep: Json = 1
    for _ in range(500):
        deep = [deep]
    large = {"_producer": "p", "rows": [*range(200_000)]}
    facets = {**night.parent("p", night.DAG, night.DAG_JOB), "deep": {"deep": deep}, "large": large}
    run = {"runId": RUN, "facets": facets}
    columns = {"schema": {"fields": [{"name": f"c{n}"} for n in range(3000)]}, "lineage": large}
    inputs = [{"namespace": "n", "name": f"d{n}", "facets": columns} for n in range(20)]
    found = triples([{**START, "run": run, "inputs": inputs}])
    assert len(said(found, f"execution/ns%3Ajob/{RUN}", "used")) == 20
    assert said(found, f"execution/ns%3Ajob/{RUN}", "wasInformedBy") == [execution(night.DAG_JOB, night.DAG)]
    (event,) = read({**START, "run": run, "inputs": inputs[:1]}).metadata.values()
    assert event["run"]["facets"]["large"]["pllib_omitted"].startswith("more than ")
    assert set(without_omitted(event)["run"]["facets"]) == {"parent"}
    with pytest.raises(RecordError, match="nested deeper"):
        read({**START, "custom": deep})


def test_an_event_with_very_many_datasets_is_several_documents() -> None:
    many = [{"namespace": "n", "name": f"d{n}"} for n in range(1200)]
    found = documents([{**START, "eventType": "COMPLETE", "inputs": many, "outputs": many[:700]}])
    assert len(found) == 4
    assert sum(len(each.get("used", ())) for document in found for each in document["activities"]) == 1200
    assert sum(len(each.get("generated", ())) for document in found for each in document["activities"]) == 700


def test_no_document_grows_without_bound() -> None:
    """Ids hold names, so that long names and many columns make much of little."""
    fields = [{"name": f"é{n}", "description": "text"} for n in range(1000)]
    wide = [
        {"namespace": "n" * 900, "name": "é" * 600 + str(n), "facets": {"schema": {"fields": fields}}}
        for n in range(30)
    ]
    found = documents([{**START, "eventType": "COMPLETE", "inputs": wide}])
    assert len(found) > 4
    assert max(len(msgspec.json.encode(each)) for each in found) < 8_000_000
    assert sum(len(each.get("used", ())) for document in found for each in document["activities"]) == 30


_ANYTHING = st.recursive(
    st.one_of(
        *(st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=5)),
        st.sampled_from(["git", "http://[", "\udcff", "START", RUN, "2026-08-20T00:00:00Z", "a" * 5000, '{"']),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["run", "job", "name", "namespace", "facets", "fields", "$"]), inner, max_size=4
        ),
    ),
    max_leaves=8,
)


def _paths(value: Json, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield from _paths(inner, (*path, key))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(night.night()), st.randoms(use_true_random=False), _ANYTHING)
def test_an_event_with_anything_in_any_place_is_taken_or_refused(
    event: Json, chance: random.Random, what: Json
) -> None:
    changed = json.loads(json.dumps(event))
    *inside, last = chance.choice([*_paths(changed)][1:])
    place = changed
    for key in inside:
        place = place[key]
    place[last] = what
    with contextlib.suppress(RecordError):
        triples([changed])


@pytest.mark.parametrize(
    "job",
    [Job("ns", "a.b"), Job("a:b", "c"), Job("a", "b:c"), Job("a%3Ab", "c"), Job("spark://h:1", "x/y"), Job("é", "%")],
)
def test_a_job_is_known_by_its_workflow_and_by_no_other(job: Job) -> None:
    assert job_of(workflow_of(job), RUN) == job
    assert job_of(workflow_of(job), "9f2c-1") is None
    assert job_of("train", RUN) is None


def test_names_that_only_look_alike_are_two_workflows() -> None:
    pairs = [("a:b", "c"), ("a", "b:c"), ("a%3Ab", "c"), ("a", "b"), ("a:", "b"), ("a", ":b")]
    assert len({workflow_of(Job(*pair)) for pair in pairs}) == len(pairs)
