"""An export that breaks off is never taken for a whole one: real sockets, and a store that ends in the middle."""

from __future__ import annotations

import http.server
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
LINE = b'<http://127.0.0.1:8472/id/data/s/k%d> <http://www.w3.org/ns/prov#value> "' + b"x" * 1000 + b'" .\n'


class Store(http.server.BaseHTTPRequestHandler):
    """Answers a dump with 3 MB and then ends, as a store does that is killed."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number in range(3000):
            chunk = LINE % number
            self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def engine(free_port: Callable[[], int]) -> Iterator[str]:
    store = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Store)
    thread = threading.Thread(target=store.serve_forever, daemon=True)
    thread.start()
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "query_engine", "--port", str(port)]
    command += ["--store-url", f"http://127.0.0.1:{store.server_address[1]}"]
    process = subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                httpx.get(f"{url}/openapi.json", timeout=5)
                break
            except httpx.HTTPError:
                time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait(30)
        store.shutdown()
        store.server_close()
        thread.join()


@pytest.mark.parametrize("format", ["prov-nt", "prov-ttl"])
def test_an_answer_that_breaks_off_is_no_answer(engine: str, format: str) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"{engine}/v1/prov", params={"format": format}, timeout=30)


def test_what_is_gathered_first_fails_with_a_status(engine: str) -> None:
    answer = httpx.get(f"{engine}/v1/prov", params={"format": "provn"}, timeout=30)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "store_unavailable")


def test_no_file_is_left_and_an_older_one_stays(engine: str, tmp_path: Path) -> None:
    target = tmp_path / "store.nt"
    target.write_text("older")
    command = [sys.executable, "-m", "pllib", "prov", "export", "--all", "-o", str(target), "--query-url", engine]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ}, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("pllib prov: ")
    assert done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["store.nt"]
    assert target.read_text() == "older"
