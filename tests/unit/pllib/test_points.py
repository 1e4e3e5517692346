"""Where points of series are until they are in records: points files, what is made of those left behind, and files that are kept."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import pllib
from pllib import cli, points_file, points_recovery, spool, this_process
from pllib.errors import FullError
from pllib.series import Series
from tests.unit.pllib.receiver import Receiver
from tests.unit.pllib.test_activities import check_schema
from tests.unit.pllib.test_series import of
from tests.unit.pllib.test_syncing import Fsync

FROZEN = Path(__file__).with_name("frozen") / "points-v1.points"
DEAD = "3f" + "0" * 30


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.stop()


def files(tmp_path: Path, suffix: str = "points") -> list[Path]:
    return sorted((tmp_path / "spool").rglob(f"*.{suffix}"))


def until(true: Callable[[], Any], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:
        time.sleep(0.005)
    return bool(true())


def indexes(records: list[dict[str, Any]], name: str = "x") -> list[int]:
    return [point[0] for point in of(records, name)]


def said_of(records: list[dict[str, Any]], name: str) -> int:
    """How many records there are of a series."""
    return len([record for record in records if record.get("series") == name])


def left_behind(tmp_path: Path, data: bytes) -> str:
    """A spool folder with the points file of a process that is dead."""
    path = tmp_path / "spool" / DEAD[:2] / f"{DEAD}.000001.points"
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    return str(tmp_path / "spool")


# -- the file of a living process ---------------------------------------------------------------------------------


def test_a_point_is_in_the_file_when_log_returns_and_the_file_goes_with_the_process(records, tmp_path):
    with pllib.workflow("w") as wf:
        series = Series(wf, "x")
        for value in range(3):
            series.log(value, t=1)
            (path,) = files(tmp_path)
            assert path.read_bytes().rstrip().endswith(b" 0 %d %d 1 %d" % (value, value, value))
        assert [record["op"] for record in records()] == ["begin"]
    pllib.shutdown()
    assert not files(tmp_path)
    assert indexes(records()) == [0, 1, 2]


def test_a_large_file_is_followed_by_another_and_removed(records, tmp_path):
    pllib.configure(segment_bytes=2_000)
    with pllib.workflow("w") as wf:
        many = [Series(wf, name) for name in "xy"]
        for _ in range(500):
            for series in many:
                series.log(0.5)
            assert len(files(tmp_path)) == 1
            assert files(tmp_path)[0].stat().st_size < 3_000
        assert files(tmp_path)[0].name.split(".")[1] > "000010"
    assert indexes(records()) == indexes(records(), "y") == list(range(500))


def test_a_file_that_somebody_deletes_is_made_again(receiver, records, tmp_path):
    pllib.configure(mode="process", url=receiver.url)
    with pllib.workflow("w") as wf:
        series = Series(wf, "x")
        series.log(1.0)
        files(tmp_path)[0].unlink()
        series.log(2.0)
        assert until(lambda: files(tmp_path))
        series.log(3.0)
        pllib.flush()
    pllib.shutdown()
    assert indexes(receiver.records) == [0, 1, 2]
    assert not files(tmp_path)


def test_a_file_that_is_closed_under_us_is_replaced(records, tmp_path):
    with pllib.workflow("w") as wf:
        series = Series(wf, "x")
        series.log(1.0)
        os.close(this_process.current().points.file.fd)
        series.log(2.0)
        series.log(3.0)
    pllib.shutdown()
    assert indexes(records()) == [0, 1, 2]


def test_where_no_file_can_be_made_every_point_is_a_record(records, tmp_path, monkeypatch):
    def refuse(*_: Any) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(points_file, "hold", refuse)
    pllib.configure(strict=False)
    with pllib.workflow("w") as wf:
        series = Series(wf, "x")
        for value in range(3):
            series.log(value)
            assert indexes(records()) == list(range(value + 1))
    assert pllib.stats()["errors"] == {"points": 1}
    check_schema(records())


def test_the_thread_makes_records_while_the_activity_is_open(receiver, records):
    pllib.configure(mode="process", url=receiver.url, interval=0.01)
    with pllib.workflow("w") as wf:
        Series(wf, "x").log(0.5)
        assert until(lambda: indexes(receiver.records))
        figures = pllib.stats()
        assert figures["points"] == {"accepted": 1, "waiting": 0}


def test_points_of_telemetry_wait_for_more(receiver, records, monkeypatch):
    monkeypatch.setattr("pllib.sealing.PERIOD", 0.01)
    pllib.configure(mode="process", url=receiver.url, interval=0.01)
    with pllib.workflow("w") as wf:
        machine, loss = Series(wf, "cpu.percent", telemetry=True), Series(wf, "loss")
        for count in range(1, 6):
            machine.log(count)
            loss.log(count)
            assert until(lambda count=count: len(indexes(receiver.records, "loss")) == count)
        assert said_of(receiver.records, "loss") == 5
        assert said_of(receiver.records, "cpu.percent") == 0
        pllib.flush()
        assert said_of(receiver.records, "cpu.percent") == 1
        machine.log(6)
        loss.log(6)
        assert until(lambda: len(indexes(receiver.records, "loss")) == 6)
    pllib.flush()
    assert said_of(receiver.records, "cpu.percent") == 2
    assert indexes(receiver.records, "cpu.percent") == list(range(6))


def test_points_of_telemetry_go_into_records_while_the_activity_is_open(receiver, records, monkeypatch):
    monkeypatch.setattr("pllib.sealing.PERIOD", 0.01)
    monkeypatch.setattr("pllib.sealing.TELEMETRY_PERIOD", 0.2)
    pllib.configure(mode="process", url=receiver.url, interval=0.01)
    with pllib.workflow("w") as wf:
        machine = Series(wf, "cpu.percent", telemetry=True)
        for value in range(3):
            machine.log(value)
        assert until(lambda: indexes(receiver.records, "cpu.percent") == [0, 1, 2])


def test_on_a_disk_alone_calls_make_records_after_a_second(records, monkeypatch):
    monkeypatch.setattr("pllib.sealing.CALLS_PERIOD", 0.05)
    with pllib.workflow("w") as wf:
        series = Series(wf, "x")
        series.log(0.5)
        time.sleep(0.06)
        series.log(1.5)
        assert indexes(records()) == [0, 1]


@pytest.mark.parametrize("mode", ["memory", "process", "node", "disk"])
def test_every_mode_takes_points_and_keeps_its_accounts(receiver, records, tmp_path, mode):
    pllib.configure(mode=mode, url=receiver.url)
    with pllib.workflow("w") as wf:
        series = Series(wf, "x")
        for value in range(2345):
            series.log(value)
        assert bool(files(tmp_path)) == (mode != "memory")
    pllib.shutdown()
    figures = pllib.stats()
    assert figures["accepted"] == figures["delivered"] + figures["refused"] + figures["waiting"]
    assert figures["points"] == {"accepted": 2345, "waiting": 0}
    found = records() if mode == "disk" else receiver.records
    check_schema([record for record in found if record["op"] != "producer"])
    assert of(found, "x") == [(n, n, point[2], n) for n, point in enumerate(of(found, "x"))]
    assert len(of(found, "x")) == 2345


def test_memory_for_points_is_bounded(records):
    pllib.configure(queue_bytes=2_000_000)
    with pllib.workflow("w") as wf:
        many = [Series(wf, f"x{number}") for number in range(300)]
        for _ in range(30):
            for series in many:
                series.log(0.5)
                assert pllib.stats()["points"]["waiting"] <= 2000
    assert sum(len(record["values"]) for record in records() if record["op"] == "points") == 9000


def test_eight_threads_and_two_hundred_series(records):
    pllib.configure(segment_bytes=20_000)
    with pllib.workflow("w") as wf:

        def work(number: int) -> None:
            many = [Series(wf, f"x{place}") for place in range(200)]
            for turn in range(10):
                for series in many:
                    series.log(number * 100 + turn)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    found = records()
    for place in range(200):
        points = of(found, f"x{place}")
        assert [point[0] for point in points] == list(range(80))
        assert sorted(point[3] for point in points) == [n * 100 + turn for n in range(8) for turn in range(10)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
def test_what_the_parent_has_not_sealed_is_not_the_childs(records, tmp_path):
    with pllib.workflow("w") as wf:
        series = Series(wf, "x")
        series.log(1.0)
        pid = os.fork()
        if not pid:
            series.log(2.0)
            pllib.shutdown()
            os._exit(len(files(tmp_path)) - 1)  # the parent's
        assert os.waitpid(pid, 0)[1] == 0
        series.log(3.0)
    found = [record for record in records() if record["op"] == "points"]
    assert sorted((record["first"], record["values"]) for record in found) == [(0, [1.0, 3.0]), (0, [2.0])]


# -- no room --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["drop_newest", "block", "raise"])
def test_what_finds_no_room_is_counted_in_points(records, policy):
    waits = {"block_timeout": 0.002} if policy == "block" else {}
    pllib.configure(spool_bytes=20_000, segment_bytes=2_500, full=policy, strict=False, **waits)
    raised = 0
    with contextlib.suppress(FullError), pllib.workflow("w") as wf:  # its end finds no room either
        series = Series(wf, "x")
        for value in range(3000):
            try:
                series.log(value)
            except FullError:
                raised += 1
    figures = pllib.stats()
    assert figures["accepted"] == figures["delivered"] + figures["refused"] + figures["waiting"]
    found = records()
    kept, dropped = len(of(found, "x")), sum(figures["dropped"].values())
    assert 0 < kept < 3000
    ends = sum(record["op"] in ("begin", "end") for record in found)  # where they were dropped they count too
    assert kept + dropped == 3000 + 2 - ends
    assert sum(record["count"] for record in found if record["op"] == "gap") <= dropped
    assert (raised > 0) == (policy == "raise")
    assert not figures["errors"]


# -- what was left behind -------------------------------------------------------------------------------------------


def test_a_points_file_of_version_1_is_read_for_ever(tmp_path):
    folder = left_behind(tmp_path, FROZEN.read_bytes())
    found = points_recovery.left(folder, DEAD)
    made = [json.loads(payload) for payload in found.records]
    check_schema(made)
    loss = {"series": "train/loss", "as": "evaluation_measure", "unit": "nats"}
    about = {"op": "points", "kind": "task", "wf": "w/e", "id": "training/0"}
    t = 1785000000000000
    assert made == [
        # announced, and not said to be taken
        {
            **about, **loss, "n": 19, "t": t + 7000, "m": 99912346,
            "first": 3, "steps": [30, -35], "times": [t + 6500, 100], "values": [-0.25, "-INF"],
        },
        # never announced; point 5 had been dropped, 8 is damaged, 9 torn
        {
            **about, **loss, "n": 2**40 + 6, "t": t + 8001, "m": 0,
            "first": 6, "steps": [60, 10], "times": [t + 8000, 1], "values": [0.125, 0.0625],
        },
        {
            **about, "series": "cpu.percent", "unit": "%", "telemetry": True, "rank": 3, "n": 2**40 + 2**32 + 1, "t": t + 9000, "m": 0,
            "first": 1, "steps": [1], "times": [t + 9000], "values": [96],
        },
    ]  # fmt: skip
    assert found.damaged == [b"0bad0bad 0 8 80 1785000000009000 1\n"]


def test_what_was_announced_is_made_again_to_the_last_byte(records, tmp_path):
    with pllib.workflow("w") as wf:
        series = Series(wf, "x/é")
        for value in (0.1, -0.0, float("nan"), 3, float("-inf"), 1e300):
            series.log(value)
        (path,) = files(tmp_path)
        pllib.flush()
        data = path.read_bytes()
    payloads = [
        frame.payload
        for producer in spool.producers(str(tmp_path / "spool"))
        for frame in spool.read_segment(str(tmp_path / "spool"), producer, 1)
    ]
    (sent,) = [payload for payload in payloads if b'"op":"points"' in payload]
    untaken = b"".join(line for line in data.splitlines(keepends=True) if line[9:10] != b".")
    assert points_recovery.records([untaken]).records == [sent]
    assert points_recovery.records([data]).records == []


def test_recovery_leaves_records_and_damaged_lines_in_ordinary_files(tmp_path, receiver, capsys):
    folder = left_behind(tmp_path, FROZEN.read_bytes())
    assert cli.main(["inspect", folder]) == 0
    assert "accepted 3 = delivered 0 + refused 0 + waiting 3" in capsys.readouterr().out
    assert cli.main(["inspect", folder, "--records"]) == 0
    assert capsys.readouterr().out.count('"op":"points"') == 3
    assert len(files(tmp_path)) == 1  # looking changes nothing
    assert cli.main(["ship", folder, "--url", receiver.url]) == 0
    assert [record["n"] for record in receiver.records] == [19, 2**40 + 6, 2**40 + 2**32 + 1]
    assert [path.name for path in (tmp_path / "spool").rglob("*.*")] == [f"{DEAD}.damaged"]
    assert cli.main(["ship", folder, "--url", receiver.url]) == 0
    assert len(receiver.records) == 3


def test_a_points_file_of_a_later_version_is_left_alone_and_told(tmp_path, receiver, capsys):
    folder = left_behind(tmp_path, points_file.line(b"v 2") + b"something else\n")
    assert cli.main(["ship", folder, "--url", receiver.url]) == 1
    assert "its form is b'v 2'; this version of pllib knows b'v 1'" in capsys.readouterr().err
    assert cli.main(["inspect", folder]) == 1
    assert len(files(tmp_path)) == 1


def test_a_spool_file_for_recovered_records_never_takes_a_number_that_was_read(tmp_path, receiver):
    folder = left_behind(tmp_path, FROZEN.read_bytes())
    reader = points_recovery.SpoolReader(folder, DEAD)
    reader._number, reader._offset, reader._saved = 7, 10_000, False
    reader.save()
    points_recovery.recover(folder, DEAD)
    assert spool.segments(folder, DEAD) == [8]


SCRIPT = """
import os, sys, pllib
from pllib.series import Series
pllib.configure(mode="process", spool=sys.argv[1], url=sys.argv[2], segment_bytes=3000)
with pllib.workflow("w") as wf:
    many = [Series(wf, f"x{n}") for n in range(3)]
    for value in range(2000):
        for series in many:
            series.log(value)
    os._exit(0)
"""


def test_what_a_process_left_that_ended_without_notice_arrives_once(tmp_path, receiver):
    folder = str(tmp_path / "spool")
    subprocess.run([sys.executable, "-c", SCRIPT, folder, receiver.url], check=True, timeout=60)
    assert cli.main(["ship", folder, "--url", receiver.url]) == 0
    once = {record["n"]: record for record in receiver.records}  # what was sent and not yet noted is sent again
    assert all(once[record["n"]] == record for record in receiver.records)
    for number in range(3):
        assert indexes(list(once.values()), f"x{number}") == list(range(2000))
    assert not [path for path in (tmp_path / "spool").rglob("*.*")]


# -- mode node ------------------------------------------------------------------------------------------------------


def test_in_mode_node_the_points_file_is_synced_soon_and_after_the_records(records, tmp_path):
    pllib.configure(mode="node", url="http://127.0.0.1:1", exit_timeout=0.2)
    with pllib.workflow("w") as wf:
        client = this_process.current()
        fsync = client._syncer._fsync = Fsync()
        series = Series(wf, "x")
        series.log(1.0)
        (path,) = files(tmp_path)
        inode, size = path.stat().st_ino, path.stat().st_size
        assert until(lambda: any(call[1] == inode and call[3] >= size for call in fsync.calls))
        shard = path.parent.stat().st_ino
        assert until(lambda: any(call[1] == shard for call in fsync.calls))
        client.points.seal_all()
        taken = [place for place, call in enumerate(list(fsync.calls))]
        assert until(lambda: b"\n2704e34c" in path.read_bytes() or path.read_bytes().splitlines()[-1][9:10] == b".")
        frames = os.fstat(client.sink.fd).st_ino
        after = fsync.calls[len(taken) - 1 :]
        assert frames in [call[1] for call in after]  # the records were synced before they were said to be taken
        assert fsync.threads == {"pllib-sync"}
    pllib.shutdown()
    assert not files(tmp_path)


# -- files that are kept --------------------------------------------------------------------------------------------


def test_files_that_are_kept_stay_and_are_not_sent_twice(records, receiver, tmp_path, capsys):
    pllib.configure(mode="process", url=receiver.url, keep=True, segment_bytes=300)
    with pllib.workflow("w") as wf:
        for value in range(10):
            with wf.task("t", used={"value": value}):
                Series(wf, "x").log(value)
    pllib.shutdown()
    sent = len(receiver.records)
    assert len(files(tmp_path, "frames")) > 3
    assert [record for record in receiver.records if record["op"] != "producer"] == records()
    folder = str(tmp_path / "spool")
    assert cli.main(["ship", folder, "--url", receiver.url]) == 0
    assert len(receiver.records) == sent
    assert len(files(tmp_path, "frames")) > 3
    assert cli.main(["inspect", folder]) == 0
    assert "1 of these producers keep their files when they are sent" in capsys.readouterr().out


def test_files_of_a_disk_alone_that_are_kept_are_sent_once(records, receiver, tmp_path):
    pllib.configure(mode="disk", keep=True)
    with pllib.workflow("w"):
        pass
    pllib.shutdown()
    folder = str(tmp_path / "spool")
    for _ in range(2):
        assert cli.main(["ship", folder, "--url", receiver.url]) == 0
        assert len(receiver.records) == 3
    assert len(records()) == 2
