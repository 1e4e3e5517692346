"""Log files of the ProvLake client: read by line, damaged lines told and passed over, sent as they are."""

from __future__ import annotations

import gzip
import io
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pllib import cli
from pllib.provlake_log import BATCH_BYTES, BATCH_RECORDS, Damage, Line, read

RECORD = b'{"act_type": "task", "prov_obj": {"values": {"x": 0.1}}}'


def found(text: bytes) -> list[Any]:
    return list(read(io.BytesIO(text)))


def test_lines_are_sent_as_they_are() -> None:
    odd = b'{"act_type": "task", "v": [NaN, 1e400, "\\udcff", "\xff", ' + b"9" * 5000 + b"]}"
    text = b"[%b]\n\n[]\n[%b, %b]\n%b\n" % (RECORD, odd, RECORD, RECORD)
    assert found(text) == [Line(1, RECORD, 1), Line(4, odd + b", " + RECORD, 2), Line(5, RECORD, 1)]


def test_a_torn_last_line_is_told() -> None:
    whole, damage = found(b"[%b]\n[%b" % (RECORD, RECORD))
    assert whole == Line(1, RECORD, 1)
    assert damage.number == 2
    assert damage.reason.endswith("the line does not end")


@pytest.mark.parametrize(
    ("line", "whole"),
    [
        (b'[{"act_type": "ta[%b]', 1),  # a killed process began the line, the next one's array ends it
        (b"[%b]xyz", 1),
        (b"[%b][%b]", 2),
        (b'[{"act_type": [{"a": 1}]', 0),  # an array inside a damaged record is none of records
        (b"\x00\x00\x00", 0),
        (b"xyz", 0),
    ],
)
def test_whole_arrays_in_a_damaged_line_are_kept(line: bytes, whole: int) -> None:
    text = line % tuple([RECORD] * line.count(b"%b"))
    damage, *kept, after = found(text + b"\n[%b]\n" % RECORD)
    assert damage.number == 1
    assert kept == [Line(1, RECORD, 1)] * whole
    assert after == Line(2, RECORD, 1)


def test_what_is_no_array_of_records() -> None:
    assert found(b"5\n") == [Damage(1, "no array of records")]
    (deep,) = found(b"[" * 100_000 + b"\n")
    assert isinstance(deep, Damage)


def test_a_line_that_is_too_much_for_a_request_comes_in_records() -> None:
    many = found(b"[" + b",".join([RECORD] * (BATCH_RECORDS + 1)) + b"]\n")
    assert [line.records for line in many] == [1] * (BATCH_RECORDS + 1)
    assert json.loads(many[0].inner) == json.loads(RECORD)
    long = b'{"act_type": "task", "v": "%b"}' % (b"x" * BATCH_BYTES)
    assert [line.records for line in found(b"[%b, %b]\n" % (long, RECORD))] == [1, 1]


# -- the command


class Receiver:
    """An HTTP server that takes records and answers as it is told."""

    def __init__(self) -> None:
        self.taken: list[Any] = []
        self.answers: list[tuple[int, Any]] = []
        self.refuse: Callable[[list[Any]], list[Any]] = lambda records: []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.path == "/lake/retrospective-provenance"
                body = self.rfile.read(int(self.headers["content-length"]))
                records = json.loads(gzip.decompress(body) if self.headers["content-encoding"] else body)
                status, answer = receiver.answers.pop(0) if receiver.answers else (200, None)
                if status == 200:
                    refused = receiver.refuse(records)
                    receiver.taken += records
                    answer = {"accepted": len(records) - len(refused), "rejected": len(refused), "results": refused}
                content = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *arguments: Any) -> None:
                """Says nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/lake/"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    started = Receiver()
    yield started
    started.server.shutdown()
    started.thread.join()
    started.server.server_close()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of 1200 lines with a record each, one damaged line among them."""
    path = tmp_path / "prov-1.log"
    lines = [json.dumps([{"act_type": "task", "n": n}]) for n in range(1200)]
    lines[700] = "damaged"
    path.write_text("\n".join(lines) + "\n")
    return path


def ship(*arguments: object) -> int:
    return cli.main(["ship", "--format", "provlake", *map(str, arguments)])


def test_ship(receiver: Receiver, log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ship(log, log, "--url", receiver.url) == 0
    assert [record["n"] for record in receiver.taken] == [n for n in range(1200) if n != 700] * 2
    told = capsys.readouterr()
    assert told.out == "2398 records sent, 2 damaged lines passed over\n"
    assert told.err.count(f"{log}:701: damaged: ") == 2


def test_refused_records_are_told_by_line(receiver: Receiver, log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(records: list[Any]) -> list[Any]:
        wrong = [index for index, record in enumerate(records) if record["n"] == 800]
        return [{"index": index, "status": 422, "field": "$.n", "message": "no"} for index in wrong]

    receiver.refuse = refuse
    assert ship(log, "--url", receiver.url) == 1
    told = capsys.readouterr()
    assert f"{log}:801: refused: $.n: no" in told.err
    assert told.out.startswith("1198 records sent, 1 refused")


def test_a_request_that_is_refused_as_a_whole_is_halved(
    receiver: Receiver, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "p.log"
    path.write_bytes(b"[%b]\n" % RECORD * 4)
    receiver.answers = [(413, {}), (413, {}), (413, {})]
    assert ship(path, "--url", receiver.url) == 1
    assert len(receiver.taken) == 3
    assert f"{path}:1: refused: " in capsys.readouterr().err


def test_a_tracker_that_is_busy_is_waited_for_when_told_so(receiver: Receiver, log: Path) -> None:
    receiver.answers = [(503, {}), (429, {})]
    assert ship(log, "--retry", 30, "--url", receiver.url) == 0
    assert len(receiver.taken) == 1199
    receiver.answers = [(503, {})]
    assert ship(log, "--url", receiver.url) == 1


def test_errors_name_what_to_do(receiver: Receiver, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ship("--url", receiver.url) == 2
    assert "name the log files" in capsys.readouterr().err
    assert ship(tmp_path / "none.log", "--url", receiver.url) == 1
    assert "none.log" in capsys.readouterr().err
