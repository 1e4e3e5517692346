"""Rows of a query that anyone may have written: so many, so large, and no more of them ever in memory."""

from __future__ import annotations

from contextlib import aclosing

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
    cut, kept = cutter(RESULTS_JSON, most), bytearray()
    async with store.proxy(query, RESULTS_JSON.media_type) as response, aclosing(response.aiter_bytes()) as parts:  # type: ignore[type-var]
        async for part in parts:
            kept += cut.feed(part)
            if len(kept) > MAX_BYTES:
                raise TooLarge(f"the answer has more than {MAX_BYTES} bytes")
            if cut.full:
                break
    kept += cut.close()
    if not cut.complete():
        raise broken_off(bytes(kept[-TAIL:]))
    try:
        document = orjson.loads(kept)
        rows = [{name: term(value) for name, value in row.items()} for row in document["results"]["bindings"]]
        return list(document["head"]["vars"]), rows, cut.full
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise StoreFailed("the store's answer is no result of a SELECT query") from error
