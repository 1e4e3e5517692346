"""Where the files of a run lie, under the names that Prov4ML gives them, and which run of an experiment this is.

::

    {provenance_save_dir}/{experiment}_{number}/
        prov_{experiment}_GR{rank}_{number}.json     the document; also .dot and .svg
        card_{experiment}_{number}.md                a short account
        artifacts_GR{rank}/                          copies of artifacts, models
        metrics_GR{rank}/                            series as CSV
        .pllib/                                      the records (a spool folder)
    {provenance_save_dir}/{experiment}_{number}.zip  the RO-Crate
    {provenance_save_dir}/.pllib/                    which jobs have which numbers

A number belongs to whoever made its folder, so runs that start in the same instant get numbers of their own. The processes of one
job share one.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from hashlib import sha256
from typing import Dict, NamedTuple, Optional

from .names import file_name

HIDDEN = ".pllib"
CLAIM_SECONDS = 5.0
"""How long the number is waited for that another process of the job is about to take."""
_LOOK_SECONDS = 0.01
MOST_RUNS = 10_000
"""Runs that the processes of one parent make, one after the other."""


class Folder(NamedTuple):
    """The folder of a run, as one of its processes sees it."""

    path: str
    experiment: str
    number: int
    rank: int

    @property
    def name(self) -> str:
        """What Prov4ML calls the run."""
        return f"{self.experiment}_GR{self.rank}_{self.number}"

    @property
    def artifacts(self) -> str:
        return os.path.join(self.path, f"artifacts_GR{self.rank}")

    @property
    def metrics(self) -> str:
        return os.path.join(self.path, f"metrics_GR{self.rank}")

    @property
    def spool(self) -> str:
        return os.path.abspath(os.path.join(self.path, HIDDEN))

    def path_of(self, what: str) -> str:
        """The path of the document in a format (its ending), of the ``zip`` that is the RO-Crate, or of the ``card``."""
        if what == "zip":
            return f"{self.path}.zip"
        name = f"card_{self.experiment}_{self.number}.md" if what == "card" else f"prov_{self.name}.{what}"
        return os.path.join(self.path, name)


class Place(NamedTuple):
    """A folder, and the execution that several processes share in it (``None``: it is for ``pllib.run`` to say)."""

    folder: Folder
    execution: Optional[str]
    resumed: bool = False


_counts: Dict[str, int] = {}


def place(root: str, experiment: str, rank: Optional[int], job: Optional[str], number: Optional[int] = None) -> Place:
    """The folder of a run that begins here; it is made.

    Args:
        root: where the folders of runs are.
        rank: which process of a job this is, if it is one of several.
        job: what names the job.
        number: the one to take, if the script says so. Processes that say the same one share the run.

    Raises:
        OSError: it cannot be made.
    """
    name = file_name(experiment)
    os.makedirs(root, exist_ok=True)
    own = rank or 0
    if number is not None:
        return _numbered(root, name, own, number)
    if job is not None:
        ordinal = _counts[name] = _counts.get(name, -1) + 1
        return Place(_made(root, name, own, _agreed(root, name, f"{job} {ordinal}")), None)
    parent = _parent() if rank is not None else None
    if parent is None:
        return Place(_made(root, name, own, _next(root, name)), None)
    for ordinal in range(MOST_RUNS):
        key = f"{parent} {ordinal}"
        if _taken(_claim(root, name, f"{key} rank {own}")):
            break
    return Place(_made(root, name, own, _agreed(root, name, key)), _digest(name, key))


def _numbered(root: str, name: str, rank: int, number: int) -> Place:
    folder = Folder(os.path.join(root, f"{name}_{number}"), name, number, rank)
    resumed = os.path.exists(folder.path_of("json"))
    os.makedirs(folder.spool, exist_ok=True)
    said = os.path.join(folder.spool, "execution")
    if _taken(said):
        _write(said, os.urandom(16).hex())
    execution = _read(said)
    return Place(_made(root, name, rank, number), execution, resumed and execution is not None)


def _made(root: str, name: str, rank: int, number: int) -> Folder:
    folder = Folder(os.path.join(root, f"{name}_{number}"), name, number, rank)
    for each in (folder.artifacts, folder.metrics, folder.spool):
        os.makedirs(each, exist_ok=True)
    return folder


def _next(root: str, name: str) -> int:
    """A number that no run of the experiment has; it is taken by making the folder."""
    beginning = f"{name}_"
    there = [each[len(beginning) :] for each in os.listdir(root) if each.startswith(beginning)]
    number = max((int(each) for each in there if each.isascii() and each.isdigit()), default=-1) + 1
    while True:
        try:
            os.mkdir(os.path.join(root, f"{name}_{number}"))
            return number
        except FileExistsError:
            number += 1


def _agreed(root: str, name: str, key: str) -> int:
    """The number that the processes of a job share: who claims it first takes one, the others read it."""
    claim = _claim(root, name, key)
    if _taken(claim):
        number = _next(root, name)
        _write(claim, str(number))
        return number
    said = _read(claim)
    return int(said) if said is not None and said.isdigit() else _next(root, name)


def _claim(root: str, name: str, key: str) -> str:
    folder = os.path.join(root, HIDDEN)
    os.makedirs(folder, exist_ok=True)
    return os.path.join(folder, _digest(name, key))


def _digest(name: str, key: str) -> str:
    return "job-" + sha256(f"{name}\n{key}".encode("utf-8", "surrogateescape")).hexdigest()[:24]


def _taken(path: str) -> bool:
    """Whether this process is the one that made a file, which nobody else did before."""
    try:
        with open(path, "x", encoding="ascii"):
            return True
    except FileExistsError:
        return False


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(f"{text}\n")


def _read(path: str) -> Optional[str]:
    """What another process writes into a file that it made; ``None`` if it never does."""
    until = time.monotonic() + CLAIM_SECONDS
    while True:
        with open(path, encoding="ascii") as file:
            text = file.read()
        if text.endswith("\n"):
            return text.strip()
        if time.monotonic() >= until:
            return None
        time.sleep(_LOOK_SECONDS)


def _parent() -> Optional[str]:
    """The process that started this one by ``multiprocessing``, if one did: ranks that no launcher made have it in common."""
    parent = multiprocessing.parent_process()
    if parent is None or parent.pid is None:
        return None
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            boot = file.read().strip()
        with open(f"/proc/{parent.pid}/stat", "rb") as file:
            # The second field is the command in brackets, and may hold anything.
            fields = file.read().rpartition(b")")[2].split()
        return f"{boot} {parent.pid} {fields[19].decode()}"
    except (OSError, IndexError):
        return None
