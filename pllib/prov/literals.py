"""One lexical form a value: stores write a number or a time back in forms of their own, and documents are compared as text."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Callable, Dict

from ..provml.vocabulary import XSD
from .model import Literal

_LONGEST = 4300
"""Digits that Python turns into a number."""
_TIME = re.compile(r"(-?[0-9]{4,}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)?", re.ASCII)
_DATE_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)?", re.ASCII)
_NAMES = {"nan": "NaN", "inf": "INF", "-inf": "-INF"}


def canonical(literal: Literal) -> Literal:
    """The literal in the form that this project writes: ``0.5``, ``1e-07``, ``NaN``, ``12``, ``2026-01-31T10:00:00.5Z``.

    What is no text of its datatype stays as it is.
    """
    form = _FORMS.get(literal.datatype)
    return literal if form is None else Literal(form(literal.text), literal.datatype, literal.lang)


def double(value: float) -> str:
    """The shortest text that reads back as the very same number."""
    text = repr(value)
    return _NAMES.get(text, text)


def is_date_time(text: str) -> bool:
    """Whether ``text`` is an ``xsd:dateTime`` of the years 1 to 9999."""
    match = _DATE_TIME.fullmatch(text)
    if match is None:
        return False
    try:
        datetime.fromisoformat(match[1] + (match[3] or "").replace("Z", "+00:00"))
    except ValueError:
        return False
    return True


def _double(text: str) -> str:
    try:
        return double(float(text))
    except ValueError:
        return text


def _integer(text: str) -> str:
    try:
        return str(int(text)) if len(text) <= _LONGEST else text
    except ValueError:
        return text


def _time(text: str) -> str:
    match = _TIME.fullmatch(text)
    if match is None:
        return text
    fraction = (match[2] or "").rstrip("0")
    zone = match[3] or ""
    return match[1] + (f".{fraction}" if fraction else "") + ("Z" if zone in ("+00:00", "-00:00") else zone)


_FORMS: Dict[str, Callable[[str], str]] = {
    XSD + "double": _double,
    XSD + "integer": _integer,
    XSD + "dateTime": _time,
}
