"""Jobs for a worker, as the service makes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Optional, Union

from query_engine.poly.worker import answered, prepared

Job = dict[str, Any]


def reference(store: str, key: str, version: Optional[str] = None, form: Optional[str] = None) -> dict[str, Any]:
    """One reference to data; its name is ``store:key``."""
    return {"reference": f"{store}:{key}", "store": store, "key": key, "version": version, "format": form}


def job(
    sql: str, stores: dict[str, dict[str, Any]], data: Optional[dict[str, list[dict[str, Any]]]] = None, **more: Any
) -> Job:
    """A job whose provenance rows have a row a reference: ``file``, and ``n`` from 1."""
    tables = data or {}
    cells = [each["reference"] for members in tables.values() for each in members]
    return {
        "provenance": {
            "names": ["file", "n"],
            "types": ["VARCHAR", "BIGINT"],
            "columns": [cells, [str(number) for number in range(1, len(cells) + 1)]],
        },
        "data": [{"name": name, "references": members} for name, members in tables.items()],
        "stores": stores,
        "sql": sql,
        "form": "json",
        "rows": 1000,
        "bytes": 1_000_000,
        "seconds": 20,
        "memory_mb": 256,
        **more,
    }


def files(root: Path, *folders: str) -> dict[str, Any]:
    """A store of files."""
    return {"kind": "files", "root": str(root), "folders": list(folders)}


def ask(question: Job) -> tuple[dict[str, Any], Union[list[dict[str, Any]], str]]:
    """Head and rows of the answer, found in this process."""
    head, rows = answered(prepared(question), question, lambda: None)
    if "error" in head:
        return head, []
    return head, json.loads(rows) if question["form"] == "json" else rows.decode()


def reports(head: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What became of each reference, by its name."""
    return {each["reference"]: each for each in head["references"]}
