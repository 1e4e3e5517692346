"""One run, two ways to a document: from its spool folder alone, and shipped to the services and exported. They say the same."""

from __future__ import annotations

import io
import json
import re
import zipfile
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from pllib import documents, frames, prov
from pllib.prov.crate import crate_of
from pllib.provml.iris import DEFAULT_BASE
from pllib.provml.vocabulary import PREFIXES
from pllib.query import Client

DIGITS = Path(__file__).parents[2] / "examples/digits"
LABEL = re.compile("<text[^>]*>([^<]*)</text>")

SCRIPTS = {
    "runs": """
        import pllib
        from pathlib import Path

        Path("data MARK").write_text("x")
        Path("model MARK").write_text("y")
        with pllib.run("runs MARK", name="n", params={"lr": 0.1, "nan": float("nan")}, tags={"t": [1]}) as run:
            run.log_dataset("data MARK", characteristics={"rows": 1})
            run.log_param("lr", 0.2)
            for step in (3, -1, 3):
                run.log_metric("a/b: ü", step / 2, step=step, context="training")
                run.log_metric("inf", float("inf"), step=step)
            run.log_model({"w": 1}, context="my own")
            run.log_model("model MARK", context="training")
            with run.timed("part"), run.task("inside", used={"x": 1}) as task:
                task.generated(y=2)
            with pllib.run("inner MARK", code=False, environment=False):
                pass
        with pllib.run("runs MARK", resume=run.id, code=False, environment=False) as again:
            again.log_metric("a/b: ü", 7, step=9, context="training")
    """,
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
    (lab.folder / "digits").mkdir()
    for name, *options in (("curate",), ("prepare",), ("train", "--epochs", "1")):
        lab.run_file(DIGITS / f"{name}.py", "--work", str(lab.folder / "digits"), *options, mode="disk")
    folder = lab.folder / "spool"
    found = documents.executions(folder)
    assert len(found) == 11
    assert {each.status for each in found} == {"finished"}
    compare(lab, folder)


def compare(lab: Any, folder: Path) -> None:
    """Ships a spool folder, and compares the documents made of it alone with those that the services export."""
    alone = {each.id: list(documents.statements(folder, each.id)) for each in documents.executions(folder)}
    done = lab.pllib("ship", str(folder), "--keep", "--url", lab.services.tracker_url)
    assert done.returncode == 0, done.stderr
    lab.settle()
    client = Client(lab.services.query_url)
    for execution, statements in alone.items():
        ours = prov.Document(statements=statements)
        exported = prov.read(client.prov(execution, "prov-json").encode(), "json")
        assert prov.differences(ours, exported) == [], execution
        assert prov.validate(ours) == []
        check_drawing_and_crate(client, execution, ours)


def spooled(folder: Path, producer: str, *records: dict[str, Any]) -> None:
    """Writes records as a process leaves them in its spool file."""
    path = folder / producer[:2] / f"{producer}.000001.frames"
    path.parent.mkdir(parents=True, exist_ok=True)
    numbered = [{"n": number, "t": T + number, "m": number, **each} for number, each in enumerate(records)]
    path.write_bytes(b"".join(frames.encode(json.dumps(each, separators=(",", ":")).encode()) for each in numbered))


T = 1_780_000_000_000_000


def test_shared_resumed_and_nested_runs_with_series_give_the_same_documents(lab):
    one, other, later, third = (f"{digit * 2}{lab.mark}".ljust(32, "0") for digit in "1234")
    run: dict[str, Any] = {"kind": "workflow", "wf": f"exp{lab.mark}/job"}
    context = {"kind": "task", "wf": run["wf"], "id": "training/0"}
    loss = {"series": "loss/train", "as": "evaluation_measure"}
    begin, end = {"op": "begin", "stage": "learning"}, {"op": "end", "status": "finished", "elapsed": 7}
    folder = lab.folder / "spool"
    spooled(
        folder,
        one,
        {
            "op": "producer",
            "host": "n1",
            "pid": 1,
            "command": "train.py --lr 1",
            "user": "ana",
            "software": {"numpy": "2"},
        },
        {
            **begin,
            **run,
            "session": f"{one}-1",
            "rank": 0,
            "used": {"lr": {"$": "value", "v": 0.1, "as": "hyperparameter"}},
        },
        {"op": "begin", **context, "stage": "training", "up": None},
        {
            "op": "points",
            **context,
            **loss,
            "rank": 0,
            "first": 0,
            "steps": [-5, 1, 1],
            "times": [T, 10, 10],
            "values": [1e16, 2.5, "NaN"],
        },
        {
            "op": "points",
            **context,
            **loss,
            "rank": 0,
            "first": 3,
            "steps": [9, -3],
            "times": [T, -1],
            "values": [1e-5, 3],
        },
        {
            "op": "points",
            **run,
            "series": "gpu.0.power",
            "telemetry": True,
            "unit": "W",
            "first": 0,
            "steps": [0],
            "times": [T],
            "values": ["INF"],
        },
        {"op": "add", **run, "used": {"seed": 7}, "generated": {"note": "x", "set": DATA}, "meta": {"tag": 1}},
        {
            "op": "end",
            **run,
            "session": f"{one}-1",
            "status": "failed",
            "elapsed": 5,
            "error": {"type": "E", "message": "first"},
        },
    )
    spooled(
        folder,
        other,
        {**begin, **run, "session": f"{other}-0", "rank": 1},
        {
            "op": "points",
            **context,
            **loss,
            "rank": 1,
            "first": 0,
            "steps": [9, 0],
            "times": [T + 5, 1],
            "values": [-2, -0.0],
        },
        {**end, **run, "session": f"{other}-0"},
    )
    spooled(
        folder,
        later,
        {**begin, **run, "session": f"{later}-0", "resumes": True, "t": T + 90},
        {
            "op": "add",
            **context,
            "generated": {
                "model": {"$": "data", "store": lab.mark, "key": "m.pkl", "as": "model", "facts": {"sha256": "ab"}}
            },
        },
        {**end, **run, "session": f"{later}-0", "t": T + 99},
    )
    inner = {"kind": "workflow", "wf": f"inner{lab.mark}/1"}
    spooled(
        folder,
        third,
        {
            "op": "begin",
            **inner,
            "within": {"wf": run["wf"], "id": "training/0"},
            "used": {"loss": {"$": "ref", **reference(context, "loss/train")}},
        },
        {**begin, **run, "session": f"{third}-1", "resumes": True, "rank": 3, "t": T + 200},
    )
    assert {(each.id, each.status) for each in documents.executions(folder)} == {
        (inner["wf"], "running"),
        (run["wf"], "running"),  # it was resumed last by a process that goes on
    }
    compare(lab, folder)
    series = said(folder, run["wf"], f"{context['id']}/loss%2Ftrain")
    assert [series[name] for name in ("value", "lastStep", "minimum", "maximum")] == ["-0.0", "9", "-2.0", "1e+16"]


DATA = {
    "$": "data",
    "store": "s",
    "key": "k",
    "version": "v",
    "as": "dataset",
    "facts": {"rows": {"$": "value", "v": 3}},
}


def reference(of: dict[str, Any], name: str) -> dict[str, str]:
    return {"id": of["id"], "wf": of["wf"], "name": name}


def said(folder: Path, execution: str, name: str) -> dict[str, str]:
    """The literals that are attributes of something, by their local names."""
    iri = f"{DEFAULT_BASE}execution/{execution}/{name}"
    [found] = [each for each in documents.statements(folder, execution) if each.id == iri]
    return {key.rpartition("#")[2]: value[0] for key, value in found.attributes}


SERIES = """
import os, pllib, signal
from pllib.series import Series

with pllib.workflow("series MARK", execution="job") as flow:
    with flow.task("fit", stage="training") as task:
        task.add(used={"seed": 7}, generated={"early": "x"}, meta={"k": 1})
        loss, power = Series(task, "loss/train", rank=0), Series(flow, "gpu.0.power", unit="W", telemetry=True)
        for step in range(2500):
            loss.log(1 / (step + 1), step)
        for value in (float("nan"), float("inf"), -0.0, 2**60, 1e-5, 1e16):
            power.log(value)
            loss.log(value, -3)
        if os.environ.get("KILLED"):
            os.kill(os.getpid(), signal.SIGKILL)
"""


def test_series_of_real_processes_one_of_them_killed_give_the_same_documents(lab):
    lab.run(SERIES, mode="disk")
    lab.run(SERIES, mode="disk", check=False, KILLED="yes")
    folder = lab.folder / "spool"
    assert list(folder.rglob("*.points"))
    [execution] = documents.executions(folder)
    assert execution.status == "running"
    compare(lab, folder)
