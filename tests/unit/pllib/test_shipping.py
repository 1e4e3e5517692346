"""Delivery and retries, against a small real HTTP server that answers as it is told."""

from __future__ import annotations

import errno
import json
import os
import random
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest

import pllib
from pllib import spool, spool_reader
from pllib.errors import TransportError
from pllib.memory import MemoryQueue
from pllib.packing import JSON, LINES
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


def test_a_refusal_of_something_that_is_no_tracker_refuses_no_record(receiver):
    receiver.plan = [(400, {}, b"<html>The plain HTTP request was sent to HTTPS port</html>"), (422, {}, b"[]")]
    delivery = deliver(queue(3), receiver)
    for _ in range(2):
        with pytest.raises(TransportError):
            delivery.step()
    assert delivery.refused == 0
    assert delivery.step()
    assert delivery.delivered == 3
    delivery.transport.close()


@pytest.mark.parametrize("status", [401, 403, 404, 409, 500, 502])
def test_what_another_tracker_or_token_could_take_stays(receiver, status):
    receiver.plan = [(status, {}, b'{"error": {"code": "x"}}')]
    delivery = deliver(queue(2), receiver)
    with pytest.raises(TransportError, match=str(status)):
        delivery.step()
    assert delivery.step()
    assert (delivery.delivered, delivery.refused) == (2, 0)
    delivery.transport.close()


PACKED = [
    b'{"n":0,"op":"end","generated":{"x":\t,"a%b":\t}}\tmpmZmZmZuT8AAAAAAADw/w==',
    b'{"n":1,"op":"end","generated":{"x":"\\t"}}',
    b'{"n":2,"op":"end","generated":{"y":\t}}\tAQAAAAAAAAA=',
]
MEANT = [{"x": 0.1, "a%b": {"$": "float", "v": "-INF"}}, {"x": "\t"}, {"y": 5e-324}]


def posted(transport: HttpTransport) -> int:
    return int(transport.post("0" * 32, PACKED)["accepted"])


def test_records_go_as_they_are_to_a_tracker_that_says_it_takes_lines(receiver):
    receiver.says_lines = True
    transport = HttpTransport(receiver.url, 5.0)
    assert [posted(transport), posted(transport)] == [3, 3]
    assert [headers["Content-Type"] for headers in receiver.headers] == [JSON, LINES]
    assert receiver.bodies[1].split(b"\n")[1:] == PACKED
    assert [record["generated"] for record in receiver.records] == [*MEANT, *MEANT]
    receiver.says_lines = False  # an older one has taken its place
    assert [posted(transport), posted(transport)] == [3, 3]
    assert [headers["Content-Type"] for headers in receiver.headers[2:]] == [LINES, JSON]
    transport.close()


@pytest.mark.parametrize("status", [400, 415, 422, 413])
def test_a_tracker_that_no_longer_takes_lines_gets_the_same_records_as_json_at_once(receiver, status):
    receiver.says_lines = True
    source = queue(0)
    source.offer(*PACKED)
    delivery = deliver(source, receiver, 1)
    assert delivery.step()
    receiver.plan = [(status, {}, b'{"error": {"code": "no_json"}}')]
    assert delivery.step()
    assert [headers["Content-Type"] for headers in receiver.headers] == [JSON, LINES, JSON]
    assert delivery.step()
    assert (delivery.delivered, delivery.refused) == (3, 0)
    assert [record["generated"] for record in receiver.records] == MEANT
    delivery.transport.close()


@pytest.mark.parametrize("status", [400, 404, 500, 503])
def test_whoever_answers_lines_in_another_way_gets_json_the_next_time(receiver, status):
    receiver.says_lines = True
    transport = HttpTransport(receiver.url, 5.0)
    assert posted(transport) == 3
    receiver.plan = [(status, {}, b"<html>")]
    with pytest.raises(TransportError):
        posted(transport)
    assert posted(transport) == 3
    assert [headers["Content-Type"] for headers in receiver.headers] == [JSON, LINES, JSON]
    transport.close()


def test_a_refused_record_of_lines_is_kept_as_json(receiver, tmp_path):
    receiver.says_lines = True
    receiver.reject = lambda record: "no" if record["n"] == 2 else None
    sink = spool.SpoolWriter(str(tmp_path), "0" * 32, 10**6, 10**7)
    source = spool_reader.SpoolReader(str(tmp_path), "0" * 32)
    delivery = Delivery(source, HttpTransport(receiver.url, 5.0), 1, 10**6)
    for payload in PACKED:
        sink.offer(payload)
        assert delivery.step()
    (line,) = (tmp_path / "00" / ("0" * 32 + ".refused")).read_text().splitlines()
    assert json.loads(line)["record"]["generated"] == MEANT[2]
    delivery.transport.close()
    sink.close()


def test_a_failure_in_the_middle_of_halving_counts_nothing_twice(receiver):
    refusal = (400, {}, b'{"error": "one of them"}')
    receiver.plan = [refusal]
    take, failures = receiver.take, iter([None, (503, {}, b"")])

    def then(batch):
        return next(failures, None) or take(batch)

    receiver.take = then
    delivery = deliver(queue(8), receiver)
    with pytest.raises(TransportError, match="503"):
        delivery.step()
    assert (delivery.delivered, len(receiver.records)) == (0, 4)
    assert delivery.step()
    assert (delivery.delivered, delivery.refused) == (8, 0)
    delivery.transport.close()


def test_results_that_make_no_sense_refuse_nothing_twice(receiver):
    results = [{"index": 1, "status": 422}, {"index": 1, "status": 422}, {"index": 99, "status": 422}]
    receiver.plan = [(200, {}, json.dumps({"accepted": 1, "rejected": 2, "results": results}).encode())]
    delivery = deliver(queue(3), receiver)
    assert delivery.step()
    assert (delivery.delivered, delivery.refused) == (2, 1)
    delivery.transport.close()


def test_no_server_is_a_transport_error():
    with pytest.raises(TransportError, match=r"no answer from http://127.0.0.1:1\b") as caught:
        HttpTransport("http://127.0.0.1:1", 1.0).post("0" * 32, [b"{}"])
    assert not caught.value.permanent


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("", None),
        ("3", 3.0),
        (" 120 ", 120.0),
        ("-4", 0.0),
        ("3600", 3600.0),
        ("999999999999", 999999999999.0),
        ("9" * 400, None),
        ("1.5", None),
        ("1e9", None),
        ("inf", None),
        ("nan", None),
        ("٣", None),
        ("soon", None),
        ("Thu, 01 Jan 1970 00:10:00 GMT", 0.0),
        ("Thu, 01 Jan 1970 00:20:00 GMT", 200.0),
        ("Thu, 01 Jan 1970 01:20:00 +0100", None),
        ("Sat, 30 Feb 2030 07:28:00 GMT", None),
        ("Fri, 01 Jan 2030 25:61:00 GMT", None),
        ("Wed, 99 Foo 2015 07:28:00 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 253402299799.0),
    ],
)
def test_retry_after_is_read_as_seconds_or_date(text, seconds):
    assert retry_after(text, now=1000.0) == seconds


def test_a_date_in_the_past_asks_for_nothing():
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0


def test_delays_grow_with_full_jitter_and_are_bounded():
    upper = [delay(n, None, lambda low, high: high) for n in range(1, 9)]
    assert upper == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]
    assert [delay(n, None, lambda low, high: low) for n in range(1, 9)] == [0.0] * 8
    assert delay(9, 3.0, lambda low, high: low) == 3.0
    assert delay(1, 3600.0, lambda low, high: low) == 600.0
    assert delay(10_000, None, lambda low, high: high) == 10.0


def test_waiting_leaves_the_scripts_chances_alone():
    random.seed(1)
    expected = random.random()
    random.seed(1)
    assert all(0 <= delay(n, None) <= 10 for n in range(1, 200))
    assert random.random() == expected


def test_the_accounting_goes_with_each_batch(receiver, tmp_path, records):
    from tracker.batches import decode_batch

    schema = json.loads((Path(pllib.__file__).parent / "schema" / "capture-v1.json").read_text())
    pllib.configure(mode="process", url=receiver.url, spool=str(tmp_path / "s"), batch_records=10, interval=0.01)
    with pllib.workflow("w") as wf:
        for n in range(20):
            with wf.task("t", used={"n": n}):
                pass
    assert pllib.flush(10)
    pllib.shutdown()
    for batch in receiver.batches:
        jsonschema.validate(batch, schema)
        figures = batch["accounting"]
        assert figures["accepted"] == figures["delivered"] + figures["refused"] + figures["waiting"]
        assert figures["waiting"] >= len(batch["records"])
        assert (figures["mode"], figures["dropped"]) == ("process", {})
        assert decode_batch(json.dumps(batch).encode()).producer == batch["producer"]
    last = receiver.batches[-1]
    assert last["accounting"]["delivered"] + len(last["records"]) == 43
    assert [batch["accounting"]["delivered"] for batch in receiver.batches[:2]] == [
        0,
        len(receiver.batches[0]["records"]),
    ]


def test_flush_is_no_reason_to_press_a_tracker_that_is_busy(receiver, tmp_path, records):
    receiver.plan = [(503, {"Retry-After": "60"}, b"")] * 100
    pllib.configure(mode="process", url=receiver.url, spool=str(tmp_path / "s"), interval=0.01, exit_timeout=0.2)
    with pllib.workflow("w"):
        pass
    assert not pllib.flush(0.5)
    assert not pllib.flush(0.2)
    assert len(receiver.headers) == 1
    pllib.shutdown()
    assert len(receiver.headers) == 1
    assert pllib.stats()["waiting"] == 3


def test_flush_is_true_only_when_what_was_accepted_before_it_is_there(receiver, tmp_path, records):
    pllib.configure(mode="process", url=receiver.url, spool=str(tmp_path / "s"), interval=0.001)
    with pllib.workflow("w") as wf:
        for n in range(300):
            with wf.task("t"):
                pass
            if n % 3 == 0:
                accepted = pllib.stats()["accepted"]
                assert pllib.flush(10)
                assert len(receiver.records) >= accepted
    pllib.shutdown()


def test_figures_stay_after_the_end_and_asking_starts_nothing(receiver, tmp_path, records):
    pllib.configure(mode="process", url=receiver.url, spool=str(tmp_path / "s"))
    pllib.stats()
    assert not (tmp_path / "s").exists()
    assert pllib.flush(0.1)
    with pllib.workflow("w"):
        pass
    pllib.shutdown()
    figures = pllib.stats()
    assert (figures["accepted"], figures["delivered"], figures["waiting"]) == (3, 3, 0)
    assert pllib.flush(0.1)


def test_the_shipper_outlives_a_disk_that_takes_no_notes(receiver, tmp_path, records, monkeypatch):
    pllib.configure(mode="process", url=receiver.url, spool=str(tmp_path / "s"), interval=0.01, strict=False)
    receiver.reject = lambda record: "odd" if record["n"] % 2 else None
    real = os.open

    def open_(path, flags, *mode, **more):
        if str(path).endswith((".new", ".refused")):
            raise OSError(errno.ENOSPC, "No space left on device", path)
        return real(path, flags, *mode, **more)

    monkeypatch.setattr(os, "open", open_)
    for _ in range(3):
        with pllib.workflow("w"):
            pass
        assert pllib.flush(10)
    figures = pllib.stats()
    assert figures["accepted"] == figures["delivered"] + figures["refused"] == 7
    assert figures["refused"] == 3
    assert figures["errors"]["spool"] >= 1
    pllib.shutdown()


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
