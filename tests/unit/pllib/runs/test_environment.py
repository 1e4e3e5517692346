"""The environment: what is in it, what is not, and that looking does nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from importlib.metadata import version
from pathlib import Path

import pytest

from pllib.runs import environment

CHECKOUT = Path(__file__).parents[4]


pytestmark = pytest.mark.usefixtures("nothing_goes_wrong")


def test_it_names_python_packages_modules_and_platform(records):
    found = json.loads(json.dumps(environment.environment()))
    assert found["python"]["version"] == ".".join(map(str, sys.version_info[:3]))
    assert found["packages"]["pytest"] == version("pytest")
    assert found["modules"]["pytest"] == version("pytest")
    assert found["platform"]["host"] == os.uname().nodename
    assert found["folder"] == os.getcwd()


def test_secrets_of_the_command_and_the_environment_are_not_in_it(records, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["train.py", "--token", "abc-123", "--lr", "1"])
    monkeypatch.setenv("SOME_SECRET", "abc-123")
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    found = environment.environment()
    assert found["command"] == ["train.py", "--token", "***", "--lr", "1"]
    assert found["variables"]["OMP_NUM_THREADS"] == "4"
    assert "abc-123" not in json.dumps(found)


def test_the_producer_says_no_secrets_either(monkeypatch):
    from pllib.producer import producer_facts

    monkeypatch.setattr(sys, "argv", ["train.py", "--password=abc-123"])
    assert producer_facts()["command"] == "train.py --password=***"


def test_modules_are_not_made_to_do_something(monkeypatch):
    class Lazy(types.ModuleType):
        def __getattr__(self, name):
            raise AssertionError("asking for an attribute may import something")

    monkeypatch.setitem(sys.modules, "lazy_module_of_this_test", Lazy("lazy_module_of_this_test"))
    monkeypatch.setitem(sys.modules, "none_module_of_this_test", None)
    assert "lazy_module_of_this_test" not in environment.modules()


def test_cuda_by_the_drivers_files(tmp_path, monkeypatch):
    (tmp_path / "gpus" / "0000:01:00.0").mkdir(parents=True)
    (tmp_path / "version").write_text("NVRM version: NVIDIA UNIX 570.1\nGCC version: 12\n")
    told = "Model: \t\t NVIDIA A100\nIRQ:   42\nGPU UUID: \t GPU-1\n"
    (tmp_path / "gpus" / "0000:01:00.0" / "information").write_text(told)
    monkeypatch.setattr(environment, "DRIVER", str(tmp_path))
    torch = types.SimpleNamespace(version=types.SimpleNamespace(cuda="12.8", hip=None))
    monkeypatch.setitem(sys.modules, "torch", torch)
    assert environment.cuda() == {
        "driver": "NVRM version: NVIDIA UNIX 570.1",
        "gpus": [{"Model": "NVIDIA A100", "GPU UUID": "GPU-1"}],
        "torch_cuda": "12.8",
    }


def test_where_there_is_no_driver_nothing_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "DRIVER", str(tmp_path / "none"))
    assert environment.cuda() == {}


def test_a_folder_that_was_removed_is_no_reason_to_fail(tmp_path):
    code = f"""
import os, shutil
os.mkdir({str(tmp_path / "gone")!r}); os.chdir({str(tmp_path / "gone")!r}); os.rmdir({str(tmp_path / "gone")!r})
import pllib
pllib.configure(mode="disk", spool={str(tmp_path / "spool")!r})
with pllib.run("x") as run:
    run.log_metric("loss", 1)
assert not pllib.stats()["errors"], pllib.stats()
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
