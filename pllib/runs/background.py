"""One thread of the process for what takes long: checksums of large files, facts about code and environment.

It is started by the first job and is a daemon. A forked child starts with none, and with no jobs: they are done in the parent.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Callable, Deque, Optional

from .._boundary import nothing, shielded
from ..process_end import around_forks, ended

IDLE_SECONDS = 30.0
Job = Callable[["Jobs"], None]


class Jobs:
    """Jobs that are done one after the other, in a thread where there can be one.

    A job is called with this object; ``go_on`` tells it when it is to stop early.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._waiting: Deque[Job] = deque()
        self._running: Optional[Job] = None
        self._thread: Optional[threading.Thread] = None
        self._stopped = False

    def go_on(self) -> bool:
        """Whether there is still time."""
        return not self._stopped

    def count(self) -> int:
        """How many are to be done."""
        return len(self._waiting)

    def put(self, job: Job) -> None:
        """Has a job done soon; at once where no thread can be started any more."""
        with self._condition:
            if not self._stopped and not ended():
                self._waiting.append(job)
                if self._thread is not None or self._start():
                    self._condition.notify_all()
                    return
                self._waiting.remove(job)
        _do(job, self)

    def _start(self) -> bool:
        thread = threading.Thread(target=self._work, name="pllib-runs", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # too many threads, or the interpreter ends
            return False
        self._thread = thread
        return True

    def _work(self) -> None:
        while True:
            with self._condition:
                if not self._waiting:
                    self._condition.wait(IDLE_SECONDS)
                if not self._waiting:
                    self._thread = None
                    return
                job = self._running = self._waiting.popleft()
            _do(job, self)
            with self._condition:
                self._running = None
                self._condition.notify_all()

    def wait(self, seconds: float) -> bool:
        """Whether all jobs were done within so many seconds."""
        until = time.monotonic() + seconds
        with self._condition:
            while self._waiting or self._running is not None:
                left = until - time.monotonic()
                if left <= 0 or self._thread is threading.current_thread():
                    return False
                self._condition.wait(left)
        return True

    def stop(self, seconds: float) -> None:
        """Comes to the end: what is not done within so many seconds is told to stop, and to say that it did."""
        if not self.wait(seconds):
            self._stopped = True  # whatever goes on says so quickly, and so does what has not begun
            self.wait(0.2)
        self._stopped = False


@shielded(nothing, always=True)
def _do(job: Job, jobs: Jobs) -> None:
    job(jobs)


jobs = Jobs()


def _in_child() -> None:
    global jobs
    jobs = Jobs()


around_forks(lambda: None, lambda: None, _in_child)
