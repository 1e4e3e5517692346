"""What is sent to a tracking server, and what is made of answers that are wrong; that right ones are read, tests with real MLflow show."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pllib.extraction.errors import ExtractionError
from pllib.extraction.rest_store import RestStore

from .conftest import Run

EXPERIMENT = {
    "experiment_id": "1",
    "name": "e",
    "artifact_location": "x",
    "lifecycle_stage": "active",
    "creation_time": "5",
}
Answers = Callable[[str, Any], tuple[int, Any]]


class Server:
    """A server that answers as a test says, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None]] = []
        self.answer: Answers = lambda path, given: (200, {})
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                given = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or "null")
                outer.asked.append((self.path, self.headers.get("Authorization")))
                status, content = outer.answer(self.path, given)
                body = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    for name in ("USERNAME", "PASSWORD", "TOKEN", "SERVER_CERT_PATH"):
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    found = Server()
    thread = threading.Thread(target=found.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield found
    found.http.shutdown()
    found.http.server_close()
    thread.join(10)


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def sent(server: Server, url: str | None = None) -> str | None:
    store = RestStore(url or server.url)
    assert list(store.experiments()) == []
    store.close()
    return server.asked[-1][1]


def test_credentials(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Of the URL, of the environment, of MLflow's file; in this order."""
    assert sent(server) is None
    (tmp_path / ".mlflow").mkdir()
    (tmp_path / ".mlflow" / "credentials").write_text(
        "[mlflow]\nmlflow_tracking_username = filed\nmlflow_tracking_password = p%w\n"
    )
    assert sent(server) == basic("filed", "p%w")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "tok.en")
    assert sent(server) == "Bearer tok.en"
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ana")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "näh")
    assert sent(server) == basic("ana", "näh")
    host = server.url.partition("://")[2]
    assert sent(server, f"http://bo:p%40ss@{host}/mlflow/") == basic("bo", "p@ss")
    assert server.asked[-1][0] == "/mlflow/api/2.0/mlflow/experiments/search"
    assert RestStore(f"http://bo:p%40ss@{host}").address == server.url
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "two\nlines")
    monkeypatch.delenv("MLFLOW_TRACKING_USERNAME")
    with pytest.raises(ExtractionError, match="holds characters that no token has"):
        RestStore(server.url)


def test_pages_are_read_to_the_last(server: Server) -> None:
    def answer(path: str, given: Any) -> tuple[int, Any]:
        page = int(given.get("page_token", 0))
        found = {"experiments": [{**EXPERIMENT, "experiment_id": str(page)}]}
        return 200, {**found, "next_page_token": str(page + 1)} if page < 4 else found

    server.answer = answer
    with closing(RestStore(server.url)) as store:
        assert [each.id for each in store.experiments()] == ["0", "1", "2", "3", "4"]


def test_a_server_that_gives_the_same_page_for_ever_is_left(server: Server) -> None:
    server.answer = lambda path, given: (200, {"experiments": [EXPERIMENT], "next_page_token": "again"})
    with closing(RestStore(server.url)) as store:
        assert len(list(store.experiments())) == 2


def test_older_servers_have_no_logged_models_and_no_registry(server: Server) -> None:
    server.answer = lambda path, given: (
        (200, {"experiments": [EXPERIMENT]}) if "experiments" in path else (404, b"<html>")
    )
    with closing(RestStore(server.url)) as store:
        (experiment,) = store.experiments()
        assert list(store.logged_models(experiment)) == list(store.registered_models()) == []


def test_artifacts_that_cannot_be_listed_are_a_problem_and_no_failure(
    server: Server, chain: Run, tmp_path: Path
) -> None:
    run = {
        "info": {
            "run_id": "r",
            "experiment_id": "1",
            "status": "FINISHED",
            "start_time": 1,
            "artifact_uri": "s3://b/a",
        },
        "data": {},
    }

    def answer(path: str, given: Any) -> tuple[int, Any]:
        if "artifacts" in path:
            return 500, {"message": "no credentials"}
        return 200, {"experiments": [EXPERIMENT]} if "experiments" in path else {
            "runs": [run]
        } if "runs/search" in path else {}

    server.answer = answer
    chain("extract", "--mlflow_url", server.url, "--ids", "mlflow2prov", "save", "--output", "o")
    assert "Run?run_id=r" in (tmp_path / "o.json").read_text()


@pytest.mark.parametrize(
    ("status", "content", "told"),
    [
        (401, b"", "MLFLOW_TRACKING_USERNAME"),
        (403, b"", "refuses"),
        (500, {"message": "out of order"}, "answers 500: out of order"),
        (302, b"", "answers 302"),
        (200, b"<html>", "does not answer as an MLflow server does"),
        (200, b"[]", "does not answer as an MLflow server does"),
    ],
)
def test_answers_that_are_wrong(server: Server, chain: Run, status: int, content: Any, told: str) -> None:
    server.answer = lambda path, given: (status, content)
    assert told in chain("extract", "--mlflow_url", server.url, "statistics", code=1)


def test_nobody_is_there(chain: Run, free_port: Callable[[], int]) -> None:
    assert "cannot be asked" in chain(
        "extract", "--mlflow_url", f"http://127.0.0.1:{free_port()}", "statistics", code=1
    )
    assert "is no URL of a server" in chain("extract", "--mlflow_url", "http://", "statistics", code=1)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("sqlite:///nowhere.db", "no such file"),
        ("nowhere", "no such folder"),
        ("sqlite:///other.db", "no table of runs"),
        (".", "no MLflow file store"),
    ],
)
def test_stores_that_are_none(chain: Run, tmp_path: Path, url: str, told: str) -> None:
    (tmp_path / "other.db").write_bytes(b"")
    assert told in chain("extract", "--mlflow_url", url, "statistics", code=1)
    (tmp_path / "text.db").write_text("no database" * 100)
    assert "no SQLite database" in chain("extract", "--mlflow_url", "text.db", "statistics", code=1)
