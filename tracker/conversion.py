"""Capture records to PROV-ML JSON (docs/reference/rdf-model.md): what each record says, and no more.

A record says the same whatever comes before or after it; statements only add up. So any order, any repetition and any
cut into batches of the records of a run give the same graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from pllib.provml import iris, vocabulary

from .identity import canonical, encode, first_part, key_of, literal_of
from .names import Name, Specifications
from .plans import Fresh
from .records import Begin, End, Gap, ProducerRecord
from .specifications import attribute_class, transformation_class
from .values import Among, Data, Reference, Tagged, Valued

Json = Any

_encoder = msgspec.json.Encoder()
_MAX_SHAPE = 64
"""Values up to which the names of a whole record are remembered, so that most records cost one look-up."""
_PLAIN = frozenset((str, float, int, bool))
_VALUE_CLASSES = {meaning: [classes.value] for meaning, classes in vocabulary.SEMANTICS.items()}


class Document:
    """What records of one producer say, of one workflow execution or of the producer itself.

    Args:
        producer: 32 hex digits.
        specifications: the workflows' names.
        fresh: what is said for the first time.
    """

    __slots__ = (
        "_begun",
        "_fresh",
        "_process",
        "_said",
        "_specifications",
        "activities",
        "agents",
        "entities",
        "plans",
        "stores",
    )

    def __init__(self, producer: str, specifications: Specifications, fresh: Fresh) -> None:
        self._process = iris.process(producer)
        self._specifications = specifications
        self._fresh = fresh
        self._begun: set[str] = set()
        self._said: set[tuple[str, str | None]] = set()
        self.activities: list[Json] = []
        self.entities: list[Json] = []
        self.agents: list[Json] = []
        self.plans: list[Json] = []
        self.stores: list[Json] = []

    def encoded(self) -> bytes:
        """The document as JSON."""
        parts = {name: getattr(self, name) for name in ("activities", "entities", "agents", "plans", "stores")}
        return _encoder.encode({name: part for name, part in parts.items() if part})

    def add(self, record: Begin | End | ProducerRecord | Gap) -> None:
        """Adds what one record says."""
        if isinstance(record, Begin):
            _ActivityRecord(self, record).begin(record)
        elif isinstance(record, End):
            _ActivityRecord(self, record).end(record)
        elif isinstance(record, ProducerRecord):
            self._add_process(record)
        else:
            lost = {"count": record.count, "from": record.since, "to": record.to, "reason": record.reason}
            self.agents.append({"id": self._process, "lost": _given(lost)})

    def _add_process(self, record: ProducerRecord) -> None:
        environment = {**record.env, **_given({"python": record.python, "pllib": record.pllib})}
        agent = {
            "id": self._process,
            "types": ["prov:SoftwareAgent"],
            "label": _process_label(record),
            "host": record.host,
            "pid": record.pid,
            "command": record.command,
            "environment": environment or None,
            "actedFor": [self.person(record.user)] if record.user else None,
            "ran": [self._software(name, version) for name, version in record.software.items()] or None,
        }
        self.agents.append(_given(agent))

    def person(self, name: str) -> str:
        """Id of a person, who is described on first sight."""
        identifier = iris.person(name)
        if self._fresh.first(identifier):
            self.agents.append({"id": identifier, "types": ["prov:Person", "provml:Persona"], "label": name})
        return identifier

    def _software(self, name: str, version: str) -> str:
        identifier = iris.software(name, version)
        if self._fresh.first(identifier):
            about = {"id": identifier, "types": ["provlake:Program"], "label": name, "version": version}
            self.agents.append(about)
        return identifier

    def store(self, name: str) -> str:
        """Id of a data store, which is described on first sight."""
        identifier = "store/" + encode(name)
        if self._fresh.first(identifier):
            self.stores.append({"id": identifier, "types": ["provlake:DataStoreInstance"], "label": name})
        return identifier


class _ActivityRecord:
    """One begin or end on its way into a document."""

    __slots__ = ("document", "execution", "id", "informed", "meanings", "record", "transformation", "wf", "workflow")

    def __init__(self, document: Document, record: Begin | End) -> None:
        self.document = document
        self.record = record
        self.wf = canonical(record.wf)
        self.workflow = document._specifications.workflow(first_part(self.wf))
        self.execution = "execution/" + self.wf
        if record.kind == "workflow" or record.id is None:
            self.transformation = ""
            self.id = self.execution
        else:
            own = canonical(record.id)
            self.transformation = first_part(own)
            self.id = f"{self.execution}/{own}"
        self.informed: list[str] = []

    @property
    def plan(self) -> str:
        if not self.transformation:
            return self.workflow.id
        return f"{self.workflow.id}/transformation/{encode(self.transformation)}"

    @property
    def _written(self) -> str:
        """Name of the state of some data that nobody saw but that this execution wrote."""
        return "w-" + self.id.removeprefix("execution/")

    # -- records

    def begin(self, record: Begin) -> None:
        stage = record.stage or self.workflow.specification.stages.get(self.transformation)
        activity: Json = {
            "id": self.id,
            "types": [_execution_class(record.kind, stage)],
        }
        if record.timed:
            activity["started"] = record.t
        self._place(activity)
        self.document._begun.add(self.id)
        if record.up is not None and self.transformation:
            self.informed.append(f"{self.execution}/{canonical(record.up)}")
        if record.person is not None:
            activity["agents"].append(self.document.person(record.person))
        self._describe_plan(record, stage)
        if record.kind == "task" and stage not in (None, "feature_extraction"):
            self._mark_as_learning()
        self._finish(activity)

    def end(self, record: End) -> None:
        activity: Json = {"id": self.id, "status": record.status}
        if record.timed:
            activity["ended"] = record.t
        if record.elapsed is not None:
            activity["duration"] = record.elapsed / 1_000_000
        if self.id not in self.document._begun:
            self._place(activity)
        if record.kind not in ("task", "section"):  # of those, only the begin knows the class
            activity["types"] = [_execution_class(record.kind, None)]
        if record.error is not None:
            activity["error"] = _given({"type": record.error.type, "message": record.error.message})
        if record.stdout is not None:
            activity["stdout"] = record.stdout
        if record.stderr is not None:
            activity["stderr"] = record.stderr
        if record.generated:
            activity["generated"] = self._generated(record.generated)
        self._finish(activity)

    def _place(self, activity: Json) -> None:
        """Plan, whole and process: said once a document, since begin and end both know them."""
        activity["plan"] = self.plan
        if self.transformation:
            activity["partOf"] = self.execution
        activity["agents"] = [self.document._process]

    def _finish(self, activity: Json) -> None:
        record = self.record
        if record.used or record.links:
            used = self._used(record.used) if record.used else []
            for execution, names in record.links.items():
                used.extend(self._linked(execution, names))
            activity["used"] = used
        if self.informed:
            activity["informedBy"] = list(dict.fromkeys(self.informed))
        if record.meta:
            activity["metadata"] = record.meta
        self.document.activities.append(activity)

    # -- the prospective side

    def _describe_plan(self, record: Begin, stage: str | None) -> None:
        parent = first_part(canonical(record.up)) if record.up and self.transformation else ""
        statement = (self.plan, record.kind, stage, parent, record.study)
        if not self.document._fresh.first(statement):
            return
        plans = self.document.plans
        if self.transformation:
            kind = transformation_class(record.kind, stage)
            plans.append({"id": self.plan, "types": [kind], "label": self.transformation})
            whole = f"{self.workflow.id}/transformation/{encode(parent)}" if parent else self.workflow.id
            if parent != self.transformation:
                plans.append({"id": whole, "parts": [self.plan]})
            return
        plans.append({"id": self.plan, "types": [vocabulary.WORKFLOW.plan], "label": self.workflow.name})
        if record.study is not None:
            study = {"id": iris.study(record.study), "types": ["provml:Study"], "label": record.study}
            plans.append({**study, "parts": [self.plan]})

    def _mark_as_learning(self) -> None:
        learning = vocabulary.LEARNING_WORKFLOW
        if self.document._fresh.first((self.workflow.id, learning.plan)):
            self.document.plans.append({"id": self.workflow.id, "types": [learning.plan], "label": self.workflow.name})
        if self._say(self.execution, learning.execution):
            self.document.activities.append({"id": self.execution, "types": [learning.execution]})

    def _describe_attributes(self, direction: str, given: list[tuple[Name, str | None]]) -> None:
        """Attributes of the values of this record, as inputs or outputs of its plan, on first sight."""
        fresh = self.document._fresh
        plan = self.plan
        if len(given) <= _MAX_SHAPE and not fresh.first((plan, direction, *given)):
            return
        new: list[str] = []
        for name, meaning in given:
            if fresh.first((plan, direction, name.attribute, meaning)):
                new.append(name.attribute)
                self._describe_attribute(name, meaning)
        if new:
            self.document.plans.append({"id": plan, direction: list(dict.fromkeys(new))})

    def _describe_attribute(self, name: Name, meaning: str | None) -> None:
        if self.document._fresh.first((name.attribute, meaning)):
            about = {"id": name.attribute, "types": [attribute_class(meaning)], "label": name.text}
            self.document.plans.append(about)

    # -- values

    def _generated(self, generated: Mapping[str, Any]) -> list[str]:
        meanings = self.workflow.specification.outputs
        ids: list[str] = []
        given: list[tuple[Name, str | None]] = []
        names = self.workflow.attributes(generated)
        entities = self.document.entities
        match = self.record.match
        for name, value in zip(names, generated.values(), strict=True):
            meaning = meanings.get((self.transformation, name.text)) if meanings else None
            if type(value) in _PLAIN and not match:
                identifier = f"{self.id}/{name.encoded}"
                entity = {"id": identifier, "value": literal_of(value), "attributes": [name.attribute]}
                if meaning:
                    entity["types"] = _VALUE_CLASSES[meaning]
                entities.append(entity)
            else:
                identifier, meaning = self._generate(name, value, meaning)
            ids.append(identifier)
            given.append((name, meaning))
        self._describe_attributes("outputs", given)
        return ids

    def _generate(self, name: Name, value: Any, meaning: str | None) -> tuple[str, str | None]:
        value, meaning, facts = _unwrapped(value, meaning)
        if isinstance(value, Data):
            return self._data(name, value, meaning, facts, generated=True), meaning
        identifier = f"{self.id}/{name.encoded}"
        entity: Json = {"id": identifier, "value": literal_of(value), "attributes": [name.attribute]}
        if self.record.match:
            entity["specializationOf"] = self._equal_value(name, value, None)
        self._complete(entity, meaning, facts)
        self.document.entities.append(entity)
        return identifier, meaning

    def _used(self, used: Mapping[str, Any]) -> list[str]:
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
        self._describe_attributes("inputs", given)
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
        if self._say(identifier, meaning):
            entity = {"id": identifier, "value": literal_of(value), "attributes": [name.attribute]}
            if meaning:
                entity["types"] = _VALUE_CLASSES[meaning]
            self.document.entities.append(entity)
        return identifier

    def _linked(self, execution: str, names: list[str]) -> list[str]:
        """Values that another execution of this workflow execution generated under the same names."""
        generator = f"{self.execution}/{canonical(execution)}"
        self._inform(generator)
        meanings = self.workflow.specification.inputs
        given: list[tuple[Name, str | None]] = []
        ids: list[str] = []
        for text in names:
            name = self.workflow.attribute(text)
            meaning = meanings.get((self.transformation, name.text)) if meanings else None
            identifier = f"{generator}/{name.encoded}"
            if meaning and self._say(identifier, meaning):
                self.document.entities.append({"id": identifier, "types": _VALUE_CLASSES[meaning]})
            given.append((name, meaning))
            ids.append(identifier)
        self._describe_attributes("inputs", given)
        return ids

    def _reference(self, name: Name, value: Reference, meaning: str | None, facts: Mapping[str, Any]) -> str:
        wf = canonical(value.wf) if value.wf else self.wf
        workflow = self.workflow if wf == self.wf else self.document._specifications.workflow(first_part(wf))
        generated = workflow.attribute(value.name)
        generator = f"execution/{wf}/{canonical(value.id)}"
        self._inform(generator)
        identifier = f"{generator}/{generated.encoded}"
        about: Json = {"id": identifier}
        if generated.attribute != name.attribute:
            about["attributes"] = [name.attribute]
        self._complete(about, meaning, facts)
        if len(about) > 1:
            self.document.entities.append(about)
        return identifier

    def _inform(self, generator: str) -> None:
        if generator != self.id:
            self.informed.append(generator)

    def _among(self, name: Name, value: Among, meaning: str | None, facts: Mapping[str, Any]) -> str:
        plain, meaning, more = _unwrapped(value.v, meaning)
        identifier = self._entity(name, plain, meaning, {**more, **facts})
        for execution, generated in value.of:
            candidate = f"{self.execution}/{canonical(execution)}/{self.workflow.attribute(generated).encoded}"
            if self._say(candidate, identifier):
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
            if self._say(reference, None):
                self.document.entities.append(entity)
            entity = {"id": f"{reference}/{encode(state)}", "types": whole["types"], "value": value.key}
            entity |= {"specializationOf": reference, **_given({"version": value.version})}
        about = _given({"path": value.path, "size": value.size})
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
            entity["types"] = [*entity.get("types", ()), *_VALUE_CLASSES[meaning]]
        if facts:
            where = prefix or entity["id"]
            entity["members"] = [self._fact(where, *fact) for fact in facts.items()]

    def _fact(self, where: str, text: str, value: Any) -> str:
        """A fact about an entity: one entity a (what it is about, attribute, type, value)."""
        name = self.workflow.attribute(text)
        value, meaning, facts = _unwrapped(value, None)
        self._describe_attribute(name, meaning)
        if isinstance(value, (Data, Reference, Among)):
            return self._entity(name, value, meaning, facts)
        identifier = f"{where}/{name.encoded}/{key_of(value)}"
        if self._say(identifier, meaning) or facts:
            entity: Json = {"id": identifier, "value": literal_of(value), "attributes": [name.attribute]}
            self._complete(entity, meaning, facts)
            self.document.entities.append(entity)
        return identifier

    def _say(self, identifier: str, what: str | None) -> bool:
        """Whether this document has not yet said this of an entity."""
        said = self.document._said
        before = len(said)
        said.add((identifier, what))
        return len(said) > before


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


def _execution_class(kind: str, stage: str | None) -> str:
    if kind == "task":
        return (vocabulary.STAGES[stage] if stage else vocabulary.TASK).execution
    if kind == "section":
        return vocabulary.SECTIONS.get(stage or "learning", vocabulary.SECTIONS["learning"]).execution
    if kind == "workflow":
        return vocabulary.WORKFLOW.execution
    return (vocabulary.CYCLE if kind == "cycle" else vocabulary.ITERATION).execution


def _process_label(record: ProducerRecord) -> str:
    """The script's name, process id and host, as far as they are known: ``train.py (pid 12 on node1)``."""
    words = (record.command or record.env.get("client", "")).split()
    program = words[0].replace("\\", "/").rpartition("/")[2] if words else ""
    where = " on ".join(_given({"pid": record.pid and f"pid {record.pid}", "host": record.host}).values())
    return f"{program or 'process'} ({where})" if where else program or "process"


def _given(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: fact for name, fact in facts.items() if fact is not None}
