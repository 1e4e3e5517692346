"""What a capture record says that its workflow's specification does not foresee. Pure functions.

The codes are documented in docs/reference/provlake-routes.md. A finding says nothing about whether the record is kept:
that is for whoever asked.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

from .identity import canonical, first_part
from .names import Specifications
from .records import ActivityRecord, Add, Begin, End, Points, Record
from .specifications import AttributeForm, Direction, Specification
from .values import Among, Data, Float, Integer, Reference, Structure, Summary, Tagged, Valued

MAX_NAMED = 10
"""Names in one explanation."""

Level = Literal["W", "E"]


class Finding(NamedTuple):
    """One thing that is not as planned.

    Args:
        number: three digits, see docs/reference/provlake-routes.md.
        type: the same for people, ``snake_case``.
        explanation: what was found, and what was expected.
    """

    number: str
    type: str
    explanation: str

    def told(self, level: Level) -> dict[str, str]:
        """The finding as a warning (``W``) or an error (``E``)."""
        return {"code": level + self.number, "type": self.type, "explanation": self.explanation}


def check(
    record: ActivityRecord,
    specification: Specification,
    *,
    complete: bool = False,
    skipped: Collection[str] = (),
    before: Collection[str] = (),
) -> list[Finding]:
    """What is not as planned in one record.

    Args:
        record: of a workflow whose specification is ``specification``.
        complete: whether the record has all inputs (a begin) or all outputs (an end), so that a missing one is missing.
        skipped: names in it that are not looked at.
        before: names of outputs that came before the end.
    """
    if record.id is None or record.kind == "workflow":
        return []
    transformation = first_part(canonical(record.id))
    if not specification.planned:
        told = "there is no specification of this workflow: post one"
        return [Finding("101", "no_specification", told)]
    if (transformation, "inputs") not in specification.planned:
        told = f"{quoted(transformation)} is no transformation of the specification"
        return [Finding("102", "unknown_transformation", told)]
    inputs, outputs = (_Checked(specification, transformation, direction) for direction in ("inputs", "outputs"))
    made, used = _values(record)
    found = [*outputs.values(_without(made, skipped)), *inputs.values(_without(used, skipped))]
    if complete and isinstance(record, End):
        found.extend(outputs.missing([*made, *before]))
    elif complete and isinstance(record, Begin):
        found.extend(inputs.missing([*used, *(name for names in record.links.values() for name in names)]))
    return found


def _values(record: ActivityRecord) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """What a record says was generated, and what was used; of a series its first point stands for all."""
    if isinstance(record, Points):
        first = record.values[0]
        return {record.series: float(first) if isinstance(first, str) else first}, {}
    if isinstance(record, (End, Add)):
        return record.generated, record.used
    return {}, record.used if isinstance(record, Begin) else {}


def _without(values: Mapping[str, Any], skipped: Collection[str]) -> Mapping[str, Any]:
    return {name: value for name, value in values.items() if name not in skipped} if skipped else values


class Earlier:
    """Names of outputs that came before the end of their activity, in a bounded memory.

    Args:
        limit: activities that are remembered; the ones not heard of for longest make room.
    """

    def __init__(self, limit: int = 10_000) -> None:
        self._limit = limit
        self._names: OrderedDict[tuple[str, str | None], set[str]] = OrderedDict()

    def note(self, record: ActivityRecord) -> Collection[str]:
        """Remembers the outputs in a record; the names of all that came so far of its activity."""
        key = record.wf, record.id
        names = self._names.pop(key, set())
        names.update(_values(record)[0])
        if names and not isinstance(record, End):
            self._names[key] = names
            if len(self._names) > self._limit:
                self._names.popitem(last=False)
        return names


def check_native(record: Record, specifications: Specifications, earlier: Earlier) -> list[Finding]:
    """What is not as planned in a capture record, by the specification of its workflow that is in force.

    An end has all that was generated, but for what came before; inputs may come with the end, so a missing one is not told.
    """
    if not isinstance(record, ActivityRecord):
        return []
    before = earlier.note(record)
    specification = specifications.workflow(first_part(canonical(record.wf))).specification
    finished = isinstance(record, End) and record.status == "finished"
    return check(record, specification, complete=finished, before=before)


class _Checked(NamedTuple):
    """The inputs or outputs of one transformation, as planned."""

    specification: Specification
    transformation: str
    direction: Direction

    @property
    def word(self) -> str:
        return self.direction[:-1]

    def values(self, values: Mapping[str, Any]) -> Iterator[Finding]:
        for name, value in values.items():
            planned = self.specification.attribute(self.transformation, self.direction, name)
            if planned is None:
                told = f"{quoted(name)} is no {self.word} of {quoted(self.transformation)}"
                yield Finding("103", "unknown_attribute", told)
            else:
                yield from self._value(name, value, planned)

    def _value(self, name: str, value: Any, planned: AttributeForm) -> Iterator[Finding]:
        value = _bare(value)
        expected = _mismatch(value, planned)
        where = f"{self.word} {quoted(name)} of {quoted(self.transformation)}"
        if expected:
            yield Finding("104", "wrong_type", f"{where} is {_shown(value)}, expected {expected}")
        if isinstance(value, Data) and planned.places and value.store not in planned.places:
            told = f"{where} is in the store {quoted(value.store)}, expected {_listed(planned.places)}"
            yield Finding("106", "unknown_store", told)

    def missing(self, names: Iterable[str]) -> Iterator[Finding]:
        align = self.specification.align
        given = {align.get(name, name) for name in names}
        planned = self.specification.planned[self.transformation, self.direction]
        absent = [name for name in planned if name not in given]
        if absent:
            told = f"{quoted(self.transformation)} has no {self.word} {_listed(absent)}"
            yield Finding("105", f"missing_{self.word}", told)


def _bare(value: Any) -> Any:
    """The value inside its markings."""
    while isinstance(value, (Valued, Among)):
        value = value.v
    return value.v if isinstance(value, Structure) else value


def _mismatch(value: Any, planned: AttributeForm) -> str | None:
    """What was expected in place of a value that is of another type than planned; ``None`` when it is as planned."""
    if isinstance(value, Data) and planned.reference:
        return None
    if not _is(value, planned.dtype):
        return planned.dtype
    if isinstance(value, list) and not all(_is(item, planned.elements) for item in value):
        return f"a list of {planned.elements}"
    if isinstance(value, dict) and planned.members:
        return _mismatch_of_members(value, planned)
    return None


def _mismatch_of_members(value: Mapping[str, Any], planned: AttributeForm) -> str | None:
    for name, item in value.items():
        member = planned.members.get(name)
        if member is None:
            return f"no member {quoted(name)}"
        inner = _mismatch(item, member)
        if inner:
            return f"{inner} as {quoted(name)}"
    return None


_IS: dict[str, Callable[[Any], bool]] = {
    "integer": lambda value: (type(value) is int) or isinstance(value, Integer) or _tag(value) == "int",
    "float": lambda value: (
        type(value) in (int, float) or isinstance(value, (Float, Integer)) or _tag(value) in ("int", "float")
    ),
    "string": lambda value: isinstance(value, (str, Data)),
    "boolean": lambda value: isinstance(value, bool),
    "list": lambda value: isinstance(value, list),
    "complex_attribute": lambda value: isinstance(value, dict) and _tag(value) is None,
}


def _is(value: Any, dtype: str | None) -> bool:
    """Whether a value is of a type; nothing, what is only described, and what is named elsewhere are of every type."""
    if value is None or isinstance(value, (Summary, Reference)) or _tag(value) == "summary":
        return True
    known = _IS.get(dtype or "any")
    return known is None or known(value)


def _tag(value: Any) -> str | None:
    """The kind of a tagged value inside a structure."""
    tag = value.get("$") if isinstance(value, dict) else None
    return tag if isinstance(tag, str) else None


def _shown(value: Any) -> str:
    name = {list: "a list", dict: "a structure", Data: "a data reference"}.get(type(value))
    if name is None and isinstance(value, Tagged):
        name = f"a {type(value).__name__.lower()}"
    return name or f"{quoted(str(value)[:40])} ({type(value).__name__})"


def quoted(text: str) -> str:
    # Clients of ProvLake turn apostrophes of an answer into quotation marks before they show it.
    return f"`{text[:100]}`".replace("'", "’")


def _listed(names: Collection[str]) -> str:
    shown = ", ".join(quoted(name) for name in list(names)[:MAX_NAMED])
    return shown + (f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else "")
