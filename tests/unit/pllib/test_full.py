"""What happens to a record that finds no room: in the queue, in the spool's quota, on the disk."""

from __future__ import annotations

import errno
import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import pllib
from pllib import spool, this_process
from pllib.errors import FullError

LITTLE = {"spool_bytes": 20_000, "segment_bytes": 2_500}


def start(tmp_path: Path, **settings: Any) -> None:
    pllib.configure(
        **{"mode": "disk", "spool": str(tmp_path / "spool"), "exit_timeout": 0.3, "strict": False, **settings}
    )


def on_disk(tmp_path: Path) -> list[dict[str, Any]]:
    folder = str(tmp_path / "spool")
    return [
        json.loads(frame.payload)
        for producer in spool.producers(folder)
        for number in spool.segments(folder, producer)
        for frame in spool.read_segment(folder, producer, number)
        if frame.payload is not None
    ]


def task(size: int = 200) -> None:
    with pllib.task("t", used={"text": "x" * size}):
        pass


def fill() -> None:
    for _ in range(200):
        task()


def checked() -> dict[str, Any]:
    figures = pllib.stats()
    assert figures["accepted"] == figures["delivered"] + figures["refused"] + figures["waiting"]
    return figures


@pytest.fixture(autouse=True)
def _own(records: Any) -> None:
    """Each test has a client of its own, which ends with it."""


def test_drop_newest_counts_and_leaves_gaps_that_add_up(tmp_path):
    start(tmp_path, **LITTLE)
    with pllib.workflow("w"):
        fill()
    pllib.shutdown()
    figures = checked()
    found = on_disk(tmp_path)
    assert figures["dropped"] == {"full": 402 - (figures["accepted"] - 1) + sum(r["op"] == "gap" for r in found)}
    assert figures["accepted"] == figures["waiting"] == len(found)
    gaps = [record for record in found if record["op"] == "gap"]
    assert sum(gap["count"] for gap in gaps) == figures["dropped"]["full"]
    assert all(gap["from"] <= gap["to"] <= gap["t"] for gap in gaps)
    files = [path.stat().st_size for path in (tmp_path / "spool").rglob("*.frames")]
    assert sum(files) <= LITTLE["spool_bytes"]


def test_the_gap_stands_before_the_next_record_that_is_accepted(tmp_path):
    start(tmp_path, **LITTLE)
    with pllib.workflow("w") as wf:
        fill()
        folder = str(tmp_path / "spool")
        producer = this_process.current().producer
        for number in spool.segments(folder, producer)[:-1]:
            os.unlink(spool.segment_path(folder, producer, number))  # as when all of it was taken
        dropped = checked()["dropped"]["full"]
        with wf.task("after"):
            pass
        assert checked()["dropped"]["full"] == dropped
    found = on_disk(tmp_path)
    position = next(n for n, record in enumerate(found) if record.get("id", "").startswith("after/"))
    assert found[position - 1]["op"] == "gap"


def test_raise_says_so_in_the_script_and_keeps_no_half_record(tmp_path):
    start(tmp_path, full="raise", **LITTLE)
    taken = 0
    with pytest.raises(FullError, match="no room"), pllib.workflow("w"):
        while True:
            task()
            taken += 1
    assert taken > 10
    figures = checked()
    assert set(figures["dropped"]) == {"full"}
    pllib.shutdown()
    ends = sum(record["op"] == "end" and record["kind"] == "task" for record in on_disk(tmp_path))
    assert ends == taken
    assert isinstance(FullError("x"), pllib.PllibError)


def test_raise_never_hides_the_scripts_own_exception(tmp_path, monkeypatch):
    start(tmp_path, full="raise")
    with pytest.raises(KeyError, match="own"), pllib.workflow("w") as wf, wf.task("t"):
        monkeypatch.setattr(os, "write", _refuse(errno.ENOSPC))
        raise KeyError("own")
    assert checked()["dropped"] == {"disk": 2}


def test_raise_is_quiet_at_the_end(tmp_path, capsys):
    start(tmp_path, full="raise", **LITTLE)
    with pytest.raises(FullError), pllib.workflow("w"):
        fill()
    pllib.shutdown()
    assert "Traceback" not in capsys.readouterr().err


def test_block_waits_for_room_and_then_drops(tmp_path):
    start(tmp_path, full="block", block_timeout=0.05, **LITTLE)
    with pllib.workflow("w"):
        while "full" not in checked()["dropped"]:
            task()
        before, began = checked()["dropped"]["full"], time.monotonic()
        task()
        assert checked()["dropped"]["full"] == before + 2
        assert time.monotonic() - began >= 0.1


def test_block_goes_on_when_there_is_room(tmp_path):
    start(tmp_path, full="block", block_timeout=20, **LITTLE)
    folder = str(tmp_path / "spool")
    going, ended = threading.Event(), threading.Event()

    def free() -> None:
        going.wait(20)
        while not ended.is_set():
            for producer in spool.producers(folder):
                for number in spool.segments(folder, producer)[:-1]:
                    os.unlink(spool.segment_path(folder, producer, number))
            time.sleep(0.005)

    remover = threading.Thread(target=free)
    remover.start()
    with pllib.workflow("w"):
        going.set()
        fill()
    ended.set()
    remover.join()
    assert checked()["dropped"] == {}
    assert checked()["accepted"] == 403


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO, errno.EDQUOT])
def test_a_disk_that_refuses_is_a_counted_drop_and_capture_goes_on_after_it(tmp_path, monkeypatch, code):
    start(tmp_path)
    with pllib.workflow("w"):
        task()
        with monkeypatch.context() as broken:
            broken.setattr(os, "write", _refuse(code))
            task()
            task()
        assert checked()["dropped"] == {"disk": 4}
        task()
    pllib.shutdown()
    found = on_disk(tmp_path)
    gaps = [record for record in found if record["op"] == "gap"]
    assert sum(gap["count"] for gap in gaps) == 4
    assert {gap["reason"] for gap in gaps} == {"disk"}
    assert len(found) == checked()["accepted"] == 1 + 2 + 4 + len(gaps)


def _refuse(code: int) -> Any:
    def write(fd: int, data: bytes) -> int:
        raise OSError(code, os.strerror(code))

    return write


def test_a_disk_that_fills_in_the_middle_of_a_record_keeps_no_half_of_it(tmp_path, monkeypatch):
    start(tmp_path)
    with pllib.workflow("w"):
        task()
        real = os.write
        with monkeypatch.context() as broken:
            broken.setattr(os, "write", lambda fd, data: real(fd, data[: len(data) // 2]))
            task()
        task()
    pllib.shutdown()
    assert checked()["dropped"] == {"disk": 2}
    data = b"".join(path.read_bytes() for path in (tmp_path / "spool").rglob("*.frames"))
    assert all(frame.payload is not None for frame in spool.frames.decode(data))
    assert len(on_disk(tmp_path)) == checked()["accepted"]


def test_the_process_is_introduced_when_there_is_room_again(tmp_path, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(os, "write", _refuse(errno.ENOSPC))
        start(tmp_path)
        with pllib.workflow("w"):
            pass
    with pllib.workflow("w"):
        pass
    first = on_disk(tmp_path)[0]
    assert (first["op"], first["pid"]) == ("producer", os.getpid())


def test_a_closed_descriptor_is_replaced(tmp_path):
    start(tmp_path)
    with pllib.workflow("w"):
        task()
        os.close(this_process.current().sink.fd)
        task()
    pllib.shutdown()
    assert checked()["dropped"] == {}
    assert len(on_disk(tmp_path)) == checked()["accepted"] == 7


def test_a_record_that_cannot_be_encoded_is_a_counted_drop(tmp_path):
    start(tmp_path)
    with pllib.workflow("w") as wf, wf.task("t") as found:
        found._given_output = {"stdout": object()}
    assert checked()["dropped"] == {"unencodable": 1}
    pllib.shutdown()
    assert [r["reason"] for r in on_disk(tmp_path) if r["op"] == "gap"] == ["unencodable"]


def test_an_oversized_record_loses_its_values_or_is_a_counted_drop(tmp_path):
    start(tmp_path)
    with pllib.workflow("w") as wf:
        with wf.task("t", used={f"x{n}": "y" * 90_000 for n in range(60)}):
            pass
        assert (checked()["shortened"], checked()["dropped"]) == (1, {})
        with wf.task("t") as found:
            found._given_output = {"stdout": "z" * 5_000_000}
    assert checked()["dropped"] == {"oversized": 1}


def test_spill_goes_on_in_files_and_leaves_there_what_is_not_sent(tmp_path, capsys):
    start(tmp_path, mode="memory", full="spill", queue_records=20, url="http://127.0.0.1:1")
    with pllib.workflow("w"):
        fill()
        assert checked()["dropped"] == {}
        assert len(on_disk(tmp_path)) == 402 - 20
    pllib.shutdown()
    found = on_disk(tmp_path)
    figures = checked()
    assert len(found) == figures["accepted"] == figures["waiting"] == 403
    assert sorted(record["n"] for record in found) == list(range(403))
    assert "403 records were not sent and are kept in" in capsys.readouterr().err


def test_spill_drops_when_the_files_are_full_too(tmp_path):
    start(tmp_path, mode="memory", full="spill", queue_records=20, url="http://127.0.0.1:1", **LITTLE)
    with pllib.workflow("w"):
        fill()
    pllib.shutdown()
    figures = checked()
    found = on_disk(tmp_path)
    assert len(found) == figures["waiting"] == figures["accepted"]
    gaps = [record for record in found if record["op"] == "gap"]
    untold = figures["dropped"]["full"] - sum(gap["count"] for gap in gaps)
    assert gaps
    assert untold == 0


def test_the_queue_in_memory_is_bounded_in_bytes(tmp_path):
    start(tmp_path, mode="memory", queue_bytes=100_000, url="http://127.0.0.1:1")
    with pllib.workflow("w"):
        for _ in range(100):
            task(5_000)
    figures = checked()
    assert figures["dropped"]["full"] > 100
    assert this_process.current().sink.bytes_held() <= 101_000


def test_what_memory_still_holds_at_the_end_is_lost_and_said_so(tmp_path, capsys):
    start(tmp_path, mode="memory", url="http://127.0.0.1:1")
    with pllib.workflow("w"):
        task()
    pllib.shutdown()
    figures = checked()
    assert (figures["accepted"], figures["waiting"]) == (0, 0)
    assert figures["dropped"] == {"exit": 5}
    assert "5 records were not sent and are lost" in capsys.readouterr().err


@pytest.mark.parametrize("value", ["drop_oldest", "", "Block"])
def test_another_policy_is_refused_with_what_there_is(value):
    with pytest.raises(pllib.ConfigurationError, match="drop_newest, block, spill, raise"):
        pllib.configure(full=value)


def test_combinations_without_meaning_name_the_fix():
    with pytest.raises(pllib.ConfigurationError, match=r"mode=memory.*drop_newest, block or raise"):
        pllib.configure(mode="process", full="spill")
    with pytest.raises(pllib.ConfigurationError, match="set full=block, or leave block_timeout out"):
        pllib.configure(full="raise", block_timeout=1)
