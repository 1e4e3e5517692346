"""Delivered entries that are still kept, in the SQLite file, and whether its last process closed it.

An acknowledgement writes one row with the ids of its entries and leaves the entries where they are. They are deleted when
the row has become old, by later acknowledgements, some at a time: to acknowledge costs no more than to delete at once.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

SCHEMA = """
CREATE TABLE IF NOT EXISTS delivered (id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, entries TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS life (id INTEGER PRIMARY KEY CHECK (id = 1), seen REAL NOT NULL, open INTEGER NOT NULL);
"""

GROUPS_A_TURN = 2
"""Acknowledgements whose entries are deleted with each new one: more than come, so that the old ones get fewer."""
RELEASED_A_TURN = 20
"""Acknowledgements whose entries are deleted at once when the disk is full."""


def begin(connection: sqlite3.Connection, now: float, keep: float) -> int:
    """Notes that the file is open. If its last process did not close it, what that delivered within ``keep`` seconds of
    its last sign of life waits again; how many entries."""
    seen, was_open = connection.execute("SELECT seen, open FROM life").fetchone() or (0.0, 0)
    connection.execute("INSERT OR REPLACE INTO life (id, seen, open) VALUES (1, ?, 1)", (now,))
    if not was_open:
        return 0
    last = connection.execute("SELECT ifnull(max(at), 0) FROM delivered").fetchone()[0]
    return len(replay(connection, max(seen, last) - keep))


def sign_of_life(connection: sqlite3.Connection, now: float) -> None:
    """Notes that the file is in use still, or now, if there was no space to note it when it was opened."""
    connection.execute("INSERT OR REPLACE INTO life (id, seen, open) VALUES (1, ?, 1)", (now,))


def end(connection: sqlite3.Connection) -> None:
    """Notes that the file was closed."""
    connection.execute("UPDATE life SET open = 0")


def acknowledge(connection: sqlite3.Connection, numbers: Sequence[int], now: float, keep: float) -> int:
    """Marks entries as delivered, or deletes them where nothing is kept; deletes old ones.

    Returns:
        how many more are kept now.
    """
    if not keep:
        _delete(connection, numbers)
        return -prune(connection, now, keep)
    connection.execute("INSERT INTO delivered (at, entries) VALUES (?, ?)", (now, json.dumps(numbers)))
    return len(numbers) - prune(connection, now, keep)


def prune(connection: sqlite3.Connection, now: float, keep: float) -> int:
    """Deletes some of the entries that were delivered more than ``keep`` seconds ago; how many they were.

    What seems to have been delivered in the future has an unknown age, since the clock was set back, and counts as old.
    """
    return _forget(
        connection,
        connection.execute(
            "SELECT id, entries FROM delivered WHERE at NOT BETWEEN ? AND ? ORDER BY id LIMIT ?",
            (now - keep, now + keep, GROUPS_A_TURN),
        ).fetchall(),
    )


def release(connection: sqlite3.Connection) -> int:
    """Deletes some of the delivered entries, the oldest first, however young; how many they were."""
    oldest = connection.execute("SELECT id, entries FROM delivered ORDER BY id LIMIT ?", (RELEASED_A_TURN,))
    return _forget(connection, oldest.fetchall())


def _forget(connection: sqlite3.Connection, groups: list[tuple[int, str]]) -> int:
    deleted = 0
    for identifier, entries in groups:
        deleted += _delete(connection, json.loads(entries))
        connection.execute("DELETE FROM delivered WHERE id = ?", (identifier,))
    return deleted


def _delete(connection: sqlite3.Connection, numbers: Sequence[int]) -> int:
    return connection.executemany("DELETE FROM entry WHERE id = ?", [(number,) for number in numbers]).rowcount


def replay(connection: sqlite3.Connection, since: float) -> list[tuple[int, int]]:
    """Takes the mark off what was delivered at or after ``since``: partition and id of the entries, oldest first."""
    rows: list[tuple[int, int]] = []
    for (entries,) in connection.execute(
        "SELECT entries FROM delivered WHERE at >= ? ORDER BY id", (since,)
    ).fetchall():
        for number in json.loads(entries):
            rows += connection.execute("SELECT partition, id FROM entry WHERE id = ?", (number,))
    connection.execute("DELETE FROM delivered WHERE at >= ?", (since,))
    return rows


def ids(connection: sqlite3.Connection) -> set[int]:
    """The ids of all entries that were delivered and are still kept."""
    groups = connection.execute("SELECT entries FROM delivered").fetchall()
    return {number for (entries,) in groups for number in json.loads(entries)}
