"""Any order, any repetition and any cut into batches of a run's records say the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tracker.plans import Known

ROOT = Path(__file__).resolve().parents[3]
DOCUMENTS = jsonschema.Draft202012Validator(json.loads((ROOT / "manager/schema/prov-ml-v1.json").read_text()))
CAPTURES = jsonschema.Draft202012Validator(json.loads((ROOT / "pllib/schema/capture-v1.json").read_text()))

Json = Any

MEANINGS = st.sampled_from(["hyperparameter", "model", "dataset", "evaluation_measure", "domain"])
NAMES = st.sampled_from(["lr", "loss", "acc", "train set", "é/ü", ".."])
TASKS = st.sampled_from(["fit/1", "fit/2", "crop/1", "a%20b/1"])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([0.1, 1.0, -0.0, 1e300]),
    st.text(max_size=3),
)
PLAIN = st.one_of(
    SCALARS,
    st.lists(SCALARS, max_size=2),
    st.builds(lambda v: {"$": "json", "v": v}, st.dictionaries(st.text(max_size=2), SCALARS, max_size=2)),
    st.builds(lambda v: {"$": "summary", "v": v}, st.dictionaries(st.text(max_size=2), SCALARS, max_size=2)),
    st.integers().map(lambda v: {"$": "int", "v": str(v)}),
    st.sampled_from(["NaN", "INF", "-INF"]).map(lambda v: {"$": "float", "v": v}),
    st.builds(lambda v, m: {"$": "value", "v": v, "as": m}, SCALARS, MEANINGS),
)
DATA = st.builds(
    lambda key, more: {"$": "data", "store": "scratch", "key": key, **more},
    st.sampled_from(["a", "b/c"]),
    st.fixed_dictionaries(
        {},
        optional={
            "version": st.sampled_from(["s1", "s2"]),
            "path": st.just("/p"),
            "as": MEANINGS,
            "facts": st.dictionaries(NAMES, PLAIN, max_size=2),
        },
    ),
)
REFERENCES = st.builds(lambda task, name: {"$": "ref", "id": task, "name": name}, TASKS, NAMES)
AMONG = st.builds(
    lambda value, one, two, name: {"$": "among", "v": value, "of": [[one, name], [two, name]]},
    SCALARS,
    TASKS,
    TASKS,
    NAMES,
)
USED = st.dictionaries(NAMES, st.one_of(PLAIN, DATA, REFERENCES, AMONG), max_size=4)
GENERATED = st.dictionaries(NAMES, st.one_of(PLAIN, DATA), max_size=4)
LINKS = st.dictionaries(TASKS, st.lists(NAMES, min_size=1, max_size=2), max_size=2)

POINT = st.tuples(
    st.integers(-3, 3),
    st.integers(0, 9),
    st.one_of(st.integers(-3, 3), st.floats(width=32, allow_nan=False, allow_infinity=False), st.just("NaN")),
)
POINTS = st.builds(
    lambda points, name, first, more: {
        **{"op": "points", "series": name, "first": first, **more},
        **{
            key: list(numbers)
            for key, numbers in zip(("steps", "times", "values"), zip(*points, strict=True), strict=True)
        },
    },
    st.lists(POINT, min_size=1, max_size=3),
    st.sampled_from(["loss", "acc", "cpu/0"]),
    st.integers(0, 5),
    st.fixed_dictionaries(
        {}, optional={"rank": st.integers(0, 3), "unit": st.just("s"), "as": MEANINGS, "telemetry": st.just(True)}
    ),
)
SERIES = st.lists(POINTS, max_size=3)


@st.composite
def runs(draw: st.DrawFn) -> list[Json]:
    """All records of one process: what it is, a workflow execution, some tasks from begin to end, a gap."""
    wf = "train/9f-1"
    base = {"t": 1_700_000_000_000_000, "m": 5}
    records: list[Json] = [
        {"op": "producer", "host": "h", "pid": 1, "user": "ana", "software": {"numpy": "2"}},
        {"op": "gap", "count": 1, "reason": "full"},
        {"op": "begin", "kind": "workflow", "wf": wf, "study": "digits"},
        {"op": "end", "kind": "workflow", "wf": wf, "status": "finished"},
    ]
    for task in draw(st.sets(TASKS, min_size=1)):
        kind = draw(st.sampled_from(["task", "section", "cycle", "iteration"]))
        begin = {"op": "begin", "kind": kind, "wf": wf, "id": task, "used": draw(USED), "match": draw(st.booleans())}
        begin["links"] = draw(LINKS)
        begin |= draw(
            st.fixed_dictionaries(
                {},
                optional={"stage": st.sampled_from(["training", "validation"]), "up": TASKS, "person": st.just("ana")},
            )
        )
        end = {"op": "end", "kind": kind, "wf": wf, "id": task, "status": "finished", "match": draw(st.booleans())}
        end |= {"generated": draw(GENERATED), "used": draw(USED)}
        if draw(st.booleans()):
            begin["session"] = end["session"] = f"0-{len(records)}"
            begin |= draw(st.fixed_dictionaries({}, optional={"rank": st.integers(0, 3), "resumes": st.just(True)}))
        add = {"op": "add", "kind": kind, "wf": wf, "id": task, "generated": draw(GENERATED), "links": draw(LINKS)}
        records += [begin, end, add, *({**each, "kind": kind, "wf": wf, "id": task} for each in draw(SERIES))]
    return [{"n": n, **base, **record} for n, record in enumerate(records)]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(runs(), st.data())
def test_the_same_is_said_in_any_order(say: Any, run: list[Json], data: st.DataObject) -> None:
    CAPTURES.validate(
        {"version": 1, "producer": "0" * 32, "records": [one for one in run if one["op"] not in ("add", "points")]}
    )
    whole = say.convert(run)
    DOCUMENTS.validate({"version": 1, "documents": [whole]})

    again = data.draw(st.lists(st.sampled_from(run), max_size=5))
    mixed = data.draw(st.permutations(run + again))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(mixed)), max_size=4)))
    known = Known()
    batches = [mixed[start:end] for start, end in zip([0, *cuts], [*cuts, len(mixed)], strict=True)]
    pieces = [say.convert(batch, known=known) for batch in batches]
    DOCUMENTS.validate({"version": 1, "documents": pieces})
    assert say.statements(pieces) == say.statements([whole])
