"""Data stores of the catalogue: ids, types, hosts."""

from __future__ import annotations

from typing import Any

import pytest

from edge.errors import RequestError
from tracker.provlake.stores import catalogued, kind_of, told

Json = Any

PG = {"id": "pg", "name": "measurements", "type": "PostgreSQL", "host_address": "db1:5432", "custom_metadata": {"a": 1}}


def test_a_given_id_is_the_id() -> None:
    store = catalogued(PG)
    assert store[:5] == ("pg", "measurements", "PostgreSQL", "RELATIONAL_DBMS", "db1:5432")
    assert told(store) == {**PG, "hkg_id": "pg"}


def test_an_id_that_the_client_made_up_is_replaced_by_a_stable_one() -> None:
    made_up = ("ds_0f8fad5b_d9cb_469f_a165_70867728950e", "ds_7c9e6679_7425_40de_944b_e07fc1f90ae7", None, "")
    ids = {catalogued({**PG, "id": each}).id for each in made_up}
    assert len(ids) == 1
    assert catalogued({**PG, "id": "", "host_address": "db2"}).id not in ids
    assert catalogued({**PG, "id": "", "name": "other"}).id not in ids


def test_an_object_store_is_at_its_url_and_bucket() -> None:
    store = catalogued({"id": "cos", "name": "n", "type": "AWSS3", "url": "https://cos.example/", "bucket": "tiles"})
    assert (store.kind, store.host) == ("OBJECT_STORE", "https://cos.example/tiles")


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ("Lustre", "FILE_SYSTEM"), ("GPFS", "FILE_SYSTEM"), ("FileSystem", "FILE_SYSTEM"), ("FILE_SYSTEM", "FILE_SYSTEM"),
        ("MongoDB", "DOCUMENT_DBMS"), ("AllegroGraph", "TRIPLESTORE"), ("CloudObjectStore", "OBJECT_STORE"),
        ("Neo4j", "GRAPH_DBMS"), ("Tape", "Tape"), (None, None), (3, None),
    ],
)  # fmt: skip
def test_types(given: Json, kind: Json) -> None:
    assert kind_of(given) == kind


def test_a_description_is_bounded() -> None:
    deep: Json = 1
    for _ in range(900):
        deep = [deep]
    with pytest.raises(RequestError, match="nested deeper"):
        catalogued({**PG, "custom_metadata": deep})


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ([], "$"), ({**PG, "name": ""}, "$.name"), ({**PG, "name": 3}, "$.name"), ({**PG, "type": None}, "$.type"),
        ({**PG, "id": 3}, "$.id"), ({**PG, "id": "x" * 400}, "$.id"), ({**PG, "host_address": ["a"]}, "$.host_address"),
    ],
)  # fmt: skip
def test_refused(body: Json, field: str) -> None:
    with pytest.raises(RequestError) as refusal:
        catalogued(body)
    assert (refusal.value.status, refusal.value.field) == (422, field)
