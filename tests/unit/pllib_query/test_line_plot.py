"""Lines as text and as SVG: whatever numbers and names there are, a drawing that is well-formed."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pllib.line_plot import HEIGHT, LEFT, TOP, WIDTH, Line, sparkline, svg

NAN, INF = float("nan"), float("inf")
SVG = "{http://www.w3.org/2000/svg}"
VALUES = st.lists(st.none() | st.floats(), max_size=80)


def drawn(*lines: Line, title: str = "t") -> ElementTree.Element:
    return ElementTree.fromstring(svg(lines, title, "step", "loss"))  # noqa: S314 - our own text


@settings(deadline=None)
@given(st.lists(st.tuples(st.text(), VALUES), max_size=3), st.text(), st.integers(-(2**53), 2**53))
def test_any_numbers_and_names_make_a_drawing_whose_points_are_inside(series, title, first):
    lines = [Line(name, range(first, first + len(values)), values) for name, values in series]
    root = drawn(*lines, title=title)
    for polyline in root.iter(f"{SVG}polyline"):
        for pair in polyline.attrib["points"].split():
            x, y = map(float, pair.split(","))
            assert LEFT <= x <= WIDTH
            assert TOP <= y <= HEIGHT
    finite = sum(1 for line in lines for value in line.values if value is not None and math.isfinite(value))
    points = sum(len(polyline.attrib["points"].split()) for polyline in root.iter(f"{SVG}polyline"))
    assert points + len(list(root.iter(f"{SVG}circle"))) == finite


def test_a_line_breaks_where_a_point_is_no_number_and_the_point_is_marked():
    root = drawn(Line("a", range(7), [1.0, 2.0, NAN, 3.0, 4.0, INF, 5.0]))
    assert [len(each.attrib["points"].split()) for each in root.iter(f"{SVG}polyline")] == [2, 2]
    assert len(list(root.iter(f"{SVG}circle"))) == 1
    assert [title.text for title in root.iter(f"{SVG}title")] == ["NaN at 2", "∞ at 5"]


def test_a_line_goes_on_over_rows_that_other_series_have():
    root = drawn(Line("a", range(4), [1.0, None, None, 2.0]), Line("b", range(4), [1.0, 1.0, 1.0, 1.0]))
    assert [len(each.attrib["points"].split()) for each in root.iter(f"{SVG}polyline")] == [2, 4]


def test_names_are_text_and_nothing_else():
    root = drawn(Line("<script>x</script>&\x00", [0], [1.0]), Line("b", [0], [1.0]), title='"><b>')
    assert not [each for each in root.iter() if each.tag.endswith(("script", "b"))]
    assert "<script>x</script>&\ufffd" in [text.text for text in root.iter(f"{SVG}text")]


@settings(deadline=None)
@given(VALUES, st.integers(1, 80))
def test_a_sparkline_has_a_character_for_each_stretch(values, width):
    for plain in (False, True):
        assert len(sparkline(values, width, plain)) == min(width, len(values))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], "▁▂▃▄▅▆▇█"),
        ([1.0, NAN, None, 3.0], "▁x █"),
        ([2.0, 2.0], "▅▅"),
        ([-1.7e308, 1.7e308], "▁█"),
        ([NAN, INF], "xx"),
        ([], ""),
    ],
)
def test_a_sparkline_rises_with_its_values(values, expected):
    assert sparkline(values) == expected
