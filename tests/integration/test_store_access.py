"""A Fuseki that answers by https with a certificate of an authority of one's own, and lets in one user with a password."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import require_fuseki
from tests.integration.test_fuseki_stack import CHECKOUT, answers, deploy
from tests.integration.test_manager_process import Manager, wait_until
from tests.provenance import certificates, tracked
from tests.provenance.fuseki import FusekiServer

PASSWORD = "pa:ss wörd"
KEY_PASSWORD = "not-told"


class GuardedFuseki(FusekiServer):
    """Its own Jetty ends TLS and asks for user and password."""

    def __init__(self, folder: Path, ports: tuple[int, int]) -> None:
        self.ca, keystore = certificates.make(folder.parent, KEY_PASSWORD)
        details = folder.parent / "https.json"
        details.write_text(json.dumps({"keystore": str(keystore), "passwd": KEY_PASSWORD}))
        https = ("--https", str(details), "--httpsPort", str(ports[1]))
        super().__init__(require_fuseki(), folder, ports[0], password=PASSWORD, options=https)
        self.store = replace(self.store, url=f"https://127.0.0.1:{ports[1]}/pllib", ca=str(self.ca))
        self.url = self.store.url


@pytest.fixture
def guarded(free_port: Callable[[], int], tmp_path: Path) -> Iterator[GuardedFuseki]:
    server = GuardedFuseki(tmp_path / "fuseki", (free_port(), free_port()))
    try:
        server.start()
        yield server
    finally:
        server.end()


def test_an_https_store_with_a_password_is_used_by_all_and_only_with_both(
    guarded: GuardedFuseki, make_store: Any, free_port: Callable[[], int], tmp_path: Path, monkeypatch: Any
) -> None:
    secret = tmp_path / "secret"
    secret.write_text(f"basic pllib:{PASSWORD}", encoding="utf-8")

    def why(name: str) -> str:
        manager = Manager(free_port(), guarded.url, tmp_path / f"{name}.log", "fuseki")
        manager.start()
        health = manager.client.get("/health")
        manager.end()
        assert health.status_code == 503
        return str(health.json()["reason"])

    monkeypatch.setenv("PLLIB_STORE_CREDENTIALS_FILE", str(secret))
    assert "CERTIFICATE_VERIFY_FAILED" in why("untrusting")
    monkeypatch.setenv("PLLIB_STORE_CA", str(guarded.ca))
    monkeypatch.delenv("PLLIB_STORE_CREDENTIALS_FILE")
    assert "401" in why("stranger")
    monkeypatch.setenv("PLLIB_STORE_CREDENTIALS_FILE", str(secret))
    manager = Manager(free_port(), guarded.url, tmp_path / "manager.log", "fuseki")
    manager.start()
    wait_until(manager.usable, "it is let in")
    body = tracked.body(tracked.document(tracked.run()))
    assert manager.client.post("/v1/prov-ml", content=body).status_code == 200
    manager.end()
    url = f"http://127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "query_engine", "--port", url.rpartition(":")[2]]
    engine = subprocess.Popen([*command, "--store-url", guarded.url, "--store-kind", "fuseki"], cwd=CHECKOUT)
    try:
        wait_until(lambda: answers(f"{url}/health"), "the query engine is let in")
        assert httpx.get(f"{url}/v1/workflows", trust_env=False).json()["items"]
    finally:
        engine.terminate()
        engine.wait(60)
    compacted = deploy(
        *("compact", "--store-url", guarded.url, "--store-kind", "fuseki"),
        PLLIB_STORE_CA=str(guarded.ca),
        PLLIB_STORE_CREDENTIALS_FILE=str(secret),
    )
    assert compacted.returncode == 0, compacted.stderr
    other = make_store("oxigraph", tmp_path / "oxigraph")
    other.start()
    try:
        words = ("--from", guarded.url, "--from-kind", "fuseki", "--to", other.url)
        refused = deploy("move-store", str(tmp_path / "move"), *words)
        assert (refused.returncode, "CERTIFICATE_VERIFY_FAILED" in refused.stderr) == (2, True)
        both = ("--from-ca", str(guarded.ca), "--from-credentials-file", str(secret))
        moved = deploy("move-store", str(tmp_path / "move"), *words, *both)
        assert (moved.returncode, "both hold the same" in moved.stdout) == (0, True), moved.stderr
    finally:
        other.end()
    said = "".join(path.read_text(errors="replace") for path in tmp_path.glob("*.log"))
    assert "pa:ss" not in said + refused.stderr + moved.stdout
