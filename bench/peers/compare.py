"""PLLib beside its peers: the same workload by each system in its own environment, repetitions in turn.

Whatever a system cannot do is shown as missing with the reason, and the others go on.
"""

from __future__ import annotations

import gzip
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from bench.measures import Measure
from bench.peers import environments, tables
from bench.peers.child import Child, JobFailed, Place, Places, kept, run, size
from bench.peers.settings import SETTINGS, Setting

LIMIT = 60.0
"""Seconds that a job may take."""
LOOPS = {"1 ms": (0.001, 120, 5), "10 ms": (0.01, 20, 5)}
"""Task's duration, tasks of a block, pairs of blocks."""
MORE_LOOPS = {"100 ms": (0.1, 5, 5), "1 s": (1.0, 1, 5)}


class Plan(NamedTuple):
    """How much is done. The figures of ``whole`` are scaled from its tasks to what they are shown for."""

    settings: tuple[Setting, ...]
    rounds: int = 5
    count: int = 4_000
    seconds: float = 0.1
    whole: int = 5_000
    whole_seconds: float = 1.0
    kills: int = 1
    killed: int = 1_050
    threads: tuple[int, ...] = (8,)
    processes: tuple[int, ...] = ()
    all_closer: bool = False
    """Whether threads and failing servers are tried with all settings, not only with those that are looked at closer."""
    states: tuple[str, ...] = ("down", "hung")
    trouble: int = 200
    trouble_seconds: float = 3.0
    loops: dict[str, tuple[float, int, int]] = LOOPS
    training: tuple[int, int] = (56, 5)


CORE = Plan(tuple(setting for setting in SETTINGS if setting.core))
FULL = Plan(
    SETTINGS,
    rounds=9,
    seconds=0.5,
    whole=100_000,
    whole_seconds=20.0,
    kills=5,
    all_closer=True,
    trouble_seconds=10.0,
    threads=(1, 2, 4, 8),
    processes=(1, 2, 4, 8),
    states=("up", "down", "hung", "slow"),
    loops={**LOOPS, **MORE_LOOPS},
    training=(140, 9),
)


class Found(NamedTuple):
    """Everything that was found out: by setting and kind of figure, one entry a repetition; and what failed, by the same."""

    plan: Plan
    answers: dict[tuple[str, str], list[dict[str, Any]]]
    failures: dict[tuple[str, str], str]
    missing: dict[str, str]


def measures() -> list[Measure]:
    """The comparison of ``make bench``: some seven minutes at rest, and more the first time, when peers are installed."""
    return tables.measures(compare(CORE))


def full() -> list[Measure]:
    """The whole matrix: every setting, 1 to 8 threads and processes, tasks of 1 ms to 1 s, slow servers, more repetitions."""
    return tables.measures(compare(FULL))


def compare(plan: Plan, pythons: dict[str, str] | None = None) -> Found:
    """Does it. ``pythons``: the interpreters to use; by default those of the environments, which are made where needed."""
    lacking: dict[str, str] = {}
    if pythons is None:
        pythons, lacking = installed({setting.peer for setting in plan.settings})
    found = Found(plan, {}, {}, lacking)
    there = [setting for setting in plan.settings if setting.peer in pythons]
    with Places(pythons) as places:
        session = _Session(found, places)
        timed = (session.costs, session.loops, session.trainings, session.threads, session.processes)
        for step in (*timed, session.wholes, session.kills, session.troubles):
            _tell(step.__name__, partial(step, there))
    return found


def installed(peers: set[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Interpreters by peer, and why there is none of others."""
    pythons, lacking = {"pllib": sys.executable}, {}
    for name in sorted(peers - {"pllib"}):
        try:
            pythons[name] = environments.interpreter(name)
        except environments.Missing as why:
            lacking[name] = str(why)
            print(f"{name} is left out: {why}", file=sys.stderr, flush=True)
    return pythons, lacking


def _tell(what: str, step: Callable[[], None]) -> None:
    print(f"peers, {what} …", file=sys.stderr, end=" ", flush=True)
    start = time.monotonic()
    step()
    print(f"{time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)


class _Session:
    """The steps, each over all settings."""

    def __init__(self, found: Found, places: Places) -> None:
        self._found = found
        self._places = places
        self._plan = found.plan

    def costs(self, settings: list[Setting]) -> None:
        """A call's cost, all settings in turn, round after round."""
        for _ in range(self._plan.rounds):
            for setting in settings:
                self._one(setting, "cost", count=self._plan.count, seconds=self._plan.seconds)

    def loops(self, settings: list[Setting]) -> None:
        """Loops of tasks of a known duration."""
        for name, (seconds, tasks, blocks) in self._plan.loops.items():
            for setting in settings:
                if setting.closer:
                    self._one(setting, "loop", f"loop {name}", task_seconds=seconds, tasks=tasks, blocks=blocks)

    def trainings(self, settings: list[Setting]) -> None:
        """A network that learns."""
        tasks, blocks = self._plan.training
        for setting in settings:
            if setting.closer:
                self._one(setting, "training", digits=digits(), tasks=tasks, blocks=blocks)

    def threads(self, settings: list[Setting]) -> None:
        """Threads of one process at once."""
        for workers in self._plan.threads:
            for setting in self._closer(settings):
                given = {"workers": workers, "seconds": self._plan.seconds, "rounds": 5, "wait": False}
                self._one(setting, "threads", f"{workers} threads", **given)

    def processes(self, settings: list[Setting]) -> None:
        """Processes at once, into the same server."""
        for workers in self._plan.processes:
            for setting in settings:
                if setting.closer:
                    work = partial(self._processes, setting, workers)
                    self._try(setting, f"{workers} processes", work)

    def wholes(self, settings: list[Setting]) -> None:
        """Memory, bytes and CPU of many tasks, to their end."""
        for setting in settings:
            self._try(setting, "whole", partial(self._whole, setting))

    def kills(self, settings: list[Setting]) -> None:
        """What is left of a process that is killed. No times are measured, so two at a time."""
        for _ in range(self._plan.kills):
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(lambda one: self._try(one, "kill", partial(self._kill, one)), settings))

    def troubles(self, settings: list[Setting]) -> None:
        """What a server that goes away or hangs does to a running script."""
        for state in self._plan.states:
            for setting in self._closer(settings):
                if setting.online:
                    self._try(setting, state, partial(self._trouble, setting, state))

    def _closer(self, settings: list[Setting]) -> list[Setting]:
        return [setting for setting in settings if setting.closer or self._plan.all_closer]

    # -- one job

    def _one(self, setting: Setting, job: str, kind: str = "", **given: Any) -> None:
        def work() -> dict[str, Any]:
            with self._places.place(setting) as place:
                return run(self._python(setting), setting, job, place, LIMIT, **given)

        self._try(setting, kind or job, work)

    def _python(self, setting: Setting) -> str:
        return self._places.pythons[setting.peer]

    def _try(self, setting: Setting, kind: str, work: Callable[[], dict[str, Any]]) -> None:
        if (setting.key, kind) in self._found.failures:
            return  # once is enough
        try:
            answer = work()
        except (JobFailed, TimeoutError, OSError, ImportError) as error:
            self._found.failures[setting.key, kind] = str(error)
            print(f"\n  {setting.key}, {kind}: {error}", file=sys.stderr, flush=True)
        else:
            self._found.answers.setdefault((setting.key, kind), []).append(answer)

    def _whole(self, setting: Setting) -> dict[str, Any]:
        with self._places.place(setting, gated=True) as place:
            before = size(place.kept)
            given = {"tasks": self._plan.whole, "seconds": self._plan.whole_seconds}
            if setting.key == "pllib-process":  # a promise of ours is about 100,000 tasks, so it is not scaled
                given = {"tasks": 100_000, "seconds": 30.0}
            found = run(self._python(setting), setting, "whole", place, LIMIT + given["seconds"], **given)
            wire = place.gate.sent() if place.gate else None
            return {**found, "disk": size(place.kept) - before, "wire": wire}

    def _kill(self, setting: Setting) -> dict[str, Any]:
        python = self._python(setting)
        with self._places.place(setting) as place:
            before = kept(python, setting, place) if setting.shared else 0
            given = {"tasks": self._plan.killed, "seconds": self._plan.trouble_seconds}
            with Child(python, setting, "kill", place, **given) as child:
                found = child.line(LIMIT)
                child.kill()
            if found is None:
                raise JobFailed(f"not done within {LIMIT:.0f} s")
            time.sleep(0.5)  # what has reached a server is stored by it
            return {**found, "kept": kept(python, setting, place) - before}

    def _trouble(self, setting: Setting, state: str) -> dict[str, Any]:
        python = self._python(setting)
        with self._places.place(setting, gated=True) as place:
            before = kept(python, setting, place) if setting.shared else 0
            found = self._captured_in_trouble(python, setting, state, place)
            return {**found, "kept": kept(python, setting, place) - before}

    def _captured_in_trouble(self, python: str, setting: Setting, state: str, place: Place) -> dict[str, Any]:
        limit = self._plan.trouble_seconds
        given = {"tasks": self._plan.trouble, "seconds": limit}
        with Child(python, setting, "trouble", place, **given) as child:
            if child.line(LIMIT) is None or place.gate is None:
                raise JobFailed(f"did not begin within {LIMIT:.0f} s")
            place.gate.become(state)
            child.go()
            captured = child.line(limit + 1)
            if captured is None:
                return {"captured": None, "blocked": limit}
            return {**captured, "end": (child.line(2 * limit) or {}).get("end")}

    def _processes(self, setting: Setting, workers: int) -> dict[str, Any]:
        """So many processes that capture at the same time, into the same server."""
        given = {"workers": 1, "seconds": self._plan.seconds, "rounds": 5, "wait": True}
        python = self._python(setting)
        with self._places.place(setting) as place:
            children: list[Child] = []
            try:
                for number in range(workers):
                    folder = place.folder / str(number)
                    folder.mkdir()
                    children.append(Child(python, setting, "threads", place, folder=folder, **given))
                if any(child.line(LIMIT) is None for child in children):
                    raise JobFailed(f"not all began within {LIMIT:.0f} s")
                for child in children:
                    child.go()
                found = [child.line(LIMIT) or {"rates": [0.0] * 5, "failed": 0} for child in children]
            finally:
                for child in children:
                    child.__exit__()
        rates = [sum(rates) for rates in zip(*(one["rates"] for one in found))]
        return {"rates": rates, "failed": sum(one["failed"] for one in found)}


def digits() -> str:
    """The file with the handwritten digits that scikit-learn ships."""
    spec = find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise ImportError("scikit-learn, whose handwritten digits are learned, is not installed")
    path = Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz"
    with gzip.open(path) as file:
        file.read(1)
    return os.fspath(path)
