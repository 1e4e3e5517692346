"""PROV-ML JSON, version 1, decoded and checked (``schema/prov-ml-v1.json``). Pure functions.

Decoding is by msgspec, which checks types while it reads; what it cannot say (the form of ids, the names of classes)
is checked when triples are made, so that every string is looked at once. Fields are called as in the JSON. There are very many
of these objects and never a cycle of them, so the garbage collector does not look at them, and lists are tuples, of which the
empty one costs nothing.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from edge.errors import RequestError

from .errors import DocumentError

VERSION = 1
SCHEMA_FIX = "see the JSON Schema at /schema/prov-ml-v1.json"


Seconds = Annotated[float, Meta(ge=0)]
Producer = Annotated[str, Meta(pattern=r"\A[0-9a-f]{32}\Z")]
Count = Annotated[int, Meta(ge=0, lt=2**53)]
Several = Meta(min_length=1, max_length=1_000)
Measured = Annotated[int, Meta(ge=-(2**53), le=2**53)] | float | Literal["NaN", "INF", "-INF"]


class TypedLiteral(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A literal whose type JSON has no form for; ``type`` is a name of ``terms.TYPES``."""

    type: str
    v: Any


Scalar = str | int | float | bool
Value = Scalar | TypedLiteral


class Failure(Struct, frozen=True, gc=False):
    """Exception type and message of a failed activity."""

    type: str
    message: str | UnsetType = UNSET


class Points(Struct, frozen=True, forbid_unknown_fields=True, gc=False, kw_only=True):
    """Points of a series that one producer sent together. ``steps`` and ``times`` are each less the one before.

    Fields are in the order of canonical JSON.
    """

    by: Producer
    first: Count
    rank: Count | UnsetType = UNSET
    steps: Annotated[list[int], Several]
    times: Annotated[list[int], Several]
    values: Annotated[list[Measured], Several]


class Activity(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    id: str
    types: tuple[str, ...] = ()
    plan: str | UnsetType = UNSET
    partOf: str | UnsetType = UNSET
    started: int | UnsetType = UNSET
    ended: int | UnsetType = UNSET
    duration: Seconds | UnsetType = UNSET
    status: Literal["finished", "failed"] | UnsetType = UNSET
    informedBy: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    used: tuple[str, ...] = ()
    generated: tuple[str, ...] = ()
    error: Failure | UnsetType = UNSET
    stdout: str | UnsetType = UNSET
    stderr: str | UnsetType = UNSET
    metadata: dict[str, Any] | UnsetType = UNSET
    within: str | UnsetType = UNSET
    sessionOf: str | UnsetType = UNSET
    rank: Count | UnsetType = UNSET
    resumes: bool | UnsetType = UNSET


class Entity(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    id: str
    types: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    value: Value | UnsetType = UNSET
    metadata: dict[str, Any] | UnsetType = UNSET
    specializationOf: str | UnsetType = UNSET
    members: tuple[str, ...] = ()
    store: str | UnsetType = UNSET
    key: str | UnsetType = UNSET
    version: str | UnsetType = UNSET
    path: str | UnsetType = UNSET
    size: int | UnsetType = UNSET
    unit: str | UnsetType = UNSET
    points: tuple[Points, ...] = ()


class Agent(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    id: str
    types: tuple[str, ...] = ()
    label: str | UnsetType = UNSET
    actedFor: tuple[str, ...] = ()
    ran: tuple[str, ...] = ()
    host: str | UnsetType = UNSET
    pid: int | UnsetType = UNSET
    command: str | UnsetType = UNSET
    version: str | UnsetType = UNSET
    environment: dict[str, Any] | UnsetType = UNSET
    lost: dict[str, Any] | UnsetType = UNSET


class Plan(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    id: str
    types: tuple[str, ...] = ()
    label: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    parts: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    kind: str | UnsetType = UNSET
    dataSchemas: tuple[str, ...] = ()
    databaseSchemas: tuple[str, ...] = ()
    databases: tuple[str, ...] = ()
    dataStores: tuple[str, ...] = ()
    metadata: dict[str, Any] | UnsetType = UNSET


class Store(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    id: str
    types: tuple[str, ...] = ()
    plan: str | UnsetType = UNSET
    label: str | UnsetType = UNSET
    host: str | UnsetType = UNSET
    kind: str | UnsetType = UNSET
    members: tuple[str, ...] = ()
    sameAs: tuple[str, ...] = ()


class Statements(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """Statements of a PROV document, each as ``pllib.prov.normal`` encodes it."""

    document: str
    count: Annotated[int, Meta(ge=0)]
    texts: tuple[str, ...]
    label: str | UnsetType = UNSET
    bundle: str | UnsetType = UNSET


class Document(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """What one batch of records of one workflow execution says."""

    activities: tuple[Activity, ...] = ()
    entities: tuple[Entity, ...] = ()
    agents: tuple[Agent, ...] = ()
    plans: tuple[Plan, ...] = ()
    stores: tuple[Store, ...] = ()
    statements: tuple[Statements, ...] = ()


class _Group(Struct, forbid_unknown_fields=True):
    version: Any = None
    documents: list[msgspec.Raw] | UnsetType = UNSET


_group = msgspec.json.Decoder(_Group)
_document = msgspec.json.Decoder(Document)


def decode_group(body: bytes) -> list[msgspec.Raw]:
    """The documents of a request, not yet decoded.

    Raises:
        RequestError: 400 when it is no such JSON, 409 for another version.
    """
    try:
        group = _group.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError(400, "no_prov_ml", f"not PROV-ML JSON: {error}", fix=SCHEMA_FIX) from error
    if group.version != VERSION or isinstance(group.version, bool):
        told = f"version {group.version!r} is not spoken here, only {VERSION}"
        raise RequestError(409, "unknown_version", told, field="version", fix='send "version": 1')
    if isinstance(group.documents, UnsetType):
        raise RequestError(400, "no_prov_ml", "there are no documents", field="documents", fix=SCHEMA_FIX)
    return group.documents


def decode_document(raw: msgspec.Raw) -> Document:
    """One document.

    Raises:
        DocumentError: it is not of the form; the field is the JSON path, empty for the document itself.
    """
    try:
        return _document.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        message, _, path = str(error).partition(" - at `")
        raise DocumentError(path.rstrip("`").removeprefix("$").removeprefix("."), message, SCHEMA_FIX) from error
