"""Which revision of a file came before which: git says what the content was, here is looked up which commit made it so.

A revision is a path with a content, and the commit that gave it. Where several commits gave a file the same content (a change
that was taken back, or picked onto another branch), the one meant is the latest among the ancestors.

What is remembered is kept in a temporary database, which goes to disk when it grows: a history of any length takes bounded memory.
"""

from __future__ import annotations

import sqlite3
from hashlib import blake2b
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from .git import Change, Commit, Repository

_CACHE_KIB = 32_768
_MOST_STEPS = 200_000
"""Commits that are looked at to tell which of several is an ancestor."""
_TABLES = """
CREATE TABLE commits (number INTEGER PRIMARY KEY, sha TEXT UNIQUE, parents TEXT);
CREATE TABLE revisions (
    key BLOB, number INTEGER, status TEXT, first_path BLOB, first_number INTEGER, PRIMARY KEY (key, number)
) WITHOUT ROWID;
"""
_FIND = """
SELECT r.number, c.sha, r.status, r.first_path, f.sha FROM revisions r JOIN commits c ON c.number = r.number
JOIN commits f ON f.number = r.first_number WHERE r.key = ? ORDER BY r.number DESC
"""


class Revision(NamedTuple):
    """A state of a file.

    Attributes:
        commit: that made it.
        status: how (``git.Change``).
        first: path and commit with which the file came into being; modified or renamed it is the same file, copied another.
    """

    path: str
    commit: str
    status: str
    first: Tuple[str, str]


class Step(NamedTuple):
    """A change, with the revisions that were before it; and the new one, ``None`` where the file was deleted."""

    change: Change
    revision: Optional[Revision]
    before: Tuple[Revision, ...]


class History:
    """The history of a repository, read once, in order; then asked what was where."""

    def __init__(self, repository: Repository) -> None:
        self.repository = repository
        self._database = sqlite3.connect("")  # a file of its own, once it no longer fits the cache
        self._database.executescript(f"PRAGMA journal_mode=OFF; PRAGMA cache_size=-{_CACHE_KIB};{_TABLES}")
        self._count = 0

    def close(self) -> None:
        self._database.close()

    def steps(self) -> Iterator[Tuple[Commit, List[Step]]]:
        """Every commit with its changes; parents before their children."""
        for commit in self.repository.commits():
            parents = self._numbers(commit.parents)
            self._count += 1
            self._database.execute(
                "INSERT OR IGNORE INTO commits VALUES (?, ?, ?)",
                (self._count, commit.sha, " ".join(str(number) for number in parents if number)),
            )
            yield commit, [self._step(commit, parents, change) for change in commit.changes]

    def knows(self, commit: str) -> bool:
        """Whether there is such a commit."""
        return bool(self._numbers([commit])[0])

    def revisions_at(self, asked: Sequence[Tuple[str, str]]) -> Dict[Tuple[str, str], Revision]:
        """For pairs of commit and path the revision that was there."""
        known = [pair for pair in dict.fromkeys(asked) if self.knows(pair[0])]
        found: Dict[Tuple[str, str], Revision] = {}
        for (commit, path), blob in zip(known, self.repository.blobs(known)):
            revision = self._find(path, blob, self._numbers([commit])) if blob else None
            if revision is not None:
                found[commit, path] = revision
        return found

    def _step(self, commit: Commit, parents: List[int], change: Change) -> Step:
        sides = [(parents[index], side) for index, side in enumerate(change.before) if side is not None]
        found = [self._find(side.path, side.blob, [parent]) for parent, side in sides]
        before = tuple(dict.fromkeys(revision for revision in found if revision is not None))
        if change.status == "D":
            return Step(change, None, before)
        first = (change.path, commit.sha) if change.status in "AC" or not before else _same_file(change, before)
        first_number = self._numbers([first[1]])[0] or self._count
        self._database.execute(
            "INSERT OR REPLACE INTO revisions VALUES (?, ?, ?, ?, ?)",
            (_key(change.path, change.blob), self._count, change.status, _bytes(first[0]), first_number),
        )
        return Step(change, Revision(change.path, commit.sha, change.status, first), before)

    def _numbers(self, shas: Sequence[str]) -> List[int]:
        """Numbers of commits, 0 for one that is not known (the parent of a shallow clone's oldest)."""
        rows = [self._database.execute("SELECT number FROM commits WHERE sha = ?", (sha,)).fetchone() for sha in shas]
        return [row[0] if row else 0 for row in rows]

    def _find(self, path: str, blob: str, tips: List[int]) -> Optional[Revision]:
        rows = self._database.execute(_FIND, (_key(path, blob),)).fetchall()
        if not rows:
            return None
        row = rows[0] if len(rows) == 1 else self._nearest(rows, tips)
        return Revision(path, row[1], row[2], (_path(row[3]), row[4]))

    def _nearest(
        self, rows: List[Tuple[int, str, str, bytes, str]], tips: List[int]
    ) -> Tuple[int, str, str, bytes, str]:
        """Of several commits the latest that is an ancestor, or itself one of the tips."""
        wanted = {row[0]: row for row in rows}
        least = rows[-1][0]
        pending, seen = sorted(tips), set(tips)
        for _ in range(_MOST_STEPS):
            if not pending:
                break
            number = pending.pop()
            if number in wanted:
                return wanted[number]
            row = self._database.execute("SELECT parents FROM commits WHERE number = ?", (number,)).fetchone()
            fresh = {int(word) for word in row[0].split()} - seen if row else set()
            seen |= fresh
            # The numbers of ancestors are smaller, so the greatest is looked at first.
            pending = sorted(pending + [one for one in fresh if one >= least])
        return rows[0]


def _same_file(change: Change, before: Tuple[Revision, ...]) -> Tuple[str, str]:
    """Of the files that a merge made one, the one that has the name."""
    return next((each.first for each in before if each.path == change.path), before[0].first)


def _key(path: str, blob: str) -> bytes:
    return blake2b(_bytes(path) + b"\0" + blob.encode("ascii"), digest_size=16).digest()


def _bytes(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")


def _path(content: bytes) -> str:
    return content.decode("utf-8", "surrogateescape")
