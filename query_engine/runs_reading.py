"""What the graph says of runs: their parts, and what these used and generated.

A run has parts, its *contexts*, one for each name (``training/0``). Which names there may be is told by the plan of the
experiment, so that a workflow execution of a hundred thousand tasks costs no more than one of three.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, Mapping, Optional, Sequence

from pllib.provml.vocabulary import SPARQL_PREFIXES
from query_engine.binding import Iri, slices
from query_engine.descriptions import Description, count_subjects, describe
from query_engine.models import Series
from query_engine.names import plain
from query_engine.reading import RUN_PROPERTIES, Reader, add_value, run_fields, said_values, value_fields
from query_engine.runs_models import LearningRun, RunItem
from query_engine.series_reading import describe_values, series_of

HYPERPARAMETERS = ("provml:LearningHyperparameterValue", "provml:ModelHyperparameterValue")
MOST_PARAMETERS = 20_000
MOST_SERIES = 5_000
MOST_ITEMS = 2_000
_MOST_FACTS = 20_000
_MOST_PARTS = 5_000
_AT_ONCE = 1000
_PARTS = f"""{SPARQL_PREFIXES}SELECT ?plan ?part WHERE {{
  VALUES ?plan {{}} ?plan provlake:hasPart ?part }} ORDER BY ?plan ?part LIMIT {_MOST_PARTS}"""
_PARAMETERS = f"""{SPARQL_PREFIXES}SELECT ?activity ?attribute ?value WHERE {{
  VALUES ?activity {{}} ?activity prov:used ?item . ?item a ?class FILTER(?class IN ({", ".join(HYPERPARAMETERS)}))
  ?item prov:value ?value ; prov:wasDerivedFrom ?attribute
}} ORDER BY ?attribute ?value LIMIT {MOST_PARAMETERS + 1}"""
_ITEMS = f"""{SPARQL_PREFIXES}SELECT DISTINCT ?role ?activity ?item WHERE {{
  {{ VALUES ?activity {{}} ?activity prov:used ?item BIND("used" AS ?role) }} UNION
  {{ VALUES ?activity {{}} ?item prov:wasGeneratedBy ?activity BIND("generated" AS ?role) }}
  FILTER NOT EXISTS {{ ?item a provlake:Series }}
}} ORDER BY ?activity ?role ?item LIMIT {MOST_ITEMS + 1}"""
_FACTS = f"""{SPARQL_PREFIXES}SELECT ?item ?attribute ?value WHERE {{
  VALUES ?item {{}} ?item prov:hadMember ?fact . ?fact prov:value ?value ; prov:wasDerivedFrom ?attribute
}} ORDER BY ?attribute ?value LIMIT {_MOST_FACTS + 1}"""


@dataclass(slots=True)
class Runs:
    """Runs as far as lists tell of them; by IRI.

    Attributes:
        said: what is said of each.
        contexts: the IRIs that its parts have, whether or not there are such parts.
        truncated: whether there are more parameters or metrics than are told.
    """

    said: Mapping[str, Description]
    contexts: Mapping[str, list[str]]
    parameters: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    metrics: Mapping[str, list[Series]] = field(default_factory=dict)
    sessions: Mapping[str, int] = field(default_factory=dict)
    truncated: bool = False

    @property
    def run_of(self) -> dict[str, str]:
        """The run of each activity: of the runs themselves and of their contexts."""
        found = {run: run for run in self.said}
        return found | {part: run for run, parts in self.contexts.items() for part in parts}


async def read_runs(read: Reader, iris: Sequence[str], also: Optional[str] = None) -> Runs:
    """Runs with their parameters and metrics.

    Args:
        also: name of a reading of the machine that is to be among the metrics.
    """
    said = await describe(read.store, iris, (*RUN_PROPERTIES, "provlake:metadata", "provlake:within"))
    found = Runs(said, await _contexts(read, said))
    if not iris:
        return found
    found.parameters, more_parameters = await _parameters(read, found.run_of)
    found.metrics, more_metrics = await _metrics(read, found.run_of, also)
    found.sessions = await count_subjects(read.store, iris, "provlake:sessionOf")
    found.truncated = more_parameters or more_metrics
    return found


def run_model(read: Reader, runs: Runs, iri: str) -> LearningRun:
    """A run as lists have it."""
    said = runs.said[iri]
    _, experiment, execution = [*read.names.id(iri).split("/"), "", ""][:3]
    tags = said_values(said, "provlake:metadata")
    return LearningRun.model_validate(
        {
            **run_fields(read.names, said),
            "experiment": plain(experiment),
            "execution": plain(execution),
            "parameters": runs.parameters.get(iri, {}),
            "tags": tags if isinstance(tags, dict) else {},
            "metrics": runs.metrics.get(iri, []),
            "sessions": runs.sessions.get(iri, 0),
        }
    )


async def items_of(read: Reader, activities: Sequence[str]) -> tuple[list[RunItem], bool]:
    """What activities used and generated, series left out, with what is known about it; and whether there is more."""
    rows = await read.store.select(_ITEMS, activity=[Iri(iri) for iri in activities])
    uses = [(row["role"].value, row["activity"].value, row["item"].value) for row in rows if row["item"].kind == "iri"]
    iris = sorted({item for _, _, item in uses[:MOST_ITEMS]})
    said, (facts, more) = await describe_values(read.store, iris), await _facts(read, iris)
    items = [
        RunItem.model_validate(
            {
                **value_fields(read.names, said[item]),
                "role": role,
                "context": context_of(read.names.id(activity)),
                "facts": facts[item],
            }
        )
        for role, activity, item in uses[:MOST_ITEMS]
    ]
    return items, more or len(rows) > MOST_ITEMS


def context_of(activity: str) -> Optional[str]:
    """The name of the part of a run that an activity is, by its id; ``None`` for the run itself."""
    parts = activity.split("/")
    return plain(parts[3]) if len(parts) == 5 else None


async def _contexts(read: Reader, said: Mapping[str, Description]) -> dict[str, list[str]]:
    """The IRIs that the parts of runs have, one for each part that is planned."""
    plans = {run: about.iris("prov:wasInfluencedBy") for run, about in said.items()}
    asked = sorted({plan for of_run in plans.values() for plan in of_run})
    if not asked:
        return {}
    segments: dict[str, list[str]] = defaultdict(list)
    for row in await read.store.select(_PARTS, plan=[Iri(iri) for iri in asked]):
        segments[row["plan"].value].append(row["part"].value.rpartition("/")[2])
    return {
        run: [f"{run}/{segment}/0" for plan in of_run for segment in segments[plan]] for run, of_run in plans.items()
    }


async def _parameters(read: Reader, run_of: Mapping[str, str]) -> tuple[dict[str, dict[str, Any]], bool]:
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    more = False
    for some in slices(list(run_of), _AT_ONCE):
        rows = await read.store.select(_PARAMETERS, activity=[Iri(iri) for iri in some])
        for row in rows[:MOST_PARAMETERS]:
            run = run_of[row["activity"].value]
            add_value(found[run], read.names.name(row["attribute"].value), row["value"].json)
        more |= len(rows) > MOST_PARAMETERS
    return found, more


async def _metrics(
    read: Reader, run_of: Mapping[str, str], also: Optional[str]
) -> tuple[dict[str, list[Series]], bool]:
    series, more = await series_of(read, list(run_of), MOST_SERIES, telemetry=False)
    if also is not None:
        known = {each.id for each in series}
        named, more_named = await series_of(read, list(run_of), MOST_SERIES, telemetry=True, name=also)
        series, more = [*series, *(each for each in named if each.id not in known)], more or more_named
    found: dict[str, list[Series]] = defaultdict(list)
    for each in series:
        found[run_of[each.iri.rpartition("/")[0]]].append(each)
    return found, more


async def _facts(read: Reader, items: Sequence[str]) -> tuple[Mapping[str, dict[str, Any]], bool]:
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    rows = await read.store.select(_FACTS, item=[Iri(iri) for iri in items]) if items else []
    for row in rows[:_MOST_FACTS]:
        add_value(found[row["item"].value], read.names.name(row["attribute"].value), row["value"].json)
    return found, len(rows) > _MOST_FACTS
