"""One record about an activity on its way into facts."""

from __future__ import annotations

from itertools import accumulate
from typing import Any, List, Mapping

from ..provml import iris, vocabulary
from ..provml.settled import Extent, extent
from .conversion import Conversion, Facts, Values, canonical, encode, first_part
from .values import literal_of

Json = Any


class ActivityRecord:
    """A begin, an end, or what is said while an activity is open: values, points of series.

    Args:
        found: where it is written.
        record: as it was read.
    """

    def __init__(self, found: Facts, conversion: Conversion, record: Mapping[str, Json]) -> None:
        self._found, self._record, self._conversion = found, record, conversion
        self._kind: str = record["kind"]
        self._wf = canonical(record["wf"])
        self._name = first_part(self._wf)
        self._workflow = iris.workflow(self._name)
        self._execution = "execution/" + self._wf
        self._own = "" if self._kind == "workflow" else canonical(record["id"])
        self._transformation = first_part(self._own) if self._own else ""
        self.id = f"{self._execution}/{self._own}" if self._own else self._execution
        self._values = Values(found, self._workflow, self._wf, self.id, bool(record.get("match")))
        self._informants: List[str] = []

    @property
    def _plan(self) -> str:
        return f"{self._workflow}/transformation/{encode(self._transformation)}" if self._own else self._workflow

    def convert(self, op: str) -> None:
        """Writes what the record says."""
        self._place()
        if op == "begin":
            self._begin()
        elif self._kind not in ("task", "section"):  # of those, only the begin knows the class
            self._found.classes(self.id, vocabulary.activity_classes(self._kind, None).execution)
        if op == "end":
            self._end()
        if op == "points":
            self._add_points()
        else:
            self._add_values()

    def _begin(self) -> None:
        record, found = self._record, self._found
        stage = record.get("stage")
        classes = vocabulary.activity_classes(self._kind, stage)
        found.classes(self.id, classes.execution)
        part = self._part()
        found.time(part, "prov:startedAtTime", record["t"])
        if record.get("rank") is not None:
            found.integer(part, "provlake:rank", record["rank"])
        if record.get("resumes"):
            found.literal(part, "provlake:resumes", literal_of(True))
        self._relate()
        if self._own:
            found.named(self._plan, classes.plan, self._transformation)
        else:
            found.named(self._plan, vocabulary.WORKFLOW.plan, self._name)
        if self._kind in ("task", "workflow") and stage not in (None, "feature_extraction"):
            found.named(self._workflow, vocabulary.LEARNING_WORKFLOW.plan, self._name)
            found.classes(self._execution, vocabulary.LEARNING_WORKFLOW.execution)

    def _relate(self) -> None:
        """What it was begun by: its parent, the run it is nested in, and who is responsible."""
        record, found = self._record, self._found
        if record.get("up") is not None and self._own:
            inside = f"/{canonical(record['up'])}" if record["up"] else ""  # none: the run itself is the parent
            self._informants.append(self._execution + inside)
        outer = record.get("within")
        if outer is not None:
            inner = f"/{canonical(outer['id'])}" if outer.get("id") else ""
            self._informants.append(f"execution/{canonical(outer['wf'])}{inner}")
            found.link(self.id, "provlake:within", self._informants[-1])
        if record.get("person") is not None:
            found.link(self.id, "prov:wasAssociatedWith", found.person(record["person"]))

    def _end(self) -> None:
        record, found = self._record, self._found
        part = self._part()
        found.time(part, "prov:endedAtTime", record["t"])
        if record.get("elapsed") is not None:
            found.seconds(part, record["elapsed"])
        found.text(part, "provlake:status", record["status"])
        error = record.get("error")
        if error is not None:
            found.text(part, "provlake:errorType", error["type"])
            found.text(part, "provlake:errorMessage", error.get("message"))
        for name in ("stdout", "stderr"):
            found.text(self.id, f"provlake:{name}", record.get(name))

    def _part(self) -> str:
        """What times and outcome are said of: the activity, or one process's part in it where several share it."""
        session = self._record.get("session")
        if session is None:
            return self.id
        part = iris.session(self.id, session)
        self._found.classes(part, vocabulary.SESSION)
        self._found.link(part, "provlake:sessionOf", self.id)
        self._found.link(part, "prov:wasAssociatedWith", self._conversion.process)
        return part

    def _place(self) -> None:
        """Plan, whole and process."""
        if self._conversion.first("placed", self.id):
            self._found.link(self.id, "prov:wasInfluencedBy", self._plan)
            if self._own:
                self._found.link(self.id, "provlake:isPartOf", self._execution)
            self._found.link(self.id, "prov:wasAssociatedWith", self._conversion.process)

    def _add_values(self) -> None:
        record, found, values = self._record, self._found, self._values
        for name, value in (record.get("generated") or {}).items():
            found.link(values.generated(name, value), "prov:wasGeneratedBy", self.id)
        used = [values.used(name, value) for name, value in (record.get("used") or {}).items()]
        for execution, names in (record.get("links") or {}).items():
            used += values.linked(execution, names)
        for entity in used:
            found.link(self.id, "prov:used", entity)
        for activity in dict.fromkeys([*self._informants, *values.informants]):
            found.link(self.id, "prov:wasInformedBy", activity)
        if record.get("meta"):
            found.structure(self.id, "provlake:metadata", record["meta"])

    def _add_points(self) -> None:
        """More of a series, which the activity generates."""
        record, found = self._record, self._found
        series = self._values.series(record["series"], record.get("as"))
        if self._conversion.first("series", series):
            found.link(series, "prov:wasGeneratedBy", self.id)
            found.classes(series, vocabulary.SERIES)
        if record.get("telemetry"):
            found.classes(series, vocabulary.TELEMETRY)
        found.text(series, "provlake:unit", record.get("unit"))
        chunk = {name: record[name] for name in ("first", "rank", "steps", "times", "values") if name in record}
        found.points(series, {**chunk, "by": self._conversion.producer})
        found.extents.append((series, _extent(self._conversion.producer, record)))


def _extent(producer: str, record: Mapping[str, Json]) -> Extent:
    """What the points of a record come to.

    Raises:
        ValueError: it is not as many steps, times and values, or none.
    """
    steps, times, values = record["steps"], record["times"], record["values"]
    if not 0 < len(steps) == len(times) == len(values):
        raise ValueError(f"{len(steps)} steps, {len(times)} times and {len(values)} values")
    return extent(producer, record["first"], [*accumulate(steps)], [*accumulate(times)], values)
