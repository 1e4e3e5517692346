"""Records of the begin and the end of activities: the text that each starts with, and its values with what they are linked to.

Pure functions of what is given to them, so that they may be called later, in the order in which things happened.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Dict, Mapping, Optional, Tuple, Union

from .encoding import quoted
from .facts import with_text_names
from .shapes import FLOATS, packed, shape_of

if TYPE_CHECKING:
    from .origins import Origins

Json = Any
Record = Tuple[str, Dict[str, Json]]
"""JSON text that was begun, and the fields that are still to be encoded."""
Made = Union[Record, bytes]
"""A record, or its payload already."""
Given = Mapping[str, Any]
NOTHING: Given = MappingProxyType({})
Moment = Tuple[int, int]
"""Wall clock in microseconds since 1970, and the monotonic one in nanoseconds."""

Who = Tuple[str, str, str, bool]
"""Kind of an activity, its workflow execution, its id in that, and whether plain values may be meant by those of others."""


def identity(kind: str, wf: str, identifier: str, match: bool) -> str:
    """Which activity a record is about, as fields of it."""
    said = f'"kind":"{kind}","wf":"{wf}","id":"{identifier}"' if identifier else f'"kind":"{kind}","wf":"{wf}"'
    return said + ',"match":true' if match else said


def begun(
    origins: Origins,
    whole: bool,
    number: int,
    moment: Moment,
    who: Who,
    up: Optional[str],
    session: str,
    stage: Optional[str],
    used: Given,
    person: Optional[str] = None,
) -> Made:
    """The record of a begin.

    Args:
        whole: nothing is added to it; then its payload may be made at once.
        up: the ``id`` of the parent, if it is to be said.
    """
    head = f'{{"n":{number},"op":"begin","t":{moment[0]},"m":{moment[1]},{identity(*who)}'
    if up is not None:
        head += f',"up":"{up}"'
    if session:
        head += f',"session":"{session}"'
    if stage:
        head += f',"stage":"{stage}"'
    parts: Dict[str, Json] = {}
    if person:
        parts["person"] = person
    elif whole and head.isascii():
        return _using(head, origins, used)
    if used:
        put_used(parts, origins, used)
    return head, parts


def ended(
    origins: Origins,
    whole: bool,
    number: int,
    began: Moment,
    moment: Moment,
    who: Who,
    session: str,
    status: str,
    used: Given,
    generated: Given,
) -> Made:
    """The record of an end, by how long it took: the wall clock may have been set meanwhile.

    Args:
        whole: nothing is added to it; then its payload may be made at once.
    """
    elapsed = max(0, moment[1] - began[1]) // 1000
    end = began[0] + elapsed
    head = (
        f'{{"n":{number},"op":"end","t":{end},"m":{moment[1]},{identity(*who)},"elapsed":{elapsed},"status":"{status}"'
    )
    if session:
        head += f',"session":"{session}"'
    if abs(moment[0] - end) > 1000:
        head += f',"clock":{moment[0]}'
    if whole and not used and head.isascii():
        return _generating(head, origins, generated, who[2])
    parts: Dict[str, Json] = {}
    if used:
        put_used(parts, origins, used)
    if generated:
        parts["generated"] = origins.generated(with_text_names(generated), who[2])
    return head, parts


def put_used(parts: Dict[str, Json], origins: Origins, used: Given) -> None:
    """Adds the fields for values that were used."""
    found, links = origins.used(with_text_names(used))
    if found:
        parts["used"] = found
    if links:
        parts["links"] = links


def _using(head: str, origins: Origins, used: Given) -> Made:
    """The record that says no more than what was used."""
    if not used:
        return (head + "}").encode("ascii")
    floats, shape = tuple(used.values()), shape_of(used)
    if shape is not None and FLOATS.issuperset(map(type, floats)):
        maker = origins.maker(shape, floats)
        if maker is not None:
            return f'{head},"links":{{{quoted(maker)}:{shape.listed}}}}}'.encode("ascii")
    parts: Dict[str, Json] = {}
    put_used(parts, origins, used)
    if shape is not None and "links" not in parts and FLOATS.issuperset(map(type, parts["used"].values())):
        return packed(head, "used", shape, floats)
    return head, parts


def _generating(head: str, origins: Origins, generated: Given, identifier: str) -> Made:
    """The record that says no more than what was generated."""
    if not generated:
        return (head + "}").encode("ascii")
    floats, shape = tuple(generated.values()), shape_of(generated)
    if shape is not None and identifier and FLOATS.issuperset(map(type, floats)):
        origins.remember(shape, floats, identifier)
        return packed(head, "generated", shape, floats)
    return head, {"generated": origins.generated(with_text_names(generated), identifier)}


FIXED = frozenset((float, bool, type(None)))
"""Types whose values take a few bytes."""
SHORT_TEXT = 1000
INT64 = 2**63
KEPT_BYTES = 900
"""About what a record takes that is not made yet, without its values."""


def kept_bytes(given: Given, more: int = 0) -> Optional[int]:
    """About how many bytes these values take when their record is made later, rather more than less; ``None``: make it at once.

    Args:
        more: bytes to add.

    That is so where a value may change meanwhile or is large: all but numbers, short texts, truth values and ``None``.
    """
    try:
        total = more + 100 * len(given) + len("".join(given))
    except TypeError:
        return None  # names that are no text
    if FIXED.issuperset(map(type, given.values())):
        return total
    texts = _bytes_of_texts(given)
    return None if texts is None else total + texts


def _bytes_of_texts(given: Given) -> Optional[int]:
    """Bytes of the texts among values; ``None``: there is something else among them than is said above."""
    total = 0
    for value in given.values():
        kind = type(value)
        if kind is str:
            total += 4 * len(value)
            if len(value) > SHORT_TEXT:
                return None
        elif kind is int:
            if not -INT64 <= value < INT64:
                return None
        elif kind not in FIXED:
            return None
    return total
