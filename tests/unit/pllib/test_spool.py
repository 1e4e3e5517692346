"""Frames and spool files: what was written is read, whatever happened to the file."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pllib import frames, holding, spool, spool_reader
from pllib.errors import SpoolError

PRODUCER = "3f" + "0" * 30
payloads = st.lists(st.binary(min_size=1, max_size=60).map(lambda b: b.replace(b"\n", b" ")), max_size=8)


@given(payloads)
def test_frames_read_back(written):
    data = b"".join(map(frames.encode, written))
    assert [frame.payload for frame in frames.decode(data)] == written


@given(payloads, st.data())
def test_a_cut_at_any_byte_loses_only_the_cut_frame(written, data):
    whole = b"".join(map(frames.encode, written))
    cut = data.draw(st.integers(0, len(whole)))
    complete = sum(len(whole[:cut]) >= len(b"".join(map(frames.encode, written[: n + 1]))) for n in range(len(written)))
    assert [f.payload for f in frames.decode(whole[:cut])] == written[:complete]


def test_every_flipped_bit_harms_no_other_frame():
    written = [b'{"n":0}', b'{"n":1,"x":"abc"}', b'{"n":2}']
    whole = bytearray(b"".join(map(frames.encode, written)))
    first, second = len(frames.encode(written[0])), len(frames.encode(written[1]))
    for bit in range(first * 8, (first + second) * 8):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        found = [f.payload for f in frames.decode(bytes(damaged)) if f.payload is not None]
        assert found[0] == written[0]
        assert written[2] in found
        assert all(payload in written for payload in found)


def writer(folder, **options):
    return spool.SpoolWriter(
        str(folder), PRODUCER, options.get("segment_bytes", 100), options.get("spool_bytes", 10_000)
    )


def test_files_rotate_and_are_read_in_order_and_deleted_when_taken(tmp_path):
    sink = writer(tmp_path)
    written = [b'{"n":%d}' % n for n in range(30)]
    assert [sink.offer(payload) for payload in written] == [None] * 30
    assert len(spool.segments(str(tmp_path), PRODUCER)) > 3
    reader = spool_reader.SpoolReader(str(tmp_path), PRODUCER)
    assert reader.left() == 30
    found: list[bytes] = []
    while batch := reader.take(7, 1000):
        found += batch.payloads
        reader.done(batch)
    assert found == written
    assert len(spool.segments(str(tmp_path), PRODUCER)) == 1
    sink.offer(b'{"n":30}')
    again = spool_reader.SpoolReader(str(tmp_path), PRODUCER)
    assert again.take(7, 1000).payloads == [b'{"n":30}']
    sink.close()


def test_a_record_larger_than_a_batch_comes_alone(tmp_path):
    sink = writer(tmp_path, segment_bytes=10**5, spool_bytes=10**6)
    written = [b"{}", b'"%s"' % (b"x" * 5_000), b"[]"]
    assert [sink.offer(payload) for payload in written] == [None] * 3
    reader = spool_reader.SpoolReader(str(tmp_path), PRODUCER)
    found = []
    while batch := reader.take(7, 1000):
        found.append(batch.payloads)
        reader.done(batch)
    assert found == [[payload] for payload in written]
    sink.close()


def test_what_was_taken_is_remembered_and_the_rest_comes_again(tmp_path):
    sink = writer(tmp_path)
    for n in range(4):
        sink.offer(b'{"n":%d}' % n)
    reader = spool_reader.SpoolReader(str(tmp_path), PRODUCER)
    reader.done(reader.take(2, 1000))
    reader.take(2, 1000)  # not acknowledged
    assert spool_reader.SpoolReader(str(tmp_path), PRODUCER).take(9, 1000).payloads == [b'{"n":2}', b'{"n":3}']
    sink.close()


def test_damage_and_a_torn_end_are_passed_over_and_counted(tmp_path):
    sink = writer(tmp_path, segment_bytes=10_000)
    for n in range(3):
        sink.offer(b'{"n":%d}' % n)
    sink.close()
    path = spool.segment_path(str(tmp_path), PRODUCER, 1)
    with open(path, "r+b") as file:
        file.seek(15)
        file.write(b"#")
        file.seek(0, os.SEEK_END)
        file.write(b"20 0000")
    reader = spool_reader.SpoolReader(str(tmp_path), PRODUCER)
    batch = reader.take(10, 1000)
    assert batch.payloads == [b'{"n":1}', b'{"n":2}']
    assert len(batch.damaged) == 1
    reader.done(batch)
    reader.finish()
    assert os.path.exists(path)  # the torn end is kept


def test_a_full_spool_takes_nothing_more_and_takes_again_after_trimming(tmp_path):
    sink = writer(tmp_path, spool_bytes=1000)
    taken = 0
    while sink.offer(b'{"n":%d}' % taken) is None:
        taken += 1
    assert sink.offer(b"{}") == spool.FULL
    assert sink.accepted == taken > 10
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.frames")) <= 1000
    reader = spool_reader.SpoolReader(str(tmp_path), PRODUCER)
    found = []
    while batch := reader.take(5, 1000):
        found += batch.payloads
        reader.done(batch)
    assert len(found) == taken
    assert sink.offer(b"{}") is None
    sink.close()


def test_finish_removes_all_files_of_a_producer_that_was_taken(tmp_path):
    sink = writer(tmp_path)
    sink.offer(b"{}")
    sink.close()
    reader = spool_reader.SpoolReader(str(tmp_path), PRODUCER)
    reader.finish()
    assert reader.left() == 1
    reader.done(reader.take(9, 99))
    reader.finish()
    assert os.listdir(tmp_path / "3f") == []


def test_no_folder_is_an_error_that_names_it(tmp_path):
    with pytest.raises(SpoolError, match="nowhere"):
        spool.producers(str(tmp_path / "nowhere"))
    (tmp_path / "file").write_text("")
    with pytest.raises(SpoolError, match="cannot be written"):
        writer(tmp_path / "file")


def test_files_are_readable_by_their_user_alone(tmp_path):
    sink = writer(tmp_path)
    sink.close()
    assert os.stat(spool.segment_path(str(tmp_path), PRODUCER, 1)).st_mode & 0o077 == 0


def test_whoever_tidies_up_leaves_a_file_alone_that_another_one_is_writing(tmp_path):
    sink = spool.SpoolWriter(str(tmp_path), PRODUCER, 10**6, 10**7)
    sink.offer(b'{"n":0}')
    sink.close()
    being_written, left = (tmp_path / PRODUCER[:2] / f"{PRODUCER}.acked.1.{n}.new" for n in (1, 2))
    for path in (being_written, left):
        path.write_bytes(b"")
    with being_written.open("wb") as file:
        holding.hold(file.fileno(), ships=True)
        reader = spool_reader.SpoolReader(str(tmp_path), PRODUCER)
        reader.done(reader.take(9, 10**6))
        reader.finish()
        assert [path.name for path in being_written.parent.iterdir()] == [being_written.name]
    spool_reader.SpoolReader(str(tmp_path), PRODUCER).finish()
    assert not list(being_written.parent.iterdir())
