"""One run, two ways to a document: from its spool folder alone, and shipped to the services and exported. They say the same."""

from __future__ import annotations

import io
import json
import re
import zipfile
from datetime import datetime, timezone

from pllib import documents, prov
from pllib.prov.crate import crate_of
from pllib.provml.iris import DEFAULT_BASE
from pllib.provml.vocabulary import PREFIXES
from pllib.query import Client

LABEL = re.compile("<text[^>]*>([^<]*)</text>")

SCRIPTS = {
    "values of every kind": """
        import datetime, decimal, enum, math, pllib
        from pathlib import Path

        class Mode(enum.Enum):
            FAST = "fast"

        odd = {
               "text": 'ä "q"\\n\\\\\\x00\\u2028', "long": "x" * 200, "list": [1, 1e-5, 1e22, -0.0, {"a": None}],
               "nan": math.nan, "inf": -math.inf,
               "big": 2**70, "limit": -(2**63),
               "when": datetime.datetime(2026, 1, 31, 12, 0, 0, 500000, datetime.timezone.utc),
               "local": datetime.datetime(2026, 1, 31, 12), "bytes": b"\\x00\\xff", "none": None,
               "yes": True, "one": 1, "uno": 1.0, "text one": "1",
               "structure": {"b": 1e16, "a": {"e+5": 1.5e-7}}, "object": object,
               "decimal": decimal.Decimal("1.5"), "mode": Mode.FAST, "a/b:c é": 1}
        with pllib.workflow("kinds MARK") as flow:
            with flow.task("use", used=odd) as task:
                task.generated(**odd)
            with flow.task("again", used={"one": 1, "uno": 1.0, "big": 2**70}, meta={"note": [1, 2.5e-6]}):
                pass
    """,
    "files overwritten, equal values, failures, references": """
        import pllib
        from pathlib import Path

        pllib.store("MARK", root=".")
        Path("raw.csv").write_text("1")
        with pllib.workflow("prepare MARK", study="s MARK", person="ana") as flow:
            with flow.task("clean", used={"raw": pllib.data("raw.csv", store="MARK"), "limit": 3}) as task:
                Path("clean.csv").write_text("2")
                task.generated(data=pllib.data("clean.csv", store="MARK"), rows=7, bucket=pllib.data("b/k", store="cloud MARK"))
        with pllib.workflow("train MARK") as flow:
            for lr in (0.1, 0.2):
                data = pllib.data("clean.csv", store="MARK")
                with flow.task("fit", stage="training", used={"data": data, "lr": pllib.hyperparameter(lr)}) as task:
                    Path("model.pkl").write_text(str(lr))
                    facts = {"hyperparameters": {"depth": 3}, "evaluations": {"acc": lr}}
                    task.generated(model=pllib.model("model.pkl", store="MARK", **facts), loss=0.25)
            try:
                with flow.task("check", stage="validation", used={"loss": 0.25, "lr": 0.1}):
                    raise ValueError("<no> & no")
            except ValueError:
                pass
        with pllib.workflow("use MARK") as flow:
            files = {name: pllib.data(name, store="MARK") for name in ("model.pkl", "raw.csv")}
            with flow.task("apply", used=files):
                pass
    """,
    "stages, sections, cycles, decorators, handles": """
        import pllib

        @pllib.task
        def double(x: pllib.Hyperparameter):
            return {"y": 2 * x}

        with pllib.workflow("loop MARK") as flow:
            with flow.task("learn", stage="training") as stage:
                for number in stage.cycle("epochs", range(3)):
                    with stage.section("epoch", used={"epoch": number}) as epoch:
                        handles = epoch.generated(loss=pllib.evaluation(1 / (number + 1)))
                with stage.section("tail", used={"loss": 1 / 3, "first": handles["loss"]}) as section:
                    section.generated(done=True)
            for number in range(4):
                double(number % 2)
    """,
    "processes that share an execution": """
        import multiprocessing, os, pllib

        def work(number):
            with pllib.workflow("shared MARK", execution="job-1", match=True) as flow:
                with flow.task(f"part{number}", used={"seed": 1, "size": 4.5}) as task:
                    task.generated(score=0.5, own=number)

        if __name__ == "__main__":
            context = multiprocessing.get_context("spawn")
            several = [context.Process(target=work, args=(number,)) for number in range(3)]
            [each.start() for each in several]
            [each.join() for each in several]
    """,
}


def check_drawing_and_crate(client: Client, execution: str, ours: prov.Document) -> None:
    """The query engine draws and describes an execution with the same writers."""
    out = io.StringIO()
    prov.write(prov.Document(namespaces={**PREFIXES, "id": DEFAULT_BASE}, statements=ours.statements), out, "svg")
    assert sorted(LABEL.findall(client.prov(execution, "svg"))) == sorted(LABEL.findall(out.getvalue()))
    assert client.prov(execution, "dot").startswith("digraph")
    metadata = json.loads(client.crate(execution))
    alone = crate_of(ours.statements, f"{DEFAULT_BASE}execution/{execution}").metadata({}, datetime.now(timezone.utc))
    assert {each["@id"]: each["@type"] for each in metadata["@graph"]} == {
        each["@id"]: each["@type"] for each in alone["@graph"]
    }
    with zipfile.ZipFile(io.BytesIO(client.crate(execution, "zip"))) as archive:
        exported = prov.read(archive.read("provenance.json"), "json")
        assert prov.differences(ours, exported) == []


def test_a_folder_gives_the_same_documents_as_the_services_do_of_its_records(lab):
    for script in SCRIPTS.values():
        lab.run(script, mode="disk")
    folder = lab.folder / "spool"
    found = documents.executions(folder)
    assert len(found) == 6
    assert {each.status for each in found} == {"finished"}
    alone = {each.id: list(documents.statements(folder, each.id)) for each in found}
    done = lab.pllib("ship", str(folder), "--url", lab.services.tracker_url)
    assert done.returncode == 0, done.stderr
    lab.settle()
    client = Client(lab.services.query_url)
    for each in found:
        ours = prov.Document(statements=alone[each.id])
        exported = prov.read(client.prov(each.id, "prov-json").encode(), "json")
        assert prov.differences(ours, exported) == [], each.id
        assert prov.validate(ours) == []
        assert len(alone[each.id]) > 15
        check_drawing_and_crate(client, each.id, ours)
    assert not documents.executions(folder)  # they were shipped, and nothing was kept
