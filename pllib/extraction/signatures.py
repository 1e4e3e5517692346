"""What MLflow writes about a model: flavors and signature, in the text of an ``MLmodel`` file or in a tag of the run (MLflow 2)."""

from __future__ import annotations

import json
from typing import Any, Dict, Mapping, Optional

from .errors import ExtractionError
from .tracking import HISTORY, Run
from .yaml_text import loads

Facts = Dict[str, Any]


def described(text: Optional[str]) -> Facts:
    """Flavors, signature and version of MLflow in an ``MLmodel``; nothing where it cannot be read."""
    if not text:
        return {}
    try:
        found = loads(text, "MLmodel")
    except ExtractionError:
        return {}
    return _facts(found) if isinstance(found, dict) else {}


def logged_before(run: Run) -> Dict[str, Facts]:
    """The models that MLflow 2 logged as artifacts of a run: by path in its artifacts what they are like."""
    try:
        found = json.loads(run.tags.get(HISTORY, "[]"))
    except ValueError:
        return {}
    models = [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
    return {str(each["artifact_path"]): _facts(each) for each in models if each.get("artifact_path")}


def _facts(found: Mapping[str, Any]) -> Facts:
    facts: Facts = {}
    flavors = found.get("flavors")
    if isinstance(flavors, dict):
        facts["flavors"] = sorted(str(name) for name in flavors if name != "python_function") or ["python_function"]
    signature = found.get("signature")
    if isinstance(signature, dict):
        facts["signature"] = {str(name): _parsed(given) for name, given in signature.items() if given is not None}
    for name in ("mlflow_version", "model_uuid"):
        if isinstance(found.get(name), str):
            facts[name] = found[name]
    return facts


def _parsed(given: Any) -> Any:
    """A signature's side; it is JSON in a text."""
    try:
        return json.loads(given) if isinstance(given, str) else given
    except ValueError:
        return given
