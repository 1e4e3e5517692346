"""Provenance of what happened before anything was captured: of git repositories and of MLflow tracking stores of any version since 2.

::

    from pllib import extraction, prov

    found = extraction.document("code", "sqlite:///mlflow.db")
    prov.write(found, "project.json")

The commands are ``pllib extract``, ``load``, ``save``, ``merge``, ``transform`` and ``statistics`` (docs/reference/extraction.md).
Standard library only; YAML (file stores, configurations) needs PyYAML, other databases and artifact stores the ``mlflow`` package.
"""

from __future__ import annotations

import os
from typing import Optional, Union

from ..prov.model import Document
from .commands import extracted
from .errors import ExtractionError

__all__ = ["ExtractionError", "document"]

Place = Union[str, "os.PathLike[str]"]


def document(
    repository: Optional[Place] = None, mlflow_url: Optional[str] = None, ids: str = "pllib", base: Optional[str] = None
) -> Document:
    """What a git repository and a tracking store say, as a PROV document; either may be left out.

    Args:
        repository: folder of a repository.
        mlflow_url: ``http(s)://…``, ``sqlite:///FILE``, or the folder ``mlruns``.
        ids: ``pllib`` for identifiers of our own, which join what was captured live; ``mlflow2prov`` for that tool's identifiers and model.
        base: what our own identifiers begin with; without it ``PLLIB_BASE``, or the query engine's usual address.

    Raises:
        ExtractionError: one of them cannot be read.
    """
    given = {
        "repository_path": None if repository is None else os.fspath(repository),
        "mlflow_url": mlflow_url,
        "base": base,
    }
    return extracted({"ids": ids, **{name: value for name, value in given.items() if value is not None}})
