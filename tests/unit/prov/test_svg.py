"""Drawings without Graphviz: what is where, and that nothing in a document becomes anything but text."""

from __future__ import annotations

import io
import random
from xml.etree import ElementTree

import pytest

from pllib import prov
from pllib.prov import Document, DocumentError, Literal, Ref, statement
from pllib.prov.layout import Layout, lay_out
from pllib.prov.svg import MAX_NODES
from pllib.provml.vocabulary import PROV, PROVLAKE

EX = "http://example.org/"
SVG = "{http://www.w3.org/2000/svg}"


def overlapping(layout: Layout) -> list[tuple[int, int]]:
    found = []
    for one, (left, top, width, height) in enumerate(layout.boxes):
        for other, (x, y, w, h) in enumerate(layout.boxes[:one]):
            if left < x + w and x < left + width and top < y + h and y < top + height:
                found.append((one, other))
    return found


@pytest.mark.parametrize("seed", range(30))
def test_boxes_do_not_overlap_and_edges_end_at_boxes(seed: int) -> None:
    chance = random.Random(seed)
    count = chance.randrange(1, 60)
    sizes = [(chance.uniform(10, 200), chance.uniform(10, 40)) for _ in range(count)]
    edges = [(chance.randrange(count), chance.randrange(count)) for _ in range(chance.randrange(0, 2 * count))]
    layout = lay_out(sizes, edges)
    assert [(w, h) for _, _, w, h in layout.boxes] == sizes
    assert not overlapping(layout)
    for left, top, width, height in layout.boxes:
        assert left >= -0.01
        assert top >= -0.01
        assert left + width <= layout.width + 0.01
        assert top + height <= layout.height + 0.01
    for (start, end), path in zip(edges, layout.paths, strict=True):
        for node, (x, y) in ((start, path[0]), (end, path[-1])):
            left, top, width, height = layout.boxes[node]
            assert x in (left, left + width)
            assert abs(y - top - height / 2) < 0.01


def test_edges_lead_to_the_left_where_there_is_no_circle() -> None:
    layout = lay_out([(50, 20)] * 6, [(1, 0), (2, 1), (3, 2), (3, 0), (4, 3), (5, 3)])
    assert all(path[0][0] > path[-1][0] for path in layout.paths)
    circle = lay_out([(50, 20)] * 3, [(0, 1), (1, 2), (2, 0), (1, 1)])
    assert len(circle.paths) == 4
    assert not overlapping(circle)


def test_a_chain_of_ten_thousand_is_laid_out() -> None:
    count = 10_000
    layout = lay_out([(10, 10)] * count, [(each + 1, each) for each in range(count - 1)])
    assert len({left for left, _, _, _ in layout.boxes}) == count


def test_an_edge_over_many_columns_goes_around_boxes() -> None:
    layout = lay_out([(60, 20)] * 5, [(1, 0), (2, 1), (3, 2), (4, 3), (4, 0)])
    for left, top, width, height in layout.boxes[1:4]:
        points = [y for x, y in layout.paths[4] if left <= x <= left + width]
        assert points
        assert all(not top < y < top + height for y in points)


def drawn(document: Document) -> str:
    out = io.StringIO()
    prov.write(document, out, "svg")
    return out.getvalue()


def labels(text: str) -> list[str]:
    return [each.text or "" for each in ElementTree.fromstring(text).iter(SVG + "text")]  # noqa: S314 - our own


def test_a_document_is_drawn_with_bundles_and_all_it_says() -> None:
    inner = prov.Bundle(EX + "b", statements=[statement("entity", EX + "inner")])
    document = Document(
        namespaces={"ex": EX},
        statements=[
            statement("activity", EX + "a", (), ((PROVLAKE + "status", Literal("failed")),)),
            statement("wasGeneratedBy", None, (EX + "e", EX + "a")),
            statement("wasAssociatedWith", None, (EX + "a", EX + "me", EX + "plan")),
            statement("wasDerivedFrom", None, (EX + "e", EX + "before")),
        ],
        bundles=[inner],
    )
    text = drawn(document)
    assert {"ex:a", "ex:e", "ex:me", "ex:plan", "ex:before", "ex:b", "ex:inner", "wasDerivedFrom"} <= set(labels(text))
    assert 'stroke="#c62828"' in text
    assert text.count("<polygon") == 2  # the agent, and the one in the legend
    assert "stroke-dasharray" in text


def test_nothing_in_a_document_is_drawn_as_anything_but_text() -> None:
    evil = '"><script>alert(1)</script><a href="javascript:x">&\x00\ud800'
    about = ((PROV + "label", Literal(evil[:30])), (EX + "note", Literal(evil)), (PROV + "value", Literal(evil)))
    text = drawn(
        Document(statements=[statement("entity", EX + "e", (), about), statement("used", None, (evil, EX + "e"))])
    )
    tree = ElementTree.fromstring(text)  # noqa: S314 - our own
    names = {each.tag.replace(SVG, "") for each in tree.iter()}
    assert names <= {"svg", "title", "defs", "marker", "path", "rect", "text", "g", "polygon"}
    assert not any("href" in name or name.startswith("on") for each in tree.iter() for name in each.attrib)
    assert evil[:30] in labels(text)


def run(tasks: int) -> Document:
    """A document as of an execution: plans and attributes named, values of tasks."""
    plan, attribute = (
        ((PROV + "label", Literal("fit")), (PROV + "type", Ref(PROV + "Plan"))),
        ((PROV + "label", Literal("loss")),),
    )
    found = [
        statement("entity", EX + "plan", (), plan),
        statement("entity", EX + "attribute", (), (*attribute, (PROV + "type", Ref(PROVLAKE + "Attribute")))),
    ]
    for number in range(tasks):
        task, value = f"{EX}task/{number}", f"{EX}value/{number}"
        measured = ((PROV + "value", Literal("0.123456789", "http://www.w3.org/2001/XMLSchema#double")),)
        found += [statement("activity", task), statement("entity", value, (), measured)]
        found.append(statement("wasInfluencedBy", None, (task, EX + "plan")))
        found.append(statement("wasDerivedFrom", None, (value, EX + "attribute")))
        found.append(statement("wasGeneratedBy", None, (value, task)))
    return Document(namespaces={"ex": EX}, statements=found)


def test_plans_and_attributes_are_names() -> None:
    assert sorted(labels(drawn(run(2))))[:4] == ["activity", "agent", "arrows point to what was before", "entity"]
    assert sorted(labels(drawn(run(2))))[4:] == ["fit", "fit", "loss = 0.12346", "loss = 0.12346"]


def test_of_many_things_those_of_one_kind_are_drawn_as_one() -> None:
    text = drawn(run(5_000))
    assert {"fit × 5000", "loss × 5000"} <= set(labels(text))
    assert len(text) < 5_000


def test_what_nobody_could_read_is_not_drawn() -> None:
    with pytest.raises(DocumentError, match=f"at most {MAX_NODES}"):
        drawn(Document(statements=[statement("entity", f"{EX}{number}") for number in range(MAX_NODES + 1)]))
