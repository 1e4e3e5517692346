"""Tags in MLflow that lead from its pages to the lineage here; set only when ``PLLIB_MLFLOW_LINK`` names a query engine."""

from __future__ import annotations

import os
import sys
from typing import Any
from urllib.parse import quote

from ..facts import quoted
from . import naming

VARIABLE = "PLLIB_MLFLOW_LINK"


def address(of: str) -> str:
    """The page with the lineage of something, empty when there is no query engine to link to."""
    base = os.environ.get(VARIABLE, "").strip().rstrip("/")
    return f"{base}/v1/lineage?of={quote(of, safe='')}&format=svg" if base else ""


def tag_run(store: Any, run: Any) -> None:
    """Tags a run with its lineage's address."""
    found = address(f"execution/{run.wf}")
    if found:
        store.set_tag(run.run_id, sys.modules["mlflow.entities"].RunTag(naming.LINK_TAG, found))


def tag_version(registry: Any, store: str, name: str, version: str) -> None:
    """Tags a version of a registered model with its lineage's address."""
    found = address("/".join(("data", quoted(store), quoted(name), quoted(version))))
    if found:
        entities = sys.modules["mlflow.entities.model_registry"]
        registry.set_model_version_tag(name, version, entities.ModelVersionTag(naming.LINK_TAG, found))
