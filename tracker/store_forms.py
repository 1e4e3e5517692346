"""Data stores as ``POST /v1/stores`` takes them (docs/reference/tracker.md, Data stores)."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Optional

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edge.errors import RequestError

from .catalogue import CataloguedStore, SchemaAttribute, StoreSchema
from .specifications import InnerName, Name

Json = Any

Kind = Literal["FILE_SYSTEM", "RELATIONAL_DBMS", "DOCUMENT_DBMS", "OBJECT_STORE", "TRIPLESTORE", "GRAPH_DBMS"]

_FIX = "see docs/reference/tracker.md, Data stores"


class SchemaAttributeForm(BaseModel):
    """An attribute of a data schema: a column, a member."""

    model_config = ConfigDict(extra="forbid")

    name: InnerName
    dtype: Optional[InnerName] = Field(default=None, description="type of its values, in any words")
    description: Optional[Annotated[str, Field(max_length=10_000)]] = None


class SchemaForm(BaseModel):
    """A data schema: a table, a collection, a file format."""

    model_config = ConfigDict(extra="forbid")

    name: InnerName
    database: Optional[InnerName] = None
    database_schema: Optional[InnerName] = None
    attributes: list[SchemaAttributeForm] = Field(default=[], max_length=10_000)


class StoreStatement(BaseModel):
    """What is to be known of a data store. Statements add up; one that was made is not taken back."""

    model_config = ConfigDict(extra="forbid")

    name: Name = Field(description="what references call it")
    type: Optional[Kind] = None
    host: Optional[Name] = Field(default=None, description="its address")
    same_as: list[Name] = Field(default=[], max_length=100, description="its other names; they need not be known yet")
    schemas: list[SchemaForm] = Field(default=[], max_length=1000)


def parse(body: bytes) -> CataloguedStore:
    """The store that a request describes.

    Raises:
        RequestError: 422, naming the field.
    """
    try:
        form = StoreStatement.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        path = "$" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
        raise _refused(path, first["msg"], _FIX) from error
    if form.name in form.same_as:
        field = f"$.same_as[{form.same_as.index(form.name)}]"
        raise _refused(
            field, "a store that is the same as itself says nothing", "give another name of it, or leave it out"
        )
    schemas = tuple(map(_schema, form.schemas))
    _check_once([each.key for each in schemas], "$.schemas")
    for index, each in enumerate(schemas):
        _check_once([one.name for one in each.attributes], f"$.schemas[{index}].attributes")
    kind = form.type or ""
    return CataloguedStore(form.name, form.name, kind, kind, form.host, {}, tuple(form.same_as), schemas)


def told(store: CataloguedStore, same_as: list[str]) -> Json:
    """A store as it is answered.

    Args:
        same_as: all its other names.
    """
    schemas = [
        _said({**each._asdict(), "attributes": [_said(one._asdict()) for one in each.attributes]})
        for each in store.schemas
    ]
    label = None if store.name == store.id else store.name
    about = {"name": store.id, "label": label, "type": store.kind or None, "host": store.host}
    return {**_said(about), "same_as": same_as, "schemas": schemas}


def _schema(form: SchemaForm) -> StoreSchema:
    attributes = tuple(SchemaAttribute(one.name, one.dtype, one.description) for one in form.attributes)
    return StoreSchema(form.name, form.database, form.database_schema, attributes)


def _check_once(keys: list[Any], field: str) -> None:
    seen = set()
    for index, key in enumerate(keys):
        if key in seen:
            raise _refused(f"{field}[{index}].name", "the same name stands there twice", "join the two, or rename one")
        seen.add(key)


def _said(fields: Json) -> Json:
    return {name: value for name, value in fields.items() if value is not None}


def _refused(field: str, message: str, fix: str) -> RequestError:
    return RequestError(422, "bad_store", message, field=field, fix=fix)
