"""Processes: telling one from another that has its number, starting one that cannot outlive us, ending one whole.

A process number comes round again, so a process is known by its number *and* the moment it was started (`Identity`).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


@dataclass(frozen=True, slots=True)
class Identity:
    """One process for good: `started` differs when the number is given to another, or the machine was restarted."""

    pid: int
    started: str


def identify(pid: int) -> Identity | None:
    """The process that has this number now; None when there is none, or only one that has ended already."""
    started = _started_linux(pid) if Path("/proc/self/stat").exists() else _started_ps(pid)
    return Identity(pid, started) if started else None


def alive(process: Identity) -> bool:
    """Whether this very process is running still."""
    return identify(process.pid) == process


def _started_linux(pid: int) -> str | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    except OSError:
        return None
    # The second field is the program's name, which may hold spaces and brackets: count from behind it.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else f"{boot}/{fields[19]}"


def _started_ps(pid: int) -> str | None:
    command = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()  # noqa: S603
    return None if not said or said[0].startswith("Z") else " ".join(said[1:])


def spawn(command: tuple[str, ...], log: int, folder: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """A started process that leads its own process group, reads nothing and writes to `log`.

    On Linux the kernel kills it when we end, however we end. That is bound to the *thread* that starts it, so call
    this from the main thread. Raises OSError when the program cannot be started.
    """
    return subprocess.Popen(  # noqa: S603  (the commands come from the plan)
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        cwd=folder,
        env=dict(environment),
        process_group=0,
        preexec_fn=_die_with(os.getpid()) if _libc else None,
    )


def _die_with(parent: int) -> Callable[[], None]:
    def ask_the_kernel() -> None:
        assert _libc is not None  # noqa: S101  (for the type checker; the caller looked)
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        # The parent may have ended before the kernel was asked: then nobody will tell us.
        if os.getppid() != parent:
            os._exit(1)

    return ask_the_kernel


def ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether the process has ended; what it left of its group is killed, before its number can be given away."""
    if process.returncode is not None:
        return True
    try:
        found = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        found = None
        process.poll()
    if found is not None:
        signal_group(process.pid, signal.SIGKILL)
        process.wait()
    return process.returncode is not None


def signal_group(leader: int, number: signal.Signals) -> None:
    """Sends a signal to a process group; nothing when it is gone."""
    # PermissionError is what some systems say of a group of which only the ended leader is left.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


def wait_until(condition: Callable[[], bool], seconds: float, pause: float = 0.05) -> bool:
    """True as soon as the condition holds, False when it does not within `seconds`."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= until:
            return False
        time.sleep(pause)
    return True


def describe_exit(code: int) -> str:
    """How a process ended, for people: its exit code, or the signal that ended it."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"
