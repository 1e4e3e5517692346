"""Registered databases, attached read only while their tables are read."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from query_engine.poly.places import Unread

REFERENCE = "_reference"
"""Column that says which reference a row is of, as the provenance rows write it."""

_CONNECT_SECONDS = 5
_CONNECTIONS = 2
_EXTENSIONS = {
    "sqlite": ("duckdb_extension_sqlite_scanner", "sqlite_scanner"),
    "postgresql": ("duckdb_extension_postgres_scanner", "postgres_scanner"),
}
_SIMPLE_TYPE = re.compile(r"[A-Z][A-Z0-9_ ]*(?:\(\d+(?:,\d+)?\))?")
_SCHEMAS = {"sqlite": "main", "postgresql": "public"}


def quoted(name: str) -> str:
    """A name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


def for_each(references: Iterable[str]) -> str:
    """SQL that joins all rows of what stands before it with each of some references."""
    return f"CROSS JOIN (SELECT unnest([{', '.join(map(literal, references))}]) AS {REFERENCE}) AS _of"


def load_extensions(engine: duckdb.DuckDBPyConnection, kinds: Iterable[str]) -> None:
    """Loads what the engine needs for these kinds of stores, from installed packages; nothing is fetched."""
    for kind in set(kinds) & set(_EXTENSIONS):
        package, extension = _EXTENSIONS[kind]
        folder = Path(importlib.import_module(package).__path__[0]) / "extensions" / f"v{duckdb.__version__}"
        engine.execute(f"LOAD {literal(str(folder / f'{extension}.duckdb_extension'))}")


class Table(NamedTuple):
    """A table that may be read: its full name in SQL, and name and type of each column of its primary key."""

    name: str
    key: tuple[tuple[str, str], ...]

    def join(self, keys: Mapping[str, str]) -> str:
        """SQL that joins this table, as ``_data``, with the references to its rows.

        Args:
            keys: primary key by reference; the values of a key of several columns with slashes between.

        Raises:
            Unread: the table has no primary key, or one of more columns than these.
        """
        if not self.key:
            raise Unread("refused", "its table has no primary key: refer to the whole table")
        parts = {name: text.split("/", len(self.key) - 1) for name, text in keys.items()}
        whole = {name: part for name, part in parts.items() if len(part) == len(self.key)}
        if not whole:
            raise Unread("refused", f"the primary key of its table has {len(self.key)} columns")
        lists = [f"unnest([{', '.join(map(literal, whole))}]) AS {REFERENCE}"]
        for number in range(len(self.key)):
            values = ", ".join(literal(part[number]) for part in whole.values())
            lists.append(f"unnest([{values}]) AS _key{number}")
        same = " AND ".join(
            f"_data.{quoted(column)} = TRY_CAST(_of._key{number} AS {kind})"
            if _SIMPLE_TYPE.fullmatch(kind)
            else f"CAST(_data.{quoted(column)} AS VARCHAR) = _of._key{number}"
            for number, (column, kind) in enumerate(self.key)
        )
        return f"JOIN (SELECT {', '.join(lists)}) AS _of ON {same}{self._narrow(whole)}"

    def _narrow(self, keys: Mapping[str, list[str]]) -> str:
        """A condition that the database itself can use, so that it need not send the whole table."""
        column, kind = self.key[0]
        if not _SIMPLE_TYPE.fullmatch(kind):
            return ""
        values = ", ".join(dict.fromkeys(f"TRY_CAST({literal(part[0])} AS {kind})" for part in keys.values()))
        return f" WHERE _data.{quoted(column)} IN ({values})"


class Databases:
    """The databases of one query."""

    def __init__(
        self, engine: duckdb.DuckDBPyConnection, stores: Mapping[str, Mapping[str, Any]], seconds: float
    ) -> None:
        self._engine, self._stores, self._seconds = engine, stores, seconds
        self._names: dict[str, str] = {}
        self._tables: dict[tuple[str, str], Table] = {}
        self._broken: dict[str, Unread] = {}

    def table(self, store: str, name: str) -> Table:
        """A table of a store by its name, for PostgreSQL with ``schema.`` before it when that is not ``public``.

        Raises:
            Unread: it is not registered, or there is none.
        """
        if (store, name) not in self._tables:
            kind, allowed = self._stores[store]["kind"], self._stores[store]["tables"]
            schema, dot, bare = name.partition(".") if kind == "postgresql" else ("", "", "")
            schema, bare = (schema, bare) if dot else (_SCHEMAS[kind], name)
            if not _allowed(schema, bare, allowed, _SCHEMAS[kind]):
                raise Unread("refused", "its table is not registered for reading")
            self._tables[store, name] = self._look_up(self._attached(store), schema, bare)
        return self._tables[store, name]

    def _look_up(self, database: str, schema: str, table: str) -> Table:
        # Names differ by case in the database and do not in the engine; only what cannot be mistaken is read.
        # Views of SQLite are none of these tables: the engine would run their text itself, with rights of ours.
        found = self._engine.execute(
            "SELECT table_name FROM duckdb_tables() WHERE database_name = ? AND schema_name = ? "
            "AND lower(table_name) = lower(?)",
            [database, schema, table],
        ).fetchall()
        if (table,) not in found:
            raise Unread("missing", "there is no such table")
        if len(found) > 1:
            raise Unread("refused", "its table has a namesake that differs only in case")
        name = f"{quoted(database)}.{quoted(schema)}.{quoted(table)}"
        return Table(name, tuple(self._primary_key(database, schema, table)))

    @contextmanager
    def failures(self) -> Iterator[None]:
        """Turns errors of a database into ``Unread``. Their texts stay here: they name hosts, users and paths."""
        try:
            yield
        except duckdb.OutOfMemoryException:
            raise
        except duckdb.Error:
            reason = "the database cannot be read now, or not in time"
            raise Unread("unavailable", reason) from None

    def close(self) -> None:
        """Detaches all; what they were opened by is forgotten."""
        for name in self._names.values():
            self._engine.execute(f"DETACH {quoted(name)}")
            self._engine.execute(f"DROP SECRET IF EXISTS {quoted(name)}")
        self._names.clear()

    def _attached(self, store: str) -> str:
        if store in self._broken:
            raise self._broken[store]
        if store not in self._names:
            name = f"_store{len(self._names) + len(self._broken)}"
            try:
                with self.failures():
                    self._attach(name, self._stores[store])
                    self._engine.execute("SELECT count(*) FROM duckdb_tables()").fetchone()
            except Unread as error:
                # The engine lists the tables of all databases together: one that fails would hide the others.
                self._engine.execute(f"DETACH DATABASE IF EXISTS {quoted(name)}")
                self._broken[store] = error
                raise
            self._names[store] = name
        return self._names[store]

    def _attach(self, name: str, store: Mapping[str, Any]) -> None:
        if store["kind"] == "sqlite":
            self._engine.execute(f"ATTACH {literal(store['file'])} AS {quoted(name)} (TYPE sqlite, READ_ONLY)")
            return
        self._engine.execute(f"SET pg_pool_max_connections = {_CONNECTIONS}")
        self._engine.execute(
            f"CREATE TEMPORARY SECRET {quoted(name)} (TYPE postgres, HOST {literal(store['host'])}, "
            f"PORT {literal(str(store['port']))}, DATABASE {literal(store['database'])}, "
            f"USER {literal(store['user'])}, PASSWORD {literal(store['password'])})"
        )
        self._engine.execute(
            f"ATTACH {literal(_connection(store, self._seconds))} AS {quoted(name)} "
            f"(TYPE postgres, SECRET {quoted(name)}, READ_ONLY)"
        )

    def _primary_key(self, database: str, schema: str, table: str) -> Iterator[tuple[str, str]]:
        found = self._engine.execute(
            "SELECT constraint_column_names FROM duckdb_constraints() WHERE database_name = ? AND schema_name = ? "
            "AND table_name = ? AND constraint_type = 'PRIMARY KEY'",
            [database, schema, table],
        ).fetchone()
        types = dict(
            self._engine.execute(
                "SELECT column_name, data_type FROM duckdb_columns() WHERE database_name = ? AND schema_name = ? "
                "AND table_name = ?",
                [database, schema, table],
            ).fetchall()
        )
        for column in found[0] if found else ():
            yield column, types[column]


def _allowed(schema: str, table: str, names: list[str], usual: str) -> bool:
    """Whether one of the registered names means this table."""
    meant = {f"{schema}.{table}", f"{schema}.*"}
    if schema == usual:
        meant |= {table, "*"}
    return not meant.isdisjoint(names)


def _connection(store: Mapping[str, Any], seconds: float) -> str:
    """Options of a connection that can only read, and for a bounded time."""
    parts = {
        "connect_timeout": str(_CONNECT_SECONDS),
        "application_name": "pllib query engine",
        "options": f"-c default_transaction_read_only=on -c statement_timeout={int(seconds * 1000)}",
        "sslmode": store["sslmode"],
    }
    if store["sslrootcert"]:
        parts["sslrootcert"] = store["sslrootcert"]
    return " ".join(f"{name}={_escaped(value)}" for name, value in parts.items())


def _escaped(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
