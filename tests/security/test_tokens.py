"""With a token configured every route but the health check wants it; none listens beyond loopback without one."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from edge.errors import SettingsError
from edge.exposure import exposure, make_token, read_token
from query_engine import app as query_engine
from query_engine.settings import Settings as QuerySettings
from tracker import app as tracker
from tracker.settings import Settings as TrackerSettings
from tracker.settings import from_arguments

CHECKOUT = Path(__file__).resolve().parents[2]
TOKEN = "0123456789abcdef-right"


def applications(folder: Path) -> list[FastAPI]:
    return [
        tracker.create_app(TrackerSettings(data=folder, token=TOKEN)),
        query_engine.create_app(QuerySettings(token=TOKEN)),
    ]


def requests(app: FastAPI) -> list[tuple[str, str]]:
    """A method and a path for each route."""
    told = app.openapi()["paths"].items()
    found = [(method, path) for path, methods in told for method in methods if path != "/health"]
    return [(method.upper(), re.sub(r"\{[^}]*\}", "x", path)) for method, path in found]


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_every_route_wants_the_token(tmp_path: Path, anyio_backend: str) -> None:
    for app in applications(tmp_path):
        asked = [*requests(app), ("GET", "/docs"), ("GET", "/openapi.json"), ("GET", "/metrics"), ("GET", "/no/such")]
        assert len(asked) > 20
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            for method, path in asked:
                for sent in (None, f"Bearer {TOKEN}x", f"Basic {TOKEN}", TOKEN, "Bearer", "Bearer \xe9"):
                    headers = {} if sent is None else {"Authorization": sent.encode("latin-1")}
                    answer = await client.request(method, path, headers=headers)
                    assert answer.status_code == 401, (method, path, sent)
                    assert answer.json()["error"]["code"] == "unauthorized"
                    assert answer.headers["www-authenticate"] == "Bearer"
            let_in = await client.get("/openapi.json", headers={"Authorization": f"bearer {TOKEN}"})
            assert let_in.status_code == 200


def test_a_token_file_is_made_for_its_owner_alone_and_stays(tmp_path: Path) -> None:
    file = tmp_path / "token"
    make_token(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    first = read_token(str(file))
    make_token(file)
    assert read_token(str(file)) == first
    assert len(first) >= 32


@pytest.mark.parametrize(
    "text", ["", "short\n", "two words that are long enough", "long enough\nbut two lines", "é" * 20]
)
def test_what_is_no_token_is_refused_and_not_repeated(tmp_path: Path, text: str) -> None:
    file = tmp_path / "token"
    file.write_text(text)
    with pytest.raises(SettingsError, match="--token-file") as refused:
        read_token(str(file))
    assert not text.strip() or text.strip() not in str(refused.value)


def test_beyond_loopback_only_with_a_token_or_when_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    assert exposure("node7", insecure=False, token="") is not None
    found = from_arguments(["--host", "node7", "--token-file", str(file)], {})
    assert (found.host, found.token) == ("node7", TOKEN)
    assert TOKEN not in repr(found)
    with pytest.raises(SettingsError, match="--token-file FILE"):
        from_arguments(["--host", "node7"], {})


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["tracker", "--host", "10.1.2.3"], "--token-file FILE"),
        (["query_engine", "--host", "10.1.2.3"], "--token-file FILE"),
        (["query_engine", "--token-file", "/no/such"], "--token-file /no/such cannot be read"),
        (["deploy", "up", "--host", "10.1.2.3"], "--token-file FILE"),
        (["deploy", "up", "--host", "0.0.0.0", "--token-file", "token"], "no address that others can be told"),  # noqa: S104
        (["deploy", "up", "--host", "no.such.host.invalid", "--token-file", "token"], "--host"),
    ],
)
def test_services_and_launcher_say_what_to_give(tmp_path: Path, words: list[str], told: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PLLIB_")}
    environment |= {"PYTHONPATH": str(CHECKOUT), "PLLIB_TRACKER_DATA": str(tmp_path)}
    command = [sys.executable, "-m", *words, *(["--data", str(tmp_path / "data")] if words[0] == "deploy" else [])]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert told in done.stderr
