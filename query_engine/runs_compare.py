"""What differs among runs: ``/v1/compare/runs``."""

from __future__ import annotations

from typing import Annotated, Any, Iterator, Mapping, Optional, Sequence

from fastapi import APIRouter, Query

from pllib.provml.repositories import is_code_store
from query_engine.binding import Iri
from query_engine.errors import BadParameter
from query_engine.executions import execution_iri
from query_engine.reading import Read, Reader, add_value
from query_engine.runs import run_detail
from query_engine.runs_models import Difference, LearningRunDetail, MetricDifference, RunDifferences, RunItem

router = APIRouter(prefix="/v1", tags=["runs"])

MOST_RUNS = 20
_MOST_DEPTH = 20
RunsToCompare = Annotated[
    list[str],
    Query(
        alias="run",
        description=f"`experiment/execution`, percent-encoded as in ids; 1 to {MOST_RUNS} of them.",
        examples=[["digits/9f2c-1", "digits/9f2c-2"]],
    ),
]
_KINDS = ("parameters", "tags", "code", "datasets", "packages", "environment")
Facts = dict[str, Any]


@router.get(
    "/compare/runs",
    responses={400: {"description": "No runs, or too many."}, 404: {"description": "No such run."}},
)
async def compare_runs(read: Read, run: RunsToCompare = []) -> RunDifferences:  # noqa: B006 - FastAPI makes it anew
    """What is not the same in all of these runs: parameters, tags, code, data sets, packages; and their metrics."""
    found = [await run_detail(read, iri, field="run") for iri in runs_of(read, run)]
    facts = [_facts(one) for one in found]
    differing = {kind: list(_differences([of_run[kind] for of_run in facts])) for kind in _KINDS}
    return RunDifferences.model_validate(
        {
            "runs": [one.id for one in found],
            "metrics": _metrics(found),
            **{kind: [each for each in of_kind if each is not None] for kind, of_kind in differing.items()},
            "same": {kind: of_kind.count(None) for kind, of_kind in differing.items()},
            "truncated": any(one.truncated for one in found),
        }
    )


def runs_of(read: Reader, given: Sequence[str]) -> list[Iri]:
    """The IRIs of runs that a request names, each once.

    Raises:
        BadParameter: there are none or too many, or one has not the form ``experiment/execution``.
    """
    if not 1 <= len(given) <= MOST_RUNS:
        raise BadParameter(f"{len(given)} runs are given; 1 to {MOST_RUNS} can be compared", field="run")
    found = []
    for text in given:
        parts = text.removeprefix("execution/").split("/")
        if len(parts) != 2 or not all(parts):
            raise BadParameter(f"run: {text[:200]!r} is no experiment/execution", field="run", fix="Give the run's id.")
        found.append(execution_iri(read, *parts))
    return list(dict.fromkeys(found))


def _facts(run: LearningRunDetail) -> dict[str, Facts]:
    """What can differ, by kind and name."""
    packages, environment = _environment(run.environment)
    return {
        "parameters": run.parameters,
        "tags": run.tags,
        "code": _code(run.code),
        "datasets": _datasets(run.datasets),
        "packages": packages,
        "environment": environment,
    }


def _code(items: Sequence[RunItem]) -> Facts:
    """The tree and the entry script in it; of a script that lies in no repository, its own state."""
    found: Facts = {}
    for item in items:
        data = item.data
        if data is None:
            add_value(found, "/".join(item.names), item.value)
            continue
        alone = not is_code_store(data.store)
        if data.key != ".":
            add_value(found, "script", data.key)
        elif not alone:
            add_value(found, "repository", data.store)
        if data.key == "." or alone:
            for name, value in {"version": data.version, **item.facts}.items():
                add_value(found, name, value)
    return found


def _datasets(items: Sequence[RunItem]) -> Facts:
    found: Facts = {}
    for item in items:
        name = "/".join(item.names)
        if item.data is None:
            add_value(found, name, item.value)
        else:
            add_value(found, f"{name}: {item.data.key}", item.data.version)
    return found


def _environment(said: Any) -> tuple[Facts, Facts]:
    """The versions of packages, and everything else by path."""
    if not isinstance(said, dict):
        return {}, {} if said is None else {"environment": said}
    packages = said.get("packages")
    rest = {name: value for name, value in said.items() if name != "packages" or not isinstance(packages, dict)}
    return packages if isinstance(packages, dict) else {}, dict(_leaves(rest))


def _leaves(said: Mapping[str, Any], before: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    for name, value in said.items():
        path = before + str(name)
        if isinstance(value, dict) and value and depth < _MOST_DEPTH:
            yield from _leaves(value, path + ".", depth + 1)
        else:
            yield path, value


def _differences(columns: Sequence[Facts]) -> Iterator[Optional[Difference]]:
    """A difference for each name whose values are not all the same, ``None`` for each whose are."""
    for name in sorted({name for column in columns for name in column}):
        values = [column.get(name) for column in columns]
        present = all(name in column for column in columns)
        same = present and all(_equal(value, values[0]) for value in values)
        yield None if same else Difference(name=name, values=values)


def _equal(one: Any, other: Any) -> bool:
    """Whether two values of JSON are the same: true is not 1."""
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _metrics(runs: Sequence[LearningRunDetail]) -> list[MetricDifference]:
    by_name = [{(metric.context, metric.name): metric for metric in run.metrics} for run in runs]
    names = sorted({name for of_run in by_name for name in of_run}, key=lambda name: (name[0] or "", name[1]))
    return [
        MetricDifference(
            name=name,
            context=context,
            latest=[_of(of_run.get((context, name)), "latest") for of_run in by_name],
            minimum=[_of(of_run.get((context, name)), "minimum") for of_run in by_name],
            maximum=[_of(of_run.get((context, name)), "maximum") for of_run in by_name],
        )
        for context, name in names
    ]


def _of(series: Any, name: str) -> Any:
    return None if series is None else getattr(series, name)
