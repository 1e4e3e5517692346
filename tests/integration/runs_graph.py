"""Graphs of runs, written out by the rules of docs/reference/rdf-model.md: what the manager makes of runs and series."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pllib.provml import iris
from pllib.provml.iris import DEFAULT_BASE as BASE
from pllib.provml.vocabulary import PREFIXES, XSD

START = 1_780_000_000_000_000  # microseconds
Point = tuple[int, int, float]
"""Step, microseconds since 1970, value."""

_HEAD = "".join(f"PREFIX {prefix}: <{iri}>\n" for prefix, iri in PREFIXES.items())
_HYPERPARAMETER = "provml:LearningHyperparameterValue"
_STAGES = {"training": "Training", "validation": "Validation", "testing": "Evaluation", "evaluation": "Evaluation"}


def quoted(text: str) -> str:
    """A literal of Turtle: the escapes of JSON are among its own."""
    return json.dumps(text)


def double(value: float) -> str:
    text = repr(float(value)).replace("inf", "INF").replace("nan", "NaN")
    return f'"{text}"^^xsd:double'


def time(microseconds: int) -> str:
    seconds, rest = divmod(microseconds, 1_000_000)
    from datetime import datetime, timezone

    text = datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    return f'"{text}.{rest:06}Z"^^<{XSD}dateTime>'


def literal(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return double(value)
    return quoted(value) if isinstance(value, str) else f"{quoted(json.dumps(value))}^^rdf:JSON"


def number(value: float) -> Any:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "INF" if value > 0 else "-INF"


def differences(numbers: Sequence[int]) -> list[int]:
    return [later - earlier for earlier, later in zip([0, *numbers], numbers, strict=False)]


def chunk(points: Sequence[Point], by: str, first: int, rank: int | None = None) -> str:
    """Points as the text of a chunk."""
    said: dict[str, Any] = {"by": by, "first": first} | ({} if rank is None else {"rank": rank})
    said["steps"] = differences([point[0] for point in points])
    said["times"] = differences([point[1] for point in points])
    said["values"] = [number(point[2]) for point in points]
    return json.dumps(said, separators=(",", ":"), sort_keys=True)


class RunsGraph:
    """Collects statements; :attr:`turtle` has them all."""

    def __init__(self) -> None:
        self._lines = [f"@base <{BASE}> .", _HEAD]

    @property
    def turtle(self) -> str:
        return "\n".join(self._lines)

    def say(self, subject: str, *statements: str) -> None:
        self._lines.append(f"<{subject}> {' ; '.join(statements)} .")

    def run(
        self,
        experiment: str,
        execution: str,
        *,
        parameters: Mapping[str, Any] | None = None,
        tags: Sequence[Mapping[str, Any]] = (),
        started: int = START,
        seconds: int | None = 60,
        status: str | None = "finished",
        study: str | None = None,
        person: str | None = None,
    ) -> str:
        """A run; its id."""
        plan, run = iris.workflow(experiment), f"execution/{iris.encode(experiment)}/{iris.encode(execution)}"
        self.say(plan, "a provml:LearningExperiment", f"rdfs:label {quoted(experiment)}")
        self.say(
            run,
            "a provml:LearningProcessExecution, provlake:WorkflowExecution",
            f"prov:wasInfluencedBy <{plan}>",
            f"prov:startedAtTime {time(started)}",
            *(f"provlake:metadata {literal(dict(each))}" for each in tags),
        )
        if seconds is not None:
            self.say(
                run, f"prov:endedAtTime {time(started + seconds * 1_000_000)}", f"provlake:duration {double(seconds)}"
            )
        if status is not None:
            self.say(run, f"provlake:status {quoted(status)}")
        if study is not None:
            self.say(iris.study(study), "a provml:Study", f"rdfs:label {quoted(study)}", f"provlake:hasPart <{plan}>")
        if person is not None:
            self.say(iris.person(person), "a prov:Person", f"rdfs:label {quoted(person)}")
            self.say(run, f"prov:wasAssociatedWith <{iris.person(person)}>")
        for name, value in (parameters or {}).items():
            self.parameter(run, name, value)
        return run

    def context(self, run: str, name: str, number: str = "0") -> str:
        """A part of a run; its id."""
        _, experiment, _ = run.split("/")
        plan = f"workflow/{experiment}/transformation/{iris.encode(name)}"
        part = f"{run}/{iris.encode(name)}/{number}"
        stage = _STAGES.get(name)
        self.say(plan, f"a provml:{stage}" if stage else "a provlake:DataTransformation", f"rdfs:label {quoted(name)}")
        self.say(f"workflow/{experiment}", f"provlake:hasPart <{plan}>")
        self.say(
            part,
            f"a provml:{stage}Execution" if stage else "a provlake:DataTransformationExecution",
            f"provlake:isPartOf <{run}>",
            f"prov:wasInformedBy <{run}>",
            f"prov:wasInfluencedBy <{plan}>",
        )
        return part

    def attribute(self, activity: str, name: str, class_: str = "provlake:Attribute") -> str:
        attribute = f"workflow/{activity.split('/')[1]}/attribute/{iris.encode(name)}"
        self.say(attribute, f"a {class_}", f"rdfs:label {quoted(name)}")
        return attribute

    def parameter(self, activity: str, name: str, value: Any, class_: str | None = _HYPERPARAMETER) -> str:
        """A value that an activity used; its id."""
        _, experiment, execution, *_ = activity.split("/")
        attribute = self.attribute(activity, name)
        key = iris.value_key("x", json.dumps(value))
        item = f"value/{experiment}/{execution}/{iris.encode(name)}/{key}"
        self.say(item, f"prov:value {literal(value)}", f"prov:wasDerivedFrom <{attribute}>")
        if class_ is not None:
            self.say(item, f"a {class_}")
        self.say(activity, f"prov:used <{item}>")
        return item

    def series(
        self, activity: str, name: str, chunks: Iterable[str], *, unit: str | None = None, telemetry: bool = False
    ) -> str:
        """A series with these chunks, settled as the manager does it; its id."""
        attribute = self.attribute(activity, name, "provlake:Attribute" if telemetry else "provml:EvaluationMeasure")
        series = f"{activity}/{iris.encode(name)}"
        self.say(
            series,
            "a provlake:Series, " + ("provlake:Telemetry" if telemetry else "provml:ModelEvaluation"),
            f"prov:wasGeneratedBy <{activity}>",
            f"prov:wasDerivedFrom <{attribute}>",
            *([f"provlake:unit {quoted(unit)}"] if unit else []),
        )
        told = list(chunks)
        for each in told:
            self.say(series, f"provlake:points {quoted(each)}^^rdf:JSON")
        self._settle(series, told)
        return series

    def _settle(self, series: str, chunks: Iterable[str]) -> None:
        points: list[tuple[int, int, str, int, float]] = []
        for said in map(json.loads, chunks):
            step = at = 0
            values = [float(value) for value in said["values"]]
            for place, value in enumerate(values):
                step, at = step + said["steps"][place], at + said["times"][place]
                points.append((step, at, said["by"], said["first"] + place, value))
        if not points:
            return
        last = max(points, key=lambda point: point[:4])
        statements = [f"prov:value {double(last[4])}", f"provlake:lastStep {last[0]}"]
        finite = [point[4] for point in points if math.isfinite(point[4])]
        if finite:
            statements += [f"provlake:minimum {double(min(finite))}", f"provlake:maximum {double(max(finite))}"]
        self.say(series, *statements, f"provlake:lastTime {time(last[1])}")

    def session(
        self,
        execution: str,
        name: str,
        *,
        process: str,
        rank: int | None = None,
        started: int = START,
        seconds: int | None = 60,
        status: str | None = "finished",
        resumes: bool = False,
    ) -> str:
        """One process's part in an execution; its id."""
        session = f"session/{execution.partition('/')[2]}/{iris.encode(name)}"
        agent = iris.process(process)
        self.say(agent, "a prov:SoftwareAgent", f"rdfs:label {quoted(process)}")
        self.say(
            session,
            "a provlake:Session",
            f"provlake:sessionOf <{execution}>",
            f"prov:startedAtTime {time(started)}",
            f"prov:wasAssociatedWith <{agent}>",
            *([f"provlake:rank {rank}"] if rank is not None else []),
            *(["provlake:resumes true"] if resumes else []),
            *([f"provlake:status {quoted(status)}"] if status else []),
            *([f"prov:endedAtTime {time(started + seconds * 1_000_000)}"] if seconds is not None else []),
        )
        return session

    def data(
        self,
        activity: str,
        name: str,
        key: str,
        *,
        class_: str | None = None,
        used: bool = False,
        version: str = "s1-aa",
        store: str = "files",
        facts: Mapping[str, Any] | None = None,
    ) -> str:
        """Data in a state that an activity used or generated; its id."""
        attribute = self.attribute(activity, name)
        reference, item = iris.data(store, key), iris.data(store, key, version)
        self.say(iris.store(store), "a provlake:DataStoreInstance", f"rdfs:label {quoted(store)}")
        self.say(reference, "a provlake:DataReference", f"prov:value {quoted(key)}", f"provlake:key {quoted(key)}")
        self.say(
            item,
            "a provlake:DataReference" + (f", {class_}" if class_ else ""),
            f"prov:specializationOf <{reference}>",
            f"prov:value {quoted(key)}",
            f"provlake:key {quoted(key)}",
            f"provlake:store <{iris.store(store)}>",
            f"provlake:version {quoted(version)}",
            f"prov:wasDerivedFrom <{attribute}>",
        )
        if used:
            self.say(activity, f"prov:used <{item}>")
        else:
            self.say(item, f"prov:wasGeneratedBy <{activity}>")
        for fact, value in (facts or {}).items():
            member = f"{item}/{iris.encode(fact)}/{iris.value_key('x', json.dumps(value))}"
            about = self.attribute(activity, fact)
            self.say(item, f"prov:hadMember <{member}>")
            self.say(member, f"prov:value {literal(value)}", f"prov:wasDerivedFrom <{about}>")
        return item
