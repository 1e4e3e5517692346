"""Events as the integrations of Airflow, Spark and dbt send them, in the shape that OpenLineage 2-0-2 and its facets have.

One night: an Airflow DAG runs a Spark job, which reads raw orders and writes a table of an Iceberg catalogue, and then dbt, which makes
a model of that table and fails at another.
"""

from __future__ import annotations

import json
from typing import Any

Json = Any

SPEC = "https://openlineage.io/spec"
SPARK = "https://github.com/OpenLineage/OpenLineage/tree/1.54.0/integration/spark"
AIRFLOW = "https://github.com/apache/airflow/tree/providers-openlineage/2.9.0"
DBT = "https://github.com/OpenLineage/OpenLineage/tree/1.54.0/integration/dbt"

DAG = "0197a3c0-0000-7000-8000-000000000001"
TASK = "0197a3c0-0000-7000-8000-000000000002"
APPLICATION = "0197a3c0-0000-7000-8000-000000000003"
QUERY = "0197a3c0-0000-7000-8000-000000000004"
DBT_RUN = "0197a3c0-0000-7000-8000-000000000005"
MODEL = "0197a3c0-0000-7000-8000-000000000006"
BROKEN = "0197a3c0-0000-7000-8000-000000000007"

DAG_JOB = ("airflow", "nightly")
TASK_JOB = ("airflow", "nightly.load_orders")
APPLICATION_JOB = ("spark-prod", "orders_loader")
QUERY_JOB = ("spark-prod", "orders_loader.atomic_replace_table_as_select.lake_orders")
DBT_JOB = ("dbt", "dbt-run-shop")
MODEL_JOB = ("dbt", "shop.analytics.daily_orders")
BROKEN_JOB = ("dbt", "shop.analytics.weekly_orders")

RAW = ("s3://raw-orders", "2026/08/20")
TABLE = ("s3://lake", "warehouse/shop.db/orders")
DAILY = ("snowflake://acme.eu-central-1.aws", "analytics.public.daily_orders")
WEEKLY = ("snowflake://acme.eu-central-1.aws", "analytics.public.weekly_orders")


def facet(producer: str, schema: str, /, **fields: Json) -> Json:
    return {"_producer": producer, "_schemaURL": f"{SPEC}/facets/1-0-0/{schema}.json#/$defs/{schema}", **fields}


def event(
    kind: str | None, time: str, run: str, job: tuple[str, str], producer: str = SPARK, **more: Json
) -> dict[str, Json]:
    """An event of a run; ``run`` and ``job`` facets as ``run_facets`` and ``job_facets``."""
    found: dict[str, Json] = {
        "eventTime": f"2026-08-20T{time}Z",
        "producer": producer,
        "schemaURL": f"{SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": {"runId": run, "facets": more.pop("run_facets", {})},
        "job": {"namespace": job[0], "name": job[1], "facets": more.pop("job_facets", {})},
        "inputs": [],
        "outputs": [],
        **more,
    }
    return found if kind is None else {"eventType": kind, **found}


def parent(producer: str, run: str, job: tuple[str, str], root: tuple[str, tuple[str, str]] | None = None) -> Json:
    about = {"run": {"runId": run}, "job": {"namespace": job[0], "name": job[1]}}
    if root is not None:
        about["root"] = {"run": {"runId": root[0]}, "job": {"namespace": root[1][0], "name": root[1][1]}}
    return {"parent": facet(producer, "ParentRunFacet", **about)}


def dataset(place: tuple[str, str], facets: Json = None, **more: Json) -> Json:
    return {"namespace": place[0], "name": place[1], "facets": facets or {}, **more}


def version(text: str) -> Json:
    return {"version": facet(SPARK, "DatasetVersionDatasetFacet", datasetVersion=text)}


_FIELDS = [
    {"name": "id", "type": "long", "description": "number of the order"},
    {"name": "customer", "type": "struct", "fields": [{"name": "city", "type": "string"}]},
]
_SCHEMA = {"schema": facet(SPARK, "SchemaDatasetFacet", fields=_FIELDS)}


def airflow() -> list[Json]:
    """A DAG run and a task of it."""
    engine = {"processing_engine": facet(AIRFLOW, "ProcessingEngineRunFacet", version="3.0.2", name="Airflow")}
    nominal = {"nominalTime": facet(AIRFLOW, "NominalTimeRunFacet", nominalStartTime="2026-08-20T00:00:00Z")}
    kind = facet(AIRFLOW, "JobTypeJobFacet", processingType="BATCH", integration="AIRFLOW", jobType="DAG")
    code = facet(
        AIRFLOW,
        "SourceCodeLocationJobFacet",
        type="git",
        url="https://git.example.org/lab/dags/blob/1f2e/nightly.py",
        repoUrl="git@git.example.org:lab/dags.git",
        path="nightly.py",
        version="1f2e",
    )
    task = {**parent(AIRFLOW, DAG, DAG_JOB), **engine}
    return [
        event("START", "00:00:01.000", DAG, DAG_JOB, AIRFLOW, run_facets={**nominal, **engine}, job_facets={"jobType": kind}),
        event("START", "00:00:02.000", TASK, TASK_JOB, AIRFLOW, run_facets=task, job_facets={"sourceCodeLocation": code}),
        event("COMPLETE", "00:05:00.000", TASK, TASK_JOB, AIRFLOW, run_facets=task),
        event("COMPLETE", "00:09:00.000", DAG, DAG_JOB, AIRFLOW, run_facets=nominal),
    ]  # fmt: skip


def spark() -> list[Json]:
    """An application and the query that it runs; the table's version is known before it is replaced, and after."""
    application = parent(SPARK, TASK, TASK_JOB, (DAG, DAG_JOB))
    query = parent(SPARK, APPLICATION, APPLICATION_JOB, (DAG, DAG_JOB))
    engine = facet(SPARK, "ProcessingEngineRunFacet", version="3.5.1", name="spark", openlineageAdapterVersion="1.54.0")
    columns = {"id": {"inputFields": [{"namespace": RAW[0], "name": RAW[1], "field": "id"}]}}
    lineage = {"columnLineage": facet(SPARK, "ColumnLineageDatasetFacet", fields=columns)}
    links = [{"namespace": "glue", "name": "shop.orders", "type": "TABLE"}]
    symlinks = {"symlinks": facet(SPARK, "SymlinksDatasetFacet", identifiers=links)}
    statistics = {"outputStatistics": facet(SPARK, "OutputStatisticsOutputDatasetFacet", rowCount=12, size=4096)}
    read = facet(SPARK, "InputStatisticsInputDatasetFacet", size=9000, fileCount=3)
    raw = dataset(RAW, {}, inputFacets={"inputStatistics": read})
    before = dataset(TABLE, {**version("snapshot-1"), **_SCHEMA, **symlinks})
    after = dataset(TABLE, {**version("snapshot-2"), **_SCHEMA, **symlinks, **lineage}, outputFacets=statistics)
    properties = facet(SPARK, "SparkPropertyFacet", properties={"spark.master": "yarn"})
    return [
        event("START", "00:01:00.000", APPLICATION, APPLICATION_JOB, run_facets={**application, "spark_properties": properties}),
        event("START", "00:01:10.000", QUERY, QUERY_JOB, run_facets=query, inputs=[raw], outputs=[before]),
        event("RUNNING", "00:02:00.000", QUERY, QUERY_JOB, run_facets={**query, "processing_engine": engine}, inputs=[raw]),
        event("COMPLETE", "00:04:00.250", QUERY, QUERY_JOB, run_facets=query, outputs=[after]),
        event("COMPLETE", "00:04:30.000", APPLICATION, APPLICATION_JOB, run_facets=application),
    ]  # fmt: skip


def dbt() -> list[Json]:
    """A run of dbt with a model that is made, and one that fails."""
    root = (DAG, DAG_JOB)
    run = parent(DBT, DAG, DAG_JOB, root)
    model = parent(DBT, DBT_RUN, DBT_JOB, root)
    sql = {"sql": facet(DBT, "SQLJobFacet", query="select * from lake.orders", dialect="snowflake")}
    table = dataset(TABLE, version("snapshot-2"))
    error = facet(DBT, "ErrorMessageRunFacet", message="relation does not exist", programmingLanguage="SQL")
    return [
        event("START", "00:06:00.000", DBT_RUN, DBT_JOB, DBT, run_facets=run),
        event("START", "00:06:01.000", MODEL, MODEL_JOB, DBT, run_facets=model, job_facets=sql, inputs=[table], outputs=[dataset(DAILY)]),
        event("COMPLETE", "00:06:30.000", MODEL, MODEL_JOB, DBT, run_facets=model, inputs=[table], outputs=[dataset(DAILY)]),
        event("START", "00:06:31.000", BROKEN, BROKEN_JOB, DBT, run_facets=model, inputs=[dataset(DAILY)], outputs=[dataset(WEEKLY)]),
        event("FAIL", "00:06:40.000", BROKEN, BROKEN_JOB, DBT, run_facets={**model, "errorMessage": error}),
        event("COMPLETE", "00:07:00.000", DBT_RUN, DBT_JOB, DBT, run_facets=run),
    ]  # fmt: skip


def night() -> list[Json]:
    """All of them, as they happen."""
    return sorted([*airflow(), *spark(), *dbt()], key=lambda each: str(each["eventTime"]))


def marked(events: Json, mark: str) -> Json:
    """Events with runs, namespaces of data and names of jobs of one test's own.

    Args:
        mark: eight hex digits.
    """
    text = json.dumps(events)
    for old, new in (("0197a3c0", mark), ("s3://", f"s3://{mark}-"), ("snowflake://acme", f"snowflake://{mark}")):
        text = text.replace(old, new)
    return json.loads(text)
