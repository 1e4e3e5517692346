"""Fuseki as its image runs it, run without a container: the same arguments, settings and users."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from deploy.containers import fuseki_settings
from edge.stores import address
from tests.conftest import require_fuseki
from tests.provenance.fuseki import PATIENCE, QUICK_START

CREDENTIALS = "basic pllib:of:the-store"


@pytest.fixture
def url(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[str]:
    """The address of the dataset of a running server."""
    program, port = require_fuseki(), free_port()
    database = tmp_path / "database"
    (database / "tdb2").mkdir(parents=True)
    for name, text in fuseki_settings.files().items():
        text = text.replace(str(fuseki_settings.HOME / fuseki_settings.JAR), program.jar)
        text = text.replace(f"{fuseki_settings.HOME}/", f"{tmp_path}/").replace('"/data/', f'"{database}/')
        (tmp_path / name).write_text(text.replace(f"\n{fuseki_settings.PORT}\n", f"\n{port}\n"))
    (tmp_path / "users").write_text("pllib: of:the-store\n")
    words = [program.java, *QUICK_START, f"@{tmp_path / 'arguments'}", "--auth=basic", f"--passwd={tmp_path / 'users'}"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([*words, "--localhost"], stdout=log, stderr=log)
    until = time.monotonic() + PATIENCE
    while not listens(port):
        assert process.poll() is None, (tmp_path / "log").read_text()
        assert time.monotonic() < until, "the store does not start"
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}/pllib"
    process.terminate()
    assert process.wait(PATIENCE) == 143, "it ends in order"


def listens(port: int) -> bool:
    try:
        httpx.get(f"http://127.0.0.1:{port}/", trust_env=False)
    except httpx.TransportError:
        return False
    return True


def test_only_those_with_the_password_read_and_write(url: str) -> None:
    store = address(url, "fuseki", credentials=CREDENTIALS)
    triples = {"content": b"<urn:a> <urn:b> <urn:c> .\n"}
    types = {"Content-Type": "application/n-triples"}
    wrong = address(url, "fuseki", credentials="basic pllib:another").headers
    for who in ({}, wrong):
        assert httpx.post(store.graph_url, headers={**types, **who}, trust_env=False, **triples).status_code == 401
        assert httpx.get(store.query_url, params={"query": "ASK {}"}, headers=who, trust_env=False).status_code == 401
        for other in ("/", "/$/ping", "/$/compact/pllib", "/pllib"):
            root = url.removesuffix("/pllib")
            assert httpx.post(root + other, headers=who, trust_env=False).status_code == 401, other
        update = {"update": "INSERT DATA { <urn:x> <urn:y> <urn:z> }"}
        assert httpx.post(store.update_url, data=update, headers=who, trust_env=False).status_code == 401
    sent = httpx.post(store.graph_url, headers={**types, **store.headers}, trust_env=False, **triples)
    assert sent.is_success
    asked = {"query": "ASK { <urn:a> <urn:b> <urn:c> FILTER NOT EXISTS { <urn:x> ?p ?o } }"}
    answer = httpx.get(store.query_url, params=asked, headers=store.headers, trust_env=False)
    assert answer.json()["boolean"] is True
