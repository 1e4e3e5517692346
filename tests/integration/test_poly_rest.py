"""``/v1/poly`` of a real query engine before a real store, over real files, SQLite and PostgreSQL."""

from __future__ import annotations

import csv
import io
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from pllib.query import Client, QueryRefused
from pllib.references import state_of
from query_engine.poly.engine import AT_ONCE
from tests.integration.poly_graph import data, graph, iri
from tests.integration.postgres import Postgres, postgres
from tests.integration.query_graph import Served, served

duckdb = pytest.importorskip("duckdb")

PASSWORD = "ge'h\\eim 7\n"
USED = "SELECT ?task ?file { ?task prov:used ?file . ?file a provlake:DataReference } ORDER BY ?task ?file"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("scratch")
    (root / "sets").mkdir()
    (root / "sets" / "a.csv").write_text("depth,v\n1,2.5\n2,3.5\n")
    (root / "sets" / "b.csv").write_text("depth,v\n3,10\n")
    duckdb.execute(f"COPY (SELECT 7 AS depth, 1.5::DOUBLE AS v) TO '{root}/sets/c.parquet'")
    (root / "wells.csv").write_text("depth,formation\n1,Barra\n2,Ilha\n3,Barra\n")
    (root / "private").mkdir()
    (root / "private" / "x.csv").write_text("v\n1\n")
    (root / "escape.csv").symlink_to("/etc/passwd")
    os.mkfifo(root / "pipe.csv")
    return root


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lab") / "lab.db"
    database = sqlite3.connect(path)
    database.executescript(
        """CREATE TABLE runs (id INTEGER PRIMARY KEY, name TEXT, loss REAL);
        INSERT INTO runs VALUES (42, 'first', 0.5), (43, 'second', 0.25);"""
    )
    database.close()
    return path


@pytest.fixture(scope="module")
def database() -> Iterator[Postgres]:
    with postgres() as server:
        server.run(
            r"""CREATE ROLE reader LOGIN PASSWORD 'ge''h\eim 7';
            CREATE TABLE results (id INT PRIMARY KEY, name TEXT, at TIMESTAMPTZ, score NUMERIC(20, 3));
            INSERT INTO results VALUES (1, 'one', '2026-01-01 12:00+02', 0.125), (2, 'two', NULL, 12.5);
            CREATE TABLE salaries (id INT PRIMARY KEY); INSERT INTO salaries VALUES (1);
            CREATE SCHEMA stats; CREATE TABLE stats.m (k TEXT, j INT, v FLOAT8, PRIMARY KEY (k, j));
            INSERT INTO stats.m VALUES ('a/b', 1, 1.5), ('x', 2, 2.5);
            CREATE TABLE "Twice" (id INT); CREATE TABLE twice (id INT);
            CREATE VIEW best AS SELECT id, score FROM results WHERE id = 2;
            CREATE VIEW slow AS SELECT pg_sleep(60)::TEXT AS x FROM generate_series(1, 10);
            GRANT USAGE ON SCHEMA stats TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA public, stats TO reader"""
        )
        server.require_password("reader")
        yield server


Start = Callable[..., Any]


@pytest.fixture(scope="module")
def start(free_port: Callable[[], int], require_server: Callable[[str], str], tmp_path_factory: Any) -> Start:
    """Starts a query engine with a file of stores."""

    def run(stores: str, *options: str) -> Any:
        path = tmp_path_factory.mktemp("stores") / "stores.toml"
        path.write_text(stores)
        return served(require_server("oxigraph"), (free_port(), free_port()), "--stores", str(path), *options)

    return run


@pytest.fixture(scope="module")
def engine(root: Path, laboratory: Path, start: Start, tmp_path_factory: Any) -> Iterator[Served]:
    stores = f"""
        memory_mb = 256
        [stores.scratch]
        kind = "files"
        root = "{root}"
        [stores.narrow]
        kind = "files"
        root = "{root}"
        folders = ["sets"]
        [stores.lab-db]
        kind = "sqlite"
        file = "{laboratory}"
        tables = ["runs"]"""
    now, _ = state_of(str(root / "sets" / "a.csv")) or ("", 0)
    statements = [
        data("scratch", "sets/a.csv", "s1-0-0", now),
        data("scratch", "sets/b.csv"),
        data("scratch", f"{root}/sets/c.parquet"),
        data("scratch", "gone.csv"),
        data("scratch", "wells.csv"),
        data("scratch", "../lab/lab.csv"),
        data("scratch", "/etc/passwd"),
        data("scratch", "escape.csv"),
        data("scratch", "pipe.csv"),
        data("narrow", "sets/b.csv"),
        data("narrow", "private/x.csv"),
        data("elsewhere", "x.csv"),
        data("lab-db", "runs/42"),
        data("lab-db", "runs"),
        data("lab-db", "sqlite_master"),
    ]
    with start(stores, "--timeout", "15", "--data", str(tmp_path_factory.mktemp("data"))) as running:
        running.load(graph(statements))
        yield running


def _poly(engine: Served, **question: Any) -> dict[str, Any]:
    answer = httpx.post(f"{engine.query_url}/v1/poly", json=question, timeout=60)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def _error(engine: Served, **question: Any) -> tuple[int, dict[str, Any]]:
    answer = httpx.post(f"{engine.query_url}/v1/poly", json=question, timeout=60)
    return answer.status_code, answer.json()["error"]


def _values(*iris: str) -> dict[str, str]:
    """Provenance rows that hold these IRIs, as anyone may write them."""
    return {"sparql": "SELECT ?file { VALUES ?file { " + " ".join(f"<{each}>" for each in iris) + " } }"}


def test_files_that_provenance_refers_to_come_with_its_rows(engine):
    question = {"sparql": f"SELECT ?task ?file {{ {{ {USED} }} FILTER(CONTAINS(STR(?file), 'sets%2F')) }}"}
    found = _poly(
        engine,
        provenance=question,
        data=[{"column": "file"}],
        sql="SELECT task, sum(v) AS total FROM prov "
        "JOIN d ON d._reference = prov.file WHERE file LIKE '%scratch%' GROUP BY ALL ORDER BY ALL",
    )
    base = iri("x", "y").partition("data/")[0]
    assert found["rows"] == [
        {"task": f"{base}execution/train/0/fit/1", "total": 17.5},
        {"task": f"{base}execution/train/1/fit/1", "total": 6.0},
    ]
    read = {each["key"].rpartition("/")[2]: each["rows"] for each in found["references"] if each["status"] == "read"}
    assert read == {"a.csv": 2, "b.csv": 1, "c.parquet": 1}
    assert found["provenance"]["columns"] == ["task", "file"]
    assert found["truncated"] is None


def test_without_sql_every_provenance_row_comes_with_the_rows_it_points_at(engine):
    found = _poly(engine, provenance=_values(iri("scratch", "sets/b.csv")), data=[{"column": "file"}])
    assert found["rows"] == [{"file": iri("scratch", "sets/b.csv"), "depth": 3, "v": 10}]
    assert [column["type"] for column in found["columns"]] == ["VARCHAR", "BIGINT", "BIGINT"]


def test_a_state_that_is_no_longer_there_is_stale(engine):
    question = {"sparql": "SELECT ?file { ?file prov:specializationOf ?any ; provlake:version ?v }"}
    found = _poly(engine, provenance=question, data=[{"column": "file"}], sql="SELECT count(*) AS n FROM d")
    assert found["stale"] == [iri("scratch", "sets/a.csv", "s1-0-0")]
    assert {each["reference"]: each["stale"] for each in found["references"]}.items() >= {
        (iri("scratch", "sets/a.csv", "s1-0-0"), True)
    }
    assert sorted(each["stale"] for each in found["references"]) == [False, True]


def test_a_given_reference_is_a_table_of_its_own(engine):
    found = _poly(
        engine,
        provenance=_values(iri("scratch", "sets/a.csv"), iri("scratch", "sets/b.csv")),
        data=[{"column": "file"}, {"name": "wells", "reference": {"store": "scratch", "key": "wells.csv"}}],
        sql="SELECT formation, sum(v) AS v FROM d JOIN wells USING (depth) GROUP BY formation ORDER BY formation",
    )
    assert found["rows"] == [{"formation": "Barra", "v": 12.5}, {"formation": "Ilha", "v": 3.5}]
    assert [each["data"] for each in found["references"]] == ["d", "d", "wells"]


def test_rows_and_tables_of_sqlite(engine):
    places = _values(iri("lab-db", "runs/42"), iri("lab-db", "runs"), iri("lab-db", "sqlite_master"))
    found = _poly(
        engine, provenance=places, data=[{"column": "file"}], sql="SELECT _reference, name FROM d ORDER BY ALL"
    )
    assert [(row["_reference"].rpartition("/")[2], row["name"]) for row in found["rows"]] == [
        ("runs", "first"),
        ("runs", "second"),
        ("runs%2F42", "first"),
    ]
    assert [each["status"] for each in found["references"]].count("refused") == 1


def test_by_lineage_and_by_analysis(engine):
    lineage = {"of": iri("scratch", "sets/b.csv"), "direction": "forward"}
    found = _poly(
        engine,
        provenance={"lineage": lineage},
        data=[{"column": "id"}],
        sql="SELECT label, v FROM prov JOIN d ON _reference = id",
    )
    assert found["rows"] == [{"label": "sets/b.csv", "v": 10}]
    analysis = {
        "name": "used-by",
        "title": "Used",
        "question": "Which data was used?",
        "taxonomy": {"data": "domain", "execution_timing": "offline", "direction": "backward"},
        "parameters": [{"name": "file", "type": "data", "description": "data"}],
        "query": {"text": "SELECT ?file ?task { VALUES ?file {} ?task prov:used ?file }"},
    }
    httpx.post(f"{engine.query_url}/v1/analyses", json=analysis).raise_for_status()
    asked = {"analysis": "used-by", "parameters": {"file": "sets/b.csv", "store": "scratch"}}
    found = _poly(engine, provenance=asked, data=[{"column": "file"}], sql="SELECT count(*) AS n, max(v) AS v FROM d")
    assert found["rows"] == [{"n": 1, "v": 10}]


def test_a_store_that_was_renamed_is_read_under_the_name_that_is_registered(engine):
    same = "<store/archive> provlake:sameStoreAs <store/scratch> ."
    engine.load(graph([data("archive", "sets/b.csv"), same]))
    found = _poly(engine, provenance=_values(iri("archive", "sets/b.csv")), data=[{"column": "file"}])
    assert found["rows"] == [{"file": iri("archive", "sets/b.csv"), "depth": 3, "v": 10}]
    assert [(each["store"], each["status"]) for each in found["references"]] == [("scratch", "read")]
    given = [{"reference": {"store": "archive", "key": "wells.csv"}}]
    more = _poly(
        engine, provenance=_values(iri("archive", "sets/b.csv")), data=given, sql="SELECT count(*) AS n FROM d"
    )
    assert more["rows"] == [{"n": 3}]


def test_what_is_refused_is_listed_and_never_opened(engine):
    """Keys that stand in the graph, whoever put them there, lead nowhere outside."""
    keys = ["../lab/lab.csv", "/etc/passwd", "escape.csv", "pipe.csv", "gone.csv", "sets/b.csv"]
    places = [*(iri("scratch", key) for key in keys), iri("narrow", "private/x.csv"), iri("elsewhere", "x.csv")]
    began = time.monotonic()
    found = _poly(
        engine, provenance=_values(*places), data=[{"column": "file", "format": "csv"}], sql="SELECT * FROM d"
    )
    assert time.monotonic() - began < 14
    assert [each["status"] for each in found["references"]] == [
        "refused",
        "refused",
        "refused",
        "refused",
        "missing",
        "read",
        "refused",
        "unregistered",
    ]
    assert len(found["rows"]) == 1
    assert "root:" not in str(found)


def test_references_that_a_client_makes_up_are_not_data(engine):
    """IRIs by BIND and VALUES are no data of the graph, though well formed and pointing at files that are there."""
    made_up = [
        iri("scratch", "private/x.csv"),
        iri("narrow", "sets/a.csv"),
        "file:///etc/passwd",
        "http://127.0.0.1:1/x",
    ]
    status, error = _error(engine, provenance=_values(*made_up), data=[{"column": "file"}])
    assert (status, error["code"], error["field"]) == (404, "no_data", "data.column")
    text = 'SELECT ("/etc/passwd" AS ?file) {}'
    assert _error(engine, provenance={"sparql": text}, data=[{"column": "file"}])[1]["code"] == "no_data"
    for place in ({"store": "scratch", "key": "private/x.csv"}, {"store": "scratch", "key": "../../etc/passwd"}):
        status, error = _error(
            engine, provenance=_values(iri("scratch", "wells.csv")), data=[{"reference": place}], sql="SELECT * FROM d"
        )
        assert (status, error["code"], error["field"]) == (404, "not_found", "data.reference")


@pytest.mark.parametrize(
    ("question", "status", "code"),
    [
        ({"provenance": {"sparql": "DELETE WHERE { ?s ?p ?o }"}}, 403, "read_only"),
        ({"provenance": {"sparql": "SELECT * { SERVICE <http://127.0.0.1:1/> { ?s ?p ?o } }"}}, 400, "bad_query"),
        ({"provenance": {"sparql": "SELECT * FROM <file:///etc/passwd> { ?s ?p ?o }"}}, 400, "bad_query"),
        ({"provenance": {"sparql": "ASK {}"}}, 400, "bad_query"),
        ({"provenance": {"sparql": "SELECT " + "(" * 200}}, 400, "bad_query"),
        ({"provenance": {"sparql": "SELECT ?x { ?x a provlake:Workflow }"}}, 400, "bad_parameter"),
        ({"provenance": {"sparql": "SELECT ?file { ?file a prov:Nothing }"}}, 404, "no_data"),
        ({"provenance": {"analysis": "q3", "parameters": {"nope": 1}}}, 400, "bad_parameter"),
        ({"provenance": {"lineage": {"of": "no-such-data.csv"}}}, 404, "not_found"),
        ({"sql": "SELECT * FROM read_csv('/etc/passwd')"}, 400, "bad_sql"),
        ({"sql": "COPY d TO '/tmp/x.csv'"}, 400, "bad_sql"),
        ({"sql": "SELECT nope FROM d"}, 400, "bad_sql"),
        ({"sql": "SELECT 1", "data": [{"column": "file", "path": "/etc/passwd"}]}, 422, "unprocessable"),
        ({"sql": "x" * 2_000_000}, 413, "too_large"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_cannot_be_answered_is_an_error_that_says_why(engine, question, status, code):
    whole = {"provenance": _values(iri("scratch", "sets/b.csv")), "data": [{"column": "file"}], **question}
    found, error = _error(engine, **whole)
    assert (found, error["code"]) == (status, code)
    assert error["fix"]


def test_csv_by_accept_and_limits_with_a_mark(engine):
    question = {"provenance": _values(iri("scratch", "sets/a.csv")), "data": [{"column": "file"}], "limit": 1}
    answer = httpx.post(f"{engine.query_url}/v1/poly", json=question, headers={"Accept": "text/csv"}, timeout=60)
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["X-PLLib-Truncated"] == "rows=1"
    assert answer.headers["X-PLLib-References"] == "read=1, stale=0"
    assert [row["v"] for row in csv.DictReader(io.StringIO(answer.text))] == ["2.5"]
    assert _poly(engine, **question)["truncated"] == {"rows": 1}
    refused = httpx.post(f"{engine.query_url}/v1/poly", json=question, headers={"Accept": "image/png"}, timeout=60)
    assert refused.status_code == 406


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_what_a_page_of_a_browser_can_post_unasked_is_refused(engine, kind):
    answer = httpx.post(f"{engine.query_url}/v1/poly", content=b"{}", headers={"Content-Type": kind}, timeout=60)
    assert (answer.status_code, answer.json()["error"]["code"]) == (415, "unsupported_media_type")


def test_too_many_references_are_refused(engine):
    engine.load(graph(f"{data('elsewhere', f'{number}.csv')}" for number in range(1001)))
    question = {"sparql": "SELECT ?file { ?file a provlake:DataReference ; provlake:store/rdfs:label 'elsewhere' }"}
    status, error = _error(engine, provenance=question, data=[{"column": "file"}])
    assert (status, error["code"]) == (413, "too_large")
    assert "1000 data references" in error["message"]


def test_a_query_that_never_ends_leaves_other_requests_alone(engine):
    endless = {
        "provenance": _values(iri("scratch", "sets/b.csv")),
        "data": [{"column": "file"}],
        "sql": "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT max(n) FROM t",
    }
    found: list[tuple[int, dict[str, Any]]] = []
    thread = threading.Thread(target=lambda: found.append(_error(engine, **endless)))
    thread.start()
    time.sleep(1)
    assert httpx.get(f"{engine.query_url}/health", timeout=10).status_code == 200
    assert _poly(engine, **{**endless, "sql": "SELECT v FROM d"})["rows"] == [{"v": 10}]
    thread.join()
    assert [(status, error["code"]) for status, error in found] == [(504, "query_timeout")]


def test_a_query_whose_client_goes_away_is_given_up(engine):
    endless = {
        "provenance": _values(iri("scratch", "sets/b.csv")),
        "data": [{"column": "file"}],
        "sql": "SELECT sum(range) FROM range(100000000000000)",
    }
    for _ in range(2 * AT_ONCE):
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{engine.query_url}/v1/poly", json=endless, timeout=1)
    # As many as may run at once were left: this one gets a turn at once, or is told that there is none.
    assert _poly(engine, **{**endless, "sql": "SELECT v FROM d"})["rows"] == [{"v": 10}]


def test_stores_are_listed_without_paths(engine, root, laboratory):
    listed = httpx.get(f"{engine.query_url}/v1/poly/stores")
    assert [(item["name"], item["kind"]) for item in listed.json()["items"]] == [
        ("scratch", "files"),
        ("narrow", "files"),
        ("lab-db", "sqlite"),
    ]
    assert str(root) not in listed.text
    assert str(laboratory) not in listed.text


def test_from_python(engine):
    client = Client(engine.query_url)
    found = client.poly(
        {"sparql": _values(iri("scratch", "sets/a.csv"))["sparql"]}, column="file", sql="SELECT avg(v) AS mean FROM d"
    )
    assert found["rows"] == [{"mean": 3.0}]
    tables = [{"column": "file"}, {"name": "wells", "reference": {"store": "scratch", "key": "wells.csv"}}]
    more = client.poly(
        _values(iri("scratch", "sets/b.csv")), data=tables, sql="SELECT count(*) AS n FROM d, wells", limit=5
    )
    assert more["rows"] == [{"n": 3}]
    with pytest.raises(QueryRefused, match="read_csv"):
        client.poly(_values(iri("scratch", "sets/b.csv")), column="file", sql="FROM read_csv('/etc/passwd')")


def test_with_no_stores_registered_nothing_is_read(free_port, require_server):
    with served(require_server("oxigraph"), (free_port(), free_port())) as bare:
        assert httpx.get(f"{bare.query_url}/v1/poly/stores").json()["items"] == []
        status, error = _error(bare, provenance=_values(iri("s", "k")), data=[{"column": "file"}])
        assert (status, error["code"]) == (404, "not_found")
        assert "--stores" in error["fix"]


# -- PostgreSQL -------------------------------------------------------------------------------------------------------


def _results(server: Postgres, password: Path, **more: str) -> str:
    entry = {
        "kind": "postgresql",
        "host": server.socket,
        "database": "postgres",
        "user": "reader",
        "password_file": str(password),
        **more,
    }
    lines = "\n".join(f'{name} = "{value}"' for name, value in entry.items())
    return f'memory_mb = 256\n[stores.results]\n{lines}\ntables = ["results", "twice", "best", "slow", "stats.*"]\n'


KEYS = (
    "results",
    "results/2",
    "results/9",
    "salaries",
    "stats.m/a/b/1",
    "stats.m/x/2",
    "twice",
    "best",
    "pg_catalog.pg_authid",
)


def _statements() -> str:
    return graph([*(data("results", key) for key in KEYS), data("results", "slow")])


def test_tables_and_rows_of_postgresql(database, start, tmp_path):
    (tmp_path / "password").write_text(PASSWORD)
    with start(_results(database, tmp_path / "password"), "--timeout", "10") as engine:
        engine.load(_statements())
        found = _poly(
            engine,
            provenance=_values(*(iri("results", key) for key in KEYS)),
            data=[{"column": "file"}],
            sql='SELECT _reference AS r, id, "at", score, v FROM d ORDER BY ALL',
        )
        told = [(row["r"].rpartition("/")[2], row["id"], row["at"], row["score"], row["v"]) for row in found["rows"]]
        assert told == [
            ("best", 2, None, 12.5, None),
            ("results", 1, "2026-01-01T10:00:00", 0.125, None),
            ("results", 2, None, 12.5, None),
            ("results%2F2", 2, None, 12.5, None),
            ("stats.m%2Fx%2F2", None, None, None, 2.5),
        ]
        assert {each["key"]: each["status"] for each in found["references"]} == {
            "results": "read",
            "results/2": "read",
            "results/9": "missing",
            "salaries": "refused",
            "stats.m/a/b/1": "missing",  # the key of two columns is "a" and "b/1": a slash in it cannot be said
            "stats.m/x/2": "read",
            "twice": "refused",
            "best": "read",
            "pg_catalog.pg_authid": "refused",
        }
        assert database.run("SELECT count(*) FROM results").split()[2] == "2"
        status, error = _error(engine, provenance=_values(iri("results", "slow")), data=[{"column": "file"}])
        assert status == 504 or "not in time" in error["message"]
        sessions = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'reader' AND state = 'active'"
        until = time.monotonic() + 30
        while database.run(sessions).split()[2] != "0" and time.monotonic() < until:
            time.sleep(0.5)
        assert database.run(sessions).split()[2] == "0"


@pytest.mark.parametrize(
    ("password", "more"),
    [("wrong-8\n", {}), (PASSWORD, {"database": "no_such"}), (PASSWORD, {"host": "/nowhere/at/all"})],
)
def test_a_database_that_cannot_be_reached_is_told_without_its_address(database, start, tmp_path, password, more):
    (tmp_path / "password").write_text(password)
    with start(_results(database, tmp_path / "password", **more)) as engine:
        engine.load(_statements())
        question = {"provenance": _values(iri("results", "results")), "data": [{"column": "file"}]}
        status, error = _error(engine, **question)
        assert (status, error["code"]) == (404, "no_data")
        for secret in ("eim 7", "wrong-8", "reader", database.socket, "nowhere", "no_such"):
            assert secret not in str(error)
