"""What a record says of the values that an activity used and generated, and of the attributes they are values of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pllib.provml import vocabulary

from .identity import canonical, encode, first_part, key_of, literal_of
from .names import Name
from .records import ActivityRecord
from .specifications import attribute_class
from .statements import Json, Statements, without_none
from .values import Among, Data, Reference, Tagged, Valued
from .wire import ValuesRecord

_MAX_SHAPE = 64
"""Values up to which the names of a whole record are remembered, so that most records cost one look-up."""
_PLAIN = frozenset((str, float, int, bool))
VALUE_CLASSES = {meaning: [classes.value] for meaning, classes in vocabulary.SEMANTICS.items()}


class Subject:
    """The activity that a record speaks of, on its way into a document."""

    __slots__ = ("document", "execution", "id", "transformation", "wf", "workflow")

    def __init__(self, document: Statements, record: ActivityRecord) -> None:
        self.document = document
        self.wf = canonical(record.wf)
        self.workflow = document.specifications.workflow(first_part(self.wf))
        self.execution = "execution/" + self.wf
        if record.kind == "workflow" or record.id is None:
            self.transformation = ""
            self.id = self.execution
        else:
            own = canonical(record.id)
            self.transformation = first_part(own)
            self.id = f"{self.execution}/{own}"

    @property
    def plan(self) -> str:
        if not self.transformation:
            return self.workflow.id
        return f"{self.workflow.id}/transformation/{encode(self.transformation)}"

    def place(self, activity: Json) -> None:
        """Plan, whole and process: said once a document, since all records of an activity know them."""
        activity["plan"] = self.plan
        if self.transformation:
            activity["partOf"] = self.execution
        activity["agents"] = [self.document.process]
        self.document.placed.add(self.id)

    def describe_attributes(self, direction: str, given: list[tuple[Name, str | None]]) -> None:
        """Attributes of the values of this record, as inputs or outputs of its plan, on first sight."""
        fresh = self.document.fresh
        plan = self.plan
        if len(given) <= _MAX_SHAPE and not fresh.first((plan, direction, *given)):
            return
        new: list[str] = []
        for name, meaning in given:
            if fresh.first((plan, direction, name.attribute, meaning)):
                new.append(name.attribute)
                self.describe_attribute(name, meaning)
        if new:
            self.document.plans.append({"id": plan, direction: list(dict.fromkeys(new))})

    def describe_attribute(self, name: Name, meaning: str | None) -> None:
        """An attribute on first sight."""
        if self.document.fresh.first((name.attribute, meaning)):
            about = {"id": name.attribute, "types": [attribute_class(meaning)], "label": name.text}
            self.document.plans.append(about)


class ValueStatements(Subject):
    """What a record says of the values of its activity."""

    __slots__ = ("informed", "match")

    def __init__(self, document: Statements, record: ValuesRecord) -> None:
        super().__init__(document, record)
        self.match = record.match
        self.informed: list[str] = []

    @property
    def _written(self) -> str:
        """Name of the state of some data that nobody saw but that this execution wrote."""
        return "w-" + self.id.removeprefix("execution/")

    def generated(self, generated: Mapping[str, Any]) -> list[str]:
        meanings = self.workflow.specification.outputs
        ids: list[str] = []
        given: list[tuple[Name, str | None]] = []
        names = self.workflow.attributes(generated)
        entities = self.document.entities
        match = self.match
        for name, value in zip(names, generated.values(), strict=True):
            meaning = meanings.get((self.transformation, name.text)) if meanings else None
            if type(value) in _PLAIN and not match:
                identifier = f"{self.id}/{name.encoded}"
                entity = {"id": identifier, "value": literal_of(value), "attributes": [name.attribute]}
                if meaning:
                    entity["types"] = VALUE_CLASSES[meaning]
                entities.append(entity)
            else:
                identifier, meaning = self._generate(name, value, meaning)
            ids.append(identifier)
            given.append((name, meaning))
        self.describe_attributes("outputs", given)
        return ids

    def _generate(self, name: Name, value: Any, meaning: str | None) -> tuple[str, str | None]:
        value, meaning, facts = _unwrapped(value, meaning)
        if isinstance(value, Data):
            return self._data(name, value, meaning, facts, generated=True), meaning
        identifier = f"{self.id}/{name.encoded}"
        entity: Json = {"id": identifier, "value": literal_of(value), "attributes": [name.attribute]}
        if self.match:
            entity["specializationOf"] = self._equal_value(name, value, None)
        self._complete(entity, meaning, facts)
        self.document.entities.append(entity)
        return identifier, meaning

    def used(self, used: Mapping[str, Any]) -> list[str]:
        meanings = self.workflow.specification.inputs
        ids: list[str] = []
        given: list[tuple[Name, str | None]] = []
        for name, value in zip(self.workflow.attributes(used), used.values(), strict=True):
            meaning = meanings.get((self.transformation, name.text)) if meanings else None
            if type(value) in _PLAIN:
                identifier = self._equal_value(name, value, meaning)
            else:
                identifier, meaning = self._use(name, value, meaning)
            ids.append(identifier)
            given.append((name, meaning))
        self.describe_attributes("inputs", given)
        return ids

    def _use(self, name: Name, value: Any, meaning: str | None) -> tuple[str, str | None]:
        value, meaning, facts = _unwrapped(value, meaning)
        return self._entity(name, value, meaning, facts), meaning

    def _entity(self, name: Name, value: Any, meaning: str | None, facts: Mapping[str, Any]) -> str:
        """Id of a value that this execution did not make, with what the record says of it."""
        if isinstance(value, Data):
            return self._data(name, value, meaning, facts)
        if isinstance(value, Reference):
            return self._reference(name, value, meaning, facts)
        if isinstance(value, Among):
            return self._among(name, value, meaning, facts)
        identifier = self._equal_value(name, value, meaning)
        if facts:
            about: Json = {"id": identifier}
            self._complete(about, None, facts)
            self.document.entities.append(about)
        return identifier

    def _equal_value(self, name: Name, value: Any, meaning: str | None) -> str:
        """The one entity a (workflow execution, attribute, type, value): identity rule 4."""
        identifier = f"value/{self.wf}/{name.general}/{key_of(value)}"
        if self.document.say(identifier, meaning):
            entity = {"id": identifier, "value": literal_of(value), "attributes": [name.attribute]}
            if meaning:
                entity["types"] = VALUE_CLASSES[meaning]
            self.document.entities.append(entity)
        return identifier

    def linked(self, execution: str, names: list[str]) -> list[str]:
        """Values that another execution of this workflow execution generated under the same names."""
        generator = f"{self.execution}/{canonical(execution)}"
        self.inform(generator)
        meanings = self.workflow.specification.inputs
        given: list[tuple[Name, str | None]] = []
        ids: list[str] = []
        for text in names:
            name = self.workflow.attribute(text)
            meaning = meanings.get((self.transformation, name.text)) if meanings else None
            identifier = f"{generator}/{name.encoded}"
            if meaning and self.document.say(identifier, meaning):
                self.document.entities.append({"id": identifier, "types": VALUE_CLASSES[meaning]})
            given.append((name, meaning))
            ids.append(identifier)
        self.describe_attributes("inputs", given)
        return ids

    def _reference(self, name: Name, value: Reference, meaning: str | None, facts: Mapping[str, Any]) -> str:
        wf = canonical(value.wf) if value.wf else self.wf
        workflow = self.workflow if wf == self.wf else self.document.specifications.workflow(first_part(wf))
        generated = workflow.attribute(value.name)
        generator = f"execution/{wf}/{canonical(value.id)}"
        self.inform(generator)
        identifier = f"{generator}/{generated.encoded}"
        about: Json = {"id": identifier}
        if generated.attribute != name.attribute:
            about["attributes"] = [name.attribute]
        self._complete(about, meaning, facts)
        if len(about) > 1:
            self.document.entities.append(about)
        return identifier

    def inform(self, generator: str) -> None:
        if generator != self.id:
            self.informed.append(generator)

    def _among(self, name: Name, value: Among, meaning: str | None, facts: Mapping[str, Any]) -> str:
        plain, meaning, more = _unwrapped(value.v, meaning)
        identifier = self._entity(name, plain, meaning, {**more, **facts})
        for execution, generated in value.of:
            candidate = f"{self.execution}/{canonical(execution)}/{self.workflow.attribute(generated).encoded}"
            if self.document.say(candidate, identifier):
                self.document.entities.append({"id": candidate, "specializationOf": identifier})
        return identifier

    def _data(
        self, name: Name, value: Data, meaning: str | None, facts: Mapping[str, Any], *, generated: bool = False
    ) -> str:
        """A data reference, or the state of it that is known: identity rules 6 and 7.

        What is generated is always a state: where nobody saw which, that which this execution wrote.
        """
        store = self.document.store(value.store)
        reference = f"data/{encode(value.store)}/{encode(value.key)}"
        whole = {"types": ["provlake:DataReference"], "value": value.key, "store": store, "key": value.key}
        entity: Json = {"id": reference, **whole}
        state = value.version or (self._written if generated else None)
        if state:
            if self.document.say(reference, None):
                self.document.entities.append(entity)
            entity = {"id": f"{reference}/{encode(state)}", "types": whole["types"], "value": value.key}
            entity |= {"specializationOf": reference, **without_none({"version": value.version})}
        about = without_none({"path": value.path, "size": value.size})
        entity |= {**about, "attributes": [name.attribute]}
        prefix = f"{reference}/{encode(state or '-')}"
        self._complete(entity, meaning, facts, prefix)
        self.document.entities.append(entity)
        if meaning == "model":
            self.document.stores.append({"id": store, "members": [entity["id"]]})
        return str(entity["id"])

    def _complete(self, entity: Json, meaning: str | None, facts: Mapping[str, Any], prefix: str | None = None) -> None:
        """Adds the class that a meaning gives, and the facts as members."""
        if meaning:
            entity["types"] = [*entity.get("types", ()), *VALUE_CLASSES[meaning]]
        if facts:
            where = prefix or entity["id"]
            entity["members"] = [self._fact(where, *fact) for fact in facts.items()]

    def _fact(self, where: str, text: str, value: Any) -> str:
        """A fact about an entity: one entity a (what it is about, attribute, type, value)."""
        name = self.workflow.attribute(text)
        value, meaning, facts = _unwrapped(value, None)
        self.describe_attribute(name, meaning)
        if isinstance(value, (Data, Reference, Among)):
            return self._entity(name, value, meaning, facts)
        identifier = f"{where}/{name.encoded}/{key_of(value)}"
        if self.document.say(identifier, meaning) or facts:
            entity: Json = {"id": identifier, "value": literal_of(value), "attributes": [name.attribute]}
            self._complete(entity, meaning, facts)
            self.document.entities.append(entity)
        return identifier


def _unwrapped(value: Any, planned: str | None) -> tuple[Any, str | None, Mapping[str, Any]]:
    """The value inside its markings, its meaning (the record's before the plan's), and its facts."""
    meaning: str | None = None
    facts: dict[str, Any] = {}
    while isinstance(value, Tagged):
        meaning = meaning or value.meaning
        if value.facts:
            facts = {**value.facts, **facts}
        if not isinstance(value, Valued):
            break
        value = value.v
    return value, meaning or planned, facts
