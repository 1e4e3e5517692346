"""A small real HTTP server in the place of a tracker, that answers as it is told."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pllib.packing import JSON, LINES
from tests.faults.proxy import batch_of


class Receiver:
    """A tracker that keeps what it gets.

    Attributes:
        plan: answers to give first: (status, headers, body).
        answers_a_connection: after so many it closes the connection without a word.
        pause: seconds before each answer.
        says_lines: whether it says that it takes lines, which it does anyway.
        bodies: as they came, decompressed.
    """

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []
        self.batches: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.plan: list[tuple[int, dict[str, str], bytes]] = []
        self.answers_a_connection = 1_000_000
        self.pause = 0.0
        self.says_lines = False
        self.bodies: list[bytes] = []
        self.reject: Callable[[dict[str, Any]], str | None] = lambda record: None
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            answered = 0
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                receiver.headers.append(dict(self.headers))
                receiver.bodies.append(body)
                time.sleep(receiver.pause)
                status, headers, answer = (
                    receiver.plan.pop(0)
                    if receiver.plan
                    else receiver.take(batch_of(body, self.headers["Content-Type"]))
                )
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)
                self.answered += 1
                self.close_connection = self.answered >= receiver.answers_a_connection

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def take(self, batch: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        self.batches.append(batch)
        results = []
        for index, record in enumerate(batch["records"]):
            reason = self.reject(record)
            if reason:
                results.append({"index": index, "status": 422, "message": reason})
            else:
                self.records.append(record)
        answer = {"accepted": len(batch["records"]) - len(results), "rejected": len(results), "results": results}
        headers = {"Accept-Post": f"{JSON}, {LINES}"} if self.says_lines else {}
        return 200, headers, json.dumps(answer).encode()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
