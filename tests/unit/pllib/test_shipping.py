"""Delivery and retries, against a small real HTTP server that answers as it is told."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

import pllib
from pllib import spool, spool_reader
from pllib.errors import TransportError
from pllib.memory import MemoryQueue
from pllib.shipper import Delivery, delay
from pllib.transport import HttpTransport, retry_after
from tests.unit.pllib.receiver import Receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.stop()


def queue(count: int) -> MemoryQueue:
    source = MemoryQueue("0" * 32, 1000, 10**6, lambda head, parts: None)
    for n in range(count):
        source.offer(b'{"n":%d}' % n)
    return source


def deliver(source: MemoryQueue, receiver: Receiver, max_records: int = 1000) -> Delivery:
    return Delivery(source, HttpTransport(receiver.url, 5.0, token="secret"), max_records, 10**6)


def test_batches_are_bounded_and_nothing_is_lost(receiver):
    delivery = deliver(queue(25), receiver, 10)
    while delivery.step():
        pass
    assert [r["n"] for r in receiver.records] == list(range(25))
    assert len(receiver.headers) == 3
    assert receiver.headers[0]["Authorization"] == "Bearer secret"
    assert delivery.delivered == 25
    delivery.transport.close()


def test_a_failed_batch_stays_and_comes_again(receiver):
    receiver.plan = [(503, {"Retry-After": "7"}, b""), (429, {}, b""), (500, {}, b"x"), (200, {}, b"what")]
    delivery = deliver(queue(3), receiver)
    waits = []
    for _ in range(4):
        with pytest.raises(TransportError) as caught:
            delivery.step()
        waits.append(caught.value.retry_after)
    assert waits == [7.0, None, None, None]
    assert delivery.step()
    assert len(receiver.records) == 3
    delivery.transport.close()


def test_a_refused_batch_is_halved_until_the_culprit_stands_alone(receiver, tmp_path):
    sink = spool.SpoolWriter(str(tmp_path), "0" * 32, 10**6, 10**6)
    for n in range(8):
        sink.offer(b'{"n":%d}' % n)
    receiver_take = receiver.take

    def all_or_nothing(batch):
        if any(r["n"] == 5 for r in batch["records"]):
            return 400, {}, b'{"error": "five"}'
        return receiver_take(batch)

    receiver.take = all_or_nothing
    reader = spool_reader.SpoolReader(str(tmp_path), "0" * 32)
    delivery = Delivery(reader, HttpTransport(receiver.url, 5.0), 1000, 10**6)
    assert delivery.step()
    assert sorted(r["n"] for r in receiver.records) == [0, 1, 2, 3, 4, 6, 7]
    assert (delivery.delivered, delivery.refused) == (7, 1)
    refused = json.loads((tmp_path / "00" / ("0" * 32 + ".refused")).read_text())
    assert refused["record"] == {"n": 5}
    assert "five" in refused["reason"]["message"]
    delivery.transport.close()
    sink.close()


def test_single_refused_records_are_kept_with_the_reason(receiver, tmp_path):
    receiver.reject = lambda record: "odd" if record["n"] % 2 else None
    sink = spool.SpoolWriter(str(tmp_path), "0" * 32, 10**6, 10**6)
    for n in range(4):
        sink.offer(b'{"n":%d}' % n)
    delivery = Delivery(
        spool_reader.SpoolReader(str(tmp_path), "0" * 32), HttpTransport(receiver.url, 5.0), 1000, 10**6
    )
    while delivery.step():
        pass
    lines = (tmp_path / "00" / ("0" * 32 + ".refused")).read_text().splitlines()
    assert [json.loads(line)["record"]["n"] for line in lines] == [1, 3]
    delivery.transport.close()
    sink.close()


def test_no_server_is_a_transport_error():
    with pytest.raises(TransportError, match=r"no answer from http://127.0.0.1:1\b") as caught:
        HttpTransport("http://127.0.0.1:1", 1.0).post("0" * 32, [b"{}"])
    assert not caught.value.permanent


@pytest.mark.parametrize(
    ("text", "seconds"),
    [(None, None), ("3", 3.0), ("1.5", None), ("soon", None), ("-4", 0.0), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0)],
)
def test_retry_after_is_read_as_seconds_or_date(text, seconds):
    assert retry_after(text) == seconds


def test_delays_grow_with_full_jitter_and_are_bounded():
    upper = [delay(n, None, lambda low, high: high) for n in range(1, 9)]
    assert upper == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]
    assert delay(9, 3.0, lambda low, high: low) == 3.0


@pytest.mark.parametrize("mode", ["process", "memory", "node"])
def test_records_reach_a_tracker_while_the_script_runs(receiver, tmp_path, mode, records):
    pllib.configure(mode=mode, url=receiver.url, spool=str(tmp_path / "spool2"), interval=0.01)
    with pllib.workflow("w") as wf:
        for n in range(50):
            with wf.task("t", used={"n": n}) as task:
                task.generated(m=n + 0.5)
    assert pllib.flush(10)
    figures = pllib.stats()
    assert figures["accepted"] == figures["delivered"] == 103 == len(receiver.records)
    assert figures["waiting"] == 0
    pllib.shutdown()
    assert [r["n"] for r in receiver.records] == list(range(103))
    left = list((tmp_path / "spool2").rglob("*.frames")) if mode != "memory" else []
    assert left == []
    pllib.configure(mode="disk")


def test_a_full_queue_in_memory_drops_and_counts(records):
    pllib.configure(mode="memory", url="http://127.0.0.1:1", queue_records=10, exit_timeout=0.5)
    with pllib.workflow("w") as wf:
        for _ in range(50):
            with wf.task("t"):
                pass
    figures = pllib.stats()
    assert figures["dropped"] == {"full": 93}
    assert figures["accepted"] == 11  # and the gap record
    pllib.configure(mode="disk")
