"""ProvLake's data stores as those of the catalogue. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from edge.errors import RequestError

from ..catalogue import CataloguedStore
from ..errors import RecordError
from ..plain_values import check_size, clean_text, pure

Json = Any

MAX_TEXT = 340

_KINDS = {
    "FILE_SYSTEM": ("filesystem", "volume", "lustre", "gpfs"),
    "RELATIONAL_DBMS": ("rdbms", "relationaldbms", "postgresql"),
    "DOCUMENT_DBMS": ("documentdbms", "mongodb"),
    "OBJECT_STORE": ("objectstore", "cloudobjectstore", "awss3"),
    "TRIPLESTORE": ("triplestore", "allegrograph", "jena"),
    "GRAPH_DBMS": ("graphdbms", "neo4j"),
}
_KIND_OF = {name: kind for kind, names in _KINDS.items() for name in names}
_MADE_UP = re.compile(r"ds_[0-9a-f]{8}(_[0-9a-f]{4}){3}_[0-9a-f]{12}")


def kind_of(given: Json) -> str | None:
    """The type of a store in our vocabulary; one that is not known is kept as it came."""
    if not isinstance(given, str) or not given:
        return None
    return _KIND_OF.get(given.lower().replace("_", ""), clean_text(given))


def catalogued(body: Json) -> CataloguedStore:
    """The store that a request describes.

    The client makes up an id when the script gives none; such an id is replaced by one that is the same for the same name,
    type and host, so that a script may say it in every run.

    Raises:
        RequestError: 422, naming the field.
    """
    if not isinstance(body, dict):
        raise _refused("$", "no object")
    try:
        check_size(body, "$")
    except RecordError as error:
        raise _refused(error.field, error.message) from error
    name, given = _text(body, "name"), _text(body, "type")
    host = _host(body)
    identifier = body.get("id") or ""
    if not isinstance(identifier, str) or len(identifier) > MAX_TEXT:
        raise _refused("$.id", f"no text of at most {MAX_TEXT} characters")
    if not identifier or _MADE_UP.fullmatch(identifier):
        key = "\0".join((name, given, host or ""))
        identifier = "ds_" + blake2b(key.encode(), digest_size=16).hexdigest()
    known = ("id", "name", "type")
    details: Mapping[str, Json] = pure({key: value for key, value in body.items() if key not in known})
    return CataloguedStore(clean_text(identifier), name, given, kind_of(given) or given, host, dict(details))


def told(store: CataloguedStore) -> Json:
    """A store as the client lists it."""
    return {**store.details, "hkg_id": store.id, "id": store.id, "name": store.name, "type": store.type}


def _host(body: Mapping[str, Json]) -> str | None:
    """Where the store is: its address, or URL and bucket."""
    if body.get("host_address"):
        return _text(body, "host_address")
    if not body.get("url"):
        return None
    url = _text(body, "url")
    return f"{url.rstrip('/')}/{_text(body, 'bucket')}" if body.get("bucket") else url


def _text(body: Mapping[str, Json], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value or len(value) > MAX_TEXT:
        raise _refused(f"$.{name}", f"no text of 1 to {MAX_TEXT} characters")
    return clean_text(value)


def _refused(field: str, message: str) -> RequestError:
    return RequestError(422, "bad_data_store", message, field=field, fix="see docs/reference/provlake-routes.md")
