"""Checksums of files and folders, by reading them only: what was read, how much, and whether it changed meanwhile.

A folder has a manifest: its files in the order of their names, each with size and checksum. What is no regular file (a pipe, a device, a
link) is named and never opened, so nothing here can wait for a writer or read for ever.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

BLOCK = 1 << 20
MAX_FILES = 10_000
"""Files of a folder that are read; the manifest says when there are more."""
MAX_LISTED = 1_000
"""Files of a folder that its manifest shows; the checksum is over all that were read."""
Facts = Dict[str, Any]
GoOn = Callable[[], bool]


class Stopped(Exception):
    """The process ends before everything was read."""


class Opened(NamedTuple):
    """A regular file that was opened, and the state it had then: it can be read even when it is removed meanwhile."""

    fd: int
    size: int
    changed: int
    number: int

    @property
    def version(self) -> str:
        """The state, as in the identity of data references."""
        return f"s1-{self.size:x}-{self.changed:x}"

    def is_as_it_was(self, path: str) -> bool:
        """Whether the file, and what the path leads to if it leads to anything, is still in that state."""
        states = [os.fstat(self.fd)]
        with contextlib.suppress(OSError):  # removed after it was logged: what was read is what was logged
            states.append(os.stat(path))
        return all((s.st_size, s.st_mtime_ns, s.st_ino) == self[1:] for s in states)


def opened(path: str) -> Opened:
    """Opens a regular file to read.

    Raises:
        OSError: it cannot be read, or is no regular file.
    """
    # Without O_NONBLOCK a pipe would wait here for its writer.
    fd = os.open(
        path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    )
    state = os.fstat(fd)
    if not stat.S_ISREG(state.st_mode):
        os.close(fd)
        raise OSError(f"{path} is no regular file, so it has no content to sum up")
    return Opened(fd, state.st_size, state.st_mtime_ns, state.st_ino)


def of_file(path: str, file: Opened, go_on: GoOn) -> Facts:
    """Facts about a file: ``sha256`` and ``size``; or ``changed_while_read`` where the two would be of no state that it ever had.

    Closes the file.

    Raises:
        Stopped: ``go_on`` said no.
        OSError: it cannot be read to its end.
    """
    try:
        digest, read = hashlib.sha256(), 0
        # A file that grows faster than it is read has no end: what is beyond its size shows that it changed.
        while read <= file.size:
            block = os.read(file.fd, BLOCK)
            if not block:
                break
            digest.update(block)
            read += len(block)
            if not go_on():
                raise Stopped
        if read != file.size or not file.is_as_it_was(path):
            return {"size": file.size, "changed_while_read": True}
        return {"size": read, "sha256": digest.hexdigest()}
    finally:
        os.close(file.fd)


def of_folder(path: str, go_on: GoOn) -> Facts:
    """Facts about a folder: ``files``, ``size`` of all together, ``manifest`` and ``sha256``, which is that of the manifest's lines.

    A line is ``{sha256}  {path}`` as ``sha256sum`` writes it. ``manifest`` maps paths to ``[size, sha256]``, or to why
    there is none; at most ``MAX_LISTED`` are in it (``listed`` says how many, if not all). ``not_read`` counts files that
    have no checksum, ``cut`` says that only the first ``MAX_FILES`` were looked at.

    Raises:
        Stopped: ``go_on`` said no.
        OSError: the folder itself cannot be read.
    """
    os.scandir(path).close()
    manifest: Dict[str, Any] = {}
    whole = hashlib.sha256()
    size = count = unread = 0
    cut = changed = False
    for name in _files_under(path):
        if count == MAX_FILES:
            cut = True
            break
        count += 1
        entry = _entry(os.path.join(path, name), go_on)
        if isinstance(entry, str):
            unread += 1
            changed = changed or entry == "changed while read"
            whole.update(f"{entry}  {name}\n".encode("utf-8", "surrogateescape"))
        else:
            size += entry[0]
            whole.update(f"{entry[1]}  {name}\n".encode("utf-8", "surrogateescape"))
        if len(manifest) < MAX_LISTED:
            manifest[name] = entry if isinstance(entry, str) else list(entry)
    found: Facts = {"files": count, "size": size, "sha256": whole.hexdigest(), "manifest": manifest}
    said = {
        "listed": len(manifest) if len(manifest) < count else 0,
        "not_read": unread,
        "cut": cut,
        "changed_while_read": changed,
    }
    if changed:
        del found["sha256"]
    return {**found, **{name: fact for name, fact in said.items() if fact}}


def _files_under(path: str) -> Iterator[str]:
    """Paths below a folder, of everything but folders, in the order of their names; links to folders are not followed."""
    pending: List[str] = [""]
    while pending:
        inside = pending.pop()
        folders, files = _members(path, inside)
        yield from files
        pending.extend(reversed(folders))


def _members(path: str, inside: str) -> Tuple[List[str], List[str]]:
    folders: List[str] = []
    files: List[str] = []
    try:
        with os.scandir(os.path.join(path, inside)) as entries:
            for entry in entries:
                name = f"{inside}/{entry.name}" if inside else entry.name
                (folders if entry.is_dir(follow_symlinks=False) else files).append(name)
    except OSError:
        files = [f"{inside}/"]  # a folder that cannot be read shows as an entry that cannot be read
    return sorted(folders), sorted(files)


def _entry(path: str, go_on: GoOn) -> Any:
    """Size and checksum of a file in a folder, or why it has none."""
    try:
        if os.path.islink(path):
            return f"link to {os.readlink(path)}"
        facts = of_file(path, opened(path), go_on)
    except OSError as error:
        return f"not read: {error.strerror or 'no regular file'}"
    return (facts["size"], facts["sha256"]) if "sha256" in facts else "changed while read"


def folder_version(facts: Facts) -> Optional[str]:
    """The state of a folder, by what its files hold: the same wherever and whenever it is the same."""
    digest = facts.get("sha256")
    return f"m1-{digest}" if isinstance(digest, str) and not facts.get("cut") else None
