"""The provenance rows of a query: by SPARQL, an analysis or a lineage, each through what answers it elsewhere."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Optional

import orjson

from pllib.provml.vocabulary import SPARQL_PREFIXES
from query_engine import guard
from query_engine.aliases import load
from query_engine.analyses.catalogue import Catalogue
from query_engine.analyses.rows import MAX_ROWS, bounded_table
from query_engine.analyses.running import Runner
from query_engine.errors import BadParameter, BadQuery
from query_engine.lineage_grain import by_task
from query_engine.lineage_nodes import Ids, Nodes
from query_engine.lineage_routes import trace
from query_engine.lineage_start import Starts
from query_engine.poly.form import LineageQuestion, Provenance
from query_engine.reading import Reader
from query_engine.settings import Settings

_NODE = (
    "id",
    "iri",
    "kind",
    "type",
    "label",
    "depth",
    "workflow",
    "execution",
    "started",
    "ended",
    "seconds",
    "status",
    "value",
    "store",
    "version",
)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)")
_NOT_FINITE = frozenset({"NaN", "INF", "-INF"})


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of plain values.

    Attributes:
        names: of the columns; no two are the same but for case.
        rows: values in the order of the names.
        cut_after: how many rows there are, when there would be more.
    """

    names: list[str]
    rows: list[Sequence[Any]]
    cut_after: Optional[int]

    def column(self, name: str) -> list[Any]:
        """The values of a column. Raises ``BadParameter`` when there is none."""
        if name not in self.names:
            fix = f"There are: {', '.join(self.names[:50])}." if self.names else "The provenance has no column."
            raise BadParameter(f"the provenance rows have no column {name[:100]!r}", field="data.column", fix=fix)
        return [row[self.names.index(name)] for row in self.rows]

    def job(self) -> dict[str, list[Any]]:
        """Names, SQL types, and the columns as text that these types can be made from."""
        told = [_typed([row[number] for row in self.rows]) for number in range(len(self.names))]
        return {
            "names": self.names,
            "types": [kind for kind, _ in told],
            "columns": [values for _, values in told],
        }


async def rows(question: Provenance, read: Reader, settings: Settings) -> Table:
    """The rows of a question.

    Raises:
        QueryEngineError: as the SPARQL endpoint, the analyses and the lineage do.
    """
    if question.sparql is not None:
        return await _by_sparql(question.sparql, read)
    if question.analysis is not None:
        return await _by_analysis(question.analysis, question.parameters, read, settings)
    assert question.lineage is not None  # noqa: S101 - the form has one of the three
    return await _by_lineage(question.lineage, read, settings)


async def _by_sparql(text: str, read: Reader) -> Table:
    query = guard.check(SPARQL_PREFIXES + text)
    if query.form != "SELECT":
        raise BadQuery(f"{query.form} gives no rows", field="provenance.sparql", fix="Ask a SELECT query.")
    names, found, cut = await bounded_table(read.store, query.text)
    plain = [[row[name].json if name in row else None for name in names] for row in found]
    return _table(names, plain, cut)


async def _by_analysis(name: str, parameters: dict[str, Any], read: Reader, settings: Settings) -> Table:
    answer = await Runner(read.store, read.names).run(Catalogue(settings.data).get(name), parameters)
    names = [column["name"] for column in answer["columns"]]
    return _table(names, [[row.get(each) for each in names] for row in answer["rows"]], answer["truncated"])


async def _by_lineage(question: LineageQuestion, read: Reader, settings: Settings) -> Table:
    aliases = await load(read.store, read.names)
    start = await Starts(read.store, read.names, aliases).find(question.of, question.store)
    found, known = await trace(read, start, question.direction, question.depth, settings.timeout, aliases)
    nodes = Nodes(read.store, Ids(read.names))
    if question.grain == "task":
        found = by_task(found, nodes.data_of(found), start.iri)
    described = await nodes.describe(found, known)
    plain = [[node.get(name) for name in _NODE] for node in described[:MAX_ROWS]]
    return _table(list(_NODE), plain, found.truncated or len(described) > MAX_ROWS)


def _table(names: Sequence[str], plain: list[Sequence[Any]] | list[list[Any]], cut: bool) -> Table:
    return Table(_distinct(names), list(plain), len(plain) if cut else None)


def _distinct(names: Sequence[str]) -> list[str]:
    """Names that differ by more than case, since SQL's do."""
    taken: set[str] = set()
    found = []
    for name in names:
        free, number = name, 1
        while free.lower() in taken:
            free, number = f"{name}_{number}", number + 1
        taken.add(free.lower())
        found.append(free)
    return found


def _typed(values: list[Any]) -> tuple[str, list[Optional[str]]]:
    """The SQL type of a column and its values as text: the narrowest that all of them have."""
    given = [value for value in values if value is not None]
    if given and all(isinstance(value, bool) for value in given):
        return "BOOLEAN", [None if value is None else str(value).lower() for value in values]
    if given and all(isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63 for value in given):
        return "BIGINT", [None if value is None else str(value) for value in values]
    if given and all(_is_number(value) for value in given) and not all(value in _NOT_FINITE for value in given):
        return "DOUBLE", [None if value is None else _number(value) for value in values]
    if given and all(isinstance(value, str) and _TIME.fullmatch(value) for value in given):
        times = [_utc(value) for value in values]
        if None not in [time for time, value in zip(times, values) if value is not None]:
            return "TIMESTAMP", times
    return "VARCHAR", [_text(value) for value in values]


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        return value in _NOT_FINITE
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _number(value: Any) -> str:
    return repr(float(str(value).replace("INF", "inf"))) if not isinstance(value, int) else str(value)


def _utc(value: Optional[str]) -> Optional[str]:
    if value is None:
        return None
    try:
        time = datetime.fromisoformat(value.replace("Z", "+00:00")).astimezone(timezone.utc)
    except (ValueError, OverflowError):
        return None
    return time.replace(tzinfo=None).isoformat(sep=" ")


def _text(value: Any) -> Optional[str]:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value) if not isinstance(value, float) or math.isfinite(value) else repr(value)
    return orjson.dumps(value).decode()
