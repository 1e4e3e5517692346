"""The script under test: captures tasks, and notes each record in a side file once its capture call has returned.

The note is a plain append, so a kill takes none of it. A task makes two records: ``b`` for its begin, which carries
``begun_{mark}``, and ``e`` for its end, which carries ``ended_{mark}``; the value of both is ``{run}-{number}``.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pllib
from pllib import client, frames, spool
from pllib.tally import RECORD


class Notes:
    """The side file."""

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def __call__(self, kind: str, value: str) -> None:
        os.write(self._fd, f"{kind} {value}\n".encode())


def capture(given: argparse.Namespace, run: str, numbers: Iterable[int]) -> None:
    """Tasks inside what is open, each noted."""
    note = Notes(given.side)
    more = {"pad": "x" * given.pad} if given.pad else {}
    for number in numbers:
        value = f"{run}-{number}"
        with pllib.task("t", used={f"begun_{given.mark}": value, **more}) as task:
            note("b", value)
            if given.lasting:
                time.sleep(given.lasting)
            task.generated({f"ended_{given.mark}": value})
        note("e", value)
        if given.pause:
            time.sleep(given.pause)


def plain(given: argparse.Namespace) -> None:
    """One process, one thread."""
    with pllib.workflow(f"w-{given.mark}"):
        given.memory = _memory("VmRSS")
        capture(given, given.run, range(given.count))
        ENDINGS[given.ending](given)


def threads(given: argparse.Namespace) -> None:
    """Several threads, each with tasks of its own."""
    with pllib.workflow(f"w-{given.mark}") as wf:
        given.memory = _memory("VmRSS")

        def work(index: int) -> None:
            with pllib.attach(wf):
                capture(given, f"{given.run}.{index}", range(given.count))

        workers = [threading.Thread(target=work, args=(index,)) for index in range(given.children)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        ENDINGS[given.ending](given)


def forks(given: argparse.Namespace) -> None:
    """Forks children one after the other while a thread of the parent captures; every other child ends by ``os._exit``."""
    with pllib.workflow(f"w-{given.mark}") as wf:
        stop = threading.Event()

        def load() -> None:
            with pllib.attach(wf):
                for number in range(1_000_000):
                    if stop.wait(0.004):
                        return
                    capture(given, f"{given.run}.load{number}", range(1))

        loader = threading.Thread(target=load)
        loader.start()
        running: list[int] = []
        for index in range(given.children):
            if (pid := os.fork()) == 0:
                capture(given, f"{given.run}.{index}", range(given.count))
                if index % 2:
                    os._exit(0)
                sys.exit(0)
            running.append(pid)
            if len(running) >= 8:
                os.waitpid(running.pop(0), 0)
        for pid in running:
            os.waitpid(pid, 0)
        stop.set()
        loader.join()


def pool(given: argparse.Namespace) -> None:
    """A pool of processes whose parts run inside the workflow of the parent."""
    context = multiprocessing.get_context(given.method)
    with pllib.workflow(f"w-{given.mark}"), ProcessPoolExecutor(given.children, context) as workers:
        names = [f"{given.run}.{index}" for index in range(given.parts)]
        parts = [workers.submit(pllib.carry(capture), given, name, range(given.count)) for name in names]
        for part in parts:
            part.result()


def rank(given: argparse.Namespace) -> None:
    """One of several processes that were started together: waits for the others at a barrier of files."""
    given.run += "." + os.environ["OMPI_COMM_WORLD_RANK"]
    here = Path(given.barrier)
    (here / given.run).touch()
    deadline = time.monotonic() + 60
    while len(list(here.iterdir())) < given.children and time.monotonic() < deadline:
        time.sleep(0.001)
    plain(given)


def _stop(_: argparse.Namespace) -> None:
    time.sleep(600)


def _raise(_: argparse.Namespace) -> None:
    raise ValueError("the script's own")


def _exit_in_thread(_: argparse.Namespace) -> None:
    thread = threading.Thread(target=sys.exit, args=(5,))
    thread.start()
    thread.join()


def _kill(number: int) -> Callable[[argparse.Namespace], None]:
    def end(_: argparse.Namespace) -> None:
        os.kill(os.getpid(), number)
        time.sleep(600)

    return end


def _tell(given: argparse.Namespace) -> None:
    """Writes the accounting of the library, after waiting for what is under way, and the growth of memory."""
    if given.flush:
        pllib.flush(given.flush)
    grown = _memory("VmHWM") - given.memory
    Path(given.side + ".stats").write_text(json.dumps({**pllib.stats(), "grown": grown}))


def _memory(name: str) -> int:
    """Bytes of memory of this process, now (``VmRSS``) or at most (``VmHWM``); 0 where there is no /proc."""
    try:
        text = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    return next(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith(name))


ENDINGS: dict[str, Callable[[argparse.Namespace], None]] = {
    "return": lambda _: None,
    "stop": _stop,
    "raise": _raise,
    "exit": lambda _: sys.exit(4),
    "os-exit": lambda _: os._exit(3),
    "exit-in-thread": _exit_in_thread,
    "term": _kill(signal.SIGTERM),
    "int": _kill(signal.SIGINT),
    "kill": _kill(signal.SIGKILL),
    "tell": _tell,
}


class Buffered(spool.SpoolWriter):
    """The control arm: frames gather in this process's memory before they are written, as an ordinary file's do."""

    def offer(self, *payloads: bytes, reserve: bool = False) -> str | None:
        if not hasattr(self, "_file"):
            self._file = open(self.fd, "ab", buffering=1_000_000, closefd=False)  # noqa: SIM115
        with self._lock:
            self._file.writelines(map(frames.encode, payloads))
            self._tally.add(RECORD * len(payloads))


def step_clock(steps: str) -> None:
    """Sets this process's wall clock, as it sees it, on by so many seconds every tenth of a second, in turn."""
    offsets = [float(step) for step in steps.split(",")]
    real, began = time.time_ns, time.monotonic()

    def stepped() -> int:
        return real() + int(offsets[int((time.monotonic() - began) * 10) % len(offsets)] * 1e9)

    for module in [time, *(found for name, found in sys.modules.items() if name.partition(".")[0] == "pllib")]:
        for name, read in (("time_ns", stepped), ("time", lambda: stepped() / 1e9)):
            if name in vars(module) and not isinstance(vars(module)[name], type(time)):  # or it has the module
                setattr(module, name, read)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["plain", "threads", "forks", "pool", "rank"])
    parser.add_argument("--mark", required=True)
    parser.add_argument("--run", required=True)
    parser.add_argument("--side", required=True)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--pause", type=float, default=0.0)
    parser.add_argument("--lasting", type=float, default=0.0, help="seconds that each task takes")
    parser.add_argument("--sleep-by-select", action="store_true", help="for libfaketime, which breaks time.sleep")
    parser.add_argument("--pad", type=int, default=0, help="characters more in each begin")
    parser.add_argument("--children", type=int, default=4)
    parser.add_argument("--barrier")
    parser.add_argument("--flush", type=float, default=5.0)
    parser.add_argument("--ending", choices=[*ENDINGS], default="return")
    parser.add_argument("--exit-on-term", action="store_true", help="end in an orderly way on SIGTERM")
    parser.add_argument("--file-limit", type=int, help="most bytes of a file")
    parser.add_argument("--clock", help="seconds by which the wall clock is off, in turn, with commas")
    parser.add_argument("--method", default="fork", help="how a pool starts its processes")
    parser.add_argument("--parts", type=int, default=1000, help="of a pool's work")
    parser.add_argument("--buffered", action="store_true", help="the control arm")
    given = parser.parse_args()
    if given.buffered:
        client.SpoolWriter = Buffered  # type: ignore[misc]
    if given.file_limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (given.file_limit, given.file_limit))
    if given.sleep_by_select:
        time.sleep = lambda seconds: select.select([], [], [], seconds)
    if given.clock:
        step_clock(given.clock)
    if given.exit_on_term:
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    kinds = {"plain": plain, "threads": threads, "forks": forks, "pool": pool, "rank": rank}
    kinds[given.kind](given)


if __name__ == "__main__":
    main()
