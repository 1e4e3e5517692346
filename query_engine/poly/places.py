"""Files below a registered root, opened so that nothing outside is ever touched, whoever changes the folders meanwhile.

A key is walked part by part, each folder held open while its entry is looked at; links are read and walked like keys.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import NamedTuple, Optional

MOST_LINKS = 40
MOST_PARTS = 500


class Unread(Exception):
    """Data that is not read.

    Attributes:
        status: ``missing``, ``refused`` or ``unreadable``.
        reason: why, for people.
    """

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class Opened(NamedTuple):
    """An open regular file: a path that is this very file, and its state as provenance writes it."""

    descriptor: int
    path: str

    def version(self) -> str:
        """The state of the file now (``s1-{size}-{mtime}``, docs/reference/identity.md)."""
        status = os.fstat(self.descriptor)
        return f"s1-{status.st_size:x}-{status.st_mtime_ns:x}"


@contextmanager
def opened(root: str, key: str, folders: Sequence[str]) -> Iterator[Opened]:
    """The regular file with that key, open for the block.

    Args:
        root: the registered folder.
        key: path below the root, or an absolute one that begins with it.
        folders: paths below the root, of which the file must be in one; none for all of it.

    Raises:
        Unread: there is none, or it may not be read.
    """
    with ExitStack() as held:
        walk = _Walk(root, held)
        try:
            descriptor = walk.go(key)
        except OSError as error:
            raise _unread(error) from error
        if folders and not any(_inside(walk.names, folder) for folder in folders):
            raise Unread("refused", "it is in no folder that is registered for reading")
        yield Opened(descriptor, f"{_DESCRIPTORS}/{descriptor}")


_DESCRIPTORS = "/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"

# To pass through a folder takes no right to list it.
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC


def _inside(names: Sequence[str], folder: str) -> bool:
    parts = [part for part in folder.split("/") if part not in ("", ".")]
    return list(names[: len(parts)]) == parts


def _unread(error: OSError) -> Unread:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return Unread("missing", "there is no such file")
    if error.errno in (errno.EACCES, errno.EPERM):
        return Unread("refused", "the query engine has no permission to read it")
    return Unread("unreadable", os.strerror(error.errno or errno.EIO))


class _Walk:
    """One way from the root to a file."""

    def __init__(self, root: str, held: ExitStack) -> None:
        self._root, self._held = root, held
        self._folders: list[int] = []
        self.names: list[str] = []
        self._links = 0

    def go(self, key: str) -> int:
        """The descriptor of the file. Raises ``OSError`` or ``Unread``."""
        self._folders = [self._keep(os.open(self._root, _FOLDER))]
        left = self._parts(key)
        while left:
            found = self._step(left)
            if found is not None:
                return found
        raise Unread("refused", "it is a folder, no file")

    def _keep(self, descriptor: int) -> int:
        self._held.callback(os.close, descriptor)
        return descriptor

    def _parts(self, path: str) -> list[str]:
        """The parts of a path below the root, the first last."""
        try:
            if b"\0" in os.fsencode(path):
                raise Unread("refused", "its key holds a NUL character")
        except UnicodeEncodeError as error:
            raise Unread("refused", "its key is no text that a file can be named by") from error
        if path.startswith("/"):
            path = self._below(path)
        parts = [part for part in path.split("/") if part not in ("", ".")]
        if len(parts) > MOST_PARTS:
            raise Unread("refused", "its key has too many parts")
        return parts[::-1]

    def _below(self, path: str) -> str:
        """An absolute path as one below the root; the walk begins there again."""
        for root in (self._root, os.path.realpath(self._root)):
            prefix = root.rstrip("/") + "/"
            if path.startswith(prefix):
                del self._folders[1:], self.names[:]
                return path[len(prefix) :]
        raise Unread("refused", "it lies outside the registered folder")

    def _step(self, left: list[str]) -> Optional[int]:
        """Takes one part of those left; the file's descriptor when that was the last."""
        part = left.pop()
        if part == "..":
            if not self.names:
                raise Unread("refused", "it lies outside the registered folder")
            self.names.pop()
            self._folders.pop()
            return None
        folder = self._folders[-1]
        mode = os.stat(part, dir_fd=folder, follow_symlinks=False).st_mode
        if stat.S_ISLNK(mode):
            self._link(os.readlink(part, dir_fd=folder), left)
            return None
        if stat.S_ISDIR(mode):
            self._folders.append(self._keep(os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)))
            self.names.append(part)
            return None
        if left:
            raise Unread("missing", "there is no such file")
        if not stat.S_ISREG(mode):
            raise Unread("refused", "it is no regular file")
        self.names.append(part)
        return self._file(part, folder)

    def _link(self, target: str, left: list[str]) -> None:
        self._links += 1
        if self._links > MOST_LINKS:
            raise Unread("refused", "it goes over too many links")
        left += self._parts(target)

    def _file(self, part: str, folder: int) -> int:
        # Since it was looked at it may have become another thing: never waited for, and looked at again.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        descriptor = self._keep(os.open(part, flags, dir_fd=folder))
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise Unread("refused", "it is no regular file")
        return descriptor
