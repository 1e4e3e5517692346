"""Every truncation point and every flipped bit of small spool files: nothing is invented, and nothing whole is lost."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pllib import spool
from pllib.spool_reader import SpoolReader

PRODUCER = "3f" + "0" * 30
WRITTEN = [b'{"n":%d,"op":"begin","used":{"x":%d}}' % (n, n * n) for n in range(6)]


@pytest.fixture
def original(tmp_path: Path) -> Path:
    """A spool of two files with three records each."""
    folder = tmp_path / "original"
    writer = spool.SpoolWriter(str(folder), PRODUCER, 3 * (len(WRITTEN[0]) + 10), 1_000_000)
    for payload in WRITTEN:
        assert writer.offer(payload) is None
    writer.close()
    assert spool.segments(str(folder), PRODUCER) == [1, 2]
    return folder


def path_of(folder: Path, number: int) -> Path:
    return Path(spool.segment_path(str(folder), PRODUCER, number))


def copied(original: Path) -> Path:
    """A copy to be damaged; the one before it is gone."""
    folder = original.with_name("copy")
    (folder / PRODUCER[:2]).mkdir(parents=True, exist_ok=True)
    for path in (folder / PRODUCER[:2]).iterdir():
        path.unlink()
    for path in (original / PRODUCER[:2]).iterdir():
        (folder / PRODUCER[:2] / path.name).write_bytes(path.read_bytes())
    return folder


def shipped(folder: Path) -> list[bytes]:
    """What a reader finds from where it was, each batch acknowledged; then it removes what it may."""
    reader = SpoolReader(str(folder), PRODUCER)
    found: list[bytes] = []
    for _ in range(100):
        batch = reader.take(2, 1_000_000)
        if batch is None:
            reader.finish()
            return found
        found += batch.payloads
        reader.done(batch)
    raise AssertionError("the reader does not come to an end")


def harmed(number: int, place: int) -> set[int]:
    """Which records a damaged byte of a file may cost: the one it is in, since each has a newline before and after it."""
    position = 0
    for index in range(3 * number - 3, 3 * number):
        position += len(WRITTEN[index]) + 14  # length (2), checksum (8), two blanks, two newlines
        if place < position:
            return {index}
    raise AssertionError("beyond the file")


def remains(folder: Path) -> bytes:
    """All bytes that are left in a spool folder."""
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def flips(size: int) -> Iterator[tuple[int, int]]:
    return ((place, 1 << bit) for place in range(size) for bit in range(8))


@pytest.mark.parametrize("number", [1, 2])
def test_every_flipped_bit_costs_only_the_record_it_is_in(original, ledger, number):
    whole = path_of(original, number).read_bytes()
    row = ledger.row("a flipped bit in a spool file")
    for place, bit in flips(len(whole)):
        folder = copied(original)
        damaged = bytearray(whole)
        damaged[place] ^= bit
        path_of(folder, number).write_bytes(damaged)
        found = shipped(folder)
        gone = {n for n, payload in enumerate(WRITTEN) if payload not in found}
        assert found == [payload for n, payload in enumerate(WRITTEN) if n not in gone], (place, bit, found)
        assert gone <= harmed(number, place), (place, bit, gone)
        for n in gone:  # what could not be sent is still there, damaged as it is
            assert any(WRITTEN[n][at : at + 12] in remains(folder) for at in (0, len(WRITTEN[n]) - 12)), (place, bit)
        row.tries += 1
        row.accepted += len(WRITTEN)
        row.delivered += len(found)
        row.on_disk += len(gone)
    row.note = "damaged ones are kept on disk"


@pytest.mark.parametrize("number", [1, 2])
def test_every_truncation_costs_only_what_was_cut(original, ledger, number):
    whole = path_of(original, number).read_bytes()
    row = ledger.row("a truncated spool file")
    for size in range(len(whole)):
        folder = copied(original)
        os.truncate(path_of(folder, number), size)
        found = shipped(folder)
        # Where only the newline was cut the record is whole, and taken once nothing more can follow in the file.
        newlines = whole[:size].count(b"\n") + (number == 1 and whole[size : size + 1] == b"\n")
        lines = newlines // 2  # each record has one before it too
        cut = WRITTEN[3 * number - 3 + lines : 3 * number]
        assert found == [payload for payload in WRITTEN if payload not in cut], (size, found)
        torn = whole[:size].rpartition(b"\n")[2]
        assert torn in remains(folder) or torn.endswith(found[lines - 1])
        row.tries += 1
        row.accepted += len(WRITTEN) - len(cut)  # the cut ones are not there any more for anyone
        row.delivered += len(found)


def test_an_acknowledgement_that_is_damaged_hides_nothing_and_deletes_nothing_unsent(original, ledger):
    reader = SpoolReader(str(original), PRODUCER)
    for _ in range(2):  # records 0 to 2 and the file they were in are gone
        reader.done(reader.take(2, 1_000_000))
    reader.done(reader.take(1, 1_000_000))
    sent = 4
    (acked,) = original.rglob("*.acked")
    whole = acked.read_bytes()
    damages = [bytes([*whole[:place], whole[place] ^ bit, *whole[place + 1 :]]) for place, bit in flips(len(whole))]
    damages += [whole[:size] for size in range(len(whole))]
    damages += [
        b"999999 0\n",
        b"2 99999\n",
        b"-1 -1\n",
        b"\xff" * 40,
        b"9" * 5000,
        b"2 0\n2 0\n",
        b"\0" * len(whole),
        whole * 2,
    ]
    row = ledger.row("a damaged note of what was taken")
    for damage in damages:
        folder = copied(original)
        (folder / acked.relative_to(original)).write_bytes(damage)
        found = shipped(folder)
        assert found in (WRITTEN[sent:], WRITTEN[3:]), (damage, found)
        row.tries += 1
        row.accepted += len(WRITTEN) - sent
        row.delivered += len(WRITTEN) - sent
    row.note = "at worst records are sent again, which changes nothing"


@pytest.mark.parametrize("what", ["a folder", "not to be read", "not to be written"])
def test_an_acknowledgement_that_cannot_be_used_hides_nothing(original, what):
    (folder := copied(original)).chmod(0o700)
    acked = folder / PRODUCER[:2] / f"{PRODUCER}.acked"
    if what == "a folder":
        acked.mkdir()
    else:
        acked.write_text("2 0\n")
        acked.chmod(0 if what == "not to be read" else 0o400)
    reader = SpoolReader(str(folder), PRODUCER)
    assert reader.take(9, 1_000_000).payloads[-1] in WRITTEN


def test_control_a_reader_without_checksums_would_invent(original):
    """The tests above can fail: most flips give a record that reads well and was never written."""
    whole = path_of(original, 1).read_bytes()
    invented = 0
    for place, bit in flips(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= bit
        lines = [line.split(b" ", 2)[-1] for line in bytes(damaged).split(b"\n") if line]
        invented += any(line not in WRITTEN for line in lines)
    assert invented > len(whole)
