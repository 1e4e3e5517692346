"""Spool folders that many processes of many hosts share: how full a folder gets, and which files are still written to."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from pllib import holding, spool
from pllib.spool_reader import SpoolReader

RANKS = 4000
HOLDS = """
import os, sys
from pllib import holding
holding.hold(os.open(sys.argv[1], os.O_RDWR), False)
print(flush=True)
sys.stdin.read()
"""


@pytest.fixture
def on_beegfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The test's folder is on a file system whose locks stay within a host, as far as the system's list of mounts says."""
    device = tmp_path.stat().st_dev
    mounts = tmp_path / "mountinfo"
    line = f"36 35 {os.major(device)}:{os.minor(device)} / {tmp_path} rw,noatime shared:1 - beegfs beegfs_nodev rw,cfgFile=x\n"
    mounts.write_text("22 1 0:21 / /proc rw - proc proc rw\n" + line)
    monkeypatch.setattr(holding, "MOUNTS", str(mounts))
    holding._seen_by_all.cache_clear()
    yield
    holding._seen_by_all.cache_clear()


def written(folder: Path) -> str:
    """The producer of a process that has written a record and ended."""
    producer = os.urandom(16).hex()
    writer = spool.SpoolWriter(str(folder), producer, 10_000, 1_000_000, ships=False)
    assert writer.offer(b'{"n":0,"op":"x"}') is None
    writer.close()
    return producer


def test_thousands_of_ranks_share_a_folder_and_none_gets_full(tmp_path):
    ranks = {written(tmp_path) for _ in range(RANKS)}
    assert len(ranks) == RANKS
    assert set(spool.producers(str(tmp_path))) == ranks
    entries = Counter({Path(folder): len(folders) + len(files) for folder, folders, files in os.walk(tmp_path)})
    assert entries[tmp_path] <= 256
    del entries[tmp_path]
    assert max(entries.values()) < RANKS / 100
    for producer in list(ranks)[:100]:
        reader = SpoolReader(str(tmp_path), producer)
        assert reader.left() == 1
        reader.close()


@pytest.mark.parametrize(
    ("kind", "options", "reach"),
    [
        ("ext4", "rw,relatime", True),
        ("nfs4", "rw,vers=4.2,local_lock=none,addr=10.0.0.1", True),
        ("nfs", "rw,vers=3,nolock,local_lock=all,addr=10.0.0.1", False),
        ("lustre", "rw,flock,lazystatfs", True),
        ("lustre", "rw,localflock,lazystatfs", False),
        ("lustre", "rw,lazystatfs", False),
        ("gpfs", "rw,relatime", True),
        ("beegfs", "rw,cfgFile=/etc/beegfs/client.conf", False),
        ("cifs", "rw,vers=3.0,nobrl", False),
        ("fuse.sshfs", "rw,user_id=0", False),
    ],
)
def test_locks_that_other_hosts_see(kind, options, reach):
    assert holding.locks_reach(kind, options) is reach


def test_where_locks_stay_within_a_host_a_file_may_be_written_elsewhere_until_it_was_quiet_for_long(
    tmp_path, on_beegfs
):
    producer = written(tmp_path)
    path = spool.segment_path(str(tmp_path), producer, 1)
    assert holding.holder(path) == holding.WAITING
    reader = SpoolReader(str(tmp_path), producer)
    batch = reader.take(100, 10_000)
    reader.done(batch)
    reader.finish()
    assert os.path.exists(path)  # taken, and noted so, but another host may still write to it
    assert SpoolReader(str(tmp_path), producer).left() == 0
    long_ago = time.time() - holding.QUIET_SECONDS - 60
    os.utime(path, (long_ago, long_ago))
    assert holding.holder(path) == holding.DEAD
    SpoolReader(str(tmp_path), producer).finish()
    assert not os.path.exists(path)


def test_a_writer_of_this_host_is_seen_whatever_the_file_system(tmp_path, on_beegfs):
    path = spool.segment_path(str(tmp_path), written(tmp_path), 1)
    long_ago = time.time() - holding.QUIET_SECONDS - 60
    os.utime(path, (long_ago, long_ago))
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert holding.holder(path) == holding.WAITING
        process.communicate(timeout=30)
    assert holding.holder(path) == holding.DEAD
