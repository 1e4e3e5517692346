"""RDF terms as the store answers them, and as Python and JSON values."""

from __future__ import annotations

import base64
import binascii
import json
import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Callable, Mapping, Optional
from typing import Literal as OneOf

from pllib.provml.vocabulary import RDF, XSD

Kind = OneOf["iri", "literal", "bnode"]
_KINDS: Mapping[str, Kind] = {"uri": "iri", "literal": "literal", "typed-literal": "literal", "bnode": "bnode"}


@dataclass(frozen=True, slots=True)
class Term:
    """One RDF term of an answer.

    Attributes:
        kind: ``iri``, ``literal`` or ``bnode``.
        value: the IRI, the lexical form, or the label.
        datatype: full IRI of a literal's datatype; ``xsd:string`` is said as ``None``.
        lang: language tag.
    """

    kind: Kind
    value: str
    datatype: Optional[str] = None
    lang: Optional[str] = None

    @property
    def python(self) -> Any:
        """The value as Python has it: int, float, bool, datetime, bytes, JSON structure, or text.

        A literal whose text is none of its datatype's is given as text; so is every IRI.
        """
        convert = _CONVERSIONS.get(self.datatype or "")
        if convert is None:
            return self.value
        try:
            return convert(self.value)
        except (ValueError, binascii.Error, RecursionError):
            return self.value

    @property
    def json(self) -> Any:
        """The value as JSON can say it: numbers that JSON lacks (NaN, INF), times and bytes as their text."""
        value = self.python
        if isinstance(value, float) and not math.isfinite(value):
            return self.value
        if isinstance(value, (datetime, bytes)):
            return self.value
        return value


def term(binding: Mapping[str, str]) -> Term:
    """A term from its form in SPARQL 1.1 Query Results JSON."""
    datatype = binding.get("datatype")
    return Term(
        _KINDS[binding["type"]],
        binding["value"],
        None if datatype == XSD + "string" else datatype,
        binding.get("xml:lang"),
    )


def _boolean(text: str) -> bool:
    if text not in ("true", "false", "1", "0"):
        raise ValueError(text)
    return text in ("true", "1")


def _double(text: str) -> float:
    return float(text.replace("INF", "inf"))


def _datetime(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"not JSON: {text}")


def _json(text: str) -> Any:
    return json.loads(text, parse_constant=_refuse_constant)


_CONVERSIONS: Mapping[str, Callable[[str], Any]] = {
    XSD + "integer": int,
    XSD + "int": int,
    XSD + "long": int,
    XSD + "nonNegativeInteger": int,
    XSD + "double": _double,
    XSD + "float": _double,
    XSD + "decimal": float,
    XSD + "boolean": _boolean,
    XSD + "dateTime": _datetime,
    XSD + "base64Binary": base64.b64decode,
    RDF + "JSON": _json,
}
