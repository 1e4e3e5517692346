"""Values of a capture record as they come over the wire (docs/reference/capture-format.md, Values).

Numbers, texts, booleans, ``None`` and arrays are themselves; every object with the key ``$`` is one of the structs below.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Optional, Union

from msgspec import Meta, Struct, field

PART = r"(?:[A-Za-z0-9\-._~]|%[0-9A-Fa-f]{2})+"
Identifier = Annotated[str, Meta(pattern=rf"\A{PART}/{PART}\Z", max_length=4096)]
"""Two percent-encoded parts, ``{name}/{number}``."""
Parent = Annotated[str, Meta(pattern=rf"\A(?:{PART}/{PART})?\Z", max_length=4096)]
"""The same, or nothing: the workflow execution itself."""

Meaning = Literal[
    "hyperparameter",
    "model_hyperparameter",
    "model",
    "dataset",
    "dataset_characteristic",
    "feature_set",
    "evaluation_measure",
    "learning_task",
    "implementation",
    "domain",
]
Text = Annotated[str, Meta(min_length=1)]
# Python turns at most 4300 digits into an integer.
Digits = Annotated[str, Meta(pattern=r"\A-?[0-9]{1,4000}\Z")]


class Tagged(Struct, tag_field="$", kw_only=True, gc=False):
    """An object with the key ``$``: its ML meaning, and facts about what it stands for."""

    meaning: Optional[Meaning] = field(default=None, name="as")
    facts: Optional[dict[str, Value]] = None


class Valued(Tagged, tag="value"):
    """A plain value that has a meaning."""

    v: Value


class Float(Tagged, tag="float"):
    v: Literal["NaN", "INF", "-INF"]


class Integer(Tagged, tag="int"):
    v: Digits


class DateTime(Tagged, tag="datetime"):
    v: str


class Bytes(Tagged, tag="bytes"):
    """Bytes; base64 on the wire."""

    v: bytes


class Structure(Tagged, tag="json"):
    v: Any


class Summary(Tagged, tag="summary"):
    """A description in place of a value."""

    v: dict[str, Any]


class Data(Tagged, tag="data"):
    """A reference to data outside; ``version`` is its state, ``size`` in bytes."""

    store: Text
    key: Text
    version: Optional[str] = None
    path: Optional[str] = None
    size: Optional[Annotated[int, Meta(ge=0)]] = None


class Reference(Tagged, tag="ref"):
    """The very value that execution ``id`` generated as ``name``; ``wf`` when that was in another workflow execution."""

    id: Identifier
    name: Text
    wf: Optional[Identifier] = None


class Among(Tagged, tag="among"):
    """A plain value equal to several that were generated, as (execution, name) each."""

    v: Value
    of: Annotated[list[tuple[Identifier, Text]], Meta(min_length=2)]


Value = Union[
    None,
    bool,
    int,
    float,
    str,
    list[Any],
    Valued,
    Float,
    Integer,
    DateTime,
    Bytes,
    Structure,
    Summary,
    Data,
    Reference,
    Among,
]
