"""The script under test: logs points of series, and notes each in a side file once its call has returned.

A point is known by its value, which is unique in the execution; the side file has a line ``{series} {value}`` for each.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import sys
import threading
import time
from itertools import count

import pllib
from pllib.activities import Task
from pllib.series import Series


class Logging:
    """Logs unique values, from as many threads as one likes."""

    def __init__(self, given: argparse.Namespace, first: int) -> None:
        self.given = given
        self.side = os.open(given.side, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
        self.values = count(first)

    def log(self, task: Task, number: int) -> None:
        given = self.given
        names = [f"s{index}" for index in range(given.series)]
        series = [Series(task, name) for name in names]
        for turn in range(number):
            place = turn % len(series)
            value = next(self.values)
            before = dict(pllib.stats()["dropped"]) if given.full == "tell" else None
            series[place].log(value, turn)
            if before is None or before == pllib.stats()["dropped"]:
                os.write(self.side, b"%s %d\n" % (names[place].encode(), value))
            if given.pause:
                time.sleep(given.pause)


def threads(logging: Logging, task: Task) -> None:
    given = logging.given
    running = [threading.Thread(target=logging.log, args=(task, given.count)) for _ in range(given.threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()


def forks(logging: Logging, task: Task) -> None:
    """Children are forked while threads log; each logs to the very series of its parent."""
    given = logging.given
    shared = Series(task, "s0")
    stop = threading.Event()

    def load() -> None:
        while not stop.is_set():
            logging.log(task, 10)

    loader = threading.Thread(target=load)
    loader.start()
    for child in range(1, given.children + 1):
        logging.log(task, 3)
        pid = os.fork()
        if not pid:
            own = Logging(given, given.first + child * 1_000_000)
            value = next(own.values)
            shared.log(value)
            os.write(own.side, b"s0 %d\n" % value)
            own.log(task, given.count)
            if child % 2:
                os._exit(0)
            sys.exit(0)
        os.waitpid(pid, 0)
    stop.set()
    loader.join()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("side")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--series", type=int, default=3)
    parser.add_argument("--children", type=int, default=0)
    parser.add_argument("--pause", type=float, default=0.0)
    parser.add_argument("--file-limit", type=int)
    parser.add_argument("--full", default="")
    parser.add_argument("--handler", action="store_true", help="a signal's handler logs too, every few milliseconds")
    given = parser.parse_args()
    if given.file_limit:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (given.file_limit, given.file_limit))
    logging = Logging(given, given.first)
    with pllib.workflow("w", execution="e") as wf, Task("training", parent=wf, stage="training", number="0") as task:
        if given.handler:
            handled = Series(task, "s0")

            def interrupt(*_: object) -> None:
                value = next(logging.values)
                handled.log(value)
                os.write(logging.side, b"s0 %d\n" % value)

            signal.signal(signal.SIGALRM, interrupt)
            signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        forks(logging, task) if given.children else threads(logging, task)
        signal.setitimer(signal.ITIMER_REAL, 0)
    pllib.shutdown()
    with open(given.side + ".stats", "w") as file:
        file.write(repr(pllib.stats()))


if __name__ == "__main__":
    main()
