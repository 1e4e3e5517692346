"""What the services need for so many tasks, measured on a real stack: time of a core, memory, and disk.

python -m bench.sizing [TASKS]      a table for each kind of store, of tasks of 10 values in and 10 out (3,000)
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from redis import Redis

from bench.pipeline import rows, stack_in
from bench.queues import server
from bench.stores import CHECKOUT, COUNT, cpu_seconds, get, spooled
from deploy.state import Run, read_run

TASKS = 3_000
KINDS = ("oxigraph", "fuseki")
PATIENCE = 600.0
Row = tuple[str, str]


@dataclass
class Sizes:
    """What was seen of one kind of store; bytes and seconds."""

    kind: str
    tasks: int
    capture: float = 0.0
    spool: int = 0
    queue: int = 0
    triples: int = 0
    cpu: dict[str, float] = field(default_factory=dict)
    memory: dict[str, int] = field(default_factory=dict)
    disk: int = 0
    compacted: int = 0

    def rows(self) -> list[Row]:
        """As a table's rows."""
        per = self.tasks
        found = [
            ("spool file, bytes a task", f"{self.spool / per:,.0f}"),
            ("capture, in the script: seconds of a core for 1,000 tasks", f"{1000 * self.capture / per:.2f}"),
            *(
                (f"{name}: seconds of a core for 1,000 tasks", f"{1000 * each / per:.2f}")
                for name, each in self.cpu.items()
            ),
            *((f"{name}: tasks/s of one core", f"{per / each:,.0f}") for name, each in self.cpu.items() if each > 0.1),
            *((f"{name}: memory", f"{each / 1e6:,.0f} MB") for name, each in self.memory.items()),
            ("queue, bytes a task while it waits", f"{self.queue / per:,.0f}"),
            ("triples a task", f"{self.triples / per:.1f}"),
            ("disk, bytes a triple", f"{self.disk / self.triples:,.0f}"),
            ("disk of a million tasks", f"{self.disk / per / 1000:,.1f} GB"),
        ]
        if self.compacted:
            found.append(("disk of a million tasks, compacted", f"{self.compacted / per / 1000:,.1f} GB"))
        return found


def sizes(kind: str, tasks: int) -> Sizes:
    """Ships a spool of so many tasks into a stack on a store of this kind, first into the queue alone."""
    found = Sizes(kind, tasks)
    with tempfile.TemporaryDirectory(prefix="pllib-bench-") as name:
        folder = Path(name)
        found.capture = _capture(folder / "spool", tasks)
        found.spool = disk_bytes(folder / "spool", whole=True)
        with stack_in(folder, "--store", kind, "--keep-delivered", "0") as urls:
            data = folder / "data"
            run = read_run(data)
            if run is None:
                raise SystemExit("the stack is gone")
            spooled(folder / "warm", tasks // 4)
            _ship(folder / "warm", urls["tracker"])
            _wait(urls["tracker"])
            _measure(found, run, folder / "spool", data, urls)
            if kind == "fuseki":
                command = [sys.executable, "-m", "deploy", "compact", "--data", str(data)]
                whole, before = _triples(urls), disk_bytes(data / kind)
                subprocess.run(command, cwd=CHECKOUT, check=True, timeout=300, stdout=subprocess.DEVNULL)
                found.compacted = int(disk_bytes(data / kind) * found.triples / whole)
                found.disk = int(before * found.triples / whole)
        if kind == "oxigraph":  # its log is in the tables once it was closed and opened
            found.disk = _closed(found, data / "store")
    return found


def _measure(found: Sizes, run: Run, spool: Path, data: Path, urls: dict[str, str]) -> None:
    processes = {one.name: one.process.pid for one in run.services if one.process}
    before, triples, empty = (
        {name: cpu_seconds(pid) for name, pid in processes.items()},
        _triples(urls),
        disk_bytes(data / "tracker"),
    )
    with _frozen(processes["manager"]):
        _ship(spool, urls["tracker"])
        found.queue = disk_bytes(data / "tracker") - empty
    _wait(urls["tracker"])
    found.cpu = {name: cpu_seconds(pid) - before[name] for name, pid in processes.items() if name != "query_engine"}
    found.memory = {name: _memory(pid) for name, pid in processes.items()}
    found.triples = _triples(urls) - triples


def waiting_on_server(tasks: int) -> list[Row]:
    """What waits in a queue on a Redis-compatible server, and takes there of memory and disk."""
    with tempfile.TemporaryDirectory(prefix="pllib-bench-") as name, server() as url, Redis.from_url(url) as client:
        folder = Path(name)
        spooled(folder / "spool", tasks)
        with stack_in(folder, "--queue", url) as urls:
            run = read_run(folder / "data")
            if run is None:
                raise SystemExit("the stack is gone")
            manager = next(one.process.pid for one in run.services if one.name == "manager" and one.process)
            before = client.info()
            with _frozen(manager):
                _ship(folder / "spool", urls["tracker"])
                after = client.info()
    memory, disk = ((after[each] - before[each]) / tasks for each in ("used_memory", "aof_current_size"))
    return [
        ("queue on Redis, bytes of memory a task while it waits", f"{memory:,.0f}"),
        ("its file, bytes a task", f"{disk:,.0f}"),
    ]


@contextmanager
def _frozen(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _closed(found: Sizes, store: Path) -> int:
    """Bytes of the store's tables for the measured tasks, of all that was put in."""
    return int(disk_bytes(store) * found.tasks / (found.tasks + found.tasks // 4))


def _capture(folder: Path, tasks: int) -> float:
    """Seconds of a core that a script with so many tasks took, beyond what one with a few of them did."""
    used: list[float] = []
    for count in (10, tasks):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        spooled(folder if count == tasks else folder.with_name("few"), count)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return used[1] - used[0]


def _ship(folder: Path, tracker: str) -> None:
    command = [sys.executable, "-m", "pllib", "ship", str(folder), "--url", tracker]
    subprocess.run(command, cwd=CHECKOUT, check=True, timeout=PATIENCE, stdout=subprocess.DEVNULL)


def _wait(tracker: str) -> None:
    until = time.monotonic() + PATIENCE
    while get(f"{tracker}/v1/stats")["queue"]["depth"]:
        if time.monotonic() > until:
            raise SystemExit("the queue does not become empty")
        time.sleep(0.1)


def _triples(urls: dict[str, str]) -> int:
    return int(rows(urls["store"], COUNT)[0]["n"])


def _memory(pid: int) -> int:
    """Bytes that a process held at most, beside what it shares with files."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024


def disk_bytes(folder: Path, whole: bool = False) -> int:
    """Bytes that a folder takes on disk; of files with holes what is really there, or with ``whole`` their sizes."""
    size: Callable[[Path], int] = lambda path: path.stat().st_size if whole else path.stat().st_blocks * 512  # noqa: E731
    return sum(size(path) for path in folder.rglob("*") if path.is_file())


def table(found: list[Sizes]) -> str:
    """Markdown, a column for each kind of store."""
    names: dict[str, dict[str, str]] = {}
    for one in found:
        for name, text in one.rows():
            names.setdefault(name, {})[one.kind] = text
    kinds = [one.kind for one in found]
    lines = ["| | " + " | ".join(kinds) + " |", "|---" * (len(kinds) + 1) + "|"]
    lines += [
        f"| {name} | " + " | ".join(texts.get(kind, "–") for kind in kinds) + " |" for name, texts in names.items()
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    asked = int(sys.argv[1]) if len(sys.argv) > 1 else TASKS
    print(table([sizes(kind, asked) for kind in KINDS]))
    print("\n".join(f"| {name} | {text} | |" for name, text in waiting_on_server(asked)))
