"""``python -m query_engine.poly.worker``: answers one query and ends.

Reads one line of JSON (the job) from standard input, and then waits there for its end: when the service goes, so does
this process. Writes one line of JSON and behind it the rows. Nothing of a client's comes by arguments or environment.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import sys
import threading
from collections.abc import Callable
from typing import Any

import duckdb

from query_engine.poly import answer
from query_engine.poly.databases import load_extensions, quoted
from query_engine.poly.reading import BadData, Reader, Report, brief
from query_engine.poly.statement import BadStatement, check

PROVENANCE = "prov"
_THREADS = 2
_MB = 1024 * 1024
_BESIDE_MB = 512
"""Megabytes of addresses beside the engine's memory: rows as Python has them, and what is reserved and never touched."""
_FILE_BYTES = 16 * _MB
"""No file is written, but for the shared memory beside a SQLite database with a write-ahead log."""


class Refused(Exception):
    """A query that has no answer: a code for the service, and a message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def main() -> int:
    """Runs the job on standard input; always 0 when there is an answer or a refusal."""
    job = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_the_service, daemon=True).start()
    engine = prepared(job)
    _limit(job)
    head, rows = answered(engine, job, seal)
    out = sys.stdout.buffer
    out.write(json.dumps(head).encode() + b"\n")
    out.write(rows)
    out.flush()
    return 0


def _end_with_the_service() -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os._exit(1)


def _limit(job: dict[str, Any]) -> None:
    """Bounds the process, from what it has by now: to load an extension takes many threads, for their stacks much."""
    addresses = _addresses() + (job["memory_mb"] + _BESIDE_MB) * _MB
    seconds = int(job["seconds"] * _THREADS) + 5
    for what, most in (
        (resource.RLIMIT_AS, addresses),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, _FILE_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        with contextlib.suppress(ValueError, OSError):  # a system that has no such limit, or a lower one
            resource.setrlimit(what, (most, most))


def _addresses() -> int:
    """Bytes of addresses that this process has."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return 1024 * _MB


def seal() -> None:
    """Takes from this process, for good, the power to open any file or connection.

    The engine's own lock does not bind its extensions: with that of SQLite loaded, ``sqlite_scan`` still opens files.
    """
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))


def prepared(job: dict[str, Any]) -> duckdb.DuckDBPyConnection:
    """An engine with what the stores of a job need."""
    engine = connect(job["memory_mb"])
    load_extensions(engine, (store["kind"] for store in job["stores"].values()))
    return engine


def answered(
    engine: duckdb.DuckDBPyConnection, job: dict[str, Any], closed: Callable[[], None]
) -> tuple[dict[str, Any], bytes]:
    """The first line and the rows of what :func:`main` writes.

    Args:
        closed: called when all has been read, before the client's SQL is run.
    """
    try:
        return _answered(engine, job, closed)
    except Refused as error:
        return _refusal(error.code, str(error))
    except (BadStatement, BadData) as error:
        return _refusal("bad_sql" if isinstance(error, BadStatement) else "bad_data", str(error))
    except (duckdb.OutOfMemoryException, MemoryError):
        return _refusal("too_large", f"the query needs more than its {job['memory_mb']} MB of memory")


def _refusal(code: str, message: str) -> tuple[dict[str, Any], bytes]:
    return {"error": {"code": code, "message": message}}, b""


def _answered(
    engine: duckdb.DuckDBPyConnection, job: dict[str, Any], closed: Callable[[], None]
) -> tuple[dict[str, Any], bytes]:
    names = [data["name"] for data in job["data"]]
    statement = check(job["sql"], [PROVENANCE, *names], engine)
    _provenance(engine, job["provenance"])
    reader = Reader(engine, job["stores"], statement.mentioned, job["seconds"])
    reports = []
    for data in job["data"]:
        found = reader.table(data["name"], data["references"])
        _any_read(data, found)
        reports += [{"data": data["name"], "reference": name, **each.told()} for name, each in found.items()]
    reader.close()
    answer.lock(engine)
    closed()
    try:
        result = answer.run(engine, statement, job["form"], job["rows"], job["bytes"])
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        raise BadStatement(brief(error)) from error
    head = {"columns": result.columns, "count": result.written, "cut": result.cut, "references": reports}
    return head, result.rows


def connect(memory_mb: int) -> duckdb.DuckDBPyConnection:
    """An engine with nothing in it, that loads nothing by itself, remembers nothing and writes nothing to disk."""
    engine = duckdb.connect(
        ":memory:",
        config={
            "memory_limit": f"{memory_mb}MB",
            "threads": str(_THREADS),
            "temp_directory": "",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "allow_community_extensions": "false",
            "allow_persistent_secrets": "false",
            "python_enable_replacements": "false",
        },
    )
    engine.execute("SET TimeZone = 'UTC'")
    return engine


def _provenance(engine: duckdb.DuckDBPyConnection, table: dict[str, Any]) -> None:
    columns = [
        f"unnest(${number}::VARCHAR[])::{kind} AS {quoted(name)}"
        for number, (name, kind) in enumerate(zip(table["names"], table["types"]), 1)
    ]
    engine.execute(f"CREATE TABLE {PROVENANCE} AS SELECT {', '.join(columns)}", table["columns"])


def _any_read(data: dict[str, Any], found: dict[str, Report]) -> None:
    """Raises ``Refused`` when there is no table to ask."""
    if any(each.status == "read" for each in found.values()):
        return
    keys = {each["reference"]: f"{each['key']} in {each['store']}" for each in data["references"]}
    told = [f"{keys[name]}: {each.reason}" for name, each in found.items()]
    more = f", and {len(told) - 3} more" if len(told) > 3 else ""
    raise Refused("no_data", f"nothing could be read for {data['name']}: {'; '.join(told[:3])}{more}")


if __name__ == "__main__":
    sys.exit(main())
