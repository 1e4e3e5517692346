"""Capture records to what the graph says of a run, as far as it goes into a PROV document (docs/reference/rdf-model.md).

The services do the same in two steps, records to PROV-ML JSON and that to RDF; ``tests/end_to_end/test_documents_without_server.py`` shows
that the documents are equal.
Statements only add up: any order and any repetition of the records of a run say the same.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Set, Tuple

from ..prov.model import XSD_STRING, Literal
from ..provml import iris, vocabulary
from ..provml.settled import Extent
from .values import DOUBLE, INTEGER, JSON, TIME, duration, is_plain, json_text, key_of, literal_of, time_text

Json = Any

OWN, CLASS = "", ":"
"""In the place of a datatype: the object is a resource of ours, by its id, or a class, by its CURIE."""
_REMEMBERED = 20_000
_PLAIN = frozenset((str, float, int, bool))


class Fact(NamedTuple):
    """A triple: subject by id, property as CURIE, object as text by its datatype (or ``OWN`` or ``CLASS``)."""

    subject: str
    property: str
    datatype: str
    text: str


encode = lru_cache(maxsize=16_384)(iris.encode)
canonical = lru_cache(maxsize=16_384)(iris.canonical)
first_part = lru_cache(maxsize=16_384)(iris.first_part)


class Conversion:
    """What records of one producer say. What is said again and again is left out for a while.

    Args:
        producer: 32 hex digits.
    """

    def __init__(self, producer: str) -> None:
        self.process = iris.process(producer)
        self.producer = producer
        self._said: Set[Tuple[str, ...]] = set()

    def facts(self, record: Mapping[str, Json]) -> Facts:
        """What one record says.

        Raises:
            ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError: it breaks the capture format.
        """
        found = Facts(self)
        op = record["op"]
        if op in ("begin", "end", "add", "points"):
            from .activity_records import ActivityRecord

            ActivityRecord(found, self, record).convert(op)
        elif op == "producer":
            self._describe_process(found, record)
        elif op == "gap":
            lost = _given({"count": record["count"], "from": record.get("from"), "to": record.get("to")})
            found.structure(self.process, "provlake:lost", {**lost, "reason": record["reason"]})
        return found

    def first(self, *statement: str) -> bool:
        """Whether this is said for the first time, as far as is remembered."""
        if statement in self._said:
            return False
        if len(self._said) >= _REMEMBERED:
            self._said.clear()
        self._said.add(statement)
        return True

    def _describe_process(self, found: Facts, record: Mapping[str, Json]) -> None:
        found.classes(self.process, "prov:SoftwareAgent")
        found.text(self.process, "rdfs:label", process_label(record))
        for name in ("host", "command"):
            found.text(self.process, f"provlake:{name}", record.get(name))
        if record.get("pid") is not None:
            found.integer(self.process, "provlake:pid", record["pid"])
        versions = _given({"python": record.get("python"), "pllib": record.get("pllib")})
        environment = {**record.get("env", {}), **versions}
        if environment:
            found.structure(self.process, "provlake:environment", environment)
        if record.get("user"):
            found.link(self.process, "prov:actedOnBehalfOf", found.person(record["user"]))
        for name, version in record.get("software", {}).items():
            found.link(self.process, "provlake:ran", iris.software(name, version))


class Facts(List[Fact]):
    """The facts of one record, as they are found.

    Attributes:
        extents: what points come to, by series.
    """

    def __init__(self, conversion: Conversion) -> None:
        super().__init__()
        self.conversion = conversion
        self.extents: List[Tuple[str, Extent]] = []

    def link(self, subject: str, property: str, target: str) -> None:
        self.append(Fact(subject, property, OWN, target))

    def classes(self, subject: str, *names: str) -> None:
        self.extend(Fact(subject, "rdf:type", CLASS, name) for name in names)

    def literal(self, subject: str, property: str, literal: Literal) -> None:
        self.append(Fact(subject, property, literal.datatype, literal.text))

    def text(self, subject: str, property: str, text: Optional[str]) -> None:
        if text is not None:
            self.append(Fact(subject, property, XSD_STRING, _checked(text)))

    def time(self, subject: str, property: str, microseconds: int) -> None:
        self.append(Fact(subject, property, TIME, time_text(microseconds)))

    def structure(self, subject: str, property: str, value: Json) -> None:
        self.append(Fact(subject, property, JSON, json_text(value)))

    def integer(self, subject: str, property: str, number: int) -> None:
        self.append(Fact(subject, property, INTEGER, str(int(number))))

    def points(self, series: str, chunk: Mapping[str, Json]) -> None:
        self.append(Fact(series, "provlake:points", JSON, json_text(chunk, plus="")))

    def seconds(self, subject: str, microseconds: int) -> None:
        self.append(Fact(subject, "provlake:duration", DOUBLE, duration(microseconds).text))

    def person(self, name: str) -> str:
        """Id of a person, who is described on first sight."""
        identifier = iris.person(name)
        if self.conversion.first(identifier):
            self.classes(identifier, "prov:Person", "provml:Persona")
            self.text(identifier, "rdfs:label", name)
        return identifier

    def named(self, identifier: str, kind: str, label: str) -> None:
        """Something of the prospective side: its class and its name, on first sight."""
        if self.conversion.first(identifier, kind):
            self.classes(identifier, kind)
            self.text(identifier, "rdfs:label", label)


class Unwrapped(NamedTuple):
    """A value without its markings, its ML meaning, and what else is said of it."""

    value: Json
    meaning: Optional[str]
    facts: Mapping[str, Json]


def unwrapped(value: Json) -> Unwrapped:
    """The value inside its markings; outer ones come first."""
    meaning: Optional[str] = None
    facts: Dict[str, Json] = {}
    while type(value) is dict:
        meaning = meaning or value.get("as")
        facts = {**(value.get("facts") or {}), **facts}
        if value.get("$") != "value":
            break
        value = value["v"]
    return Unwrapped(value, meaning, facts)


class Values:
    """What a record says of values: which entities they are, and what is known of those.

    Args:
        found: where it is written.
        workflow: id of the plan of the workflow.
        wf: workflow execution, canonical.
        activity: id of the activity that the record is about.
        match: whether generated values may be meant by equal ones.
    """

    def __init__(self, found: Facts, workflow: str, wf: str, activity: str, match: bool) -> None:
        self._found, self._workflow, self._wf, self._activity, self._match = found, workflow, wf, activity, match
        self.informants: List[str] = []

    def generated(self, name: str, given: Json) -> str:
        """Id of a value that this activity generated."""
        value, meaning, facts = unwrapped(given)
        self._describe(name, meaning)
        if type(value) is dict and value.get("$") == "data":
            return self._data(name, value, meaning, facts, generated=True)
        identifier = f"{self._activity}/{encode(name)}"
        self._found.literal(identifier, "prov:value", literal_of(value))
        self._found.link(identifier, "prov:wasDerivedFrom", self.attribute_of(name))
        if self._match:
            self._found.link(identifier, "prov:specializationOf", self._equal_value(name, value, None))
        self._complete(identifier, meaning, facts)
        return identifier

    def used(self, name: str, given: Json) -> str:
        """Id of a value that this activity used."""
        value, meaning, facts = unwrapped(given)
        self._describe(name, meaning)
        return self._entity(name, value, meaning, facts)

    def linked(self, execution: str, names: Iterable[str]) -> List[str]:
        """Ids of values that another activity of this workflow execution generated under the same names."""
        generator = f"execution/{self._wf}/{canonical(execution)}"
        self._inform(generator)
        for name in names:
            self._describe(name, None)
        return [f"{generator}/{encode(name)}" for name in names]

    def series(self, name: str, meaning: Optional[str]) -> str:
        """Id of a series that this activity generates."""
        identifier = f"{self._activity}/{encode(name)}"
        if self._found.conversion.first("series of", identifier, meaning or ""):
            self._describe(name, meaning)
            self._found.link(identifier, "prov:wasDerivedFrom", self.attribute_of(name))
            self._complete(identifier, meaning, {})
        return identifier

    def attribute_of(self, name: str) -> str:
        return f"{self._workflow}/attribute/{encode(name)}"

    def _describe(self, name: str, meaning: Optional[str]) -> None:
        if not name:
            raise ValueError("a value has an empty name")
        kind = vocabulary.SEMANTICS[meaning].attribute if meaning else "provlake:Attribute"
        self._found.named(self.attribute_of(name), kind, name)

    def _entity(self, name: str, value: Json, meaning: Optional[str], facts: Mapping[str, Json]) -> str:
        """Id of a value that this activity did not make."""
        tag = value.get("$") if type(value) is dict else None
        if tag == "data":
            return self._data(name, value, meaning, facts)
        if tag == "ref":
            return self._reference(name, value, meaning, facts)
        if tag == "among":
            return self._among(name, value, meaning, facts)
        identifier = self._equal_value(name, value, meaning)
        self._complete(identifier, None, facts)
        return identifier

    def _equal_value(self, name: str, value: Json, meaning: Optional[str]) -> str:
        """The one entity a (workflow execution, attribute, type, value): identity rule 4."""
        identifier = f"value/{self._wf}/{encode(name)}/{key_of(value)}"
        if self._found.conversion.first(identifier, meaning or ""):
            self._found.literal(identifier, "prov:value", literal_of(value))
            self._found.link(identifier, "prov:wasDerivedFrom", self.attribute_of(name))
            self._complete(identifier, meaning, {})
        return identifier

    def _reference(self, name: str, value: Json, meaning: Optional[str], facts: Mapping[str, Json]) -> str:
        wf = canonical(value["wf"]) if value.get("wf") else self._wf
        generator = f"execution/{wf}/{canonical(value['id'])}"
        self._inform(generator)
        identifier = f"{generator}/{encode(value['name'])}"
        if (iris.workflow(first_part(wf)), value["name"]) != (self._workflow, name):
            self._found.link(identifier, "prov:wasDerivedFrom", self.attribute_of(name))
        self._complete(identifier, meaning, facts)
        return identifier

    def _inform(self, generator: str) -> None:
        if generator != self._activity:
            self.informants.append(generator)

    def _among(self, name: str, value: Json, meaning: Optional[str], facts: Mapping[str, Json]) -> str:
        plain, inner, more = unwrapped(value["v"])
        identifier = self._entity(name, plain, inner or meaning, {**more, **facts})
        for execution, generated in value["of"]:
            candidate = f"execution/{self._wf}/{canonical(execution)}/{encode(generated)}"
            self._found.link(candidate, "prov:specializationOf", identifier)
        return identifier

    def _data(
        self, name: str, value: Json, meaning: Optional[str], facts: Mapping[str, Json], generated: bool = False
    ) -> str:
        """A data reference, or the state of it that is known: identity rules 6 and 7."""
        store, key = value["store"], value["key"]
        reference = f"data/{encode(store)}/{encode(key)}"
        if self._found.conversion.first(reference):
            self._reference_itself(reference, store, key)
        identifier = reference
        written = "w-" + self._activity[len("execution/") :] if generated else None
        state = value.get("version") or written
        if state:
            identifier = f"{reference}/{encode(state)}"
            self._found.classes(identifier, "provlake:DataReference")
            self._found.text(identifier, "prov:value", key)
            self._found.link(identifier, "prov:specializationOf", reference)
            self._found.text(identifier, "provlake:version", value.get("version"))
        self._found.text(identifier, "provlake:path", value.get("path"))
        if value.get("size") is not None:
            self._found.integer(identifier, "provlake:size", value["size"])
        self._found.link(identifier, "prov:wasDerivedFrom", self.attribute_of(name))
        self._complete(identifier, meaning, facts, f"{reference}/{encode(state or '-')}")
        return identifier

    def _reference_itself(self, reference: str, store: str, key: str) -> None:
        self._found.classes(reference, "provlake:DataReference")
        for property in ("prov:value", "provlake:key"):
            self._found.text(reference, property, key)
        self._found.link(reference, "provlake:store", "store/" + encode(store))

    def _complete(
        self, identifier: str, meaning: Optional[str], facts: Mapping[str, Json], prefix: Optional[str] = None
    ) -> None:
        """Adds the class that a meaning gives, and the facts as members."""
        if meaning:
            self._found.classes(identifier, vocabulary.SEMANTICS[meaning].value)
        for name, value in facts.items():
            self._found.link(identifier, "prov:hadMember", self._fact(prefix or identifier, name, value))

    def _fact(self, where: str, name: str, given: Json) -> str:
        """A fact about an entity: one entity a (what it is about, attribute, type, value)."""
        value, meaning, facts = unwrapped(given)
        self._describe(name, meaning)
        if not is_plain(value):
            return self._entity(name, value, meaning, facts)
        identifier = f"{where}/{encode(name)}/{key_of(value)}"
        if self._found.conversion.first(identifier, meaning or "") or facts:
            self._found.literal(identifier, "prov:value", literal_of(value))
            self._found.link(identifier, "prov:wasDerivedFrom", self.attribute_of(name))
            self._complete(identifier, meaning, facts)
        return identifier


def process_label(record: Mapping[str, Json]) -> str:
    """The script's name, process id and host, as far as they are known: ``train.py (pid 12 on node1)``."""
    words = (record.get("command") or record.get("env", {}).get("client", "")).split()
    program = words[0].replace("\\", "/").rpartition("/")[2] if words else ""
    pid = record.get("pid")
    where = " on ".join(_given({"pid": pid and f"pid {pid}", "host": record.get("host")}).values())
    return f"{program or 'process'} ({where})" if where else program or "process"


def _checked(text: Json) -> str:
    if not isinstance(text, str):
        raise TypeError(f"{str(text)[:100]!r} is no text")
    return text


def _given(facts: Mapping[str, Json]) -> Dict[str, Json]:
    return {name: fact for name, fact in facts.items() if fact is not None}
