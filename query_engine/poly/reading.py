"""Reads registered data into tables of an engine that nobody else has a hand on yet.

A reference points at a file, at a table, or at one row of a table. What several references point at becomes one table,
with a column that says which reference each row is of.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, Optional

import duckdb

from query_engine.poly.databases import REFERENCE, Databases, for_each, literal, quoted
from query_engine.poly.places import Unread, opened

_ADVICE = re.compile(r"\n+(?:Possible |The search space|Column )")
_CSV, _PARQUET = (".csv", ".tsv", ".csv.gz", ".tsv.gz"), (".parquet", ".pq")


class BadData(Exception):
    """Data that can be read, but not as one table; the message says why."""


@dataclass(slots=True)
class Report:
    """What became of one reference.

    Attributes:
        status: ``read``, ``missing``, ``refused``, ``unreadable`` or ``unavailable``.
        stale: whether the file is no longer in the state that the provenance speaks of; ``None`` when nobody knows.
    """

    status: str = "read"
    rows: int = 0
    stale: Optional[bool] = None
    reason: Optional[str] = None

    def told(self) -> dict[str, Any]:
        return {"status": self.status, "rows": self.rows, "stale": self.stale, "reason": self.reason}


class Relation(NamedTuple):
    """What can be read now: SQL that stands after FROM, and what joins it with the references its rows are of."""

    source: str
    join: str


@dataclass(frozen=True, slots=True)
class Part:
    """What one statement reads.

    Attributes:
        relation: holds it open for a block; raises ``Unread``, also in place of the engine's errors in the block.
        stale: filled when the block ends: whether the file has left the state that a reference is of.
        row: whether each reference is of one row.
    """

    references: Sequence[str]
    relation: Callable[[], AbstractContextManager[Relation]]
    stale: Mapping[str, Optional[bool]] = field(default_factory=dict)
    row: bool = False


class Form(NamedTuple):
    """The columns of something that can be read, name and type each, and an empty table that has them."""

    table: str
    columns: tuple[tuple[str, str], ...]


class Columns(NamedTuple):
    """Some columns of a form's table."""

    table: str
    names: tuple[str, ...]


class _Forms:
    """The forms of what becomes one table. Types are only ever copied, never written as text of ours."""

    def __init__(self, engine: duckdb.DuckDBPyConnection, name: str) -> None:
        self._engine, self._name = engine, name
        self._tables: dict[tuple[tuple[str, str], ...], str] = {}

    def learn(self, relation: Relation) -> Form:
        """The form of a relation that is open."""
        table = f"_form_{self._name}_{len(self._tables)}"
        self._engine.execute(f"CREATE TABLE {quoted(table)} AS FROM {relation.source} LIMIT 0")
        found = self._engine.execute(f"DESCRIBE {quoted(table)}").fetchall()
        columns = tuple((str(row[0]), str(row[1])) for row in found)
        if columns in self._tables:
            self._engine.execute(f"DROP TABLE {quoted(table)}")
        return Form(self._tables.setdefault(columns, table), columns)

    def unite(self, parts: Collection[Columns]) -> None:
        """Makes the empty table that has the columns of all parts, by name. Raises ``BadData``."""
        selects = [
            f"SELECT {', '.join([f'NULL::VARCHAR AS {REFERENCE}', *map(quoted, names)])} FROM {quoted(table)}"  # noqa: S608
            for table, names in sorted(parts)
        ]
        try:
            self._engine.execute(f"CREATE TABLE {quoted(self._name)} AS {' UNION ALL BY NAME '.join(selects)}")
        except duckdb.Error as error:
            raise BadData(f"what {self._name} points at does not make one table: {brief(error)}") from error
        for table in self._tables.values():
            self._engine.execute(f"DROP TABLE {quoted(table)}")


class Reader:
    """Makes tables.

    Args:
        stores: the registered stores by name, as :mod:`query_engine.poly.registry` tells them.
        mentioned: names of columns that are needed, in small letters; ``None`` for all.
        seconds: that a database may take for one statement.
    """

    def __init__(
        self,
        engine: duckdb.DuckDBPyConnection,
        stores: Mapping[str, Mapping[str, Any]],
        mentioned: Optional[frozenset[str]],
        seconds: float,
    ) -> None:
        self._engine, self._stores, self._mentioned = engine, stores, mentioned
        self._databases = Databases(engine, stores, seconds)

    def table(self, name: str, references: Sequence[Mapping[str, Any]]) -> dict[str, Report]:
        """Makes the table ``name`` of all that can be read; a report a reference.

        Raises:
            BadData: the parts do not make one table. The table is missing when nothing could be read.
        """
        reports = {str(each["reference"]): Report() for each in references}
        readable: list[tuple[Part, Columns]] = []
        forms = _Forms(self._engine, name)
        for part in self._parts(references):
            with self._reported(part, reports), part.relation() as relation:
                readable.append((part, self._needed(forms.learn(relation))))
        if not readable:
            return reports
        forms.unite({columns for _, columns in readable})
        for part, columns in readable:
            with self._reported(part, reports), part.relation() as relation:
                self._insert(name, relation, columns)
        self._count(name, reports, {each for part, _ in readable if part.row for each in part.references})
        return reports

    def close(self) -> None:
        """Lets go of all databases; the tables stay."""
        self._databases.close()

    def _run(self, sql: str) -> list[Any]:
        return self._engine.execute(sql).fetchall()

    @contextmanager
    def _reported(self, part: Part, reports: Mapping[str, Report]) -> Iterator[None]:
        try:
            yield
        except Unread as error:
            for reference in part.references:
                reports[reference].status, reports[reference].reason = error.status, error.reason
        for reference, stale in part.stale.items():
            reports[reference].stale = stale

    def _needed(self, form: Form) -> Columns:
        """The columns that are needed of a form."""
        if any(name.lower() == REFERENCE for name, _ in form.columns):
            raise Unread("refused", f"it has a column named {REFERENCE}, the name of the column for references")
        wanted = self._mentioned
        return Columns(form.table, tuple(name for name, _ in form.columns if wanted is None or name.lower() in wanted))

    def _insert(self, name: str, relation: Relation, columns: Columns) -> None:
        chosen = "".join(f", _data.{quoted(column)}" for column in columns.names)
        found = f"SELECT _of.{REFERENCE}{chosen} FROM {relation.source} AS _data {relation.join}"  # noqa: S608
        self._run(f"INSERT INTO {quoted(name)} BY NAME {found}")

    def _count(self, name: str, reports: Mapping[str, Report], of_rows: Collection[str]) -> None:
        counts = f"SELECT {REFERENCE}, count(*) FROM {quoted(name)} GROUP BY ALL"  # noqa: S608 - names are quoted
        for reference, rows in self._run(counts):
            reports[reference].rows = rows
        for reference in of_rows:
            if reports[reference].status == "read" and not reports[reference].rows:
                reports[reference].status, reports[reference].reason = "missing", "there is no such row"

    # -- parts --------------------------------------------------------------------------------------------------------

    def _parts(self, references: Sequence[Mapping[str, Any]]) -> Iterator[Part]:
        files: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
        tables: dict[tuple[str, str, bool], dict[str, str]] = {}
        for each in references:
            store, key = str(each["store"]), str(each["key"])
            if self._stores[store]["kind"] == "files":
                files.setdefault((store, key), []).append(each)
            else:
                table, slash, row = key.strip("/").partition("/")
                tables.setdefault((store, table, bool(slash)), {})[str(each["reference"])] = row
        for (store, key), members in files.items():
            yield self._file(self._stores[store], key, members)
        for (store, table, is_row), rows in tables.items():
            yield Part(list(rows), partial(self._table, store, table, rows, is_row), row=is_row)

    def _file(self, store: Mapping[str, Any], key: str, members: Sequence[Mapping[str, Any]]) -> Part:
        stale: dict[str, Optional[bool]] = {}
        names = [str(each["reference"]) for each in members]

        @contextmanager
        def relation() -> Iterator[Relation]:
            reader = _reader(key, members[0].get("format"))
            with opened(store["root"], key, store["folders"]) as file:
                before = file.version()
                try:
                    yield Relation(reader.format(path=literal(file.path)), for_each(names))
                except duckdb.OutOfMemoryException:
                    raise
                except duckdb.Error as error:
                    raise Unread("unreadable", _without_advice(error).replace(file.path, key)) from error
                finally:
                    now = (before, file.version())
                    stale.update((str(each["reference"]), _stale(each.get("version"), *now)) for each in members)

        return Part(names, relation, stale)

    @contextmanager
    def _table(self, store: str, table: str, rows: Mapping[str, str], is_row: bool) -> Iterator[Relation]:
        with self._databases.failures():
            found = self._databases.table(store, table)
            yield Relation(found.name, found.join(rows) if is_row else for_each(rows))


def brief(error: Exception) -> str:
    """What an error of the engine says, without the lines that show the statement."""
    return str(error).partition("\n\nLINE ")[0].strip()[:1000]


def _without_advice(error: Exception) -> str:
    """What is wrong with a file; the engine goes on with options that nobody here can set."""
    return _ADVICE.split(brief(error), maxsplit=1)[0].strip()[:500]


def _stale(known: Optional[str], before: str, after: str) -> Optional[bool]:
    if known is None or not known.startswith("s1-"):
        return None
    return not known == before == after


def _reader(key: str, form: Optional[str]) -> str:
    """The call that reads a file, by the form it was said to have or by its name."""
    name = key.lower()
    if form == "parquet" or (form is None and name.endswith(_PARQUET)):
        return "read_parquet({path})"
    if form == "csv" or (form is None and name.endswith(_CSV)):
        packed = "gzip" if name.endswith(".gz") else "none"
        return f"read_csv({{path}}, compression = '{packed}')"
    raise Unread("refused", "its name tells neither CSV nor Parquet: say `format`")
