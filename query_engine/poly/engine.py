"""Runs a job in a process of its own: started for it, bounded in time, ended with it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from query_engine.errors import BadSql, Busy, NoData, QueryEngineError, QueryTimeout, TooLarge, Unprocessable

AT_ONCE = 2
_WAIT_SECONDS = 5.0
_CHECKOUT = Path(__file__).resolve().parents[2]
_ERRORS: dict[str, type[QueryEngineError]] = {
    "bad_sql": BadSql,
    "bad_data": Unprocessable,
    "no_data": NoData,
    "too_large": TooLarge,
}
_FIELDS = {"bad_sql": "sql", "bad_data": "data", "no_data": "data", "too_large": "sql"}
_FIXES = {
    "too_large": "Ask for less: name the columns instead of *, narrow the provenance question, "
    "or raise memory_mb in the file of stores.",
    "bad_data": "Read them as several tables, a `data` entry each.",
}


class Result(NamedTuple):
    """What a worker found: the head that it wrote, and the rows as text."""

    head: dict[str, Any]
    rows: bytes


class Workers:
    """Runs jobs, ``AT_ONCE`` at most at a time."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def run(self, job: dict[str, Any]) -> Result:
        """The result of a job; its process has ended, also when this is cancelled.

        Raises:
            Busy: no turn came in a few seconds.
            QueryTimeout: it took longer than the job's ``seconds``.
            BadSql, NoData, TooLarge, Unprocessable: what the worker said.
        """
        async with self._turn(), _process() as process:
            try:
                async with asyncio.timeout(job["seconds"]):
                    found = await _talk(process, json.dumps(job).encode() + b"\n")
                    code = await process.wait()
            except TimeoutError as error:
                raise QueryTimeout(
                    f"the query over stores took longer than {job['seconds']:g} s", field="sql"
                ) from error
        return _result(found, code)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        try:
            await asyncio.wait_for(self._turns.acquire(), _WAIT_SECONDS)
        except TimeoutError as error:
            raise Busy(f"{AT_ONCE} queries over stores are running already") from error
        try:
            yield
        finally:
            self._turns.release()


@asynccontextmanager
async def _process() -> AsyncIterator[asyncio.subprocess.Process]:
    """A worker; killed and waited for at the end of the block. It knows nothing of our environment."""
    with tempfile.TemporaryDirectory(prefix="pllib-poly-") as home:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "query_engine.poly.worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=_CHECKOUT,
            env=_environment(home),
        )
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def _environment(home: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "PLLIB_TEST_SESSION") if name in os.environ}
    return {**kept, "HOME": home, "LANG": "C.UTF-8", "TZ": "UTC", "MALLOC_ARENA_MAX": "2"}


async def _talk(process: asyncio.subprocess.Process, job: bytes) -> bytes:
    """What the worker writes until its end. Its input stays open so long: the worker ends when that ends."""
    assert process.stdin is not None  # noqa: S101 - both are pipes
    assert process.stdout is not None  # noqa: S101
    process.stdin.write(job)
    with contextlib.suppress(ConnectionError):  # it ended before it had read all: what it wrote will say why
        await process.stdin.drain()
    return await process.stdout.read()


def _result(found: bytes, code: int) -> Result:
    line, _, rows = found.partition(b"\n")
    if code > 0:
        raise QueryEngineError("the process of the query failed")
    if code < 0 or not line:
        # Not one of its own refusals: the system ended it, as a rule for its memory.
        told = f"the process of the query was ended by the system ({code})"
        raise TooLarge(told, field="sql", fix=_FIXES["too_large"])
    head: dict[str, Any] = json.loads(line)
    if "error" in head:
        _raise(head["error"])
    return Result(head, rows)


def _raise(error: dict[str, str]) -> NoReturn:
    code = error["code"]
    raise _ERRORS[code](error["message"], field=_FIELDS[code], fix=_FIXES.get(code))
