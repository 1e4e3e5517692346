"""Whether the process that writes a file still lives: it holds a lock on it, which the system takes back when it ends.

Nobody ever waits for these locks. They only keep ``pllib ship`` from taking away a file that is still written to. Some shared file
systems keep locks within one host: there a file that nobody here has locked may be written on another one, so it counts as dead only
when it has been quiet for long.
"""

from __future__ import annotations

import os
import time
from functools import lru_cache

try:
    import fcntl
except ImportError:  # Windows, where an open file cannot be deleted anyway
    fcntl = None  # type: ignore[assignment]

QUIET_SECONDS = 86_400.0
"""Where no lock can tell, a file that was not written to for so long belongs to nobody."""

MOUNTS = "/proc/self/mountinfo"
WITHIN_A_HOST = ("beegfs", "9p", "afs", "fuse.sshfs")
"""File systems whose locks other hosts do not see, or need not see."""
UNSEEN_BY = {
    "nfs": ("local_lock=all", "local_lock=flock"),
    "nfs4": ("local_lock=all", "local_lock=flock"),
    "cifs": ("nobrl",),
    "smb3": ("nobrl",),
}
"""Mount options by which locks stay within a host."""

DEAD, SHIPPING, WAITING = "dead", "shipping", "waiting"


def hold(fd: int, ships: bool) -> None:
    """Marks a file, open to read and write, as written by this process; ``ships``: which also sends it."""
    if fcntl is None:
        return
    for _ in range(10):
        try:
            fcntl.flock(fd, (fcntl.LOCK_EX if ships else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.001)  # somebody looks this very moment
            continue
        except OSError:
            pass  # a file system without locks
        return


def holder(path: str) -> str:
    """``DEAD`` when nobody writes the file any more, ``SHIPPING`` or ``WAITING`` (for ``pllib ship``) when somebody does.

    Raises:
        OSError: the file cannot be opened.
    """
    try:
        fd = opened(path)
    except FileNotFoundError:
        return DEAD
    try:
        return _tried(fd)
    finally:
        os.close(fd)


def take(fd: int) -> bool:
    """Takes a file whose writer has ended, until it is closed; ``False`` when its writer lives, or somebody else has taken it."""
    return _tried(fd) == DEAD


def opened(path: str) -> int:
    """Opens a file whose writer is asked for.

    Raises:
        OSError: that cannot be done.
    """
    try:
        return os.open(path, os.O_RDWR)  # over NFS only what may be written can be locked
    except OSError:
        return os.open(path, os.O_RDONLY)


def _tried(fd: int) -> str:
    if fcntl is not None:
        for kind, found in ((fcntl.LOCK_EX, DEAD), (fcntl.LOCK_SH, WAITING)):
            try:
                fcntl.flock(fd, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            except OSError:
                break
            if found == DEAD and not _seen_by_all(os.fstat(fd).st_dev):
                break
            return found
        else:
            return SHIPPING
    quiet = time.time() - os.fstat(fd).st_mtime > QUIET_SECONDS
    return DEAD if quiet else WAITING


@lru_cache(maxsize=64)
def _seen_by_all(device: int) -> bool:
    """Whether a lock on a file of this device is seen by all hosts that have the file."""
    try:
        with open(MOUNTS, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().splitlines()
    except OSError:
        return True
    name = f"{os.major(device)}:{os.minor(device)}"
    for line in lines:
        mount, _, rest = line.partition(" - ")
        if mount.split()[2] == name:
            kind, _, options = rest.split(" ", 2)
            return locks_reach(kind, options)
    return True


def locks_reach(kind: str, options: str) -> bool:
    """Whether locks on a file system of a kind, mounted with these options, are seen by other hosts (or there are none)."""
    given = options.split(",")
    if kind == "lustre":
        return "flock" in given
    return kind not in WITHIN_A_HOST and not any(option in given for option in UNSEEN_BY.get(kind, ()))
