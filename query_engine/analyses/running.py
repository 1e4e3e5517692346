"""Running an analysis: parameters to terms, the query to the store, its rows to a table."""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections.abc import Mapping
from typing import Any, Optional, Union

from pllib.provml.vocabulary import SPARQL_PREFIXES, XSD
from query_engine.aliases import Aliases, load
from query_engine.analyses.form import LEAST, STORE, Analysis, Each, Least, Parameter, Pivot
from query_engine.analyses.rows import MAX_ROWS, bounded_rows
from query_engine.binding import UNBOUND, Iri, Literal, Unbound, bind, parameters
from query_engine.errors import BadParameter, NotFound, TooLarge
from query_engine.lineage_start import Start, Starts
from query_engine.names import Names
from query_engine.store import Row, StoreClient
from query_engine.terms import Term

_OVER_RENAMES = re.compile(r"provlake:sameStateAs\?/|/provlake:sameStateAs\?(?![\w?*+])")

AT_ONCE = 4
"""Queries of one analysis that the store is asked at the same time."""

Bound = Union[Iri, Literal, Unbound, list[Union[Iri, Literal]]]

_STATES = f"""{SPARQL_PREFIXES}SELECT ?state (MAX(?at) AS ?newest) WHERE {{
  VALUES ?data {{}}
  ?state prov:specializationOf ?data
  {{ ?state prov:wasGeneratedBy ?task }} UNION {{ ?task prov:used ?state }}
  ?task prov:startedAtTime ?at
}} GROUP BY ?state ORDER BY DESC(?newest) ?state LIMIT 20"""


class Runner:
    """Runs analyses on one store."""

    def __init__(self, store: StoreClient, names: Names) -> None:
        self._store, self._names = store, names

    async def run(self, analysis: Analysis, given: Mapping[str, Any]) -> dict[str, Any]:
        """The answer: parameters as they were understood, columns, rows.

        Raises:
            BadParameter: one is missing, unknown, or of the wrong type; the field says which.
            NotFound: nothing is known of a data reference that is asked about.
        """
        self._no_unknown(analysis, given)
        bound: dict[str, Bound] = {}
        told: dict[str, Any] = {}
        aliases = await load(self._store, self._names)
        for parameter in analysis.parameters:
            value = given.get(parameter.name, parameter.default)
            if value is None or value == "":
                if not parameter.optional:
                    raise BadParameter(f"{parameter.name} is missing: {parameter.description}", field=parameter.name)
                bound[parameter.name], told[parameter.name] = UNBOUND, None
                continue
            bound[parameter.name], told[parameter.name] = await self._bind(parameter, value, given.get(STORE), aliases)
        asked = Asked(self._store, bound, renamed=bool(aliases))
        started = time.monotonic()
        rows, truncated = await (
            asked.of_each(analysis, analysis.each) if analysis.each else asked.all(analysis.sparql)
        )
        elapsed = time.monotonic() - started
        names, table = tabulate(rows, analysis)
        columns = [{"name": name, "description": analysis.columns.get(name, "")} for name in names]
        return {
            "analysis": analysis.name,
            "parameters": told,
            "columns": columns,
            "rows": table,
            "truncated": truncated,
            "elapsed_ms": round(elapsed * 1000, 3),
        }

    @staticmethod
    def _no_unknown(analysis: Analysis, given: Mapping[str, Any]) -> None:
        known = [parameter.name for parameter in analysis.parameters]
        if any(parameter.type == "data" for parameter in analysis.parameters):
            known.append(STORE)
        unknown = [name for name in given if name not in known]
        if unknown:
            raise BadParameter(
                f"{analysis.name} has no parameter {unknown[0][:100]!r}",
                field=unknown[0][:100],
                fix=f"It has: {', '.join(known)}." if known else "It has none.",
            )

    async def _bind(
        self, parameter: Parameter, value: Any, store: Optional[str], aliases: Aliases
    ) -> tuple[Bound, Any]:
        if parameter.type == "data":
            return await self._data(parameter, str(value), store, aliases)
        if parameter.type == "iri":
            start = await self._find(parameter, str(value), None, aliases)
            return Iri(start.iri), self._names.id(start.iri)
        if parameter.type == "number":
            return _numbers(parameter, value), value
        if parameter.type == "text":
            return Literal(str(value)), value
        return readings(value), value

    async def _data(
        self, parameter: Parameter, value: str, store: Optional[str], aliases: Aliases
    ) -> tuple[Bound, str]:
        """Data in its newest state; where there is but one, also the reference, which then can mean nothing else."""
        start = await self._find(parameter, value, store, aliases)
        if start.kind != "entity":
            told = f"{self._names.id(start.iri)} is an execution, not data"
            raise BadParameter(told, field=parameter.name, fix="Give the path, id or IRI of data.")
        rows = await self._store.select(_STATES, data=[Iri(iri) for iri in aliases.spellings(start.iri)])
        states = list(dict.fromkeys(aliases.chosen(row["state"].value) for row in rows))
        newest = states[0] if states else start.iri
        meant = [newest, start.iri] if len(states) == 1 else [newest]
        return [Iri(iri) for each in meant for iri in aliases.spellings(each)], self._names.id(newest)

    async def _find(self, parameter: Parameter, value: str, store: Optional[str], aliases: Aliases) -> Start:
        try:
            return await Starts(self._store, self._names, aliases).find(value, store)
        except (NotFound, BadParameter) as error:
            field = STORE if error.field == STORE else parameter.name
            raise type(error)(error.message, field=field, fix=error.fix) from error


class Asked:
    """Queries with the same parameters.

    Args:
        renamed: whether any store has two names.
    """

    def __init__(self, store: StoreClient, bound: Mapping[str, Bound], renamed: bool) -> None:
        self._store, self._bound, self._renamed = store, bound, renamed
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def all(self, sparql: str, **more: Bound) -> tuple[list[Row], bool]:
        """The rows of a query, and whether there are more."""
        told = {**self._bound, **more}
        text = sparql if self._renamed else without_renames(sparql)
        blocks = parameters(text)
        query = bind(text, {name: value for name, value in told.items() if name in blocks})
        async with self._turns:
            return await bounded_rows(self._store, query)

    async def _one(self, analysis: Analysis, each: Each, one: Iri) -> tuple[list[Row], bool]:
        """The rows of the query for one of them, after what the query is to know of it was looked up."""
        looked_up = await asyncio.gather(*(self._known(name, text, each, one) for name, text in each.known.items()))
        told: dict[str, Bound] = {each.name: one, **dict(zip(each.known, looked_up, strict=True))}
        if each.least is not None:
            told[LEAST] = await self._least(each.least, told)
        return await self.all(analysis.sparql, **told)

    async def _known(self, name: str, text: str, each: Each, one: Iri) -> Bound:
        rows = await self._whole(text, **{each.name: one})
        return [Iri(value) for value in dict.fromkeys(row[name].value for row in rows if name in row)]

    async def _whole(self, text: str, **more: Bound) -> list[Row]:
        """The rows of a step. Raises ``TooLarge``: there are more, and what comes of a part of them would be wrong."""
        rows, cut = await self.all(SPARQL_PREFIXES + text, **more)
        if cut:
            raise TooLarge(f"a step of the analysis has more than {MAX_ROWS} rows")
        return rows

    async def _least(self, least: Least, told: Mapping[str, Bound]) -> Bound:
        """The least value of all parts, as a list; an empty one where there is none.

        One part a query: of several in one, Oxigraph would go from whatever else there are fewer of.
        """
        rows = await self._whole(least.bounds, **told)
        bounds = sorted((_bound(row), row[least.part].value) for row in rows)
        found: list[Term] = []
        while bounds and (not found or bounds[0][0] < _order(found[0])[0]):
            first, bounds = bounds[: AT_ONCE if found else 1], bounds[AT_ONCE if found else 1 :]
            parts = (self._whole(least.text, **told, **{least.part: Iri(part)}) for _, part in first)
            more = [row[LEAST] for rows in await asyncio.gather(*parts) for row in rows if LEAST in row]
            found = sorted([*found, *more], key=_order)[:1]
        return [Literal(term.value, term.datatype) for term in found]

    async def of_each(self, analysis: Analysis, each: Each) -> tuple[list[Row], bool]:
        """The rows of the query for each of what it is about, and whether there are more."""
        rows, cut = await self.all(each.sparql)
        found = list(dict.fromkeys(Iri(row[each.name].value) for row in rows if each.name in row))
        answers = await asyncio.gather(*(self._one(analysis, each, one) for one in found))
        parts = [part for part, _ in answers if part]
        if each.order is not None:
            parts.sort(key=lambda part: _place(part[0], each.order or ""))
        together = [row for part in parts[: each.first] for row in part]
        cut |= any(more for _, more in answers) or len(together) > MAX_ROWS
        return together[:MAX_ROWS], cut


def _bound(row: Row) -> float:
    """What no value of a part is below; where that is no number it may have any."""
    bound = _order(row["bound"])[0] if "bound" in row else math.inf
    return -math.inf if bound == math.inf else bound


def _place(row: Row, name: str) -> tuple[float, str]:
    """Where a row stands in the order of a column."""
    return _order(row[name]) if name in row else (math.inf, "")


def _order(term: Term) -> tuple[float, str]:
    """Where a value stands: numbers in their order, before all else."""
    value = term.python
    return (value, "") if isinstance(value, (int, float)) else (math.inf, str(value))


def without_renames(sparql: str) -> str:
    """A query for a graph in which no store has two names: what steps over them leads nowhere there, and costs time."""
    return _OVER_RENAMES.sub("", sparql)


def _numbers(parameter: Parameter, value: Any) -> list[Union[Iri, Literal]]:
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise BadParameter(f"{parameter.name} is {str(value)[:60]!r}, no number", field=parameter.name) from error
    if not math.isfinite(number):
        raise BadParameter(f"{parameter.name} is no finite number", field=parameter.name)
    return [reading for reading in readings(value) if isinstance(reading, Literal) and reading.datatype]


def readings(value: Any) -> list[Union[Iri, Literal]]:
    """All literals that a value given as text may mean: the text, and the number or truth value that it reads as."""
    text = "true" if value is True else "false" if value is False else str(value)
    found: list[Union[Iri, Literal]] = [Literal(text)]
    if text in ("true", "false"):
        found.append(Literal(text, XSD + "boolean"))
    try:
        number = float(text)
    except ValueError:
        return found
    if math.isfinite(number):
        found.append(Literal.of(number))
        exponent = Literal(f"{number!r}e0" if "e" not in repr(number) else repr(number), XSD + "double")
        found.append(exponent)
        if number.is_integer() and abs(number) < 2**63:
            found.append(Literal.of(int(number)))
    return found


def tabulate(rows: list[Row], analysis: Analysis) -> tuple[list[str], list[dict[str, Any]]]:
    """Names of the columns and rows of plain values."""
    plain = [{name: term.json for name, term in row.items()} for row in rows]
    if analysis.pivot is not None:
        return pivoted(plain, analysis.pivot)
    names = list(dict.fromkeys([*analysis.columns, *(name for row in plain for name in row)]))
    return names, [{name: row.get(name) for name in names} for row in plain]


def pivoted(rows: list[dict[str, Any]], pivot: Pivot) -> tuple[list[str], list[dict[str, Any]]]:
    """One row for each combination of ``pivot.rows``, in order of first appearance, with a column a name.

    Where a name has several values for one row they are a list.
    """
    table: dict[tuple[Any, ...], dict[str, Any]] = {}
    names: dict[str, None] = {}
    several: set[tuple[Any, ...]] = set()  # cells that hold several values: a single value may itself be a list
    for row in rows:
        key = tuple(_hashable(row.get(name)) for name in pivot.rows)
        found = table.setdefault(key, {name: row.get(name) for name in pivot.rows})
        name = row.get(pivot.name)
        if name is None:
            continue
        column = str(name) if str(name) not in pivot.rows else f"{name} (value)"
        names[column] = None
        value = row.get(pivot.value)
        if column not in found:
            found[column] = value
        elif (*key, column) in several:
            found[column].append(value)
        elif found[column] != value:
            several.add((*key, column))
            found[column] = [found[column], value]
    columns = [*pivot.rows, *sorted(names)]
    return columns, [{name: row.get(name) for name in columns} for row in table.values()]


def _hashable(value: Any) -> Any:
    return repr(value) if isinstance(value, (dict, list)) else value
