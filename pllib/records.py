"""Records of the begin and the end of activities: the text that each starts with, and its values with what they are linked to.

Pure functions of what is given to them, so that they may be called later, in the order in which things happened.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Dict, Mapping, Optional, Tuple, Union

from .encoding import quoted
from .facts import with_text_names
from .shapes import FLOATS, Shape, known, learned, packed, shape_of

if TYPE_CHECKING:
    from .origins import Origins

Json = Any
Made = Union[Tuple[str, Dict[str, Json]], bytes]
"""JSON text that was begun and the fields that are still to be encoded; or a payload already, which may be packed (see ``packing``)."""
Given = Mapping[str, Any]
MAX_HEAD = 10_000
NOTHING: Given = MappingProxyType({})
Moment = Tuple[int, int]
"""Wall clock in microseconds since 1970, and the monotonic one in nanoseconds."""
Who = Tuple[str, str, str, bool]
"""What ``identity`` takes."""
Kept = Union[Given, Tuple[Shape, Tuple[Any, ...]]]
"""Values by name; or what is known of the names, which came before, and the values: that takes half of the memory."""


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


def begun(origins: Origins, head: Tuple[Any, ...], used: Kept) -> Made:
    """The record of a begin that says no more than its ``begin_head`` and what was used."""
    text = begin_head(*head)
    plain = len(text) <= MAX_HEAD and text.isascii()  # ids that came from elsewhere may be anything
    if not used and plain:
        return (text + "}").encode("ascii")
    shape, floats = _columns(used)
    if not plain or shape is None or not FLOATS.issuperset(map(type, floats)):
        return text, parts_of(origins, _mapping(used))
    maker = origins.maker(shape, floats)
    if maker is not None:
        return f'{text},"links":{{{quoted(maker)}:{shape.listed}}}}}'.encode("ascii")
    parts = parts_of(origins, _mapping(used))
    known = "links" in parts or not FLOATS.issuperset(map(type, parts["used"].values()))
    return (text, parts) if known else packed(text, "used", shape, floats)


def ended(origins: Origins, head: Tuple[Any, ...], used: Kept, generated: Kept = NOTHING) -> Made:
    """The record of an end that says no more than its ``end_head`` and what was used and generated."""
    text, identifier = end_head(*head), head[3][2]
    plain = not used and identifier and len(text) <= MAX_HEAD and text.isascii()
    if not generated and plain:
        return (text + "}").encode("ascii")
    shape, floats = _columns(generated)
    if not plain or shape is None or not FLOATS.issuperset(map(type, floats)):
        return text, parts_of(origins, _mapping(used), _mapping(generated), identifier)
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
SIMPLE = frozenset((float, bool, type(None)))
"""Types of values of which each is small and never changes."""
KEPT_BYTES = 700
"""About what a record takes that is not made yet, without its values."""


def kept(given: Given, size: int) -> Tuple[int, Kept]:
    """These values in the form in which they wait for their record to be made.

    Args:
        size: bytes of memory without them.

    Returns:
        about how many bytes of memory with them, rather more than less; 0: the record has to be made at once. That is so where a
        value may change meanwhile or is large: all but numbers, short texts, truth values and ``None``.
    """
    names, values = tuple(given), tuple(given.values())
    shape = known(names)
    if shape is not None and SIMPLE.issuperset(map(type, values)):
        return size + 45 * len(values), (shape, values)
    if shape is None:
        shape = learned(names)
        if shape is not None:
            size += shape.bytes_held()  # once: others that wait with it come later
    texts = _bytes_of_texts(values)
    if texts is None:
        return 0, given
    if shape is not None:
        return size + texts + 45 * len(values), (shape, values)
    try:
        return size + texts + 100 * len(values) + len("".join(given)), given
    except TypeError:
        return 0, given  # names that are no text


def _bytes_of_texts(values: Tuple[Any, ...]) -> Optional[int]:
    """About what the texts among values take; ``None`` where one of the values may change meanwhile, or is large."""
    size = 0
    for value in values:
        if type(value) is int:
            if not -INT64 <= value < INT64:
                return None
        elif type(value) is str and len(value) <= SHORT_TEXT:
            size += 4 * len(value) + 40
        elif type(value) not in SIMPLE:
            return None
    return size


def _columns(given: Kept) -> Tuple[Optional[Shape], Tuple[Any, ...]]:
    return given if isinstance(given, tuple) else (shape_of(given), tuple(given.values()))


def _mapping(given: Kept) -> Given:
    return dict(zip(given[0].names, given[1])) if isinstance(given, tuple) else given
