"""Where Prov4ML fails, in real processes: runs after each other, names, values, files of the user, costs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pllib import documents, prov
from tests.integration.prov4ml_bench import Bench, count, the_run


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.kill_all()


# -- runs after each other --------------------------------------------------------------------------------------------


def test_a_second_run_holds_nothing_of_the_first(bench: Bench) -> None:
    code = """
start()
prov4ml.log_param("early", 1)
prov4ml.log_metric("loss", 1.0, T)
prov4ml.end_run()
prov4ml.log_param("between", 1)
start()
prov4ml.log_metric("accuracy", 2.0, T)
start()
prov4ml.log_metric("third", 3.0)
prov4ml.end_run()
"""
    _, err = bench.run(code)
    texts = [json.dumps(bench.document(number)) for number in range(3)]
    for text, there, absent in zip(
        texts,
        ("/loss", "/accuracy", "/third"),
        (("/accuracy", "between"), ("/loss", "early", "/third"), ("/loss", "/accuracy")),
        strict=True,
    ):
        assert there in text
        assert not [each for each in absent if each in text]
    assert the_run(bench.document(1))["provlake:status"] == "finished"
    assert "log_param(): no run is open" in err
    assert "the run that is open is ended first" in err


def test_the_clients_own_settings_are_as_before_after_the_run(bench: Bench) -> None:
    code = """
import pllib
pllib.configure(mode="disk", spool="mine")
with pllib.workflow("before"): pass
start()
prov4ml.end_run()
with pllib.workflow("after"): pass
print(pllib.stats()["spool"])
"""
    assert bench.run(code)[0].strip() == "mine"
    assert [each.id.partition("/")[0] for each in documents.executions(bench.folder / "mine")] == [
        "before",
        "digits",
        "after",
    ]


# -- names, values, files ---------------------------------------------------------------------------------------------

NAMES = (
    "train/loss",
    "a:b",
    "läss 損失",
    "..",
    "$(touch pwned)",
    "`touch pwned`",
    "; touch pwned",
    "__import__('os').system('touch pwned')",
    "%s",
    "",
)


def test_any_name_and_value_leaves_a_document_and_nothing_of_it_is_executed(bench: Bench) -> None:
    code = f"""
NAMES = {NAMES!r}
for name in NAMES:
    prov4ml.start_run(name or "empty", name, "prov", disable_codecarbon=True)
    for each in NAMES:
        prov4ml.log_metric(each, 0.5, each, step=0)
        prov4ml.log_param(each, each, context=each)
        prov4ml.log_dataset(each or "x", [1, 2])
    prov4ml.log_model("../up", {{"w": 1}})
    prov4ml.end_run(create_graph=True)
"""
    bench.run(code)
    assert len(bench.runs()) == len(NAMES)
    for folder in bench.runs():
        (path,) = folder.glob("prov_*.json")
        document = prov.read(path)
        assert list(prov.validate(document)) == []
        assert len(list((folder / "metrics_GR0").glob("*.csv"))) == len(NAMES)
    assert sorted(each.name for each in bench.folder.iterdir()) == ["prov", "script0.py"]
    assert not list(bench.folder.rglob("pwned"))


def test_values_keep_their_types_and_what_is_no_number_is_kept_too(bench: Bench) -> None:
    code = """
start()
prov4ml.log_param("real", 0.1); prov4ml.log_param("whole", 3); prov4ml.log_param("yes", True); prov4ml.log_param("text", "3")
prov4ml.log_param("list", [1, 2])
prov4ml.log_metric("nan", float("nan"), T, 0); prov4ml.log_metric("nan", float("inf"), T, -5)
prov4ml.log_metric("matrix", [[1, 2], [3, 4]], T, 0)
prov4ml.end_run()
"""
    bench.run(code)
    document = bench.document()
    kinds = {
        name.split("/")[-2]: each["prov:value"]["type"] if isinstance(each["prov:value"], dict) else "text"
        for name, each in document["entity"].items()
        if name.startswith("id:value/") and "provml:LearningHyperparameterValue" in json.dumps(each.get("prov:type"))
    }
    assert kinds == {
        "real": "xsd:double",
        "whole": "xsd:integer",
        "yes": "xsd:boolean",
        "text": "text",
        "list": "rdf:JSON",
    }
    rows = (bench.folder / "prov/digits_0/metrics_GR0/nan_training_None_GR0.csv").read_text().split("\n")
    assert [row.split(",")[:2] for row in rows[1:3]] == [["0", "NaN"], ["-5", "INF"]]
    assert "[[1,2],[3,4]]" in json.dumps(document["entity"]).replace("\\", "")


def test_bad_input_is_no_exception_and_costs_nothing_else(bench: Bench) -> None:
    code = """
start()
prov4ml.log_artifact("absent.txt", T)
prov4ml.log_artifact("name", "absent.txt")
prov4ml.log_model(3, "no model")
prov4ml.log_model("locked", threading.Lock())
prov4ml.log_metric("loss", object(), T, step="x")
prov4ml.log_metric("loss", 0.5, ["no", "hash"], step=1)
prov4ml.log_flops_per_epoch("flops", None, 3, T)
prov4ml.register_final_metric("bad", 0, lambda x, y: 1 / 0)
prov4ml.log_metric("bad", 1.0, T)
prov4ml.log_metric("good", 1.0, T)
prov4ml.log_metrics(None)
prov4ml.start_run()
prov4ml.end_run(create_svg=True)
"""
    _, err = bench.run(code)
    assert "Traceback" not in err
    assert "the model locked is described, but could not be saved" in err
    document = bench.document()
    assert count(document, "good") == count(document, "bad") == 1
    assert (bench.folder / "prov/digits_0/prov_digits_GR0_0.svg").exists()


def test_no_file_of_the_user_is_touched(bench: Bench) -> None:
    (bench.folder / "requirements.txt").write_text("mine==1\n")
    (bench.folder / "model.pt").write_text("weights")
    before = {each: each.stat().st_mtime_ns for each in bench.folder.iterdir()}
    code = """
class Model:
    def state_dict(self): return {"w": [1]}
start()
prov4ml.log_model("model", Model())
prov4ml.save_model_version("model", Model(), T)
prov4ml.log_artifact("weights", "model.pt")
prov4ml.log_artifact("weights", os.path.abspath("model.pt"))
open("model.pt", "w").write("others")
prov4ml.log_artifact("weights", "model.pt", log_copy_subdirectory="../../..")
prov4ml.end_run(crate_ro_crate=True)
open("model.pt", "w").write("weights")
"""
    bench.run(code)
    assert (bench.folder / "requirements.txt").stat().st_mtime_ns == before[bench.folder / "requirements.txt"]
    assert sorted(each.name for each in bench.folder.iterdir()) == [
        "model.pt",
        "prov",
        "requirements.txt",
        "script0.py",
    ]
    artifacts = bench.folder / "prov/digits_0/artifacts_GR0"
    assert {str(each.relative_to(artifacts)) for each in artifacts.rglob("*") if each.is_file()} == {
        "model.pt", "model/model.pkl", "model/model_0.pkl", "%2E%2E/%2E%2E/%2E%2E/model.pt",
    }  # fmt: skip
    assert (artifacts / "model.pt").read_text() == "weights"


def test_saving_while_the_run_is_open_costs_a_bounded_share(bench: Bench) -> None:
    """However often files are due, between two times there is a pause that grows with what the last time took."""
    code = """
import pllib.prov4ml.saving as saving
saving.LEAST_SECONDS = 0.01
took = []
def save():
    began = time.monotonic(); time.sleep(0.02); took.append((began, time.monotonic()))
saver = saving.Saver(save)
until = time.monotonic() + 2
while time.monotonic() < until:
    saver.due(); time.sleep(0.001)
saver.stop()
pauses = [after[0] - before[1] for before, after in zip(took, took[1:])]
print(len(took) > 1 and all(pause >= saving.SHARE * 0.02 for pause in pauses))
"""
    assert bench.run(code)[0].strip() == "True"


def test_the_import_is_light(bench: Bench) -> None:
    code = """
loaded = {name.partition(".")[0] for name in sys.modules}
print(sorted(loaded & {"numpy", "torch", "sklearn", "codecarbon", "psutil", "prov", "sqlite3", "subprocess"}))
print("pllib.documents" in sys.modules, "pllib.prov.forms" in sys.modules, "pllib.telemetry" in sys.modules)
"""
    assert bench.run(code)[0].split("\n")[:2] == ["[]", "False False False"]
