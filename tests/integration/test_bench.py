"""The bench itself: the workload by PLLib's own adapter, what survives a kill, and the report of what was found."""

from __future__ import annotations

import importlib
import importlib.util
import math
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from bench import reach, report
from bench.measures import Cell, Measure, Point, measure, missing
from bench.peers import compare, tables, workload
from bench.peers.settings import SETTINGS
from bench.report import Outcome
from bench.run import SECTIONS, Section, found, main, run

TINY = {
    "rounds": 1,
    "count": 40,
    "seconds": 0.1,
    "whole": 50,
    "killed": 60,
    "threads": (2,),
    "processes": (2,),
    "all_closer": True,
    "states": ("down",),
    "trouble": 20,
    "loops": {"1 ms": (0.001, 3, 2)},
    "training": (3, 2),
}


@pytest.fixture(scope="module")
def cells() -> dict[tuple[str, str, str], Measure]:
    """What a tiny comparison of PLLib's `disk` and of its default online finds, by place in the tables."""
    chosen = tuple(one for one in SETTINGS if one.key in ("pllib-disk", "pllib-process-http"))
    answers = compare.compare(compare.Plan(chosen, **TINY), {"pllib": sys.executable})
    assert not answers.failures
    return {one.cell: one for one in tables.measures(answers) if one.cell}


def test_every_table_has_a_line_for_each_setting(cells):
    rows = {table: {row for other, row, _ in cells if other == table} for table, _, _ in cells}
    online, disk = "**PLLib** `process` (default), online", "**PLLib** `disk`"
    gone = tables.TROUBLE["down"]
    assert rows[tables.COST] == rows[tables.PRICE] == rows[tables.KILL] == rows[tables.CROWD] == {online, disk}
    assert rows[tables.LOOPS] == rows[gone] == {online}
    assert not [one.what for one in cells.values() if math.isnan(one.value) and one.note != "–"]


def test_what_a_killed_process_left_is_counted(cells):
    for (table, row, column), one in cells.items():
        if table == tables.KILL or (table == tables.TROUBLE["down"] and column == "tasks left"):
            assert one.value == 100, (table, row, one.note)


def test_bytes_are_counted_where_they_go(cells):
    place = tables.PRICE
    assert cells[place, "**PLLib** `disk`", "on disk"].value > 100
    assert math.isnan(cells[place, "**PLLib** `disk`", "on the wire"].value)
    assert cells[place, "**PLLib** `process` (default), online", "on the wire"].value > 100


def test_costs_stand_beside_the_floor_of_the_same_values(cells):
    ten = cells[tables.COST, "**PLLib** `disk`", "10 + 10 values, p50"]
    hundred = cells[tables.COST, "**PLLib** `disk`", "100 + 100 values, p50"]
    assert hundred.floor > ten.floor > 0
    assert ten.ratio == ten.value / ten.floor


def test_marks_are_found_and_nothing_else(tmp_path):
    texts = [f'{{"mark":{workload.mark(n)}}}' for n in range(3)] + [
        "0.730000001",
        "1730000002",
        "7300000011",
        "73000000",
    ]
    (tmp_path / "a").write_text("\n".join(texts))
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "b").write_text(f"{workload.mark(1)},{workload.mark(7)}")
    assert workload.marks_in(str(tmp_path)) == 4


def test_the_workload_is_the_same_every_time():
    assert workload.chain(3, 2) == workload.chain(3, 2)
    assert [len(values) for values in workload.chain(3, 2)] == [3, 3, 3]


def test_a_peer_that_cannot_be_had_is_shown_as_missing_with_the_reason():
    chosen = tuple(one for one in SETTINGS if one.key == "yprov4ml-default")
    made = tables.measures(compare.Found(compare.Plan(chosen), {}, {}, {"yprov4ml": "needs another Python"}))
    shown = report.side_by_side([one for one in made if one.cell])
    assert "| yProv4ML (default) | *needs another Python* |" in shown


# -- the report


def _fine() -> list[Measure]:
    plotted = measure("a", [3.0, 4.0, 5.0, 6.0], "µs", "–", "bare", [2.0, 2.0])
    return [
        plotted._replace(cell=Cell("Costs", "us", "p50"), point=Point("Costs & bars", "us")),
        plotted._replace(cell=Cell("Costs", "them", "p50"), point=Point("Costs & bars", "them <b>"), value=400.0),
        missing("b", "no such thing", Cell("Costs", "others", "p50")),
        plotted._replace(point=Point("Growth", "us", 1.0, "triples")),
        plotted._replace(point=Point("Growth", "us", 2.0, "triples")),
        plotted._replace(what="quick", reach="metric", reached=True),
        plotted._replace(what="slow", reach="lineage", reached=False),
    ]


def _broken() -> list[Measure]:
    raise ValueError("this one\nis broken")


@pytest.fixture
def sections(monkeypatch: pytest.MonkeyPatch) -> dict[str, Section]:
    """A section that works, one that raises, one that is not there, and one that is run by name only."""
    monkeypatch.setattr("bench.telemetry.fine", _fine, raising=False)
    monkeypatch.setattr("bench.telemetry.broken", _broken, raising=False)
    return {
        "fine": Section("A fine section", ("telemetry:fine",)),
        "broken": Section("A broken one", ("telemetry:broken",)),
        "absent": Section("An absent one", ("not_there:measures",)),
        "long": Section("A long one", ("telemetry:fine",), always=False),
    }


def test_a_section_that_fails_is_told_and_the_others_are_there(tmp_path, sections, capsys):
    assert run([], tmp_path, sections, "the command") == 1
    told = (tmp_path / "report.md").read_text()
    assert "**The section `broken` failed: ValueError: this one**" in told
    assert "**The section `absent` failed: ModuleNotFoundError" in told
    assert [line for line in told.splitlines() if line.startswith("## ")] == [
        "## What is to be reached", "## A fine section", "## A broken one", "## An absent one", "## Machine", "## Versions",
    ]  # fmt: skip
    assert "`the command`" in told
    assert "broken failed" in capsys.readouterr().err


def test_tables_and_plots_show_what_was_measured(tmp_path, sections):
    run(["fine"], tmp_path, sections, "")
    told = (tmp_path / "report-fine.md").read_text()
    assert "| us | 4.5 µs ± 1.25 (2.25 ×) |" in told
    assert "| others | *no such thing* |" in told
    drawn = sorted(path.name for path in (tmp_path / "report-fine").iterdir())
    assert drawn == ["costs-bars.svg", "growth.svg"]
    for name in drawn:
        assert f"(report-fine/{name})" in told
        ElementTree.parse(tmp_path / "report-fine" / name)  # noqa: S314 - made here
    assert "them &lt;b&gt;" in (tmp_path / "report-fine" / "costs-bars.svg").read_text()


def test_a_part_is_a_file_of_its_own_and_leaves_the_whole_report(tmp_path, sections):
    run([], tmp_path, sections, "")
    before = (tmp_path / "report.md").read_text()
    assert run(["fine", "long"], tmp_path, sections, "") == 0
    assert (tmp_path / "report.md").read_text() == before
    assert "(only fine, long)" in (tmp_path / "report-fine-long.md").read_text()


def test_rows_are_met_missed_or_not_in_this_run():
    shown = reach.table(_fine())
    lines = {key: line for key, (what, _) in reach.ROWS.items() for line in shown.splitlines() if f"| {what} |" in line}
    assert len(lines) == len(reach.ROWS)
    assert lines["metric"].endswith("| met |")
    assert "quick: 4.5 µs" in lines["metric"]
    assert lines["lineage"].endswith("| **missed** |")
    assert lines["growth"].endswith("| not in this run |")


def test_the_report_names_the_machine_and_the_versions():
    told = report.text([Outcome("fine", "Fine", _fine(), 1.0)], "plots", "", True, {"peer": "peer 1.2"})
    for name in ("processor", "cores", "memory", "Python", "oxigraph", "PLLib"):
        assert f"- {name}: " in told
    assert "- peer: peer 1.2" in told


def test_every_section_names_functions_that_are_there():
    for section in SECTIONS.values():
        for path in section.functions:
            module = path.partition(":")[0]
            if importlib.util.find_spec(f"bench.{module}") is not None:
                assert callable(found(path)), path


def test_a_section_that_does_not_exist_is_refused_with_the_names_of_those_that_do(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["nonsense"])
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert "nonsense" in told
    assert "peers-full" in told


def test_the_workload_imports_no_system():
    text = Path(workload.__file__).read_text()
    for adapter in (Path(workload.__file__).parent / "adapters").glob("[a-z]*.py"):
        assert f"import {adapter.stem}" not in text


def test_a_report_is_pasted_into_the_page_again_and_again():
    page = "# Page\n<!-- found -->\nold\n<!-- /found -->\nend\n"
    once = report.pasted(page, "# Measures of now\n\n## Costs\n\n![a](report/a.svg)\n")
    assert "\n### Measures of now\n\n### Costs\n" in once
    assert "](../../bench/results/report/a.svg)" in once
    assert "old" not in once
    assert once.endswith("<!-- /found -->\nend\n")
    assert report.pasted(once, "# Measures of now\n\n## Costs\n\n![a](report/a.svg)\n") == once
