"""What the client makes of servers that are away, slow, no query engine, or refuse: real sockets, made-up answers."""

from __future__ import annotations

import http.server
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest

from pllib.errors import PllibError
from pllib.query import Client, QueryError, QueryRefused, QueryUnreachable, get_json


class Answers(http.server.BaseHTTPRequestHandler):
    """Answers every request as the test says, and keeps what was asked."""

    status, body, delay, promised = 200, b"{}", 0.0, None
    asked: ClassVar[list[tuple[str, dict[str, str], bytes]]] = []

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.asked.append((self.path, dict(self.headers), self.rfile.read(length)))
        time.sleep(type(self).delay)
        self.send_response(self.status)
        self.send_header("Content-Length", str(self.promised or len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    do_POST = do_GET

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def answering() -> Iterator[Callable[..., str]]:
    """A function that sets what is answered, and gives the address."""
    handler = type("Handler", (Answers,), {"asked": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()

    def answer(body: bytes | dict | list = b"{}", **more: Any) -> str:
        handler.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        for name, value in more.items():
            setattr(handler, name, value)
        return f"http://127.0.0.1:{server.server_address[1]}"

    answer.asked = handler.asked  # type: ignore[attr-defined]
    yield answer
    server.shutdown()
    server.server_close()
    thread.join()


def test_errors_are_pllib_errors_and_know_what_to_do(answering):
    body = {"error": {"code": "not_found", "message": "nothing is known of x", "field": "of", "fix": "Look again."}}
    with pytest.raises(QueryRefused) as caught:
        Client(answering(body, status=404)).lineage("x")
    error = caught.value
    assert isinstance(error, QueryError)
    assert isinstance(error, PllibError)
    assert (error.status, error.code, error.field, error.fix) == (404, "not_found", "of", "Look again.")
    assert str(error) == "nothing is known of x (of); Look again."


@pytest.mark.parametrize("body", [b"<html>no</html>", b"[]", b'{"error": 1}', b"\xff\xfe"])
def test_a_refusal_of_any_other_server_shows_what_it_said(answering, body):
    with pytest.raises(QueryRefused, match="status 502"):
        Client(answering(body, status=502)).analyses()


def test_nobody_there(free_port):
    client = Client(f"http://127.0.0.1:{free_port()}")
    for call in (client.analyses, lambda: client.sparql("ASK {}"), lambda: next(client.executions())):
        with pytest.raises(QueryUnreachable, match="no answer from"):
            call()


@pytest.mark.parametrize("url", ["", "127.0.0.1:8472", "file:///etc/passwd"])
def test_what_is_no_address_is_said_at_once(url):
    with pytest.raises(QueryUnreachable, match="write http://HOST:PORT"):
        Client(url)


def test_a_server_that_hangs_is_left(answering):
    with pytest.raises(QueryUnreachable, match="timed out"):
        Client(answering(delay=2.0), timeout=0.2).analyses()


def test_an_answer_that_breaks_off_is_none(answering):
    with pytest.raises(QueryUnreachable):
        Client(answering(b'{"items": [', promised=1000)).analyses()


@pytest.mark.parametrize("body", [b"not json", b"{}", b"[1]", b'{"head": {}, "results": 3}'])
def test_a_server_that_is_no_query_engine_is_told_apart(answering, body):
    client = Client(answering(body))
    for call in (client.analyses, lambda: client.sparql("SELECT * {}"), lambda: list(client.values(attribute="lr"))):
        with pytest.raises(QueryUnreachable):
            call()


def test_terms_become_python_values(answering):
    xsd = "http://www.w3.org/2001/XMLSchema#"
    terms = {
        "iri": {"type": "uri", "value": "http://x/y"},
        "text": {"type": "literal", "value": "a"},
        "whole": {"type": "literal", "value": "-12", "datatype": xsd + "integer"},
        "huge": {"type": "literal", "value": "9" * 30, "datatype": xsd + "integer"},
        "number": {"type": "literal", "value": "2.5E-1", "datatype": xsd + "double"},
        "endless": {"type": "literal", "value": "-INF", "datatype": xsd + "double"},
        "truth": {"type": "literal", "value": "false", "datatype": xsd + "boolean"},
        "wrong": {"type": "literal", "value": "many", "datatype": xsd + "integer"},
        "list": {"type": "literal", "value": "[1, 2]", "datatype": "http://www.w3.org/1999/02/22-rdf-syntax-ns#JSON"},
    }
    body = {"head": {"vars": [*terms, "unbound"]}, "results": {"bindings": [terms]}}
    (row,) = Client(answering(body)).sparql("SELECT * {}")
    assert row == {
        "iri": "http://x/y",
        "text": "a",
        "whole": -12,
        "huge": int("9" * 30),
        "number": 0.25,
        "endless": float("-inf"),
        "truth": False,
        "wrong": "many",
        "list": [1, 2],
        "unbound": None,
    }


def test_prefixes_are_added_but_never_twice_and_texts_are_sent_as_they_are(answering):
    client = Client(answering({"head": {"vars": []}, "results": {"bindings": []}}), token="secret")
    query = 'PREFIX prov: <http://other/>\nSELECT ?ü { ?x prov:p "\\u00fc" }'
    client.sparql(query)
    path, headers, body = answering.asked[-1]
    assert path == "/sparql"
    assert headers["Authorization"] == "Bearer secret"
    assert body.decode().endswith(query)
    assert body.count(b"PREFIX prov:") == 1
    assert b"PREFIX provml:" in body


def test_parameters_are_encoded_and_none_is_left_out(answering):
    address = answering({"a": 1})
    assert get_json(address, "/x", {"of": "a&b=c/é", "none": None, "many": [1, 2]}) == {"a": 1}
    assert answering.asked[-1][0] == "/x?of=a%26b%3Dc%2F%C3%A9&many=1&many=2"


def test_it_needs_nothing_but_the_standard_library_and_is_not_imported_with_pllib():
    code = (
        "import sys, pllib; assert 'pllib.query' not in sys.modules; import pllib.query;"
        "print([m for m in sys.modules if 'site-packages' in (getattr(sys.modules[m], '__file__', None) or '')])"
    )
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, timeout=60, cwd=".")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
