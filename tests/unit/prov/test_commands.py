"""``pllib prov``: real processes over real files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TEXT = """document
  prefix ex <http://example.org/>
  entity(ex:e, [prov:label="data \\"x\\""])
  activity(ex:a, 2026-11-21T10:00:00Z, -)
  wasGeneratedBy(ex:e, ex:a, 2026-11-21T10:00:01Z)
endDocument
"""


def pllib(*arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pllib", "prov", *arguments]
    return subprocess.run(command, capture_output=True, text=True, input=given, timeout=60)


@pytest.fixture
def provn(tmp_path: Path) -> Path:
    path = tmp_path / "run.provn"
    path.write_text(TEXT)
    return path


def test_a_document_goes_through_all_formats_and_stays_the_same(provn: Path, tmp_path: Path) -> None:
    before = provn
    for ending in ("json", "xml", "jsonld", "ttl", "nt", "trig", "provn"):
        after = tmp_path / f"next.{ending}"
        done = pllib("convert", str(before), str(after))
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        before = after
    assert pllib("diff", str(provn), str(before)).returncode == 0


def test_standard_input_and_output(provn: Path) -> None:
    done = pllib("convert", "-", "-", "--to", "json", given=TEXT)
    assert done.returncode == 0
    again = pllib("convert", "-", "-", "--from", "json", "--to", "provn", given=done.stdout)
    assert 'entity(ex:e, [prov:label="data \\"x\\""])' in again.stdout


def test_differences_are_printed(provn: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.provn"
    other.write_text(TEXT.replace("10:00:01Z", "10:00:02Z"))
    done = pllib("diff", str(provn), str(other))
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "< wasGeneratedBy(ex:e, ex:a, 2026-11-21T10:00:01Z)",
        "> wasGeneratedBy(ex:e, ex:a, 2026-11-21T10:00:02Z)",
    ]


def test_violations_are_printed_with_number_and_statements(provn: Path, tmp_path: Path) -> None:
    assert pllib("validate", str(provn)).stdout == f"{provn}: valid\n"
    assert pllib("validate", "-", given=TEXT).stdout == "-: valid\n"
    wrong = tmp_path / "wrong.provn"
    wrong.write_text(TEXT.replace("entity(", "activity(ex:e) entity("))
    done = pllib("validate", str(provn), str(wrong))
    assert done.returncode == 1
    assert "constraint 55 (entity-activity-disjoint): http://example.org/e is an entity and an activity" in done.stdout
    assert "    activity(ex:e)" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("validate", "nowhere.provn"),
        ("convert", "nowhere.provn", "x.json"),
        ("convert", "-", "-"),
        ("convert", "-", "x.png"),
        ("convert", "-", "x.nq"),
        ("convert", "-", "/nowhere/x.json"),
        ("draw", "-", "--from", "xml"),
    ],
)
def test_what_cannot_be_read_or_written_is_said_in_one_line(arguments: tuple[str, ...]) -> None:
    done = pllib(*arguments, given=TEXT)
    assert done.returncode == 2
    assert done.stderr.startswith(f"pllib prov {arguments[0]}: ")
    assert done.stderr.count("\n") == 1


def test_a_drawing(provn: Path, tmp_path: Path) -> None:
    assert pllib("draw", str(provn), "-o", str(tmp_path / "x.dot")).returncode == 0
    assert (tmp_path / "x.dot").read_text().startswith("digraph provenance {")
    assert pllib("draw", str(provn), "-o", str(tmp_path / "x.svg")).returncode == 0
    assert (tmp_path / "x.svg").read_text().startswith("<svg ")


def test_a_drawing_is_no_picture_of_another_kind(provn: Path, tmp_path: Path) -> None:
    done = pllib("draw", str(provn), "-o", str(tmp_path / "run.pdf"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "run.pdf; a drawing is a .svg, or a .dot for Graphviz" in done.stderr
    assert not (tmp_path / "run.pdf").exists()


def test_what_is_no_document_is_told_with_the_formats_that_can_be_read_or_written(provn: Path, tmp_path: Path) -> None:
    other = tmp_path / "notes.txt"
    other.write_text("notes")
    done = pllib("validate", str(other))
    assert done.returncode == 2
    assert "none of provn, json, jsonld, xml, ttl, trig, nt, nq, rdf; say which" in done.stderr
    assert "one of provn, json, jsonld, xml, ttl, trig, nt, dot, svg" in pllib("convert", str(provn), "x.pdf").stderr


def test_a_bundle_in_a_bundle_is_told(tmp_path: Path) -> None:
    wrong = "document\nbundle <http://e/a>\nbundle <http://e/b>\nendBundle\nendBundle\nendDocument"
    done = pllib("validate", "-", given=wrong)
    assert done.returncode == 2
    assert "line 3, column 1: a bundle stands in the document, before its end and in no other bundle" in done.stderr
