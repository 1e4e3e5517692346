"""Runs the client's statement on a locked engine and writes its rows as JSON or CSV, so many and so large."""

from __future__ import annotations

import base64
import csv
import io
import json
import math
from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import duckdb

from query_engine.poly.databases import quoted
from query_engine.poly.statement import Statement

_BATCH = 1000
_EXACT_DIGITS = 15
_ZONED = "WITH TIME ZONE"


class Answer(NamedTuple):
    """Columns, rows as text (JSON: an array of objects; CSV: with a heading), and whether there are more."""

    columns: list[dict[str, str]]
    rows: bytes
    written: int
    cut: bool


def lock(engine: duckdb.DuckDBPyConnection) -> None:
    """Takes from an engine, for good, all access to files, network, extensions and settings."""
    for setting in (
        "SET enable_external_access = false",
        "SET disabled_filesystems = 'LocalFileSystem'",
        "SET lock_configuration = true",
    ):
        engine.execute(setting)


def run(engine: duckdb.DuckDBPyConnection, statement: Statement, form: str, rows: int, size: int) -> Answer:
    """The answer of a statement.

    Args:
        form: ``json`` or ``csv``.
        rows: rows at most.
        size: bytes at most.

    Raises:
        duckdb.Error: the statement does not fit the tables, or failed.
    """
    engine.execute("CREATE TEMPORARY VIEW _answer AS\n" + statement.text)
    columns = [(str(row[0]), str(row[1])) for row in engine.execute("DESCRIBE _answer").fetchall()]
    chosen = ", ".join(_fetchable(name, kind) for name, kind in columns)
    found = engine.execute(f"SELECT {chosen} FROM _answer LIMIT {rows + 1}")  # noqa: S608 - names are quoted
    names = [name for name, _ in columns]
    out = _Rows(_json_rows(names) if form == "json" else _csv_rows, size)
    if form == "csv":
        out.add(names)
        out.count = 0
    while not out.full and (batch := found.fetchmany(_BATCH)):
        for row in batch:
            out.full = out.full or out.count == rows
            if not out.full:
                out.add(row)
    text = b"[" + b",".join(out.lines) + b"]" if form == "json" else b"".join(out.lines)
    return Answer([{"name": name, "type": kind} for name, kind in columns], text, out.count, out.full)


def _fetchable(name: str, kind: str) -> str:
    """A column in a type that needs no time zones of Python's: times are UTC."""
    if kind == f"TIMESTAMP {_ZONED}":
        return f"{quoted(name)} AT TIME ZONE 'UTC'"
    return f"CAST({quoted(name)} AS VARCHAR)" if _ZONED in kind else quoted(name)


class _Rows:
    """Rows as text, until a limit is met."""

    def __init__(self, write: Callable[[Sequence[Any]], str], size: int) -> None:
        self._write, self._left = write, size
        self.lines: list[bytes] = []
        self.count, self.full = 0, False

    def add(self, row: Sequence[Any]) -> None:
        line = self._write(row).encode("utf-8", "replace")
        self._left -= len(line) + 1
        if self._left < 0:
            self.full = True
            return
        self.lines.append(line)
        self.count += 1


def _json_rows(names: Sequence[str]) -> Callable[[Sequence[Any]], str]:
    return lambda row: json.dumps(
        {name: plain(value) for name, value in zip(names, row)}, ensure_ascii=False, separators=(",", ":")
    )


def _csv_rows(row: Sequence[Any]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(_cell(plain(value)) for value in row)
    return line.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else value


def plain(value: Any) -> Any:
    """A value as JSON has it: numbers that JSON lacks, times, bytes and exact decimals as text."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    for kind, convert in _CONVERSIONS:
        if isinstance(value, kind):
            return convert(value)
    return str(value)


def _float(value: float) -> Any:
    return value if math.isfinite(value) else "NaN" if math.isnan(value) else "INF" if value > 0 else "-INF"


def _decimal(value: Decimal) -> Any:
    return float(value) if len(value.as_tuple().digits) <= _EXACT_DIGITS else str(value)


_CONVERSIONS: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    (float, _float),
    (Decimal, _decimal),
    ((datetime, date, time), lambda value: value.isoformat()),
    ((bytes, bytearray), lambda value: base64.b64encode(value).decode("ascii")),
    (dict, lambda value: {str(plain(key)): plain(each) for key, each in value.items()}),
    ((list, tuple), lambda value: [plain(each) for each in value]),
    (timedelta, lambda value: value.total_seconds()),
    (UUID, str),
)
