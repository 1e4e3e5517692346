"""What lineage follows, what it marks as uncertain, and what it leaves out: docs/reference/identity.md, with no store."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pllib.provml.vocabulary import PROV, PROVLAKE
from query_engine.lineage import Direction, Known, Lineage, Origin, Walk, origin
from query_engine.lineage_grain import by_task
from tests.unit.lineage.graphs import Graph, build, chain

LINE = re.compile(r"<(?P<s>[^>]*)> <(?P<p>[^>]*)> (?:<(?P<o>[^>]*)>|.*) \.")


def known_of(graph: Graph) -> Known:
    """All that a graph says, as if it had been looked up."""
    known, versioned = Known(), set()
    for line in sorted(graph.triples):
        match = LINE.fullmatch(line)
        assert match is not None
        subject, target = match["s"].removeprefix(graph.base), (match["o"] or "").removeprefix(graph.base)
        if match["p"] == PROV + "used":
            known.add_use(subject, target)
        elif match["p"] == PROV + "wasGeneratedBy":
            known.add_generation(subject, target)
        elif match["p"] == PROV + "wasInformedBy":
            known.add_information(subject, target)
        elif match["p"] == PROV + "specializationOf":
            known.add_specialization(subject, target)
        elif match["p"] == PROVLAKE + "key":
            known.references.add(subject)
        elif match["p"] == PROVLAKE + "version":
            versioned.add(subject)
    states = {state for reference in known.references for state in known.special.of(reference)}
    known.unseen = states - versioned
    return known


def trace(
    graph: Graph, start: str, direction: Direction = "backward", depth: int | None = None, limit: int = 10_000
) -> Lineage:
    walk = Walk(direction, depth, limit)
    walk.known = known_of(graph)
    if start.startswith("execution/") and start.count("/") == 4:
        walk.start_activity(start)
    else:
        walk.start_entity(start)
    while walk.frontier:
        walk.advance()
    return walk.answer


def activities(found: Lineage, start: str = "") -> set[str]:
    return {iri for iri, kind in found.kinds.items() if kind == "activity"} - {start}


@pytest.fixture
def graph() -> Graph:
    return Graph()


@pytest.fixture
def run(graph: Graph) -> str:
    return graph.run("w", "1")


def test_a_chain_of_explicit_links_is_followed_to_its_end_and_all_is_certain():
    graph, last = chain(5, 2, "refs")
    found = trace(graph, last)
    assert activities(found, last) == {f"execution/chain/refs/step/{n}" for n in range(4)}
    assert all(found.edges.values())
    assert found.depths["execution/chain/refs/step/0"] == 4
    assert found.depths["execution/chain/refs/step/3/v0"] == 1


@pytest.mark.parametrize("link", ["refs", "files", "match"])
def test_forward_is_the_mirror_of_backward_on_a_chain(link):
    graph, last = chain(6, 3, link)
    first = f"execution/chain/{link}/step/0"
    assert activities(trace(graph, last), last) - {first} == activities(trace(graph, first, "forward"), first) - {last}


def test_who_used_the_same_input_is_no_ancestor(graph, run):
    source, left, right = (graph.task(run, name, 0) for name in ("source", "left", "right"))
    value = graph.generate(source, "x", 1)
    graph.hand(left, value)
    graph.hand(right, value)
    made = graph.generate(left, "y", 2)
    assert activities(trace(graph, made)) == {left, source}
    assert activities(trace(graph, left, "forward"), left) == set()
    assert activities(trace(graph, source, "forward"), source) == {left, right}


def test_equal_scalars_in_two_runs_do_not_join_them(graph):
    tasks = []
    for execution in ("1", "2"):
        run = graph.run("w", execution)
        maker, user = graph.task(run, "make", 0), graph.task(run, "use", 1)
        graph.generate(maker, "acc", 0.9, match=True)
        graph.use(user, "acc", 0.9)
        tasks.append((maker, user))
    for maker, user in tasks:
        assert activities(trace(graph, user), user) == {maker}
        assert activities(trace(graph, maker, "forward"), maker) == {user}


def test_a_parent_is_an_ancestor_and_a_sibling_is_not(graph, run):
    fit, data = graph.task(run, "fit", 0), graph.data("s", "train.npz", "v1")
    graph.reads(fit, "train", data)
    epochs = [graph.task(run, "epoch", n, "section", "training", fit) for n in range(3)]
    losses = [graph.generate(epoch, "loss", 0.1 * n) for n, epoch in enumerate(epochs)]
    found = trace(graph, losses[1])
    assert activities(found) == {epochs[1], fit}
    assert data in found.depths
    assert activities(trace(graph, fit, "forward"), fit) == set(epochs)
    assert activities(trace(graph, epochs[0], "forward"), epochs[0]) == set()


def test_an_equal_value_of_one_origin_is_followed_and_marked(graph, run):
    maker, user = graph.task(run, "make", 0), graph.task(run, "use", 1)
    made = graph.generate(maker, "acc", 0.9, match=True)
    used = graph.use(user, "acc", 0.9)
    found = trace(graph, user)
    assert activities(found, user) == {maker}
    certain = {edge[2]: sure for edge, sure in found.edges.items()}
    assert certain == {"used": True, "specializationOf": False, "wasGeneratedBy": False}
    assert {made, used} <= found.depths.keys()


def test_an_equal_value_of_several_origins_is_listed_and_not_followed(graph, run):
    left, right, user = (graph.task(run, name, 0) for name in ("left", "right", "use"))
    made = {graph.generate(task, "acc", 0.9) for task in (left, right)}
    used = graph.use(user, "acc", 0.9, among=tuple(made))
    found = trace(graph, user)
    assert activities(found, user) == set()
    (ambiguity,) = found.ambiguous.values()
    assert (ambiguity.entity, ambiguity.user) == (used, user)
    assert {source.entity for source in ambiguity.candidates} == made
    forward = trace(graph, left, "forward")
    assert activities(forward, left) == set()
    assert [each.user for each in forward.ambiguous.values()] == [user]


def test_what_an_execution_generates_is_not_what_it_used(graph, run):
    first, second = graph.task(run, "step", 0), graph.task(run, "step", 1)
    for task in (first, second):
        graph.use(task, "x", 1)
        graph.generate(task, "x", 1, match=True)
    assert activities(trace(graph, second), second) == {first}
    assert activities(trace(graph, first), first) == {second}  # either may have been first; said to be uncertain


def test_a_state_of_a_file_leads_only_to_who_wrote_that_state(graph, run):
    writers = [graph.task(run, "write", n) for n in range(2)]
    readers = [graph.task(run, "read", n) for n in range(2)]
    for writer, reader, version in zip(writers, readers, ("v1", "v2")):
        graph.writes(writer, "out", graph.data("s", "f.npz", version))
        graph.reads(reader, "in", graph.data("s", "f.npz", version))
    for writer, reader in zip(writers, readers):
        found = trace(graph, reader)
        assert activities(found, reader) == {writer}
        assert all(found.edges.values())
        assert activities(trace(graph, writer, "forward"), writer) == {reader}


@pytest.mark.parametrize("used", [None, "v1"])
def test_data_written_unseen_is_followed_where_there_is_but_one(graph, run, used):
    writer, reader = graph.task(run, "write", 0), graph.task(run, "read", 0)
    graph.writes(writer, "out", graph.written(writer, "s", "a"))
    graph.reads(reader, "in", graph.data("s", "a", used))
    found = trace(graph, reader)
    assert activities(found, reader) == {writer}
    assert not all(found.edges.values())
    assert activities(trace(graph, writer, "forward"), writer) == {reader}


@pytest.mark.parametrize("used", [None, "v1"])
def test_data_written_unseen_by_several_is_ambiguous(graph, run, used):
    writers, reader = [graph.task(run, "write", n) for n in range(2)], graph.task(run, "read", 0)
    for writer in writers:
        graph.writes(writer, "out", graph.written(writer, "s", "a"))
    graph.reads(reader, "in", graph.data("s", "a", used))
    found = trace(graph, reader)
    assert activities(found, reader) == set()
    assert {each.activity for each in next(iter(found.ambiguous.values())).candidates} == set(writers)
    assert activities(trace(graph, writers[0], "forward"), writers[0]) == set()


@pytest.mark.parametrize("is_reference", [True, False])
def test_what_was_generated_without_a_state_may_mean_its_states_too(is_reference):
    walk = Walk("backward")
    walk.known.add_use("user", "thing")
    walk.known.add_generation("thing", "maker")
    walk.known.add_specialization("state", "thing")
    walk.known.add_generation("state", "writer")
    walk.known.references.update(["thing"] if is_reference else [])
    walk.start_activity("user")
    walk.advance()
    assert walk.answer.depths == {"user": 0, "thing": 1}
    (noted,) = walk.answer.ambiguous.values()
    assert {source.activity for source in noted.candidates} == {"maker", "writer"}


def test_the_only_generation_of_a_reference_is_not_certain():
    walk = Walk("backward")
    walk.known.add_use("user", "thing")
    walk.known.add_generation("thing", "maker")
    walk.known.references.add("thing")
    walk.start_activity("user")
    walk.advance()
    assert walk.answer.edges == {("user", "thing", "used"): True, ("thing", "maker", "wasGeneratedBy"): False}


def test_a_known_state_that_nobody_wrote_is_none_of_the_other_known_states(graph, run):
    writer, reader = graph.task(run, "write", 0), graph.task(run, "read", 0)
    graph.writes(writer, "out", graph.data("s", "a", "v1"))
    graph.reads(reader, "in", graph.data("s", "a", "v2"))
    assert activities(trace(graph, reader), reader) == set()
    assert activities(trace(graph, writer, "forward"), writer) == set()


def test_depth_counts_activities_and_what_they_used_is_one_further():
    graph, last = chain(10, 1, "refs")
    found = trace(graph, last, depth=3)
    assert len(activities(found, last)) == 3
    assert max(found.depths.values()) == 3
    assert activities(trace(graph, f"{last}/v0", depth=1)) == {last}


def test_a_walk_stops_at_its_limit_and_says_so():
    graph, last = chain(10, 3, "refs")
    found = trace(graph, last, limit=10)
    assert found.truncated
    assert len(found.edges) < 20
    assert not trace(graph, last).truncated


def test_by_task_keeps_activities_and_data_and_joins_them(graph, run):
    read, fit, data = graph.task(run, "read", 0), graph.task(run, "fit", 0), graph.data("s", "raw", "v1")
    graph.reads(read, "raw", data)
    graph.generate(read, "acc", 0.9, match=True)
    graph.use(fit, "acc", 0.9)
    coarse = by_task(trace(graph, fit), {data}, fit)
    assert set(coarse.depths) == {fit, read, data}
    assert coarse.edges == {(fit, read, "wasInformedBy"): False, (read, data, "used"): True}


# -- any graph ---------------------------------------------------------------------------------------------------------

TASKS = st.integers(0, 5)
STATEMENTS = st.lists(
    st.one_of(
        st.tuples(st.just("hand"), TASKS, TASKS),
        st.tuples(st.just("parent"), TASKS, TASKS),
        st.tuples(st.sampled_from(["use", "match"]), TASKS, st.integers(0, 2)),
        st.tuples(st.sampled_from(["read", "write"]), TASKS, st.sampled_from([None, "v1", "v2"])),
    ),
    max_size=14,
)


@settings(max_examples=200, deadline=None)
@given(STATEMENTS)
def test_in_any_graph_both_directions_follow_the_links_that_uses_have(statements):
    graph, tasks = build(statements)
    known = known_of(graph)
    links = {
        (user, source.activity)
        for user in tasks
        for e in known.used.of(user)
        for source in origin(known, user, e).sources
    }
    links |= {(task, informant) for task in tasks for informant in known.informants.of(task)}
    behind = {task: reached(task, links) for task in tasks}
    for task in tasks:
        assert activities(trace(graph, task), task) == behind[task] - {task}
        ahead = {other for other in tasks if task in behind[other]}
        assert activities(trace(graph, task, "forward"), task) == ahead - {task}


@settings(max_examples=300, deadline=None)
@given(STATEMENTS)
def test_in_any_graph_the_generations_that_are_told_are_those_that_uses_mean_and_as_certain(statements):
    graph, tasks = build(statements)
    known = known_of(graph)
    for task in tasks:
        found = trace(graph, task)
        meant: dict[tuple[str, str], bool] = {}
        for user, entity, relation in found.edges:
            origins = origin(known, user, entity) if relation == "used" else Origin()
            for source in origins.sources:
                meant[source] = meant.get(source, False) or origins.certain
        assert {edge[:2]: certain for edge, certain in found.edges.items() if edge[2] == "wasGeneratedBy"} == meant


def reached(start: str, links: set[tuple[str, str]]) -> set[str]:
    found: set[str] = set()
    while new := {target for source, target in links if source in found | {start}} - found:
        found |= new
    return found
