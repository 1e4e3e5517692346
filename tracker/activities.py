"""What records say of an activity itself: its begin and end, what was added in between, its series, its place in the plan."""

from __future__ import annotations

from pllib.provml import iris, vocabulary

from .activity_values import VALUE_CLASSES, Subject, ValueStatements
from .identity import canonical, encode, first_part
from .records import Add, Begin, End, Points
from .statements import Json, without_none
from .wire import ValuesRecord


class ActivityStatements(ValueStatements):
    """A begin or end, or what was added in between."""

    __slots__ = ()

    def begin(self, record: Begin) -> None:
        """Adds what a begin says."""
        stage = record.stage or self.workflow.specification.stages.get(self.transformation)
        activity: Json = {"id": self.id, "types": [vocabulary.activity_classes(record.kind, stage).execution]}
        part = activity if record.session is None else self._session(record.session)
        if record.timed:
            part["started"] = record.t
        if record.rank is not None:
            part["rank"] = record.rank
        if record.resumes:
            part["resumes"] = True
        self.place(activity)
        self._relate(record, activity)
        self._describe_plan(record, stage)
        if stage not in (None, "feature_extraction") and record.kind in ("task", "workflow"):
            self._mark_as_learning()
        self._finish(record, activity)

    def end(self, record: End) -> None:
        """Adds what an end says."""
        activity: Json = {"id": self.id}
        part = activity if record.session is None else self._session(record.session)
        part["status"] = record.status
        if record.timed:
            part["ended"] = record.t
        if record.elapsed is not None:
            part["duration"] = record.elapsed / 1_000_000
        if record.error is not None:
            part["error"] = without_none({"type": record.error.type, "message": record.error.message})
        self._place_once(record, activity)
        if record.stdout is not None:
            activity["stdout"] = record.stdout
        if record.stderr is not None:
            activity["stderr"] = record.stderr
        if record.generated:
            activity["generated"] = self.generated(record.generated)
        self._finish(record, activity)

    def add(self, record: Add) -> None:
        """Adds what was said while it was open."""
        activity: Json = {"id": self.id}
        self._place_once(record, activity)
        if record.generated:
            activity["generated"] = self.generated(record.generated)
        self._finish(record, activity)

    def _session(self, session: str) -> Json:
        """The process's part in an execution that several share, which times and outcome are said of."""
        part: Json = {"id": iris.session(self.id, session), "types": [vocabulary.SESSION], "sessionOf": self.id}
        part["agents"] = [self.document.process]
        self.document.activities.append(part)
        return part

    def _relate(self, record: Begin, activity: Json) -> None:
        """What it was begun by: its parent, the run it is nested in, and who is responsible."""
        if record.up is not None and self.transformation:
            self.informed.append(f"{self.execution}/{canonical(record.up)}" if record.up else self.execution)
        if record.within is not None:
            inner = f"/{canonical(record.within.id)}" if record.within.id else ""
            activity["within"] = f"execution/{canonical(record.within.wf)}{inner}"
            self.informed.append(activity["within"])
        if record.person is not None:
            activity["agents"].append(self.document.person(record.person))

    def _place_once(self, record: ValuesRecord, activity: Json) -> None:
        if self.id not in self.document.placed:
            self.place(activity)
        if record.kind not in ("task", "section"):  # of those, only the begin knows the class
            activity["types"] = [vocabulary.activity_classes(record.kind, None).execution]

    def _finish(self, record: ValuesRecord, activity: Json) -> None:
        if record.used or record.links:
            used = self.used(record.used) if record.used else []
            for execution, names in record.links.items():
                used.extend(self.linked(execution, names))
            activity["used"] = used
        if self.informed:
            activity["informedBy"] = list(dict.fromkeys(self.informed))
        if record.meta:
            activity["metadata"] = record.meta
        self.document.activities.append(activity)

    def _describe_plan(self, record: Begin, stage: str | None) -> None:
        parent = first_part(canonical(record.up)) if record.up and self.transformation else ""
        statement = (self.plan, record.kind, stage, parent, record.study)
        if not self.document.fresh.first(statement):
            return
        plans = self.document.plans
        if self.transformation:
            kind = vocabulary.activity_classes(record.kind, stage).plan
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
        if self.document.fresh.first((self.workflow.id, learning.plan)):
            self.document.plans.append({"id": self.workflow.id, "types": [learning.plan], "label": self.workflow.name})
        if self.document.say(self.execution, learning.execution):
            self.document.activities.append({"id": self.execution, "types": [learning.execution]})


class PointsStatements(Subject):
    """More of a series, which the activity generates."""

    __slots__ = ()

    def add(self, record: Points) -> None:
        """Adds the points, as one chunk; what the series is is said once a document."""
        name = self.workflow.attribute(record.series)
        meaning = record.meaning or self.workflow.specification.outputs.get((self.transformation, name.text))
        series = f"{self.id}/{name.encoded}"
        chunk: Json = {"by": self.document.producer, "rank": record.rank, "first": record.first}
        chunk |= {"steps": record.steps, "times": record.times, "values": record.values}
        described = (series, meaning or "", record.unit or "", str(record.telemetry))
        chunks = self.document.series.get(described)
        if chunks is None:
            chunks = self.document.series[described] = []
            classes = [vocabulary.SERIES, *([vocabulary.TELEMETRY] if record.telemetry else ())]
            classes += VALUE_CLASSES[meaning] if meaning else ()
            entity = {
                "id": series,
                "types": classes,
                "attributes": [name.attribute],
                "unit": record.unit,
                "points": chunks,
            }
            self.document.entities.append(without_none(entity))
            self._generate(record, series)
            self.describe_attributes("outputs", [(name, meaning)])
        chunks.append(without_none(chunk))

    def _generate(self, record: Points, series: str) -> None:
        activity: Json = {"id": self.id, "generated": [series]}
        if self.id not in self.document.placed:
            self.place(activity)
            if record.kind not in ("task", "section"):
                activity["types"] = [vocabulary.activity_classes(record.kind, None).execution]
        self.document.activities.append(activity)
