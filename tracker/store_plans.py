"""What the graph says of data stores, their databases and schemas, as PROV-ML JSON. Pure.

The instance, which data references point into, and the prospective side are apart, as everywhere: ``store/{name}`` and
``store/{name}/plan``. Links go from the inside out, as the vocabulary has them::

    Attribute → DataSchema → DatabaseSchema → Database → DataStore

and skip what a store does not have.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from pllib.provml import iris

Json = Any


class Place(NamedTuple):
    """Where a data schema is: a table, a collection, a file format.

    Args:
        store: name of its store.
        name: its own.
        database: that it is in, where the store has such.
        database_schema: the same.
    """

    store: str
    name: str
    database: str | None = None
    database_schema: str | None = None

    @property
    def id(self) -> str:
        return iris.data_schema(self.store, self.name, self.database, self.database_schema)


def instance(name: str, label: str, kind: str | None, host: str | None, same_as: Iterable[str] = ()) -> Json:
    """A data store.

    Args:
        name: what references call it.
        label: what people call it.
        same_as: other names of it.
    """
    about: Json = {
        "id": iris.store(name),
        "types": ["provlake:DataStoreInstance"],
        "label": label,
        "plan": iris.store_plan(name),
        "kind": kind,
        "host": host,
        "sameAs": [iris.store(other) for other in same_as],
    }
    return {field: value for field, value in about.items() if value}


def store(name: str, label: str, kind: str | None) -> Json:
    """The plan of a data store."""
    about: Json = {"id": iris.store_plan(name), "types": ["provlake:DataStore"], "label": label}
    return about | ({"kind": kind} if kind else {})


def schema(place: Place) -> list[Json]:
    """The plan of a data schema, and of what it is in up to its store, which is described elsewhere."""
    link = {"dataStores": [iris.store_plan(place.store)]}
    found: list[Json] = []
    if place.database is not None:
        database = iris.database(place.store, place.database)
        found.append({"id": database, "types": ["provlake:Database"], "label": place.database, **link})
        link = {"databases": [database]}
    if place.database_schema is not None:
        inside = iris.database_schema(place.store, place.database, place.database_schema)
        found.append({"id": inside, "types": ["provlake:DatabaseSchema"], "label": place.database_schema, **link})
        link = {"databaseSchemas": [inside]}
    found.append({"id": place.id, "types": ["provlake:DataSchema"], "label": place.name, **link})
    return found


def attribute(place: Place, name: str, description: str | None) -> Json:
    """The plan of an attribute of a data schema."""
    about: Json = {
        "id": iris.schema_attribute(place.id, name),
        "types": ["provlake:Attribute"],
        "label": name,
        "dataSchemas": [place.id],
    }
    return about | ({"description": description} if description else {})
