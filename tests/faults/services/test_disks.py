"""Disks that are full or read-only for a while: refused with 503, nothing acknowledged lost, and on it goes by itself."""

from __future__ import annotations

import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.faults.ledger import Ledger
from tests.faults.proxy import until

from .cluster import Cluster, Layout
from .disks import Disk, mounted
from .graphs import Truth
from .load import Load

PATIENCE = 150.0
Tries = Callable[[int, int], int]
pytestmark = pytest.mark.timeout(1800)


def test_the_queue_s_disk_is_full_for_a_while(
    cluster: Cluster, truth: Truth, ledger: Ledger, tries: Tries, tmp_path: Path
) -> None:
    times = tries(2, 6)
    with mounted(tmp_path / "disk", 32) as disk:
        cluster.fresh(Layout(folders={"tracker": disk.folder}))
        (tracker,) = cluster.trackers
        pid = tracker.pid
        with Load(cluster.urls, truth.batches) as load:
            for number in range(times):
                share = len(truth.batches) * (number + 1) // (times + 1)
                load.allow(share - 20)
                load.reached(share - 20)
                disk.fill()
                before = load.answers[503]
                load.allow(share)  # some of it may fit in space that the file has already
                stuck = partial(lambda load, most: load.answers[503] > most, load, before + 10)
                full = until(lambda stuck=stuck, share=share: stuck() or len(load.acknowledged) == share, PATIENCE)
                assert full, load.answers
                assert stuck() != tracker.usable()
                disk.free()
                load.reached(share)
                assert until(tracker.usable, PATIENCE)
            assert load.answers[503] > 0
            assert tracker.pid == pid
            load.finish()
        truth.account(ledger.row("the queue's disk is full"), load.acknowledged, cluster.settle(), times)
        cluster.end(tracker)


def test_a_tracker_is_started_while_its_disk_is_full(
    cluster: Cluster, truth: Truth, ledger: Ledger, tmp_path: Path
) -> None:
    with mounted(tmp_path / "disk", 32) as disk:
        cluster.fresh(Layout(folders={"tracker": disk.folder}))
        (tracker,) = cluster.trackers
        half = len(truth.batches) // 2
        with Load(cluster.urls, truth.batches) as load:
            load.allow(half)
            load.reached(half)
            tracker.end(signal.SIGKILL)
            disk.fill()
            tracker.start()
            load.allow(half + 4)
            assert until(
                lambda: load.answers[503] > 0 or len(load.acknowledged) == half + 4 or not tracker.running, PATIENCE
            )
            assert tracker.running, tracker.told
            disk.free()
            load.finish()
        truth.account(ledger.row("kill -9 of tracker, its disk full"), load.acknowledged, cluster.settle(), 1)
        cluster.end(tracker)


def test_the_disk_of_the_queue_s_server_is_full_for_a_while(
    cluster: Cluster, truth: Truth, ledger: Ledger, tries: Tries, tmp_path: Path
) -> None:
    """A server that syncs each write ends when it cannot; it is started again once there is space."""
    times = tries(1, 6)
    with mounted(tmp_path / "disk", 64) as disk:
        cluster.fresh(Layout(queue="redis", trackers=2, folders={"redis": disk.folder}))
        assert cluster.redis is not None
        pids = [tracker.pid for tracker in cluster.trackers]
        with Load(cluster.urls, truth.batches) as load:
            for number in range(times):
                share = len(truth.batches) * (number + 1) // (times + 1)
                load.allow(share - 20)
                load.reached(share - 20)
                disk.fill()
                load.allow(share)
                assert until(lambda: not cluster.redis.running, PATIENCE), cluster.redis.told
                assert until(lambda: not any(tracker.usable() for tracker in cluster.trackers), PATIENCE)
                disk.free()
                cluster.redis.start()
                load.reached(share)
            load.finish()
        truth.account(ledger.row("the disk of the queue's server is full"), load.acknowledged, cluster.settle(), times)
        assert [tracker.pid for tracker in cluster.trackers] == pids
        assert load.answers[503] > 0
        cluster.end(*cluster.trackers, cluster.redis)


def fill_until_it_fails(disk: Disk, cluster: Cluster, load: Load, most: int) -> None:
    """Takes the store's space, again and again since it gives some back itself, until it cannot commit."""
    before = cluster.stats()["failed_posts"]

    def failed() -> bool:
        return int(cluster.stats()["failed_posts"]) > before

    for count in range(len(load.acknowledged), most, 5):
        disk.fill()
        load.allow(count + 5)
        load.reached(count + 5)  # captures are taken all the same
        assert until(lambda: failed() or cluster.drained(), PATIENCE)
        if failed():
            return
    pytest.fail("the store found space all the time")


@pytest.mark.parametrize("killed", [False, True], ids=["", "and it is killed"])
def test_the_store_s_disk_is_full_for_a_while(
    cluster: Cluster, truth: Truth, ledger: Ledger, tries: Tries, tmp_path: Path, killed: bool
) -> None:
    times = tries(1, 4)
    with mounted(tmp_path / "disk", 200) as disk:
        cluster.fresh(Layout(folders={"store": disk.folder}))
        with Load(cluster.urls, truth.batches) as load:
            for number in range(times):
                share = len(truth.batches) * (number + 1) // (times + 1)
                load.allow(share // 2)
                load.reached(share // 2)
                fill_until_it_fails(disk, cluster, load, share)
                if killed:
                    cluster.store.end(signal.SIGKILL)
                disk.free()
                cluster.store.start()
                assert until(cluster.drained, PATIENCE), cluster.store.told
            load.finish()
        cluster.settle()
        # What the store's log holds behind the write that failed must be found when it is read again.
        cluster.store.end(signal.SIGKILL)
        row = ledger.row(f"the store's disk is full{', kill -9 of it' if killed else ''}")
        truth.account(row, load.acknowledged, cluster.settle(), times)
        cluster.end(cluster.store)


def test_the_queue_s_folder_is_read_only(cluster: Cluster, truth: Truth, ledger: Ledger, tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", 32) as disk:
        cluster.fresh(Layout(folders={"tracker": disk.folder}))
        (tracker,) = cluster.trackers
        half = len(truth.batches) // 2
        with Load(cluster.urls, truth.batches) as load:
            load.allow(half)
            load.reached(half)
            assert tracker.end(signal.SIGTERM) == 0
            disk.read_only(True)
            tracker.start()
            assert tracker.exit_code() == 3
            assert str(disk.folder) in tracker.told
            assert "Traceback" not in tracker.told
            disk.read_only(False)
            cluster.start()
            load.finish()
        truth.account(ledger.row("the queue's folder is read-only"), load.acknowledged, cluster.settle(), 1)
        cluster.end(tracker)
