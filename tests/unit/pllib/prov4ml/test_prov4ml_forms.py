"""Which argument is which in the calls of three generations."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from pllib.errors import CaptureError
from pllib.prov4ml import Context, said, signatures

MODEL, LOADER = object(), [1, 2, 3]


class Theirs(Enum):
    TRAINING = "TRAINING"


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(said, "_said", set())


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.pt").write_text("weights")
    return "model.pt"


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        # 3.x
        (("exp", "www.example.org", "prov", True, 10, 2, "nc", ";", None, 7),
         {"experiment_name": "exp", "prov_user_namespace": "www.example.org", "provenance_save_dir": "prov", "collect_all_processes": True,
          "save_after_n_logs": 10, "rank": 2, "metrics_file_type": "nc", "csv_separator": ";", "use_compressor": None, "use_run_id": 7}),
        # 2.x: the seventh is disable_codecarbon
        (("exp", "www.example.org", "prov", True, 10, 2, True, "csv"),
         {"experiment_name": "exp", "prov_user_namespace": "www.example.org", "provenance_save_dir": "prov", "collect_all_processes": True,
          "save_after_n_logs": 10, "rank": 2, "disable_codecarbon": True, "metrics_file_type": "csv"}),
        # 1.x: the namespace first
        (("www.example.org", "exp", "prov", True, 10, 2, True),
         {"prov_user_namespace": "www.example.org", "experiment_name": "exp", "provenance_save_dir": "prov", "collect_all_processes": True,
          "save_after_n_logs": 10, "rank": 2, "disable_codecarbon": True}),
        # the first, over MLflow
        (("www.example.org", "exp", "prov", "mlruns", True, {"a": 1}, "words", True),
         {"prov_user_namespace": "www.example.org", "experiment_name": "exp", "provenance_save_dir": "prov", "mlflow_save_dir": "mlruns",
          "nested": True, "tags": {"a": 1}, "description": "words", "log_system_metrics": True}),
        (("https://example.org/lab#", "exp"), {"prov_user_namespace": "https://example.org/lab#", "experiment_name": "exp"}),
        (("exp", None, "prov"), {"experiment_name": "exp", "prov_user_namespace": None, "provenance_save_dir": "prov"}),
        (("www.example.org",), {"experiment_name": "www.example.org"}),
    ],
)  # fmt: skip
def test_start_run_in_the_order_of_every_generation(
    args: tuple[Any, ...], expected: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert signatures.START_RUN.bound(args, {}) == expected
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("args", [("first", "second"), ("example.org", "www.example.org")])
def test_an_order_that_cannot_be_told_is_the_newest_and_said_once(
    args: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(3):
        found = signatures.START_RUN.bound(args, {})
        assert found == {"experiment_name": args[0], "prov_user_namespace": args[1]}
    told = capsys.readouterr().err
    assert told.count("Name the arguments to be sure") == 1
    assert f"taken as experiment_name='{args[0]}', prov_user_namespace='{args[1]}'" in told


def test_named_arguments_are_never_ambiguous(capsys: pytest.CaptureFixture[str]) -> None:
    named = {"prov_user_namespace": "a", "experiment_name": "b", "provenance_save_dir": "c", "save_after_n_logs": 5}
    assert signatures.START_RUN.bound((), named) == named
    assert signatures.START_RUN.bound(("a",), {"experiment_name": "b"}) == {
        "prov_user_namespace": "a",
        "experiment_name": "b",
    }
    assert signatures.LOG_MODEL.bound((), {"model": MODEL, "model_name": "m"}) == {"model": MODEL, "model_name": "m"}
    assert capsys.readouterr().err == ""


def test_arguments_of_no_generation_are_said_and_too_many_are_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert signatures.START_RUN.bound(("exp",), {"colour": "red"}) == {"experiment_name": "exp"}
    assert "start_run() knows no argument colour; passed over" in capsys.readouterr().err
    with pytest.raises(CaptureError, match=r"start_run\(\) needs experiment_name"):
        signatures.START_RUN.bound((), {})
    with pytest.raises(CaptureError, match="30 given by order"):
        signatures.START_RUN.bound(("x",) * 30, {})


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (("m", MODEL, Context.TRAINING, "src", True, True, False, True),
         {"model_name": "m", "model": MODEL, "context": Context.TRAINING, "source": "src", "log_model_info": True,
          "log_model_layers": True, "log_copy_in_prov_directory": False, "is_input": True}),
        (("m", MODEL, "Training", False, True),
         {"model_name": "m", "model": MODEL, "context": "Training", "log_model_info": False, "log_model_layers": True}),
        (("m", MODEL, False, True, True),
         {"model_name": "m", "model": MODEL, "log_model_info": False, "log_model_layers": True, "is_input": True}),
        ((MODEL, "m", True, False), {"model": MODEL, "model_name": "m", "log_model_info": True, "log_as_artifact": False}),
        ((MODEL,), {"model": MODEL}),
        (("m", "model.pt"), {"model_name": "m", "model": "model.pt"}),
        (("model.pt", "m"), {"model": "model.pt", "model_name": "m"}),
    ],
)  # fmt: skip
def test_log_model_in_every_order(
    args: tuple[Any, ...], expected: dict[str, Any], file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert signatures.LOG_MODEL.bound(args, {}) == expected
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ((MODEL, "m", Theirs.TRAINING, 3, 1700000000000),
         {"model": MODEL, "model_name": "m", "context": Theirs.TRAINING, "step": 3, "timestamp": 1700000000000}),
        (("m", MODEL, "Training", 3), {"model_name": "m", "model": MODEL, "context": "Training", "step": 3}),
        (("m", MODEL, "Training", "torch", 3, False, True, False),
         {"model_name": "m", "model": MODEL, "context": "Training", "source": "torch", "step": 3, "incremental": False, "is_input": True,
          "log_copy_in_prov_directory": False}),
        (("m", MODEL, Context.TRAINING, 3, True, False),
         {"model_name": "m", "model": MODEL, "context": Context.TRAINING, "step": 3, "incremental": True, "is_input": False}),
    ],
)  # fmt: skip
def test_save_model_version_in_every_order(
    args: tuple[Any, ...], expected: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert signatures.SAVE_MODEL_VERSION.bound(args, {}) == expected
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (("model.pt",), {"artifact_path": "model.pt"}),
        (("model.pt", Context.TRAINING, 2), {"artifact_path": "model.pt", "context": Context.TRAINING, "step": 2}),
        (("model.pt", "training"), {"artifact_path": "model.pt", "context": "training"}),
        (("weights", "model.pt", "Training", "src", 2, False, "sub", True, True),
         {"artifact_name": "weights", "artifact_path": "model.pt", "context": "Training", "source": "src", "step": 2,
          "log_copy_in_prov_directory": False, "log_copy_subdirectory": "sub", "is_model": True, "is_input": True}),
        (("weights", "model.pt", Context.MODELS, 2, True, True),
         {"artifact_name": "weights", "artifact_path": "model.pt", "context": Context.MODELS, "step": 2,
          "log_copy_in_prov_directory": True, "is_model": True}),
    ],
)  # fmt: skip
def test_log_artifact_in_every_order(
    args: tuple[Any, ...], expected: dict[str, Any], file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert signatures.LOG_ARTIFACT.bound(args, {}) == expected
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ((LOADER, "train"), {"dataset": LOADER, "label": "train"}),
        (("train", LOADER), {"dataset_label": "train", "dataset": LOADER}),
        (("train", LOADER, "Training", "src", False),
         {"dataset_label": "train", "dataset": LOADER, "context": "Training", "source": "src", "log_dataset_info": False}),
        (("train", LOADER, False), {"dataset_label": "train", "dataset": LOADER, "log_dataset_info": False}),
        (("model.pt", "train"), {"dataset": "model.pt", "label": "train"}),
        (("train", "model.pt"), {"dataset_label": "train", "dataset": "model.pt"}),
    ],
)  # fmt: skip
def test_log_dataset_in_every_order(
    args: tuple[Any, ...], expected: dict[str, Any], file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert signatures.LOG_DATASET.bound(args, {}) == expected
    assert capsys.readouterr().err == ""


def test_start_run_ctx_takes_what_both_ends_take() -> None:
    found = signatures.START_RUN_CTX.bound(("www.example.org", "exp", "prov", False, 100, None, True, True), {})
    assert found["create_graph"] is found["create_svg"] is True
    found = signatures.START_RUN_CTX.bound(("exp",), {"create_svg": True, "crate_ro_crate": True})
    assert found == {"experiment_name": "exp", "create_svg": True, "crate_ro_crate": True}
