"""The least value of each training, found by bounds of its parts: the same as by a look at every value."""

from __future__ import annotations

import asyncio
import json
import math
import random
from collections.abc import Sequence
from typing import Any

import httpx
import pyoxigraph
import pytest

from edge.stores import StoreAddress
from query_engine.analyses.catalogue import built_in
from query_engine.analyses.form import Analysis, parse
from query_engine.analyses.running import Runner
from query_engine.errors import Unprocessable
from query_engine.names import Names
from query_engine.store import StoreClient
from tests.unit.lineage.graphs import BASE, Graph

NAN = float("nan")


class Evaluated(httpx.AsyncBaseTransport):
    """Queries evaluated by Oxigraph in this process; keeps what was asked."""

    def __init__(self, text: str) -> None:
        self.graph = pyoxigraph.Store()
        self.graph.load(text.encode(), format=pyoxigraph.RdfFormat.N_TRIPLES)
        self.asked: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.content.decode())
        found = self.graph.query(self.asked[-1])
        content = found.serialize(format=pyoxigraph.QueryResultsFormat.JSON)  # type: ignore[union-attr]
        return httpx.Response(200, content=content)


class Learning:
    """One training on a set that was prepared with a speed of 7."""

    def __init__(self) -> None:
        self.graph = Graph()
        self.run = self.graph.run("w", "1", learning=True)
        prepare = self.graph.task(self.run, "prepare", 0)
        self.graph.use(prepare, "speed", 7)
        data = self.graph.data("s", "set", "v1")
        self.graph.writes(prepare, "train", data, "dataset")
        self.fit = self.graph.task(self.run, "fit", 0, stage="training", start=1)
        self.graph.reads(self.fit, "train", data, "dataset")
        self.asked: list[str] = []

    def section(self, name: str, number: object, parent: str, **values: Any) -> str:
        made = self.graph.task(self.run, name, str(number), "section", "training", parent, end=1)
        for each, value in values.items():
            self.graph.generate(made, each, value, "evaluation_measure")
        return made

    def least(self, name: str) -> list[Any]:
        """The least of each row that Q3 or Q7 answers."""
        transport = Evaluated(self.graph.text)

        async def answer() -> dict[str, Any]:
            store = StoreClient(StoreAddress("http://127.0.0.1:1"), transport=transport)
            given = {"dataset": "set", "store": "s"} if name == "q3" else {"attribute": "speed", "value": "7"}
            answer = await Runner(store, Names(BASE)).run(built_in()[name], given)
            await store.aclose()
            return answer

        rows = asyncio.run(answer())["rows"]
        self.asked = transport.asked
        return [row["least"] for row in rows]

    def both(self) -> tuple[list[Any], list[Any]]:
        return self.least("q3"), self.least("q7")


def numbers(found: Sequence[Any]) -> list[float]:
    return [value for value in found if not math.isnan(value)]


@pytest.mark.parametrize("seed", range(6))
def test_whatever_the_losses_are_the_least_is_found(seed):
    draw, learning = random.Random(seed), Learning()
    own, inner = [], []
    for epoch in range(12):
        values = [draw.choice([NAN, 0, draw.uniform(-1, 1), draw.random() ** 8, 10**9]) for _ in range(5)]
        own.append(values[0])
        inner += values[1:]
        parent = learning.section("epoch", epoch, learning.fit, loss=own[-1], accuracy=-5.0)
        for batch, value in enumerate(values[1:]):
            learning.section("batch", f"{epoch}-{batch}", parent, loss=value, accuracy=-5.0)
    q3, q7 = learning.both()
    assert q7 == [min(numbers(inner))]
    assert q3 == [min(numbers([*own, *inner]))]


def test_only_the_epochs_that_may_have_the_least_are_asked_whether_their_values_count():
    learning = Learning()
    for epoch in range(40):
        parent = learning.section("epoch", epoch, learning.fit)
        learning.section("batch", epoch, parent, loss=1.0 / (1 + epoch))
    for name, least in (("q3", 1 / 40), ("q7", 1 / 40)):
        assert learning.least(name) == [least]
        exact = [text for text in learning.asked if "(MIN(?found) AS ?least)" in text]
        assert len(exact) == 1
        assert "epoch/39>" in exact[0]


def test_what_is_below_but_does_not_count_is_passed_over():
    """What is no evaluation; what a task made that a value was handed to, and that is no part."""
    learning = Learning()
    graph = learning.graph
    for epoch in range(8):
        parent = learning.section("epoch", epoch, learning.fit)
        learning.section("batch", epoch, parent, loss=0.5 + epoch, other=-7.0)
        judge = graph.task(learning.run, "judge", epoch, start=2)
        graph.hand(judge, graph.generate(parent, "state", 1))
        graph.generate(judge, "loss", -1.0, "evaluation_measure")
        graph.generate(learning.section("odd", epoch, parent), "loss", -2.0)
    assert learning.both() == ([0.5], [0.5])


def test_a_value_counts_by_the_name_that_its_own_task_has_for_it():
    learning = Learning()
    parent = learning.section("epoch", 0, learning.fit)
    batch = learning.section("batch", 0, parent, penalty=0.25)
    learning.section("batch", 1, parent, loss=0.5)
    other = learning.graph.run("other", "1")
    judge = learning.graph.task(other, "judge", 0, start=2)
    learning.graph.hand(judge, f"{batch}/penalty", name="loss")
    assert learning.both() == ([0.5], [0.5])


def test_two_kinds_of_inner_sections_with_values_of_one_name_both_count():
    learning = Learning()
    parent = learning.section("epoch", 0, learning.fit, loss=-9.0)
    learning.section("batch", 0, parent, loss=0.5)
    learning.section("check", 0, parent, loss=0.25)
    assert learning.both() == ([-9.0], [0.25])


def test_epochs_that_have_no_sections_are_the_inner_ones_beside_those_that_have():
    learning = Learning()
    learning.section("warmup", 0, learning.fit, loss=0.125)
    parent = learning.section("epoch", 0, learning.fit, loss=0.0625)
    learning.section("batch", 0, parent, loss=0.5)
    assert learning.both() == ([0.0625], [0.125])


def test_numbers_are_before_texts_and_a_training_without_any_is_not_told():
    learning = Learning()
    assert learning.both() == ([], [])
    for epoch, loss in enumerate(("aborted", 0.5, NAN, "0.1")):
        parent = learning.section("epoch", epoch, learning.fit)
        learning.section("batch", epoch, parent, loss=loss)
    assert learning.both() == ([0.5], [0.5])


def test_a_training_without_a_plan_has_the_values_of_its_own():
    learning = Learning()
    learning.graph.generate(learning.fit, "loss", 0.5, "evaluation_measure")
    learning.section("batch", 0, learning.section("epoch", 0, learning.fit), loss=0.25)
    learning.graph.triples = {line for line in learning.graph.triples if "provlake#has" not in line}
    assert learning.both() == ([0.5], [])


@pytest.mark.parametrize(
    ("where", "change", "words"),
    [
        ("text", "SELECT (1 AS ?least) WHERE {}", "VALUES ?epoch"),
        ("text", "ASK { VALUES ?epoch {} }", "each.least.text"),
        ("bounds", "SELECT ?epoch ?bound WHERE { VALUES ?unknown {} }", "unknown"),
        ("part", "training", "one name"),
    ],
)
def test_what_cannot_be_asked_for_a_least_value_is_refused_with_the_reason(where, change, words):
    form = json.loads(built_in()["q7"].model_dump_json())
    assert isinstance(parse(form), Analysis)
    form["each"]["least"][where] = change
    with pytest.raises(Unprocessable) as refused:
        parse(form)
    assert words in f"{refused.value.field} {refused.value.message}"
