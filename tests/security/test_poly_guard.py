"""Hostile SQL against queries over stores, at each of the walls before it: the statement, the engine, the process."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

duckdb = pytest.importorskip("duckdb")

from query_engine.errors import BadSql, Busy, QueryEngineError, QueryTimeout, TooLarge  # noqa: E402
from query_engine.poly import answer  # noqa: E402
from query_engine.poly.engine import AT_ONCE, Workers, _environment  # noqa: E402
from query_engine.poly.statement import MAX_BYTES, MAX_NESTING, BadStatement, check  # noqa: E402
from query_engine.poly.worker import connect  # noqa: E402
from tests.unit.poly.jobs import files, job, reference  # noqa: E402

CHECKOUT = Path(__file__).resolve().parents[2]

FILES = [
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM '/etc/hosts.csv'",
    'SELECT * FROM "/etc/hosts.parquet"',
    "FROM 'http://127.0.0.1:1/x.parquet'",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_csv_auto('/etc/passwd', sep = ':')",
    "SELECT * FROM READ_TEXT('/etc/passwd')",
    "SELECT * FROM \"read_text\"('/etc/passwd')",
    "SELECT * FROM main.read_text('/etc/passwd')",
    "SELECT * FROM system.main.read_blob('/etc/passwd')",
    "SELECT * FROM read_json('/proc/self/environ')",
    "SELECT * FROM read_parquet(['/etc/passwd'])",
    "SELECT * FROM parquet_metadata('/etc/passwd')",
    "SELECT * FROM sniff_csv('/etc/passwd')",
    "SELECT * FROM glob('/*')",
    "SELECT * FROM read_duckdb('/etc/passwd')",
    "SELECT (SELECT content FROM read_text('/etc/passwd'))",
    "SELECT 1 WHERE EXISTS (FROM read_text('/etc/passwd'))",
    "WITH d AS (FROM read_text('/etc/passwd')) SELECT * FROM d",
    "SELECT * FROM d, LATERAL (FROM read_text('/etc/passwd'))",
    "SELECT * FROM query('FROM read_text(''/etc/passwd'')')",
    "SELECT * FROM query_table('/etc/hosts.csv')",
    "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('FROM read_text(''/etc/passwd'')'))",
    "SELECT 1 UNION ALL (SELECT 2 FROM read_text('/etc/passwd'))",
]
STATEMENTS = [
    "COPY d TO '{folder}/out.csv'",
    "COPY (SELECT 1) TO '{folder}/out.csv'",
    "COPY d FROM '/etc/passwd'",
    "ATTACH '/etc/passwd' AS x",
    "ATTACH '{folder}/new.db' AS x",
    "EXPORT DATABASE '{folder}/export'",
    "IMPORT DATABASE '{folder}'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "LOAD '{folder}/x.duckdb_extension'",
    "SET enable_external_access = true",
    "RESET enable_external_access",
    "SET lock_configuration = false",
    "SET memory_limit = '100GB'",
    "SET threads = 64",
    "SET temp_directory = '{folder}/tmp'",
    "SET disabled_filesystems = ''",
    "SET python_enable_replacements = true",
    "SET allow_unsigned_extensions = true",
    "PRAGMA enable_external_access = true",
]
OTHERS = [
    'WITH "/etc/hosts.csv" AS (SELECT 1) SELECT * FROM "/etc/hosts.csv"',
    "PRAGMA database_list",
    "PRAGMA version",
    "CALL pragma_version()",
    "SHOW TABLES",
    "SHOW ALL TABLES",
    "DESCRIBE d",
    "SUMMARIZE d",
    "SELECT * FROM (DESCRIBE d)",
    "SELECT * FROM (SHOW TABLES)",
    "EXPLAIN SELECT 1",
    "EXPLAIN ANALYZE SELECT 1",
    "SELECT 1; SELECT 2",
    "SELECT 1; COPY d TO '/tmp/x'",
    "SELECT 1;;DROP TABLE d",
    "PREPARE p AS SELECT 1",
    "PREPARE p AS SELECT 1; EXECUTE p",
    "EXECUTE p",
    "SELECT $1",
    "SELECT ?",
    "SELECT $name",
    "BEGIN",
    "CHECKPOINT",
    "VACUUM",
    "CREATE TABLE x AS SELECT 1",
    "CREATE MACRO m(a) AS a",
    "CREATE SECRET (TYPE http)",
    "INSERT INTO d VALUES (1)",
    "UPDATE d SET v = 1",
    "DELETE FROM d",
    "DROP TABLE d",
    "ALTER TABLE d ADD COLUMN x INTEGER",
    "USE memory",
    "PIVOT d ON v",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM duckdb_settings",
    "SELECT * FROM duckdb_secrets()",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM pg_catalog.pg_settings",
    "SELECT * FROM sqlite_master",
    "SELECT * FROM memory.main.d",
    "SELECT * FROM main.d",
    "SELECT * FROM secret_of_python",
    "SELECT * FROM sqlite_scan('/tmp/x.db', 't')",
    "SELECT * FROM postgres_query('_store0', 'SELECT 1')",
    "SELECT * FROM postgres_scan('', 'public', 't')",
    "SELECT * FROM enable_logging()",
    "SELECT * FROM test_all_types()",
    "SELECT * FROM repeat('x', 1000000000)",
    "SELECT getenv('HOME')",
    "SELECT current_setting('temp_directory')",
    "SELECT getvariable('x')",
    "SELECT nextval('s')",
    "SELECT setseed(0.5)",
    "SELECT version()",
    "SELECT write_log('x')",
    "SELECT sleep_ms(100000)",
    "SELECT pg_sleep(100)",
    "SELECT list_transform([1], lambda x: sleep_ms(x))",
    "SELECT [sleep_ms(x) FOR x IN [1]]",
    "SELECT 1 ORDER BY sleep_ms(1)",
    "SELECT sum(v) FILTER (sleep_ms(1) IS NULL) FROM d",
    "SELECT json_serialize_sql('SELECT 1')",
    "SELECT\0 1",
    "",
    "   ",
    "-- nothing",
    ";",
    "(" * (MAX_NESTING + 1) + "1",
    "SELECT " + "(" * 40_000 + "1" + ")" * 10_000,
    "SELECT " + "[" * 5_000 + "]" * 5_000,
    "SELECT '" + "x" * MAX_BYTES + "'",
    "SELECT '\ud800'",
]
HARMLESS = [
    "SELECT * FROM d",
    "FROM prov JOIN d ON d._reference = prov.file",
    "select D.v from D -- read_csv('/etc/passwd')",
    "SELECT 'COPY d TO ''/tmp/x''' AS text",
    "SELECT v FROM d;",
    "WITH x AS (SELECT v FROM d), y AS (FROM x) SELECT avg(v) FROM y",
    "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t WHERE n < 10) SELECT max(n) FROM t",
    "SELECT n FROM range(3) AS r(n), unnest([1, 2]) AS u(x)",
    "SELECT row_number() OVER (ORDER BY v), quantile_cont(v, 0.5) OVER () FROM d",
    "SELECT * FROM (VALUES (1)) AS t(a) WHERE a IN (SELECT 1)",
    "SELECT list_transform([1, 2], lambda x: x + 1), {'a': 1} FROM d",
    "SELECT count(*) FROM prov, d GROUP BY ALL HAVING count(*) > 0 ORDER BY ALL LIMIT 5",
    "SELECT j.value FROM json_each('[1]') AS j",
    "SELECT regexp_replace('(a)', '[(]', '')",
    "TABLE d",
    "VALUES (1)",
]

secret_of_python = [1, 2, 3]


@pytest.fixture
def engine() -> Iterator[Any]:
    """An engine as it is when the client's statement comes: with tables, and locked."""
    made = connect(256)
    made.execute("CREATE TABLE prov AS SELECT 's:a.csv' AS file, 1 AS n")
    made.execute("CREATE TABLE d AS SELECT 's:a.csv' AS _reference, 2.5 AS v")
    answer.lock(made)
    yield made
    made.close()


@pytest.mark.parametrize("sql", [*FILES, *STATEMENTS, *OTHERS], ids=lambda sql: repr(sql[:60]))
def test_the_first_wall_refuses_what_is_not_one_select_over_the_tables(engine, sql):
    with pytest.raises(BadStatement) as caught:
        check(sql, ["prov", "d"], engine)
    assert str(caught.value)


@pytest.mark.parametrize("sql", HARMLESS)
def test_other_selects_pass_and_run(engine, sql):
    checked = check(sql, ["prov", "d"], engine)
    answer.run(engine, checked, "json", 100, 100_000)


@pytest.mark.parametrize("sql", [*FILES, *STATEMENTS, "SELECT * FROM secret_of_python", "SELECT getenv('HOME')"])
def test_the_second_wall_holds_without_the_first(engine, sql, tmp_path):
    with pytest.raises(duckdb.Error):
        engine.execute(sql.format(folder=tmp_path)).fetchall()
    assert os.listdir(tmp_path) == []


def test_the_third_wall_holds_for_extensions_that_the_engine_does_not_lock(tmp_path):
    """``sqlite_scan`` opens files past the engine's lock; the process can open none."""
    script = """if True:
        import sqlite3, sys, duckdb
        from query_engine.poly import answer, worker
        from query_engine.poly.databases import Databases, load_extensions
        path = sys.argv[1]
        made = sqlite3.connect(path); made.executescript("CREATE TABLE t (x INTEGER); INSERT INTO t VALUES (7)"); made.close()
        engine = worker.connect(256)
        load_extensions(engine, ["sqlite"])
        databases = Databases(engine, {"s": {"kind": "sqlite", "file": path, "tables": ["t"]}}, 5)
        engine.execute(f"CREATE TABLE d AS FROM {databases.table('s', 't').name}")
        databases.close()
        answer.lock(engine)
        print(engine.execute("SELECT * FROM sqlite_scan(?, 't')", [path]).fetchall())
        worker.seal()
        for attempt in (
            lambda: engine.execute("SELECT * FROM sqlite_scan(?, 't')", [path]).fetchall(),
            lambda: open("/etc/passwd"),
            lambda: __import__("socket").create_connection(("127.0.0.1", 1)),
        ):
            try:
                print("reached", attempt())
            except (duckdb.Error, OSError) as error:
                print("stopped")
        print(engine.execute("SELECT sum(x) FROM d, range(1000000)").fetchall())
    """
    command = [sys.executable, "-c", script, str(tmp_path / "x.db")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=CHECKOUT)
    assert not done.stderr
    assert done.stdout.split("\n")[:5] == ["[(7,)]", "stopped", "stopped", "stopped", "[(7000000,)]"]


# -- the process ------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.csv").write_text("v\n2.5\n")
    return tmp_path


def _ask(folder: Path, *statements: str, **more: Any) -> list[Any]:
    """What each statement gives, one after the other in one service: rows as text, or the error."""

    async def run() -> list[Any]:
        workers = Workers()
        found: list[Any] = []
        for sql in statements:
            question = job(sql, {"s": files(folder)}, {"d": [reference("s", "a.csv")]}, **more)
            try:
                found.append((await workers.run(question)).rows.decode())
            except QueryEngineError as error:
                found.append(error)
        return found

    return asyncio.run(run())


def _children() -> set[str]:
    found = subprocess.run(
        ["ps", "-o", "pid=,args=", "--ppid", str(os.getpid())], capture_output=True, text=True, check=False
    )
    return {line for line in found.stdout.splitlines() if "poly.worker" in line}


@pytest.mark.parametrize(
    "sql",
    [
        "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT max(n) FROM t",
        "SELECT count(*) FROM range(10000000) AS a, range(10000000) AS b WHERE a.range + b.range = 7",
        "SELECT sum(range) FROM range(100000000000000)",
        "SELECT list_sort(range(100000000))",
        "SELECT md5(string_agg(range::VARCHAR, '')) FROM range(100000000000)",
    ],
)
def test_what_never_ends_is_ended(folder, sql):
    (error, rows) = (*_ask(folder, sql, seconds=2), *_ask(folder, "SELECT v FROM d"))
    assert isinstance(error, (QueryTimeout, TooLarge))
    assert rows == '[{"v":2.5}]'
    assert not _children()


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT repeat('x', 4000000000)",
        "SELECT repeat('x', 1000000000000)",
        "SELECT repeat(repeat('x', 1000000), 4000)",
        "SELECT list(range) FROM range(1000000000)",
        "SELECT string_agg(repeat('x', 1000), '') FROM range(100000000)",
        "SELECT range(3000000000)",
        "SELECT printf('%2000000000d', 1)",
        "SELECT format('{:2000000000d}', 1)",
        "SELECT lpad('x', 2000000000, 'y')",
        "SELECT max(n) FROM (SELECT row_number() OVER (ORDER BY hash(range)) AS n FROM range(1000000000))",
        "SELECT DISTINCT hash(range) FROM range(1000000000)",
        "SELECT " + "repeat(" * 50 + "'x'" + ", 1000)" * 50,
        "SELECT [range(30000000), range(30000000), range(30000000), range(30000000)]",
    ],
    ids=lambda sql: sql[:50],
)
def test_what_takes_all_memory_is_ended(folder, sql):
    error, rows = _ask(folder, sql, "SELECT v FROM d", seconds=20)
    assert isinstance(error, (TooLarge, BadSql, QueryTimeout))
    assert rows == '[{"v":2.5}]'


def test_deep_and_long_texts_end_in_words(folder):
    texts = [
        "SELECT " + "NOT " * 15_000 + "true",
        "SELECT " + "- " * 30_000 + "1",
        "SELECT " + "+".join(["1"] * 30_000),
        "SELECT " + " OR ".join(["true"] * 10_000),
        "SELECT 1 " + " UNION ALL SELECT 1" * 3_000,
        "SELECT " + "CASE WHEN true THEN " * 2_000 + "1" + " END" * 2_000,
        "SELECT 1 " + "".join(f" JOIN d AS d{n} ON true" for n in range(2_000)),
        "FROM " + ", ".join(f"d AS d{n}" for n in range(2_000)),
    ]
    *found, rows = _ask(folder, *texts, "SELECT v FROM d", seconds=10)
    assert all(isinstance(each, (str, QueryEngineError)) for each in found)
    assert all(each.status in (400, 413, 504) for each in found if isinstance(each, QueryEngineError))
    assert rows == '[{"v":2.5}]'


def test_one_huge_cell_is_cut_and_told(folder):
    found = _ask(folder, "SELECT repeat('x', 3000000) AS x FROM range(5)", bytes=7_000_000)
    assert len(found[0]) < 7_000_000


def test_no_row_is_written_by_halves(folder):
    (rows,) = _ask(folder, "SELECT repeat('x', 3000000) AS x", bytes=1_000_000)
    assert rows == "[]"


def test_hostile_statements_get_an_answer_of_the_service(folder):
    hostile = [
        FILES[0],
        FILES[5],
        STATEMENTS[0],
        OTHERS[0],
        "SELECT 1; SELECT 2",
        "SELECT content FROM read_text('a.csv')",
    ]
    *found, rows = _ask(folder, *hostile, "SELECT v FROM d")
    assert [type(each) for each in found] == [BadSql] * len(hostile)
    assert rows == '[{"v":2.5}]'


def test_a_worker_knows_nothing_of_the_environment(monkeypatch, folder):
    monkeypatch.setenv("LAB_PASSWORD", "geheim")
    monkeypatch.setenv("PGPASSWORD", "geheim")
    assert "geheim" not in _environment(str(folder)).values()


def test_only_a_few_run_at_once_and_those_given_up_end(folder, monkeypatch):
    monkeypatch.setattr("query_engine.poly.engine._WAIT_SECONDS", 0.2)
    endless = job(
        "SELECT sum(range) FROM range(100000000000000)", {"s": files(folder)}, {"d": [reference("s", "a.csv")]}
    )

    async def run() -> None:
        workers = Workers()
        tasks = [asyncio.create_task(workers.run(endless)) for _ in range(AT_ONCE)]
        await asyncio.sleep(0.5)
        assert len(_children()) == AT_ONCE
        with pytest.raises(Busy):
            await workers.run(endless)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert not _children()
        assert (await workers.run({**endless, "sql": "SELECT v FROM d"})).rows == b'[{"v":2.5}]'

    asyncio.run(run())


def test_a_worker_ends_with_the_service(folder):
    """A service that is killed leaves nobody behind: its end closes the worker's input."""
    endless = job(
        "SELECT sum(range) FROM range(100000000000000)", {"s": files(folder)}, {"d": [reference("s", "a.csv")]}
    )
    command = [sys.executable, "-m", "query_engine.poly.worker"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=CHECKOUT) as worker:
        assert worker.stdin is not None
        worker.stdin.write(json.dumps(endless).encode() + b"\n")
        worker.stdin.flush()
        with pytest.raises(subprocess.TimeoutExpired):
            worker.wait(1)
        worker.stdin.close()
        assert worker.wait(20) == 1
