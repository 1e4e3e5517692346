"""What rows of the store mean, and that what is told while a walk goes on is what is told at its end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import httpx
import pytest

from edge.stores import StoreAddress
from pllib.provml.iris import DEFAULT_BASE
from pllib.provml.vocabulary import PROVLAKE
from query_engine.aliases import Aliases
from query_engine.errors import StoreFailed
from query_engine.lineage import GENERATED, Known, Lineage, Walk
from query_engine.lineage_edges import Edges
from query_engine.lineage_learning import Learnt
from query_engine.lineage_nodes import Ids, Nodes
from query_engine.lineage_walk import CHUNK, Surroundings
from query_engine.names import Names
from query_engine.store import StoreClient

NAMES = Names(DEFAULT_BASE)
RUN = f"{DEFAULT_BASE}execution/w/1"
TASKS = [f"{RUN}/t/{number}" for number in range(3)]
STORE = StoreAddress("http://store")


def learnt(rows: Sequence[tuple[str, str, str, str, str]], known: Known) -> Learnt:
    return Learnt(known, TASKS, rows)


def test_numbers_stand_for_activities_that_were_asked_about():
    known, value = Known(), f"{TASKS[1]}/x"
    rows = [("0", f"<{value}>", "1", "1", "12"), ("2", f"<{value}>", "1", "1", "12"), ("0", "", "", "9", '"finished"')]
    assert learnt(rows, known).used() == []
    assert [list(known.used.of(task)) for task in TASKS] == [[value], [], [value]]
    assert list(known.generators.of(value)) == [TASKS[1]]
    assert known.said.facts["value"] == {value: "12"}
    assert known.said.facts["status"] == {TASKS[0]: '"finished"'}


def test_generations_by_several_are_all_learnt_whether_they_were_asked_about_or_not():
    known, value, other = Known(), f"{RUN}/x", f"{RUN}/t/77"
    rows = [("0", f"<{value}>", maker, "2", f"<{other}>") for maker in ("1", "2")]
    assert learnt(rows, known).used() == []
    assert set(known.generators.of(value)) == {*TASKS[1:], other}
    assert known.only_generator(value) is None


@pytest.mark.parametrize("maker", ["", "0"])
def test_what_nobody_else_generated_is_not_clear_yet(maker):
    known, value = Known(), f"{TASKS[0]}/x"
    assert learnt([("0", f"<{value}>", maker, "", "")], known).used() == [value]


def test_users_go_by_number_or_by_iri():
    known, value, other = Known(), f"{TASKS[0]}/x", f"{RUN}/t/77"
    rows = [("0", f"<{value}>", "", "1", "12"), *(("0", f"<{value}>", "", "11", user) for user in ("2", f"<{other}>"))]
    learnt(rows, known).generated()
    assert list(known.users.of(value)) == [TASKS[2], other]
    assert list(known.generators.of(value)) == [TASKS[0]]


def test_the_first_of_several_values_in_order_of_text_is_told():
    known, value = Known(), f"<{TASKS[0]}/x>"
    learnt([("0", value, "", "1", cell) for cell in ('"b"', '"a"', '"c"')], known)
    assert list(known.said.facts["value"].values()) == ['"a"']


def test_an_edge_that_was_doubtful_when_it_was_told_may_become_certain():
    found, edges = Lineage(), Edges(Ids(NAMES))
    found.edge(f"{TASKS[0]}/x", TASKS[0], GENERATED, certain=False)
    edges.prepare(found)
    found.edge(f"{TASKS[1]}/x", TASKS[1], GENERATED, certain=False)
    found.edge(f"{TASKS[0]}/x", TASKS[0], GENERATED)
    told = edges.tell(found)
    assert told == Edges(Ids(NAMES)).tell(found)
    assert [(edge["from"], edge["certain"]) for edge in told] == [
        ("execution/w/1/t/0/x", True),
        ("execution/w/1/t/1/x", False),
    ]


def test_nodes_that_are_described_on_the_way_are_those_at_the_end():
    known = Known()
    rows = [(str(task), f"<{TASKS[task]}/x%2Fy>", "", "1", str(task)) for task in range(3)]
    learnt([*rows, ("1", "<urn:other>", "", "3", f"<{PROVLAKE}DataReference>")], known)
    found, nodes = Lineage(), Nodes(StoreClient(STORE), Ids(NAMES))
    for depth, iri in enumerate([TASKS[0], f"{TASKS[0]}/x%2Fy", TASKS[1], "urn:other"]):
        found.node(iri, "activity" if iri in TASKS else "entity", depth)
        nodes.prepare(found, known)
    found.node(TASKS[2], "activity", 1)
    told = asyncio.run(nodes.describe(found, known))
    assert told == asyncio.run(Nodes(StoreClient(STORE), Ids(NAMES)).describe(found, known))
    assert [node["depth"] for node in told] == [0, 1, 1, 2, 3]
    assert told[1]["label"] == "x/y"


def test_a_store_that_fails_is_told_and_nothing_goes_on():
    activities = [f"{RUN}/t/{number}" for number in range(40 * CHUNK)]
    asked = []

    async def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        await asyncio.sleep(0.001)
        if len(asked) > 1:
            return httpx.Response(500, text="no more")
        return httpx.Response(200, text="\n".join(["?a", *(f"<{each}>" for each in activities), ""]))

    async def run() -> None:
        store = StoreClient(STORE, transport=httpx.MockTransport(answer))
        walk = Walk("backward")
        walk.start_activity(activities[0])
        around = Surroundings(store, 5, Aliases(NAMES))
        with pytest.raises(StoreFailed, match="no more"):
            await around.complete(walk, activities[0], "backward", False, lambda: None)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        await store.aclose()

    asyncio.run(run())
    assert 2 <= len(asked) < 40
