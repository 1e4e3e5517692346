"""Plain values of capture records as literals, and the keys under which equal ones are one (docs/reference/identity.md).

The same rules as the services follow, here by the standard library alone; a test compares the two.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from datetime import datetime, timedelta
from typing import Any, Callable, Dict, Tuple

from ..prov.literals import canonical, double, is_date_time
from ..prov.model import Literal
from ..provml.iris import value_key
from ..provml.vocabulary import RDF, XSD

Json = Any

INT64 = 2**63
INTEGER, DOUBLE, BOOLEAN, STRING = XSD + "integer", XSD + "double", XSD + "boolean", XSD + "string"
TIME, BINARY, JSON = XSD + "dateTime", XSD + "base64Binary", RDF + "JSON"
_EPOCH = datetime(1970, 1, 1)
_IN_JSON = re.compile(r'"(?:[^"\\]|\\.)*"|(-?)(\d)(?:\.(\d+))?e([+-])0?(\d+)')


class ValueProblem(ValueError):
    """A value that breaks the capture format."""


def time_text(microseconds: int) -> str:
    """A time of the wall clock, in UTC.

    Raises:
        OverflowError: beyond the years 1 to 9999.
    """
    text = (_EPOCH + timedelta(microseconds=microseconds)).isoformat(timespec="microseconds")
    return (text.rstrip("0").rstrip(".") if text.endswith("0") else text) + "Z"


def microseconds(text: str) -> int:
    """The time of the wall clock in a text of ``time_text``."""
    whole, _, fraction = text[:-1].partition(".")
    return (datetime.fromisoformat(whole) - _EPOCH) // timedelta(microseconds=1) + int(f"{fraction:0<6}")


def json_text(value: Json, plus: str = "+") -> str:
    """A structure as the graph holds it: sorted keys, no spaces, numbers in their shortest form.

    Args:
        plus: what stands before an exponent above zero; nothing, in keys.
    """
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    if "e-" not in text and "e+" not in text:
        return text

    def number(match: re.Match[str]) -> str:
        """A number as the services' encoders write it: Python begins exponents one power of ten earlier."""
        sign, first, rest, way, exponent = match.groups()
        if first is None:  # a text
            return match[0]
        if way == "-" and exponent == "5":
            return f"{sign}0.0000{first}{rest or ''}"
        return f"{sign}{first}{f'.{rest}' if rest else ''}e{plus if way == '+' else way}{exponent}"

    return _IN_JSON.sub(number, text)


def key_of(value: Json) -> str:
    """Key of a plain value: type and canonical text, so that ``1``, ``1.0``, ``"1"`` and ``true`` differ.

    Raises:
        ValueProblem: it is none.
    """
    code, text = _coded(value)
    return value_key(code, text)


def _coded(value: Json) -> Tuple[str, str]:
    kind = type(value)
    if kind is float:
        return "f", repr(value)
    if kind is str:
        return "s", value
    if kind is bool:
        return "b", "true" if value else "false"
    if kind is int:
        return "i", str(value)
    if value is None:
        return "n", "null"
    if kind is list:
        return "j", _key_json(value)
    return _TAGGED[_tag(value)][0](value["v"])


def literal_of(value: Json) -> Literal:
    """The literal of a plain value.

    Raises:
        ValueProblem: it is none.
    """
    kind = type(value)
    if kind is float:
        return Literal(repr(value), DOUBLE)
    if kind is str:
        return Literal(value)
    if kind is bool:
        return Literal("true" if value else "false", BOOLEAN)
    if kind is int:
        return Literal(str(value), INTEGER)
    if value is None or kind is list:
        return Literal(json_text(value), JSON)
    return _TAGGED[_tag(value)][1](value["v"])


def is_plain(value: Json) -> bool:
    """Whether this is a plain value rather than a reference to data or to other values."""
    return type(value) is not dict or value.get("$") in _TAGGED


def _tag(value: Json) -> str:
    tag = value.get("$") if type(value) is dict else None
    if tag not in _TAGGED or "v" not in value:
        raise ValueProblem(f"{str(value)[:100]} is no value")
    return str(tag)


def _key_json(value: Json) -> str:
    return json_text(value, plus="")


def _number_of(text: Json) -> int:
    if not isinstance(text, str) or not re.fullmatch(r"-?[0-9]{1,4000}", text):
        raise ValueProblem(f"{str(text)[:40]!r} is no integer")
    return int(text)


def _special(text: Json) -> str:
    if text not in ("NaN", "INF", "-INF"):
        raise ValueProblem(f"{str(text)[:40]!r} is no float")
    return str(text)


def _time(text: Json) -> Literal:
    if is_date_time(str(text)):
        return canonical(Literal(text, TIME))
    # Not a time that XML Schema can say (an offset with seconds, say): kept as it came.
    return Literal(json_text({"$": "datetime", "v": text}), JSON)


def _bytes(text: Json) -> str:
    try:
        return base64.b64encode(base64.b64decode(text, validate=True)).decode("ascii")
    except (TypeError, binascii.Error) as error:
        raise ValueProblem(f"{str(text)[:40]!r} is no base64") from error


_TAGGED: Dict[str, Tuple[Callable[[Json], Tuple[str, str]], Callable[[Json], Literal]]] = {
    "float": (lambda v: ("f", _special(v)), lambda v: Literal(_special(v), DOUBLE)),
    "int": (lambda v: ("i", str(_number_of(v))), lambda v: Literal(str(_number_of(v)), INTEGER)),
    "datetime": (lambda v: ("t", str(v)), _time),
    "bytes": (lambda v: ("x", _bytes(v)), lambda v: Literal(_bytes(v), BINARY)),
    "json": (lambda v: ("j", _key_json(v)), lambda v: Literal(json_text(v), JSON)),
    "summary": (lambda v: ("m", _key_json(v)), lambda v: Literal(json_text(v), JSON)),
}
"""By the tag of a plain value: what makes its key, and its literal."""


def duration(microseconds: int) -> Literal:
    """Seconds."""
    return Literal(double(microseconds / 1_000_000), DOUBLE)
