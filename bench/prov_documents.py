"""What it takes to write and read a PROV document of 100,000 statements in every format: CPU time, and memory beyond the interpreter's.

Floor: the ``prov`` package with fewer of the same statements, per statement. Each figure is of a process of its own.
"""

from __future__ import annotations

import io
import json
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.measures import Measure, measure

STATEMENTS = 100_000
FEWER = 4_000
ROUNDS = 3
WRITTEN = ("nt", "ttl", "trig", "json", "jsonld", "provn", "xml")
AIMS = {form: "< 2 s" for form in ("nt", "ttl", "trig")}
THEIRS = {"nt": ("rdf", "nt"), "ttl": ("rdf", "turtle"), "trig": ("rdf", "trig")}
"""Formats of the ``prov`` package, where they are called otherwise."""
EX = "http://example.org/"


def statements(count: int) -> Iterator[Any]:
    """A chain of activities, each with what it used and generated, labels, times, roles and values."""
    from pllib.prov import Literal, Ref, statement
    from pllib.provml.vocabulary import PROV, XSD

    for number in range(count // 5):
        entity, activity, before = f"{EX}e{number}", f"{EX}a{number}", f"{EX}e{max(number - 1, 0)}"
        value = Literal(repr(number / 7), XSD + "double")
        label = (PROV + "label", Literal(f"task {number}"))
        yield statement("entity", entity, (), ((PROV + "type", Ref(EX + "Model")), (EX + "loss", value)))
        yield statement("activity", activity, ("2026-11-21T10:00:00Z", "2026-11-21T10:00:01Z"), (label,))
        yield statement("wasGeneratedBy", None, (entity, activity, "2026-11-21T10:00:01Z"))
        yield statement("used", None, (activity, before), ((PROV + "role", Literal("in")),))
        yield statement("wasDerivedFrom", None, (entity, before))


def measured(work: Callable[[], Any]) -> dict[str, float]:
    """CPU seconds, and MB by which the process has grown at most."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin = time.process_time()
    work()
    return {
        "seconds": time.process_time() - begin,
        "grown": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024,
    }


def ours(form: str, path: str) -> dict[str, float]:
    """Statements that come one at a time, to a file."""
    from pllib import prov

    document = prov.Document(namespaces={"ex": EX}, statements=statements(STATEMENTS))
    if form in ("provn", "xml"):  # read twice
        document.statements = list(document.statements)

    def write() -> None:
        with open(path, "w", encoding="utf-8") as out:
            prov.write(document, out, form)

    return measured(write)


def ours_read(form: str, path: str) -> dict[str, float]:
    from pllib import prov

    return measured(lambda: prov.read(Path(path), form))


def theirs(form: str, path: str) -> dict[str, float]:
    """The ``prov`` package, with the document in memory as it needs it."""
    import prov.model

    from pllib import prov as documents

    text = io.StringIO()
    documents.write(documents.Document(namespaces={"ex": EX}, statements=statements(FEWER)), text, "json")
    warnings.simplefilter("ignore")
    document = prov.model.ProvDocument.deserialize(content=text.getvalue(), format="json")
    name, *flavour = THEIRS.get(form, (form,))
    options = {"rdf_format": flavour[0]} if flavour else {}
    return measured(lambda: document.serialize(path, format=name, **options))


def theirs_read(form: str, path: str) -> dict[str, float]:
    import prov.model

    warnings.simplefilter("ignore")
    name, *flavour = THEIRS.get(form, (form,))
    options = {"rdf_format": flavour[0]} if flavour else {}
    return measured(lambda: prov.model.ProvDocument.deserialize(path, format=name, **options))


def child(what: str, form: str, path: Path) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, __file__, what, form, str(path)], check=True, capture_output=True, text=True, timeout=600
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def documents() -> list[Measure]:
    """Writing and reading in every format."""
    found = []
    scale = STATEMENTS / FEWER
    with tempfile.TemporaryDirectory() as folder:
        for form in WRITTEN:
            mine, other = Path(folder) / f"ours.{form}", Path(folder) / f"theirs.{form}"
            pairs = [(child("ours", form, mine), child("theirs", form, other)) for _ in range(ROUNDS)]
            told = f"write {STATEMENTS:,} statements as {form}, +{max(one['grown'] for one, _ in pairs):.0f} MB"
            floor = f"`prov`, {FEWER:,} statements × {scale:.0f}"
            times = [one["seconds"] for one, _ in pairs], [each["seconds"] * scale for _, each in pairs]
            found.append(measure(told, times[0], "s CPU", AIMS.get(form, "–"), floor, times[1]))
            reads = [(child("ours_read", form, mine), child("theirs_read", form, other)) for _ in range(ROUNDS)]
            told = f"read them again, +{max(one['grown'] for one, _ in reads):.0f} MB"
            times = [one["seconds"] for one, _ in reads], [each["seconds"] * scale for _, each in reads]
            found.append(measure(told, times[0], "s CPU", "–", floor, times[1]))
    return found


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:])))
