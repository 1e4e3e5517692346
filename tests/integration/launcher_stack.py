"""A launcher over a plan of small real servers: ``python launcher_stack.py DATA NAME:PORT[:MODE] ...``.

A server answers GET /health, ends with exit code 9 on GET /crash, and tells on GET /family the processes it started.
Modes: `stubborn` ignores SIGTERM, `parent` starts a process of its own, `broken` ends at once, `late` is never usable,
`stuck` refuses updates the first time that it runs, as a store does whose disk was full.
"""

from __future__ import annotations

import http.server
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path


class _Handler(http.server.BaseHTTPRequestHandler):
    family: list[int] = []  # noqa: RUF012
    usable = True
    stuck = False

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        words = b"No space left on device"
        self.send_response(500 if self.stuck else 204)
        self.send_header("Content-Length", str(len(words) if self.stuck else 0))
        self.end_headers()
        if self.stuck:
            self.wfile.write(words)

    def do_GET(self) -> None:
        if self.path == "/crash":
            print("going down", flush=True)
            os._exit(9)
        body = json.dumps({"family": self.family, "reason": "still reading the index"}).encode()
        self.send_response(200 if self.usable else 503)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def serve(port: int, mode: str, data: Path) -> None:
    if mode == "broken":
        sys.exit("this server cannot start")
    if mode == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if mode == "parent":
        sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
        _Handler.family = [subprocess.Popen(sleeper).pid]
    _Handler.usable = mode != "late"
    if mode == "stuck":
        ran_before = data / f"{port} ran"
        _Handler.stuck = not ran_before.exists()
        ran_before.touch()
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), _Handler) as server:
        server.serve_forever()


def launch(data: Path, asked: list[str]) -> int:
    from deploy import commands
    from deploy.errors import DeployError
    from deploy.plan import Service
    from deploy.restarts import RestartPolicy
    from deploy.state import folder_lock
    from deploy.supervisor import Limits, Surroundings

    services = []
    for name, port, *mode in (one.split(":") for one in asked):
        command = (sys.executable, __file__, "--serve", port, str(data), *mode)
        update_path = "/update" if mode == ["stuck"] else None
        services.append(Service(name, command, int(port), f"--{name}-port", update_path=update_path))
    around = Surroundings(Path.cwd(), data, dict(os.environ))
    policy = RestartPolicy(first_delay=0.05, longest_delay=0.2, ends_allowed=3)

    def report(line: str) -> None:
        print(line, flush=True)

    try:
        with folder_lock(data):
            commands.make_folders([data / "logs"])
            return commands.supervise(
                services, around, report, None, data / "ready.json", policy=policy, limits=Limits(5, 1)
            )
    except DeployError as error:
        print(f"error: {error.message}\nfix: {error.fix}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    if sys.argv[1] == "--serve":
        serve(int(sys.argv[2]), "".join(sys.argv[4:]), Path(sys.argv[3]))
        time.sleep(600)
    else:
        sys.exit(launch(Path(sys.argv[1]), sys.argv[2:]))
