"""Graphs as the manager writes them (``docs/reference/rdf-model.md``), said in a few lines of a test."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import unquote

from pllib.provml import iris
from pllib.provml.vocabulary import (
    CYCLE,
    ITERATION,
    LEARNING_WORKFLOW,
    RDF,
    SECTIONS,
    SEMANTICS,
    STAGES,
    TASK,
    WORKFLOW,
    XSD,
    expand,
)

BASE = "http://127.0.0.1:8472/id/"
START = datetime(2026, 1, 31, 12, 0, tzinfo=timezone.utc)
A = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"


class Graph:
    """Triples of one store; every method gives the id of what it added. Times are seconds after ``START``."""

    def __init__(self, base: str = BASE) -> None:
        self.base = base
        self.triples: set[str] = set()

    @property
    def text(self) -> str:
        """N-Triples."""
        return "\n".join(sorted(self.triples)) + "\n"

    def say(self, subject: str, predicate: str, target: str) -> None:
        """One triple: ids, and a CURIE as predicate; a target with a colon is a CURIE, too."""
        full = expand(target) if ":" in target else self.base + target
        self.triples.add(f"<{self.base}{subject}> <{_property(predicate)}> <{full}> .")

    def literal(self, subject: str, predicate: str, value: Any) -> None:
        self.triples.add(f"<{self.base}{subject}> <{_property(predicate)}> {_literal(value)} .")

    # -- activities ---------------------------------------------------------------------------------------------------

    def run(
        self, workflow: str, execution: str, learning: bool = False, start: float = 0, end: float | None = None
    ) -> str:
        """A workflow execution."""
        plan = iris.workflow(workflow)
        classes = LEARNING_WORKFLOW if learning else WORKFLOW
        self.say(plan, "a", classes.plan)
        self.literal(plan, "rdfs:label", workflow)
        activity = f"execution/{iris.encode(workflow)}/{iris.encode(execution)}"
        self.say(activity, "a", WORKFLOW.execution)
        if learning:
            self.say(activity, "a", LEARNING_WORKFLOW.execution)
        self.say(activity, "prov:wasInfluencedBy", plan)
        self._times(activity, start, end)
        return activity

    def task(
        self,
        run: str,
        name: str,
        number: int | str,
        kind: str = "task",
        stage: str | None = None,
        parent: str | None = None,
        start: float = 0,
        end: float | None = None,
        status: str = "finished",
    ) -> str:
        """A task, section, cycle or iteration of a workflow execution; ``end=None`` runs still."""
        workflow = run.split("/")[1]
        plan = f"workflow/{workflow}/transformation/{iris.encode(name)}"
        tables = {
            "section": SECTIONS,
            "cycle": {None: CYCLE},
            "iteration": {None: ITERATION},
            "task": {None: TASK, **STAGES},
        }
        classes = tables[kind][stage]  # type: ignore[index]
        activity = f"{run}/{iris.encode(name)}/{number}"
        self.say(plan, "a", classes.plan)
        self.literal(plan, "rdfs:label", name)
        whole = f"workflow/{workflow}"
        if parent is not None and kind == "section":
            whole += f"/transformation/{parent.split('/')[3]}"
        self.say(whole, "provlake:hasPart", plan)
        self.say(activity, "a", classes.execution)
        self.say(activity, "prov:wasInfluencedBy", plan)
        self.say(activity, "provlake:isPartOf", run)
        if parent is not None:
            self.say(activity, "prov:wasInformedBy", parent)
        self._times(activity, start, end, status)
        return activity

    def _times(self, activity: str, start: float, end: float | None, status: str = "finished") -> None:
        self.literal(activity, "prov:startedAtTime", START + timedelta(seconds=start))
        if end is not None:
            self.literal(activity, "prov:endedAtTime", START + timedelta(seconds=end))
            self.literal(activity, "provlake:status", status)
            self.literal(activity, "provlake:duration", float(end - start))

    # -- plain values -------------------------------------------------------------------------------------------------

    def generate(self, activity: str, name: str, value: Any, meaning: str | None = None, match: bool = False) -> str:
        """A value that an activity generated (identity rule 1, with ``match`` rule 5)."""
        entity = f"{activity}/{iris.encode(name)}"
        self._value(entity, activity, name, value, meaning, "provlake:hasOutput")
        self.say(entity, "prov:wasGeneratedBy", activity)
        if match:
            self.say(entity, "prov:specializationOf", self._equal(activity, name, value, meaning))
        return entity

    def use(self, activity: str, name: str, value: Any, meaning: str | None = None, among: tuple[str, ...] = ()) -> str:
        """A plain value of unknown origin that an activity used (rule 4), or one of several (rule 5)."""
        entity = self._equal(activity, name, value, meaning)
        self.say(activity, "prov:used", entity)
        for generated in among:
            self.say(generated, "prov:specializationOf", entity)
        return entity

    def hand(self, activity: str, *entities: str, name: str | None = None) -> None:
        """Explicit use of what another activity generated (rule 2), under the name that it has there or another one."""
        for entity in entities:
            self._as(activity, name or unquote(entity.rpartition("/")[2]), entity, None, "provlake:hasInput")
            self.say(activity, "prov:used", entity)
            self.say(activity, "prov:wasInformedBy", entity.rpartition("/")[0])

    def _equal(self, activity: str, name: str, value: Any, meaning: str | None) -> str:
        _, workflow, execution = activity.split("/")[:3]
        code = {bool: "b", int: "i", float: "d", str: "s"}.get(type(value), "j")
        entity = f"value/{workflow}/{execution}/{iris.encode(name)}/{iris.value_key(code, str(value))}"
        self._value(entity, activity, name, value, meaning, "provlake:hasInput")
        return entity

    def _value(
        self, entity: str, activity: str, name: str, value: Any, meaning: str | None, direction: str | None
    ) -> None:
        self.literal(entity, "prov:value", value)
        self._as(activity, name, entity, meaning, direction)

    def _attribute(self, activity: str, name: str, meaning: str | None, direction: str | None) -> str:
        """An attribute, as an input or output of the plan of an activity; of a fact, as neither."""
        _, workflow, _, *rest = activity.split("/")
        attribute = f"workflow/{workflow}/attribute/{iris.encode(name)}"
        self.say(attribute, "a", SEMANTICS[meaning].attribute if meaning else "provlake:Attribute")
        self.literal(attribute, "rdfs:label", name)
        if direction is not None:
            plan = f"workflow/{workflow}" + (f"/transformation/{rest[0]}" if rest else "")
            self.say(plan, direction, attribute)
        return attribute

    # -- data ---------------------------------------------------------------------------------------------------------

    def data(self, store: str, key: str, version: str | None = None, seen: bool = True) -> str:
        """A data reference, or one state of it; a state that was written and not ``seen`` has no version."""
        reference, entity = iris.data(store, key), iris.data(store, key, version)
        for each in {reference, entity}:
            self.say(each, "a", "provlake:DataReference")
            self.literal(each, "prov:value", key)
        self.literal(reference, "provlake:key", key)
        self.say(reference, "provlake:store", iris.store(store))
        self.say(iris.store(store), "a", "provlake:DataStoreInstance")
        self.literal(iris.store(store), "rdfs:label", store)
        if version is not None:
            self.say(entity, "prov:specializationOf", reference)
            self.literal(entity, "provlake:path", f"/{store}/{key}")
            if seen:
                self.literal(entity, "provlake:version", version)
        return entity

    def written(self, activity: str, store: str, key: str) -> str:
        """The state of some data that an activity wrote and nobody saw."""
        return self.data(store, key, "w-" + activity.removeprefix("execution/"), seen=False)

    def reads(self, activity: str, name: str, entity: str, meaning: str | None = None) -> None:
        """An activity used data under the name of one of its attributes."""
        self._as(activity, name, entity, meaning, "provlake:hasInput")
        self.say(activity, "prov:used", entity)

    def writes(self, activity: str, name: str, entity: str, meaning: str | None = None) -> None:
        """An activity generated data under the name of one of its attributes."""
        self._as(activity, name, entity, meaning, "provlake:hasOutput")
        self.say(entity, "prov:wasGeneratedBy", activity)

    def _as(self, activity: str, name: str, entity: str, meaning: str | None, direction: str | None) -> None:
        self.say(entity, "prov:wasDerivedFrom", self._attribute(activity, name, meaning, direction))
        if meaning is not None:
            self.say(entity, "a", SEMANTICS[meaning].value)

    def fact(self, activity: str, entity: str, name: str, value: Any, meaning: str | None = None) -> str:
        """Something said of data by an activity that used or generated it."""
        code = {bool: "b", int: "i", float: "d", str: "s"}.get(type(value), "j")
        parts = entity.split("/")
        version = parts[3] if len(parts) > 3 else "-"
        fact = f"{'/'.join(parts[:3])}/{version}/{iris.encode(name)}/{iris.value_key(code, str(value))}"
        self._value(fact, activity, name, value, meaning, None)
        self.say(entity, "prov:hadMember", fact)
        return fact


def _double(text: str) -> str:
    special = {"nan": "NaN", "inf": "INF", "-inf": "-INF"}
    return special.get(text) or (text if "e" in text else f"{text}e0")


def _property(curie: str) -> str:
    return A if curie == "a" else expand(curie)


def _literal(value: Any) -> str:
    for kind, datatype, text in _LITERALS:
        if isinstance(value, kind):
            return f"{json.dumps(text(value), ensure_ascii=False)}^^<{datatype}>"
    return f"{json.dumps(json.dumps(value))}^^<{RDF}JSON>"


_LITERALS: tuple[tuple[type, str, Any], ...] = (
    (bool, XSD + "boolean", lambda value: "true" if value else "false"),
    (int, XSD + "integer", str),
    (float, XSD + "double", lambda value: _double(repr(value))),
    (str, XSD + "string", str),
    (datetime, XSD + "dateTime", lambda value: value.isoformat(timespec="microseconds").replace("+00:00", "Z")),
)


# -- chains ------------------------------------------------------------------------------------------------------------


def chain(length: int, values: int, link: str) -> tuple[Graph, str]:
    """Tasks of one run, each using what the one before it generated; the graph and the last task.

    Args:
        link: ``refs`` (explicit), ``files`` (states of data) or ``match`` (equal values).
    """
    graph = Graph()
    run = graph.run("chain", link)
    last = ""
    for number in range(length):
        task = graph.task(run, "step", number, start=number, end=number + 0.5)
        for index in range(values):
            _link(graph, link, task, last, number, index)
        last = task
    return graph, last


def _link(graph: Graph, link: str, task: str, last: str, number: int, index: int) -> None:
    name = f"v{index}"
    before, after = number * 1000 + index - 1000, number * 1000 + index
    if link == "refs":
        graph.generate(task, name, after)
        if last:
            graph.hand(task, f"{last}/{name}")
    elif link == "files":
        graph.reads(task, name, graph.data("scratch", f"{name}-{number - 1}", "s1"))
        graph.writes(task, name, graph.data("scratch", f"{name}-{number}", "s1"))
    else:
        graph.use(task, name, before)
        graph.generate(task, name, after, match=True)


# -- any graph ---------------------------------------------------------------------------------------------------------


def build(statements: Iterable[tuple[Any, ...]], name: str = "1") -> tuple[Graph, list[str]]:
    """A graph of six tasks and any statements about them: (kind, number of a task, which value, state or other task)."""
    graph = Graph()
    run = graph.run("w", name)
    store = f"s{name}"
    tasks = [graph.task(run, "t", number) for number in range(6)]
    for kind, number, more in statements:
        task = tasks[number]
        if kind == "hand" and number != more:
            graph.hand(task, graph.generate(tasks[more], f"x{number}", 1))
        elif kind == "parent" and more < number:
            graph.say(task, "prov:wasInformedBy", tasks[more])
        elif kind == "use":
            graph.use(task, "y", more)
        elif kind == "match":
            graph.generate(task, f"y{more}", more)
            graph.say(f"{task}/y{more}", "prov:specializationOf", graph.use(tasks[5], "y", more))
        elif kind == "read":
            graph.reads(task, "d", graph.data(store, "a", more))
        elif kind == "write":
            graph.writes(task, "d", graph.data(store, "a", more) if more else graph.written(task, store, "a"))
    return graph, tasks
