"""Records of the begin and the end of activities: the text that each starts with, and its values with what they are linked to.

Pure functions of what is given to them, so that they may be called later, in the order in which things happened.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Dict, Mapping, Optional, Set, Tuple, Union

from .encoding import quoted
from .facts import with_text_names
from .shapes import FLOATS, packed, shape_of

if TYPE_CHECKING:
    from .origins import Origins

Json = Any
Made = Union[Tuple[str, Dict[str, Json]], bytes]
"""JSON text that was begun and the fields that are still to be encoded; or a payload already, which may be packed (see ``frames``)."""
Given = Mapping[str, Any]
MAX_HEAD = 10_000
NOTHING: Given = MappingProxyType({})
Moment = Tuple[int, int]
"""Wall clock in microseconds since 1970, and the monotonic one in nanoseconds."""
Who = Tuple[str, str, str, bool]
"""What ``identity`` takes."""


def identity(kind: str, wf: str, identifier: str, match: bool) -> str:
    """Which activity a record is about, as fields of it.

    Args:
        match: plain values of it may be meant by those of other processes.
    """
    said = f'"kind":"{kind}","wf":"{wf}","id":"{identifier}"' if identifier else f'"kind":"{kind}","wf":"{wf}"'
    return said + ',"match":true' if match else said


def begin_head(
    number: int, moment: Moment, who: Who, up: Optional[str], session: str, stage: Optional[str] = None
) -> str:
    """The text of a begin's record up to its values.

    Args:
        up: the ``id`` of the parent, if it is to be said.
    """
    wall, steady = moment
    head = f'{{"n":{number},"op":"begin","t":{wall},"m":{steady},{identity(*who)}'
    if up is not None:
        head += f',"up":"{up}"'
    if session:
        head += f',"session":"{session}"'
    return f'{head},"stage":"{stage}"' if stage else head


def end_head(number: int, began: Moment, moment: Moment, who: Who, session: str, status: str) -> str:
    """The text of an end's record up to its values; it says how long it took: the wall clock may have been set meanwhile."""
    wall, steady = moment
    elapsed = (steady - began[1]) // 1000 if steady > began[1] else 0
    end = began[0] + elapsed
    said = f'{identity(*who)},"elapsed":{elapsed},"status":"{status}"'
    head = f'{{"n":{number},"op":"end","t":{end},"m":{steady},{said}'
    if session:
        head += f',"session":"{session}"'
    return head if -1000 <= wall - end <= 1000 else f'{head},"clock":{wall}'


def begun(origins: Origins, used: Given, *head: Any) -> Made:
    """The record of a begin that says no more than its ``begin_head`` and what was used."""
    text = begin_head(*head)
    if len(text) > MAX_HEAD or not text.isascii():  # ids that came from elsewhere may be anything
        return text, parts_of(origins, used)
    if not used:
        return (text + "}").encode("ascii")
    floats, shape = tuple(used.values()), shape_of(used)
    if shape is None or not FLOATS.issuperset(map(type, floats)):
        return text, parts_of(origins, used)
    maker = origins.maker(shape, floats)
    if maker is not None:
        return f'{text},"links":{{{quoted(maker)}:{shape.listed}}}}}'.encode("ascii")
    parts = parts_of(origins, used)
    known = "links" in parts or not FLOATS.issuperset(map(type, parts["used"].values()))
    return (text, parts) if known else packed(text, "used", shape, floats)


def ended(origins: Origins, identifier: str, used: Given, generated: Given, *head: Any) -> Made:
    """The record of an end that says no more than its ``end_head`` and what was used and generated."""
    text = end_head(*head)
    if used or not identifier or len(text) > MAX_HEAD or not text.isascii():
        return text, parts_of(origins, used, generated, identifier)
    if not generated:
        return (text + "}").encode("ascii")
    floats, shape = tuple(generated.values()), shape_of(generated)
    if shape is None or not FLOATS.issuperset(map(type, floats)):
        return text, parts_of(origins, NOTHING, generated, identifier)
    origins.remember(shape, floats, identifier)
    return packed(text, "generated", shape, floats)


def parts_of(origins: Origins, used: Given, generated: Given = NOTHING, identifier: str = "") -> Dict[str, Json]:
    """The fields for values that were used and generated."""
    parts: Dict[str, Json] = {}
    if used:
        found, links = origins.used(with_text_names(used))
        if found:
            parts["used"] = found
        if links:
            parts["links"] = links
    if generated:
        parts["generated"] = origins.generated(with_text_names(generated), identifier)
    return parts


SHORT_TEXT = 1000
INT64 = 2**63
KEPT_BYTES = 600
"""About what a record takes that is not made yet, without its values."""
VALUE_BYTES = 130
"""And what each value takes beside a text's letters: it, its short name, and its place in a mapping."""
SHORT_NAME = 30
MOST_NAMES = 5000

_names: Set[str] = set()  # short ones that came before: that all names are among them is quickly seen
_are_known = _names.issuperset


def kept_bytes(given: Given, total: int = 0) -> Optional[int]:
    """About how many bytes these values take when their record is made later, rather more than less; ``None``: make it at once.

    Args:
        total: bytes to add.

    That is so where a value may change meanwhile or is large: all but numbers, short texts, truth values and ``None``.
    """
    if not _are_known(given):
        names = _bytes_of_names(given)
        if names is None:
            return None
        total += names
    total += VALUE_BYTES * len(given)
    for value in given.values():
        if type(value) is float or value is None or value is True or value is False:
            continue
        if type(value) is int:
            if not -INT64 <= value < INT64:
                return None
        elif type(value) is not str or len(value) > SHORT_TEXT:
            return None
        else:
            total += 4 * len(value)
    return total


def _bytes_of_names(given: Given) -> Optional[int]:
    """Bytes of names that did not all come before; ``None``: some are no text."""
    if not all([type(name) is str for name in given]):
        return None
    short = [name for name in given if len(name) <= SHORT_NAME]
    if len(_names) + len(short) > MOST_NAMES:
        _names.clear()
    _names.update(short[:MOST_NAMES])
    return 4 * sum(map(len, given))
