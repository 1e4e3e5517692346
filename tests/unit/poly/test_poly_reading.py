"""Data of registered stores becomes tables: files of several forms, tables and rows of databases."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

duckdb = pytest.importorskip("duckdb")

from pllib.references import state_of  # noqa: E402
from query_engine.poly.reading import BadData, Columns, Relation, _Forms  # noqa: E402
from tests.unit.poly.jobs import ask, files, job, reference, reports  # noqa: E402


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.csv").write_text("depth,v\n1,2.5\n2,3.5\n")
    (tmp_path / "b.csv").write_text("v,depth,extra\n7,1.5,x\n")
    rows = "SELECT range::INTEGER AS depth, TIMESTAMPTZ '2026-01-01 10:00:00+02' AS at FROM range(3)"
    duckdb.execute(f"COPY ({rows}) TO '{tmp_path}/c.parquet'")
    return tmp_path


@pytest.fixture
def laboratory(tmp_path: Path) -> dict[str, object]:
    path = tmp_path / "lab.db"
    database = sqlite3.connect(path)
    database.executescript(
        """PRAGMA journal_mode = WAL;
        CREATE TABLE runs (id INTEGER PRIMARY KEY, name TEXT, loss REAL);
        INSERT INTO runs VALUES (42, 'a', 0.5), (43, 'b', 0.25);
        CREATE TABLE shots (line TEXT, shot INTEGER, v REAL, PRIMARY KEY (line, shot));
        INSERT INTO shots VALUES ('L1', 1, 2.0), ('L1', 2, 3.0), ('L2', 1, 4.0);
        CREATE TABLE notes (text TEXT); INSERT INTO notes VALUES ('n');
        CREATE TABLE hidden (text TEXT); INSERT INTO hidden VALUES ('secret');
        CREATE VIEW peek AS SELECT * FROM read_text('/etc/passwd');"""
    )
    database.close()
    return {"kind": "sqlite", "file": str(path), "tables": ["runs", "shots", "notes", "peek"]}


def test_files_of_several_forms_make_one_table_by_name(folder):
    keys = ("a.csv", "b.csv", "c.parquet")
    question = job("SELECT * FROM d ORDER BY ALL", {"s": files(folder)}, {"d": [reference("s", key) for key in keys]})
    head, rows = ask(question)
    assert [(row["_reference"], row["depth"], row["v"], row["extra"]) for row in rows] == [
        ("s:a.csv", 1.0, 2.5, None),
        ("s:a.csv", 2.0, 3.5, None),
        ("s:b.csv", 1.5, 7.0, "x"),
        ("s:c.parquet", 0.0, None, None),
        ("s:c.parquet", 1.0, None, None),
        ("s:c.parquet", 2.0, None, None),
    ]
    assert rows[-1]["at"] == "2026-01-01T08:00:00"
    assert [reports(head)[f"s:{key}"]["rows"] for key in keys] == [2, 1, 3]


def test_rows_join_with_the_provenance(folder):
    both = {"d": [reference("s", "a.csv"), reference("s", "b.csv")]}
    sql = "SELECT n, sum(v) AS total FROM prov JOIN d ON d._reference = prov.file GROUP BY n ORDER BY n"
    head, rows = ask(job(sql, {"s": files(folder)}, both))
    assert rows == [{"n": 1, "total": 6.0}, {"n": 2, "total": 7.0}]
    assert [column["name"] for column in head["columns"]] == ["n", "total"]


def test_only_the_columns_that_are_named_are_needed(folder):
    (folder / "wide.csv").write_text("depth,_odd\n1,a\n")
    data = {"d": [reference("s", "wide.csv"), reference("s", "a.csv")]}
    for sql, expected in (
        ("SELECT count(*) AS n FROM d", [{"n": 3}]),
        ("SELECT sum(DEPTH) AS n FROM d", [{"n": 4}]),
        ('SELECT max("_odd") AS n FROM d', [{"n": "a"}]),
        ("SELECT max(x.v) AS n FROM (FROM d) AS x", [{"n": 3.5}]),
        ("SELECT (x)._odd AS n FROM d AS x WHERE n IS NOT NULL", [{"n": "a"}]),
        ("SELECT count(*) AS n FROM d NATURAL JOIN (SELECT 1 AS depth)", [{"n": 2}]),
    ):
        assert ask(job(sql, {"s": files(folder)}, data))[1] == expected, sql


def test_what_cannot_be_read_is_listed_and_the_rest_answers(folder):
    (folder / "broken.parquet").write_bytes(b"no parquet at all")
    (folder / "taken.csv").write_text("_reference,v\nx,1\n")
    (folder / "model.npz").write_bytes(b"\0" * 100)
    (folder / "sub.csv").mkdir()
    keys = ("a.csv", "gone.csv", "broken.parquet", "taken.csv", "model.npz", "sub.csv")
    head, rows = ask(job("SELECT v FROM d", {"s": files(folder)}, {"d": [reference("s", key) for key in keys]}))
    assert rows == [{"v": 2.5}, {"v": 3.5}]
    found = {name: (each["status"], each["reason"]) for name, each in reports(head).items()}
    assert found["s:gone.csv"] == ("missing", "there is no such file")
    assert found["s:broken.parquet"][0] == "unreadable"
    assert "broken.parquet" in found["s:broken.parquet"][1]
    assert "/proc/" not in found["s:broken.parquet"][1]
    assert found["s:taken.csv"][0] == "refused"
    assert "format" in found["s:model.npz"][1]
    assert found["s:sub.csv"] == ("refused", "it is a folder, no file")


def test_when_nothing_can_be_read_that_is_said(folder):
    head, _ = ask(job("SELECT 1", {"s": files(folder)}, {"d": [reference("s", "gone.csv")]}))
    assert head["error"]["code"] == "no_data"
    assert "gone.csv in s: there is no such file" in head["error"]["message"]


def test_a_format_that_is_said_wins_over_the_name(folder):
    (folder / "table.dat").write_text("v\n9\n")
    _, rows = ask(job("SELECT v FROM d", {"s": files(folder)}, {"d": [reference("s", "table.dat", form="csv")]}))
    assert rows == [{"v": 9}]


def test_types_that_do_not_fit_become_text_and_late_lines_are_found(folder):
    (folder / "words.csv").write_text("v\nabc\n")
    (folder / "late.csv").write_text("v\n" + "1\n" * 60_000 + "abc\n")
    late = reference("s", "late.csv", "s1-1-1")
    both = {"d": [reference("s", "a.csv"), reference("s", "words.csv"), late]}
    head, rows = ask(job("SELECT v FROM d ORDER BY v DESC LIMIT 1", {"s": files(folder)}, both))
    assert rows == [{"v": "abc"}]
    assert reports(head)["s:late.csv"]["status"] == "unreadable"
    assert reports(head)["s:late.csv"]["rows"] == 0
    assert reports(head)["s:late.csv"]["stale"] is True
    assert "Line: 60002" in reports(head)["s:late.csv"]["reason"]
    assert "sample_size" not in reports(head)["s:late.csv"]["reason"]


def test_a_file_in_another_state_than_the_provenance_speaks_of_is_stale(folder):
    now, size = state_of(str(folder / "a.csv"))
    assert size == (folder / "a.csv").stat().st_size
    references = [
        {**reference("s", "a.csv", now), "reference": "now"},
        {**reference("s", "a.csv", "s1-1-1"), "reference": "before"},
        {**reference("s", "a.csv"), "reference": "any"},
        {**reference("s", "a.csv", "commit-7"), "reference": "own"},
    ]
    head, rows = ask(job("SELECT count(*) AS n FROM d", {"s": files(folder)}, {"d": references}))
    assert {name: each["stale"] for name, each in reports(head).items()} == {
        "now": False,
        "before": True,
        "any": None,
        "own": None,
    }
    assert rows == [{"n": 8}]
    os.utime(folder / "a.csv", ns=(1, 1))
    head, _ = ask(job("SELECT count(*) AS n FROM d", {"s": files(folder)}, {"d": references[:1]}))
    assert reports(head)["now"]["stale"] is True


def test_tables_and_rows_of_sqlite(laboratory):
    keys = ("notes", "runs/42", "runs/44", "runs/x", "shots/L1/2", "shots/L1", "notes/1", "hidden", "peek", "none")
    sql = "SELECT _reference, id, name, v, text FROM d ORDER BY ALL"
    head, rows = ask(job(sql, {"lab": laboratory}, {"d": [reference("lab", key) for key in keys]}))
    found = {row["_reference"]: {key: value for key, value in row.items() if value is not None} for row in rows}
    assert found == {
        "lab:notes": {"_reference": "lab:notes", "text": "n"},
        "lab:runs/42": {"_reference": "lab:runs/42", "id": 42, "name": "a"},
        "lab:shots/L1/2": {"_reference": "lab:shots/L1/2", "v": 3.0},
    }
    told = {name.partition(":")[2]: (each["status"], each["reason"]) for name, each in reports(head).items()}
    assert told["runs/44"] == told["runs/x"] == ("missing", "there is no such row")
    assert told["shots/L1"] == ("missing", "there is no such row")
    assert "no primary key" in told["notes/1"][1]
    assert told["hidden"] == told["none"] == ("refused", "its table is not registered for reading")
    # Views are not read: the engine would run their text with our own rights.
    assert told["peek"] == ("missing", "there is no such table")


def test_a_database_that_cannot_be_opened_is_unavailable_and_no_path_is_told(folder, laboratory):
    (folder / "no.db").write_bytes(b"this is no database, whatever its name says" * 50)
    stores = {
        "lab": laboratory,
        "bad": {**laboratory, "file": str(folder / "no.db")},
        "gone": {**laboratory, "file": "/nowhere/x.db"},
    }
    data = {"d": [reference("lab", "runs"), reference("bad", "runs"), reference("gone", "runs")]}
    head, rows = ask(job("SELECT count(*) AS n FROM d", stores, data))
    assert rows == [{"n": 2}]
    for name in ("bad:runs", "gone:runs"):
        assert reports(head)[name]["status"] == "unavailable"
        assert "/" not in reports(head)[name]["reason"]


def test_values_come_as_json_has_them(folder):
    sql = """SELECT 'NaN'::DOUBLE AS nan, '-inf'::DOUBLE AS inf, 1.5::DECIMAL(9,2) AS small,
        123456789012345678.25::DECIMAL(30,2) AS exact, '\\x41'::BLOB AS bytes, DATE '2026-01-02' AS day,
        TIME '10:00' AS time, INTERVAL 90 SECOND AS span, [1, NULL] AS list, {'a': DATE '2026-01-02'} AS struct,
        MAP {1: 'x'} AS map, 170141183460469231731687303715884105727::HUGEINT AS huge, true AS yes, NULL AS nothing,
        [TIMESTAMPTZ '2026-01-01 00:00:00+00'] AS zoned, 'é\n"' AS text, 1 AS one, 2 AS one"""
    question = job(sql, {"s": files(folder)}, {"d": [reference("s", "a.csv")]})
    head, (row,) = ask(question)
    assert row == {
        "nan": "NaN",
        "inf": "-INF",
        "small": 1.5,
        "exact": "123456789012345678.25",
        "bytes": "QQ==",
        "day": "2026-01-02",
        "time": "10:00:00",
        "span": 90.0,
        "list": [1, None],
        "struct": {"a": "2026-01-02"},
        "map": {"1": "x"},
        "huge": 2**127 - 1,
        "yes": True,
        "nothing": None,
        "zoned": "['2026-01-01 00:00:00+00']",
        "text": 'é\n"',
        "one": 1,
        "one_1": 2,
    }
    assert head["columns"][0] == {"name": "nan", "type": "DOUBLE"}


def test_csv_is_written_by_the_rules_of_csv(folder):
    sql = "SELECT 'a,\"b\"' AS x, NULL AS y, true AS z, [1] AS l UNION ALL SELECT 'é', 2, false, NULL"
    _, text = ask(job(sql, {"s": files(folder)}, {"d": [reference("s", "a.csv")]}, form="csv"))
    assert text == 'x,y,z,l\n"a,""b""",,true,[1]\né,2,false,\n'


@pytest.mark.parametrize("form", ["json", "csv"])
def test_rows_and_bytes_have_limits_with_a_mark(folder, form):
    data = {"d": [reference("s", "a.csv")]}

    def ask_for(count: int, **more: int) -> tuple[int, bool]:
        sql = f"SELECT range AS x FROM range({count})"  # noqa: S608 - a number
        head, _ = ask(job(sql, {"s": files(folder)}, data, form=form, **more))
        return head["count"], head["cut"]

    assert ask_for(10, rows=10) == (10, False)
    assert ask_for(11, rows=10) == (10, True)
    assert ask_for(0, rows=10) == (0, False)
    count, cut = ask_for(5000, rows=100_000, bytes=1000)
    assert cut
    assert 0 < count < 1000


def test_the_order_of_the_statement_is_kept(folder):
    sql = "SELECT range AS x FROM range(5000) ORDER BY x DESC"
    _, rows = ask(job(sql, {"s": files(folder)}, {"d": [reference("s", "a.csv")]}, rows=3000))
    assert [row["x"] for row in rows] == list(range(4999, 1999, -1))


@pytest.mark.parametrize(
    ("sql", "word"),
    [
        ("SELECT nope FROM d", "nope"),
        ("SELECT * FROM e", "there are: prov, d"),
        ("SELECT FROM", "syntax error"),
        ("SELECT v\nFROM d,, d", "line 2, column 8"),
        ("SELECT v::INTEGER::DATE FROM d", "DATE"),
        ("SELECT 'x'::INTEGER", "'x'"),
    ],
)
def test_wrong_sql_is_told_in_words(folder, sql, word):
    head, _ = ask(job(sql, {"s": files(folder)}, {"d": [reference("s", "a.csv")]}))
    assert head["error"]["code"] == "bad_sql"
    assert word in head["error"]["message"]
    assert "_answer" not in head["error"]["message"]


def test_columns_that_no_type_can_hold_together_are_an_error():
    engine = duckdb.connect(":memory:")
    forms = _Forms(engine, "d")
    union = forms.learn(Relation("(SELECT 1::UNION(a INTEGER) AS x)", ""))
    items = forms.learn(Relation("(SELECT [1] AS x)", ""))
    with pytest.raises(BadData, match="what d points at does not make one table"):
        forms.unite({Columns(union.table, ("x",)), Columns(items.table, ("x",))})


def test_names_in_the_data_are_never_statements(folder):
    """Whoever can write a file can name its columns: they are read before the engine is locked."""
    evil = [
        "x\" FROM read_text('/etc/passwd') --",
        "'); COPY (SELECT 1) TO '/tmp/x' --",
        "v AS v, (SELECT content FROM read_text('/etc/passwd')) AS w",
    ]
    (folder / "evil.csv").write_text(",".join('"' + name.replace('"', '""') + '"' for name in evil) + "\n1,2,3\n")
    field = evil[0].replace('"', '""')
    duckdb.execute(f'COPY (SELECT {{"{field}": 1}} AS "s{field}") TO \'{folder}/evil.parquet\'')
    data = {"d": [reference("s", "evil.csv"), reference("s", "evil.parquet"), reference("s", "it's.csv")]}
    (folder / "it's.csv").write_text("v\n1\n")
    head, rows = ask(job("SELECT * FROM d", {"s": files(folder)}, data))
    assert {name: each["reason"] for name, each in reports(head).items()} == {
        "s:evil.csv": None,
        "s:evil.parquet": None,
        "s:it's.csv": None,
    }
    assert "root:" not in str(rows)
    assert set(evil) <= {column["name"] for column in head["columns"]}


def test_types_that_only_look_alike_leave_the_second_file_out(folder):
    (folder / "days.csv").write_text("v\n2026-01-01\n")
    data = {"d": [reference("s", "days.csv"), reference("s", "a.csv")]}
    head, rows = ask(job("SELECT v FROM d", {"s": files(folder)}, data))
    assert rows == [{"v": "2026-01-01"}]
    assert reports(head)["s:a.csv"]["status"] == "unreadable"


def test_a_worker_starts_with_little():
    """Each query waits for a process to start: nothing of the web service belongs into it."""
    script = (
        "import sys, query_engine.poly.worker; print({'fastapi', 'pydantic', 'httpx', 'rdflib'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "set()\n"
