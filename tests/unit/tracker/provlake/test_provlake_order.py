"""Any order, any repetition and any cut into requests of a run's records say the same, in documents of the schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[4]
DOCUMENTS = jsonschema.Draft202012Validator(json.loads((ROOT / "manager/schema/prov-ml-v1.json").read_text()))

Json = Any

NAMES = st.sampled_from(["lr", "loss", "tiles", "é/ü", "..", "opts"])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.integers(-(2**70), 2**70),
    st.sampled_from([0.1, 1.0, -0.0, 1e300, float("nan"), float("inf")]),
    st.text(max_size=3),
    st.just("a\udcff"),
)


def marked(kinds: list[str], inner: Any) -> Any:
    key = st.sampled_from(["prov_attr_type", "type"])
    return st.builds(lambda key, kind, values: {key: kind, "values": values}, key, st.sampled_from(kinds), inner)


REFERENCES = st.builds(
    lambda kind, key, more: {"prov_attr_type": kind, "values": key, **more},
    st.sampled_from(["data_reference", "kg_reference"]),
    st.sampled_from(["/a/b", "a//b", "s3://bucket/key", "http://ex.org/x#1", 7, ""]),
    st.sampled_from([{}, {"data_store_id": "fs1"}, {"data_store_id": None}]),
)
ITEMS = st.builds(
    lambda row, order: {
        "prov_attr_type": "dataset_item",
        "values": {"prov_attr_type": "dict", "values": row},
        "order": order,
        "dataset_id": "d",
    },
    st.dictionaries(st.sampled_from(["x", "y"]), SCALARS, max_size=2),
    st.integers(0, 2),
)
VALUES = st.recursive(
    st.one_of(SCALARS, REFERENCES, ITEMS),
    lambda inner: st.one_of(
        marked(["list", "dataset"], st.lists(inner, max_size=3)),
        marked(["dict"], st.dictionaries(st.sampled_from(["a", "b c", "d[0]"]), inner, max_size=2)),
        st.dictionaries(st.sampled_from(["k", "values"]), inner, max_size=2),
        st.builds(
            lambda value, facts: {"prov_attr_type": "attribute_value", "values": value, "custom_metadata": facts},
            inner,
            st.dictionaries(st.sampled_from(["unit", "é"]), SCALARS, max_size=1),
        ),
    ),
    max_leaves=6,
)
USED = st.dictionaries(NAMES, VALUES, max_size=3)
TIMES = st.sampled_from([1_700_000_000.25, 1_700_000_001.5, 0.0, -0.0])
WORKFLOWS = st.sampled_from([("train", 1.5), ("train", "two"), (None, None)])


@st.composite
def tasks(draw: st.DrawFn) -> list[Json]:
    """The three messages of a task as the client sends them, or the two of an older one."""
    workflow, execution = draw(WORKFLOWS)
    task = {"id": draw(st.sampled_from([1_700_000_000.125, 7, "a"])), "wf_execution": execution}
    parents = [{}, {"parent_cycle_name": "epoch"}, {"parent_cycle_name": "epoch", "parent_cycle_iteration": 1}]
    task |= draw(st.sampled_from(parents))
    dt = draw(st.sampled_from(["fit", "crop"]))
    whole = {"dataflow_name": workflow, "act_type": "task"}
    whole |= draw(st.sampled_from([{}, {"context": "demo", "custom_metadata": {"a": 1}}]))
    started, ended = draw(TIMES), draw(TIMES)
    values, outputs = draw(USED), draw(USED)
    messages = [
        ({**task}, {"type": "Generate", "values": values}),
        ({**task, "startTime": started}, {"type": "Input", "person": "ana"}),
        ({**task, "startTime": started, "endTime": ended, "status": "FINISHED"}, {"type": "Output", "values": outputs}),
    ]
    if draw(st.booleans()):
        messages[:2] = [({**task, "startTime": started, "status": "RUNNING"}, {"type": "Input", "values": values})]
    return [{**whole, "prov_obj": {"dt": dt, "task": task, **outer}} for task, outer in messages]


@st.composite
def runs(draw: st.DrawFn) -> list[Json]:
    """The records of some workflow executions."""
    workflow = {"wf_execution": 1.5, "startTime": 1_700_000_000.0}
    cycle = {"iteration_id": 1, "wf_execution": 1.5, "startTime": 1_700_000_000.5}
    ends = {"endTime": 1_700_000_009.0, "status": "FINISHED"}
    values = draw(USED)
    said = [
        ("workflow", workflow),
        ("workflow", {**workflow, **ends, "values": values}),
        ("cycle", {"cycle": cycle, "cycle_name": "epoch", "type": "Input", "values": draw(USED)}),
        ("cycle", {"cycle": {**cycle, **ends}, "cycle_name": "epoch", "type": "Output", "values": draw(USED)}),
    ]
    records = [{"act_type": kind, "dataflow_name": "train", "prov_obj": inner} for kind, inner in said]
    for several in draw(st.lists(tasks(), min_size=1, max_size=3)):
        records += several
    return records


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(runs(), st.data())
def test_the_same_is_said_in_any_order(lake: Any, say: Any, run: list[Json], data: st.DataObject) -> None:
    whole = lake.documents([run])
    DOCUMENTS.validate({"version": 1, "documents": whole})

    again = data.draw(st.lists(st.sampled_from(run), max_size=5))
    mixed = data.draw(st.permutations(run + again))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(mixed)), max_size=4)))
    batches = [mixed[start:end] for start, end in zip([0, *cuts], [*cuts, len(mixed)], strict=True)]
    pieces = lake.documents(batches)
    DOCUMENTS.validate({"version": 1, "documents": pieces})
    assert say.statements(pieces) == say.statements(whole)


def test_recorded_traffic_says_the_same_in_one_request_and_in_reverse(lake: Any, say: Any) -> None:
    batches = lake.traffic()
    records = [record for batch in batches for record in batch]
    assert len(records) == 21
    said = say.statements(lake.documents(batches))
    assert say.statements(lake.documents([records])) == said
    assert say.statements(lake.documents([[record] for record in reversed(records)])) == said
