"""What this process takes, as Linux tells it in ``/proc``; with its children where that is asked."""

from __future__ import annotations

import os
from typing import Dict, Hashable, List, NamedTuple, Optional

from .files import contents, head
from .readings import NONE, Rate, Reading, Reasons, rates


class Share(NamedTuple):
    """What one process has taken by now."""

    seconds: float
    rss: int
    threads: int
    files: int
    read: Optional[int]
    written: Optional[int]


class Shares:
    """Makes the readings of a process out of what it, and perhaps its children, have taken."""

    def __init__(self) -> None:
        self._seconds, self._read, self._written = Rate(), Rate(), Rate()

    def readings(self, taken: Dict[int, Share], now: float) -> List[Reading]:
        """The readings; of CPU and storage as rates, over the processes that were there before too."""
        seconds: Dict[Hashable, float] = {pid: share.seconds for pid, share in taken.items()}
        read: Dict[Hashable, float] = {pid: share.read for pid, share in taken.items() if share.read is not None}
        written: Dict[Hashable, float] = {pid: s.written for pid, s in taken.items() if s.written is not None}
        found = [
            Reading("process.rss", sum(share.rss for share in taken.values()), "B"),
            Reading("process.threads", sum(share.threads for share in taken.values()), NONE),
            Reading("process.open_files", sum(share.files for share in taken.values()), NONE),
        ]
        found += rates((("process.percent", self._seconds.of(seconds, now)),), "%", 100.0)
        if read:
            pairs = (("process.read", self._read.of(read, now)), ("process.written", self._written.of(written, now)))
            found += rates(pairs, "B/s")
        return found


class Process:
    """This process: CPU in per cent of one CPU, resident memory, threads, open files, and what it reads from and writes to storage."""

    def __init__(self, root: str, children: bool, unavailable: Reasons) -> None:
        self._proc, self._children = f"{root}/proc", children
        self._shares = Shares()
        self._unavailable = unavailable
        if children and not any(
            os.path.exists(f"{self._proc}/self/task/{task}/children") for task in _listed(f"{self._proc}/self/task")
        ):
            unavailable["process.children"] = "this kernel does not tell the children of a process"
        self._tick, self._page = 1.0 / os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")

    def read(self, now: float) -> List[Reading]:
        taken = {0: self._share("self", listing=1)}
        if self._children:
            for pid in self._descendants():
                try:
                    taken[pid] = self._share(str(pid), listing=0)
                except (OSError, ValueError):
                    continue  # it has ended meanwhile, or is not ours to look at
        return self._shares.readings(taken, now)

    def _share(self, who: str, listing: int) -> Share:
        """What one process has taken; of open files less ``listing``, the one that counting them takes."""
        folder = f"{self._proc}/{who}"
        # After the name, which may hold anything but ends at the last bracket; the first word is the third field.
        words = contents(f"{folder}/stat").rpartition(b")")[2].split()
        read, written = self._storage(f"{folder}/io")
        return Share(
            seconds=(int(words[11]) + int(words[12])) * self._tick,
            rss=int(words[21]) * self._page,
            threads=int(words[17]),
            files=len(os.listdir(f"{folder}/fd")) - listing,
            read=read,
            written=written,
        )

    def _storage(self, path: str) -> List[Optional[int]]:
        try:
            told = dict(line.split(b": ") for line in head(path).splitlines())
            return [int(told[b"read_bytes"]), int(told[b"write_bytes"])]
        except (OSError, ValueError, KeyError) as error:
            self._unavailable["process.read"] = self._unavailable["process.written"] = f"{path}: {error}"
            return [None, None]

    def _descendants(self) -> List[int]:
        """The children, their children, and so on."""
        found: List[int] = []
        waiting = ["self"]
        while waiting:
            tasks = f"{self._proc}/{waiting.pop()}/task"
            for thread in _listed(tasks):
                children = _numbers(f"{tasks}/{thread}/children")
                found += children
                waiting += map(str, children)
        return found


def _listed(folder: str) -> List[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []  # the process has ended meanwhile


def _numbers(path: str) -> List[int]:
    try:
        return [int(word) for word in contents(path).split()]
    except OSError:
        return []  # likewise
