"""A service whose wall clock can be set while it runs: ``python shifted_clock.py FILE MODULE ARGUMENTS``.

``FILE`` holds the seconds by which its clock is ahead. Where libfaketime is installed the tests use that instead.
"""

from __future__ import annotations

import datetime
import runpy
import sys
import time
from pathlib import Path

real_time = time.time
file = Path(sys.argv.pop(1))


def shift() -> float:
    return float(file.read_text(encoding="ascii"))


class ShiftedDatetime(datetime.datetime):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:  # type: ignore[override]
        return datetime.datetime.fromtimestamp(real_time() + shift(), tz)


if __name__ == "__main__":
    time.time = lambda: real_time() + shift()
    time.time_ns = lambda: int((real_time() + shift()) * 1e9)
    module = sys.argv.pop(1)
    if module == "tracker":  # the class cannot be changed, only what name stands for it where it is used
        from tracker import dispatch

        dispatch.datetime = ShiftedDatetime  # type: ignore[misc]
    runpy.run_module(module, run_name="__main__")
