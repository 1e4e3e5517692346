"""What a run says of its surroundings: the code that runs, and the environment it runs in. Looked for in the background."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any, Dict, Optional, Tuple

from .. import this_process
from .._boundary import shielded
from ..activities import Activity
from ..errors import CaptureError
from ..provml.repositories import code_store
from ..references import Data
from . import background, checksums
from .logged import record

IMPLEMENTATION = "implementation"
SAMPLED = 5.0
"""Seconds between samples of telemetry, where nobody says how many."""


def put(activity: Activity, *, code: bool, environment: bool) -> None:
    """Has the state of the code and the environment recorded as used by an activity."""
    try:
        folder = os.getcwd()
    except OSError:  # it was removed
        folder = os.sep
    if code:
        background.jobs.put(lambda jobs: _put_code(activity, folder))
    if environment:
        background.jobs.put(lambda jobs: record(activity, used=environment_used()))


def environment_used() -> Dict[str, Any]:
    """The environment of this process, as a used value. Takes long."""
    with this_process.importing():
        from .environment import environment

    return {"environment": environment()}


def _put_code(activity: Activity, folder: str) -> None:
    used, unknown = code_used(folder)
    record(activity, used=used, meta={"code": f"unknown: {unknown}"} if unknown else None)


def code_used(folder: str) -> Tuple[Dict[str, Data], Optional[str]]:
    """The state of the code that runs, as used data, or why there is nothing to say. Takes long.

    Args:
        folder: where to look when the process was started with no script.
    """
    with this_process.importing():
        import subprocess  # noqa: F401
        import tempfile  # noqa: F401

        from . import source_code

    script = source_code.entry_script()
    try:
        state = source_code.code_state(script, folder)
    except source_code.Unknown as error:
        return ({}, str(error)) if script is None else ({"script": _lone_script(script, str(error))}, None)
    store, version = code_store(state.repository), state.version
    facts = {"commit": state.commit, **state.facts}
    used = {"code": Data(".", store, IMPLEMENTATION, facts, version)}
    if script is not None and state.script is None:
        used["script"] = _lone_script(script, "the script is outside the repository")
    elif script is not None and state.script is not None:
        sums = _sums(script)
        if state.facts.get("script_untracked"):  # it is of no commit
            version = f"sha256-{sums.get('sha256')}"
        used["script"] = Data(state.script, store, IMPLEMENTATION, sums, version, sums.get("size"))
    return used, None


def _lone_script(script: str, reason: str) -> Data:
    """With no repository: the script as a file, and why there is no more."""
    return Data(script, None, IMPLEMENTATION, {**_sums(script), "repository": f"none: {reason}"}, None)


def _sums(path: str) -> Dict[str, Any]:
    try:
        return checksums.of_file(path, checksums.opened(path), lambda: True)
    except OSError as error:
        return {"not_read": error.strerror or str(error)}


def interval(telemetry: Any) -> Any:
    """Seconds between samples of telemetry; of yes and no what they must mean, which as numbers they do not."""
    if type(telemetry) is not bool:
        return telemetry
    return SAMPLED if telemetry else None


@shielded(lambda: None)
def flop_counter() -> Any:
    """PyTorch's counter of floating-point operations, as a context manager.

    Raises:
        CaptureError: PyTorch is not loaded, or too old to have one.
    """
    if "torch" not in sys.modules:
        raise CaptureError(
            "only PyTorch counts operations, and it is not loaded; where you know the number give it to log_flops()"
        )
    try:
        return importlib.import_module("torch.utils.flop_counter").FlopCounterMode(display=False)
    except (ImportError, AttributeError) as error:
        raise CaptureError("this PyTorch cannot count operations; give the number to log_flops()") from error
