"""What the SQL of a client must be: one SELECT over the tables of this query, by DuckDB's own parser.

This is the first of three walls. The second is the engine, which by then has lost all access to files, network,
extensions and settings; the third is the process, which by then can open nothing, and whose memory and time are limited.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Optional

import duckdb

MAX_BYTES = 64 * 1024
MAX_NESTING = 100

_TABLE_FUNCTIONS = frozenset({"unnest", "range", "generate_series", "json_each", "json_tree"})
# What tells of the engine, the process or the clock of others rather than of data, waits, or runs text.
_FUNCTIONS = re.compile(
    r"pg_.*|has_.*_privilege|inet_.*|duckdb_.*|col_description|obj_description|shobj_description|format_pg_type|"
    r"current_(?:setting|database|schemas?|catalog|query|query_id|connection_id|transaction_id|user|role)|"
    r"session_user|user|getenv|getvariable|version|stats|sleep_ms|write_log|setseed|nextval|currval|txid_current|"
    r"in_search_path|parse_duckdb_log_message|vector_type|get_block_size|"
    r"json_(?:serialize|deserialize|execute).*|query|query_table|__internal_.*",
    re.IGNORECASE,
)
_SHOWS = frozenset({"SHOW_REF", "COLUMN_DATA", "DELIM_GET", "BOUND_TABLE_REF"})
_NAME = re.compile(r"\w+")
_BRACKETS = re.compile(r"[(\[{]|[)\]}]")


class BadStatement(Exception):
    """The SQL is refused; the message says why."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One SELECT.

    Attributes:
        text: as it came.
        mentioned: names, in small letters, that it may mean columns by; ``None`` when it may mean any.
    """

    text: str
    mentioned: Optional[frozenset[str]]


def check(text: str, tables: Collection[str], engine: duckdb.DuckDBPyConnection) -> Statement:
    """The statement, if it may be run.

    Args:
        tables: names that it may read.
        engine: whose parser is used; nothing is run.

    Raises:
        BadStatement: it is no single SELECT, or reads or calls something else.
    """
    _check_size(text)
    tree = _parsed(text, engine)
    known = {name.lower() for name in (*tables, *_common_tables(tree))}
    columns = _Columns(known | set(_aliases(tree)))
    for node in _nodes(tree):
        _check_node(node, known, tables)
        columns.see(node)
    return Statement(text, columns.mentioned())


def _check_size(text: str) -> None:
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise BadStatement("the SQL holds half a surrogate pair") from error
    if size > MAX_BYTES:
        raise BadStatement(f"the SQL has more than {MAX_BYTES} bytes")
    if "\0" in text:
        raise BadStatement("the SQL holds a NUL character")
    # Brackets in texts and comments count too: simple, and always on the safe side of the parser's stack.
    depth = 0
    for mark in _BRACKETS.finditer(text):
        depth = depth + 1 if mark.group() in "([{" else max(0, depth - 1)
        if depth > MAX_NESTING:
            raise BadStatement(f"the SQL has brackets nested deeper than {MAX_NESTING}")


def _parsed(text: str, engine: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    try:
        (told,) = engine.execute("SELECT json_serialize_sql(?)", [text]).fetchone() or ("{}",)
    except duckdb.Error as error:
        raise BadStatement(f"the SQL cannot be read: {error}") from error
    tree = json.loads(told)
    if tree.get("error", True):
        raise BadStatement(_no_select(tree, text))
    if len(tree["statements"]) != 1:
        raise BadStatement(f"one SELECT is taken, not {len(tree['statements'])} statements")
    found: dict[str, Any] = tree["statements"][0]
    return found


def _no_select(told: dict[str, Any], text: str) -> str:
    message = str(told.get("error_message", "it is no SQL"))
    if "Only SELECT" in message:
        return "only SELECT is taken: no COPY, ATTACH, PRAGMA, SET, INSERT, PIVOT or other statement"
    where = str(told.get("position", ""))
    if not where.isdigit():
        return message
    before = text[: int(where)]
    return f"{message} at line {before.count(chr(10)) + 1}, column {len(before) - before.rfind(chr(10))}"


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """All objects of a tree."""
    left = [tree]
    while left:
        node = left.pop()
        if isinstance(node, dict):
            yield node
            left += node.values()
        elif isinstance(node, list):
            left += node


def _common_tables(tree: dict[str, Any]) -> Iterator[str]:
    for node in _nodes(tree):
        entries = node.get("cte_map", {}).get("map", ()) if isinstance(node.get("cte_map"), dict) else ()
        for entry in entries:
            if not _NAME.fullmatch(entry["key"]):
                raise BadStatement(f"{entry['key'][:100]!r} is no name for a common table: use letters, digits and _")
            yield entry["key"]


def _aliases(tree: dict[str, Any]) -> Iterator[str]:
    """Other names of what is read, in small letters; only what stands after FROM can be sampled."""
    return (str(node["alias"]).lower() for node in _nodes(tree) if "sample" in node and node.get("alias"))


def _check_node(node: dict[str, Any], known: Collection[str], tables: Collection[str]) -> None:
    kind = str(node.get("type"))
    if kind == "BASE_TABLE":
        _check_table(node, known, tables)
    elif kind == "TABLE_FUNCTION":
        name = str(node["function"].get("function_name", ""))
        if name.lower() not in _TABLE_FUNCTIONS:
            allowed = ", ".join(sorted(_TABLE_FUNCTIONS))
            raise BadStatement(f"the table function {name[:100]} is refused; there are: {allowed}")
    elif kind in _SHOWS:
        raise BadStatement("SHOW, DESCRIBE and SUMMARIZE are refused: only SELECT is taken")
    if node.get("class") == "PARAMETER":
        raise BadStatement("parameters ($1, ?) are refused: write the value")
    if node.get("class") in ("FUNCTION", "WINDOW"):
        _check_function(node)


def _check_table(node: dict[str, Any], known: Collection[str], tables: Collection[str]) -> None:
    name = ".".join(part for part in (node["catalog_name"], node["schema_name"], node["table_name"]) if part)
    if name.lower() not in known or node["catalog_name"] or node["schema_name"]:
        raise BadStatement(f"there is no table {name[:100]!r}; there are: {', '.join(tables)}")


def _check_function(node: dict[str, Any]) -> None:
    name = str(node.get("function_name", ""))
    if _FUNCTIONS.fullmatch(name):
        raise BadStatement(f"the function {name[:100]} is refused: it does not speak of data")


class _Columns:
    """Collects which columns a statement may need: any text in it may be a column's name, unless it asks for all."""

    def __init__(self, tables: Collection[str]) -> None:
        self._tables, self._all = tables, False
        self._names: set[str] = set()

    def see(self, node: dict[str, Any]) -> None:
        if node.get("class") == "STAR" or node.get("ref_type") == "NATURAL":
            self._all = True
        names = node.get("column_names")
        if node.get("class") == "COLUMN_REF" and names and names[-1].lower() in self._tables:
            self._all = True  # the name of a table stands for its whole row
        for value in node.values():
            for text in value if isinstance(value, list) else (value,):
                if isinstance(text, str):
                    self._names.add(text.lower())

    def mentioned(self) -> Optional[frozenset[str]]:
        return None if self._all else frozenset(self._names)
