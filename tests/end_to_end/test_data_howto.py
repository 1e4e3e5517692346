"""docs/how-to/query-the-data-itself.md does what it says: its files, its script, its question, its answer."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.conftest import Services
from tests.integration.query_graph import process

pytest.importorskip("duckdb")

CHECKOUT = Path(__file__).resolve().parents[2]
PAGE = (CHECKOUT / "docs" / "how-to" / "query-the-data-itself.md").read_text(encoding="utf-8")


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def test_the_page_is_true(services: Services, free_port: Callable[[], int], tmp_path: Path) -> None:
    (tmp_path / "stores.toml").write_text(_blocks("toml")[0])
    survey, from_python = _blocks("python")
    (tmp_path / "survey.py").write_text(survey)
    environment = {**os.environ, "PLLIB_URL": services.tracker_url, "PYTHONPATH": str(CHECKOUT)}
    subprocess.run([sys.executable, "survey.py"], cwd=tmp_path, env=environment, timeout=120, check=True)
    url = f"http://127.0.0.1:{free_port()}"
    command = [
        sys.executable,
        "-m",
        "query_engine",
        "--port",
        url.rpartition(":")[2],
        "--store-url",
        services.store_url,
    ]
    with process([*command, "--stores", str(tmp_path / "stores.toml")], f"{url}/health"):
        question = json.loads(_blocks("json")[0])
        until = time.monotonic() + 60
        while True:
            answer = httpx.post(f"{url}/v1/poly", json=question, headers={"Accept": "text/csv"}, timeout=60)
            if answer.headers.get("X-PLLib-References") == "read=4, stale=0" or time.monotonic() > until:
                break
            time.sleep(0.2)  # what was captured is on its way
        assert answer.text == _blocks("csv")[0]
        script = from_python.replace("http://127.0.0.1:8472", url)
        done = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60, check=True
        )
        assert re.fullmatch(r"\[\{'most': 0\.\d+\}\] \[\]\n", done.stdout)
        with (tmp_path / "wells" / "B-1.csv").open("a", newline="") as log:
            log.write("1100,0.2\r\n")
        told = httpx.post(f"{url}/v1/poly", json=question, timeout=60).json()
        assert [name.rpartition("/")[0].rpartition("/")[2] for name in told["stale"]] == ["B-1.csv"]
