"""Lines of a backup: what leaves comes back byte for byte, and what is no such line is refused with its number."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edge.errors import RequestError
from tracker.catalogue import CataloguedStore
from tracker.queue import Exported
from tracker.specification_store import Stored
from tracker.transfer import PIECE_BYTES, decode, lines, split

TEXT = st.text(st.characters(blacklist_categories=("Cs",)), max_size=20)
JSON = st.recursive(st.none() | st.booleans() | st.integers() | TEXT, lambda inner: st.lists(inner, max_size=3))
DOCUMENT = JSON.map(lambda value: json.dumps(value, ensure_ascii=False).encode())
TIME = st.floats(0, 1e10)
ENTRY = st.builds(
    lambda *parts: Exported("entry", *parts[:3], 0.0, "", "", "", parts[3]),
    *(st.integers(0, 2**32 - 1), TIME, st.integers(0, 9), DOCUMENT | DOCUMENT.map(lambda body: body + b"\n")),
)
DEAD = st.builds(
    lambda *parts: Exported("dead", *parts[:5], "", "", parts[5]),
    *(st.integers(0, 2**32 - 1), TIME, st.integers(0, 9), TIME, TEXT, DOCUMENT),
)
REFUSED = st.builds(
    lambda *parts: Exported("refused", 0, parts[0], 0, 0.0, *parts[1:]), *(TIME, TEXT, TEXT, TEXT, st.binary())
)


async def stream(parts: Iterable[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def items(found: Iterable[Exported]) -> AsyncIterator[Exported]:
    for one in found:
        yield one


def exported(described: list[Stored | CataloguedStore], found: list[Exported]) -> bytes:
    async def work() -> bytes:
        return b"".join([part async for part in lines(described, items(found))])

    return asyncio.run(work())


def split_all(parts: Iterable[bytes]) -> list[bytes]:
    async def work() -> list[bytes]:
        return [line async for piece in split(stream(parts)) for line in piece]

    return asyncio.run(work())


@given(st.lists(ENTRY | DEAD | REFUSED, max_size=20), st.integers(1, 50))
@example([Exported("refused", 0, 0.0, 0, 0.0, "", "", "", b"\t0 ")], 1)
def test_what_leaves_comes_back(found: list[Exported], step: int) -> None:
    specification = Stored("train ü", 3, 1.5, b'{"workflow":"train"}')
    store = CataloguedStore("db/ü", "a database", "mongodb", "DBMS", None, {"port": 1})
    text = exported([specification, store], found)
    parts = [text[start : start + step] for start in range(0, len(text), step)]
    back = [decode(line, number) for number, line in enumerate(split_all(parts), 1)]
    assert back == [None, specification, store, *found, None]
    last = json.loads(text.splitlines()[-1])
    assert last["kind"] == "end"
    assert sum(last["counts"].values()) == len(found) + 2


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"{", "truncated"),
        (b"\xff", "line 7"),
        (b'{"kind":"other"}', "kind"),
        (b'{"kind":"begin","version":2}', "its version is 2"),
        (b'{"kind":"entry","hash":1}', "neither body nor base64"),
        (b'{"kind":"entry","hash":-1,"body":{}}', "hash"),
        (b'{"kind":"entry","base64":"bm8ganNvbg=="}', "line 7"),
        (b'{"kind":"entry","base64":"!"}', "base64"),
        (b'{"kind":"data_store","body":{"id":7}}', "str"),
        (b"[" * 100_000, "line 7"),
    ],
)
def test_what_is_no_line_is_refused_by_its_number(line: bytes, why: str) -> None:
    with pytest.raises(RequestError, match=why) as caught:
        decode(line, 7)
    assert (caught.value.status, caught.value.field) == (422, "line 7")


def test_lines_come_in_bounded_pieces_and_are_bounded_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    line = b"x" * (PIECE_BYTES // 3)

    async def sizes(parts: Iterable[bytes]) -> list[int]:
        return [len(piece) async for piece in split(stream(parts))]

    assert asyncio.run(sizes([line + b"\n"] * 8 + [line])) == [4, 4, 1]
    monkeypatch.setattr("tracker.transfer.MAX_LINE", 1000)
    with pytest.raises(RequestError) as caught:
        split_all([b"y" * 600, b"y" * 600])
    assert caught.value.status == 413
