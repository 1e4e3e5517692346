"""Rows of a query that anyone may have written: so many, so large, and no more of them ever in memory."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any, Optional

import orjson

from query_engine.errors import StoreFailed, TooLarge
from query_engine.formats import RESULTS_JSON
from query_engine.results import cutter
from query_engine.store import TAIL, Row, StoreClient, broken_off
from query_engine.terms import term

MAX_ROWS = 50_000
MAX_BYTES = 64 * 1024 * 1024


async def bounded_rows(store: StoreClient, query: str, most: int = MAX_ROWS) -> tuple[list[Row], bool]:
    """The solutions of a SELECT query, and whether there are more than ``most``; raises as :func:`bounded_table`."""
    _, rows, cut = await bounded_table(store, query, most)
    return rows, cut


async def bounded_table(store: StoreClient, query: str, most: int = MAX_ROWS) -> tuple[list[str], list[Row], bool]:
    """The variables of a SELECT query, its solutions, and whether there are more than ``most``.

    Raises:
        TooLarge: they have more than 64 MB.
        QueryTimeout, StoreFailed: the store broke off; and what :meth:`StoreClient.proxy` raises.
    """
    kept = _Kept(most)
    async with store.proxy(query, RESULTS_JSON.media_type) as response, aclosing(response.aiter_bytes()) as parts:  # type: ignore[type-var]
        async for part in parts:
            kept.add(part)
            if len(kept.text) > MAX_BYTES:
                raise TooLarge(f"the answer has more than {MAX_BYTES} bytes")
            if kept.full:
                break
    try:
        document = kept.whole()
        rows = [{name: term(value) for name, value in row.items()} for row in document["results"]["bindings"]]
        return list(document["head"]["vars"]), rows, kept.full
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise StoreFailed("the store's answer is no result of a SELECT query") from error


class _Kept:
    """An answer as it comes in, of so many rows at most.

    Where rows begin is sought, which costs more than all else that is done with them, only in an answer with so many braces that
    it may have too many rows.
    """

    def __init__(self, most: int) -> None:
        self.text = bytearray()
        self._cut = cutter(RESULTS_JSON, most)
        self._left: Optional[int] = most
        """Braces until rows are counted; ``None`` when they are."""

    @property
    def full(self) -> bool:
        """Whether there are more rows."""
        return self._cut.full

    def add(self, part: bytes) -> None:
        """A further part."""
        if self._left is None:
            self.text += self._cut.feed(part)
            return
        self.text += part
        self._left -= part.count(b"{")
        if self._left < 0:
            self._count()

    def _count(self) -> None:
        self._left, so_far = None, bytes(self.text)
        self.text[:] = self._cut.feed(so_far)

    def whole(self) -> Any:
        """What it says, when no more comes. Raises as ``bounded_table``; ``orjson.JSONDecodeError`` where it is no JSON."""
        if self._left is not None:
            try:
                return orjson.loads(self.text)
            except orjson.JSONDecodeError:
                self._count()  # which knows an answer that was broken off from one that never was any
        self.text += self._cut.close()
        if not self._cut.complete():
            raise broken_off(bytes(self.text[-TAIL:]))
        return orjson.loads(self.text)
