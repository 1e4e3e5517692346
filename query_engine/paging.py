"""Pages of lists: each ends in a cursor that says where the next one begins.

A cursor names the last item of its page (keyset paging), so items that are added meanwhile shift nothing. It belongs
to one list with one set of filters and is refused elsewhere.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Annotated, Any, Optional
from urllib.parse import urlencode

from fastapi import Query, Request

from pllib.provml.iris import is_id
from pllib.provml.vocabulary import SPARQL_PREFIXES, XSD
from query_engine.binding import Literal, is_iri
from query_engine.errors import BadCursor
from query_engine.names import Names
from query_engine.store import Row, StoreClient
from query_engine.terms import Term

Limit = Annotated[int, Query(ge=1, le=1000, description="Items a page.")]
CursorParameter = Annotated[
    Optional[str], Query(alias="cursor", max_length=4000, description="The `next` of the page before says it.")
]
_KEYS: dict[type, str] = {datetime: XSD + "dateTime", float: XSD + "double"}
_FIRST_TIME = f'"0001-01-01T00:00:00Z"^^<{XSD}dateTime>'


class Page:
    """What one request asks of a list: how many items, and after which.

    Args:
        request: the request, whose path and filters the cursor is bound to.
        limit: items a page.
        cursor: as the client sent it.
        path, parameters: of the list, where it is not the one that the request asks for.
        key: datatype of what the list is ordered by, unless it is a time.

    Raises:
        BadCursor: the cursor is not from this list with these filters.
    """

    def __init__(
        self,
        request: Request,
        limit: int,
        cursor: Optional[str],
        path: Optional[str] = None,
        parameters: Optional[list[tuple[str, str]]] = None,
        key: type = datetime,
    ) -> None:
        given = request.query_params.multi_items() if parameters is None else parameters
        self._path = path or request.scope["path"]
        self._parameters = [(name, value) for name, value in given if name != "cursor"]
        self.limit = limit
        self.key = key
        self.after: Optional[tuple[str, str]] = None if cursor is None else self._decode(cursor)

    def next(self, key: str, identifier: str) -> str:
        """The link (path and query) to the page after the item with this key and id."""
        text = json.dumps([self._scope(), key, identifier], separators=(",", ":"))
        cursor = base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()
        return f"{self._path}?{urlencode([*self._parameters, ('cursor', cursor)])}"

    def _scope(self) -> str:
        filters = sorted(parameter for parameter in self._parameters if parameter[0] not in ("limit", "counts"))
        return blake2b(repr((self._path, filters)).encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()

    def _decode(self, cursor: str) -> tuple[str, str]:
        try:
            decoded = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
            parts: Any = json.loads(decoded)
        except (ValueError, binascii.Error, RecursionError) as error:
            raise BadCursor("the cursor is none of this server's", field="cursor") from error
        if not (isinstance(parts, list) and len(parts) == 3 and all(isinstance(part, str) for part in parts)):
            raise BadCursor("the cursor is none of this server's", field="cursor")
        scope, key, identifier = parts
        if scope != self._scope():
            raise BadCursor("the cursor is of another list, or of other filters", field="cursor")
        named = is_id(identifier) or is_iri(identifier)
        if not named or (key and not isinstance(Term("literal", key, _KEYS[self.key]).python, self.key)):
            raise BadCursor("the cursor is none of this server's", field="cursor")
        return key, identifier


@dataclass
class Listing:
    """A SELECT query of a list, put together from constant fragments and bound values.

    Attributes:
        item: first pattern of the list; the items are ``?item``.
        timed: items have a start to be ordered by; otherwise they are ordered by IRI.
        newest_first: what is greatest comes first: the newest, of items with a start.
        key: a pattern that binds ``?key`` to a number for each item, to be ordered by that.
    """

    item: str
    timed: bool = False
    newest_first: bool = False
    key: Optional[str] = None

    def __post_init__(self) -> None:
        self._patterns: list[str] = []
        self._bindings: dict[str, Any] = {}
        if self.timed:
            self.key = f"OPTIONAL {{ ?item prov:startedAtTime ?start }} BIND(COALESCE(?start, {_FIRST_TIME}) AS ?key)"

    def where(self, pattern: str, **bindings: Any) -> None:
        """Adds a condition: a constant pattern, with a block ``VALUES ?name {}`` for each value."""
        self._patterns.append(pattern)
        self._bindings.update(bindings)

    async def page(self, store: StoreClient, names: Names, page: Page) -> tuple[list[str], Optional[str]]:
        """IRIs of the items of a page, and the link to the next one (``None`` on the last)."""
        rows, following = await self.rows(store, names, page)
        return list(dict.fromkeys(row["item"].value for row in rows)), following

    async def rows(self, store: StoreClient, names: Names, page: Page) -> tuple[list[Row], Optional[str]]:
        """The items of a page with their keys, and the link to the next one (``None`` on the last)."""
        rows = await store.select(self._text(names, page), **self._bindings)
        if len(rows) <= page.limit:
            return rows, None
        last = rows[page.limit - 1]
        following = page.next(last["key"].value if "key" in last else "", names.id(last["item"].value))
        return rows[: page.limit], following

    def _text(self, names: Names, page: Page) -> str:
        patterns = [self.item, *self._patterns]
        if self.key is not None:
            patterns.append(self.key)
        if page.after is not None:
            patterns.append(self._after(names, page))
        direction = "DESC" if self.newest_first else "ASC"
        order = "ASC(?item)" if self.key is None else f"{direction}(?key) {direction}(?item)"
        selected = "?item" if self.key is None else "?item ?key"
        body = "\n".join(patterns)
        return (
            f"{SPARQL_PREFIXES}SELECT DISTINCT {selected} WHERE {{\n{body}\n}} ORDER BY {order} LIMIT {page.limit + 1}"
        )

    def _after(self, names: Names, page: Page) -> str:
        key, identifier = page.after or ("", "")
        self._bindings["afterItem"] = Literal(names.any_iri(identifier).value)
        sign = "<" if self.newest_first else ">"
        if self.key is None:
            return f"VALUES ?afterItem {{}} FILTER(STR(?item) {sign} ?afterItem)"
        self._bindings["afterKey"] = Literal(key, _KEYS[page.key])
        return (
            "VALUES ?afterItem {} VALUES ?afterKey {} "
            f"FILTER(?key {sign} ?afterKey || (?key = ?afterKey && STR(?item) {sign} ?afterItem))"
        )
