"""What a client sends to ``POST /v1/poly``."""

from __future__ import annotations

import json
from typing import Any, Literal, Optional

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from query_engine.errors import Unprocessable

MAX_SQL = 64 * 1024
MOST_TABLES = 8
EXAMPLE = {
    "provenance": {
        "sparql": "SELECT ?task ?file WHERE { ?task prov:used ?file . ?file a provlake:DataReference } LIMIT 100"
    },
    "data": [{"column": "file"}],
    "sql": "SELECT task, count(*) AS measured, avg(depth) AS depth FROM prov JOIN d ON d._reference = prov.file "
    "GROUP BY task",
}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LineageQuestion(_Strict):
    """As ``/v1/lineage`` takes it; a row a node."""

    of: str = Field(min_length=1, max_length=16_000)
    store: Optional[str] = Field(None, max_length=2000)
    direction: Literal["backward", "forward"] = "backward"
    depth: Optional[int] = Field(None, ge=1, le=9_999_999)
    grain: Literal["value", "task"] = "value"


class Provenance(_Strict):
    """The question that the provenance rows answer: one of the three."""

    sparql: Optional[str] = Field(None, description="A SELECT; the usual prefixes need not be declared.")
    analysis: Optional[str] = Field(None, description="Name of an analysis.")
    parameters: dict[str, Any] = Field(default_factory=dict, description="Of the analysis.")
    lineage: Optional[LineageQuestion] = None

    @model_validator(mode="after")
    def _one_of_three(self) -> Provenance:
        if sum(each is not None for each in (self.sparql, self.analysis, self.lineage)) != 1:
            raise ValueError("give one of `sparql`, `analysis`, `lineage`")
        if self.parameters and self.analysis is None:
            raise ValueError("`parameters` go with `analysis`")
        return self


class Place(_Strict):
    """Data that provenance knows, by store and key."""

    store: str = Field(min_length=1, max_length=2000)
    key: str = Field(min_length=1, max_length=8000)


class Data(_Strict):
    """One table of data: what a column of the provenance rows points at, or one given reference."""

    name: str = Field("d", pattern=r"^[a-z][a-z0-9_]{0,40}$", description="Of the table in the SQL.")
    column: Optional[str] = Field(None, min_length=1, description="Column with IRIs or ids of data.")
    reference: Optional[Place] = None
    format: Optional[Literal["csv", "parquet"]] = Field(None, description="Where the names of files do not tell.")

    @model_validator(mode="after")
    def _one_of_two(self) -> Data:
        if (self.column is None) == (self.reference is None):
            raise ValueError("give one of `column`, `reference`")
        if self.name == "prov":
            raise ValueError("`prov` is the name of the provenance rows; choose another")
        return self


class PolyQuery(_Strict):
    """A question over provenance and the data that it refers to."""

    provenance: Provenance
    data: list[Data] = Field(min_length=1, max_length=MOST_TABLES)
    sql: Optional[str] = Field(
        None,
        min_length=1,
        max_length=MAX_SQL,
        description="One SELECT over the table `prov` and the tables of `data`, whose column `_reference` holds what "
        "the provenance rows have. Without it: the provenance rows, each with the rows of the data it points at.",
    )
    limit: Optional[int] = Field(None, ge=1, description="Rows of the answer, below the server's limit.")

    @model_validator(mode="after")
    def _fits(self) -> PolyQuery:
        names = [data.name for data in self.data]
        if len(set(names)) < len(names):
            raise ValueError("two tables of `data` have the same `name`")
        if self.sql is None and (len(self.data) > 1 or self.data[0].column is None):
            raise ValueError("`sql` can be left out only with one table of `data` that has a `column`")
        return self

    def statement(self, column: Optional[str]) -> str:
        """The SQL; where it was left out, the natural join over the given column of ``prov``."""
        if self.sql is not None:
            return self.sql
        name, quoted = self.data[0].name, (column or "").replace('"', '""')
        join = f'prov JOIN {name} ON {name}._reference = prov."{quoted}"'
        return f"SELECT prov.*, {name}.* EXCLUDE (_reference) FROM {join}"  # noqa: S608 - names are quoted


def parse(body: bytes) -> PolyQuery:
    """The query in a request's body.

    Raises:
        Unprocessable: 422, it is none; the field is named.
    """
    fix = "See docs/reference/query-engine.md for the form."
    try:
        content = json.loads(body)
        json.dumps(content, ensure_ascii=False).encode()  # half a surrogate pair can be written, but never answered
        return PolyQuery.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise Unprocessable(first["msg"].removeprefix("Value error, "), field=field or None, fix=fix) from error
    except (ValueError, RecursionError) as error:
        raise Unprocessable("the body is no JSON of Unicode text", fix=fix) from error
