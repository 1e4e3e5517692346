"""What an analysis is: its question, its place in the taxonomy, its parameters, its SPARQL, its columns."""

from __future__ import annotations

from typing import Any, Literal, Optional, Union

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from pllib.provml.vocabulary import SPARQL_PREFIXES
from query_engine import binding, guard
from query_engine.errors import QueryEngineError, Unprocessable

Scalar = Union[bool, int, float, str]
STORE = "store"
"""Parameter that every analysis with a parameter of type ``data`` has too: the store that a path is in."""

LEAST = "least"
"""The variable of what :class:`Least` finds."""


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Parameter(Strict):
    """One thing that the asker gives."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,40}$", description="The variable that it is bound to.")
    type: Literal["data", "text", "number", "literal", "iri"] = Field(
        description="`data`: a data reference by path (with the parameter `store`), id or IRI, taken in its newest state; "
        "`text`, `number`; `literal`: whatever value reads so; `iri`: a resource by id or IRI."
    )
    description: str = Field(min_length=1)
    default: Optional[Scalar] = Field(None, description="Its value when none is given.")
    optional: bool = Field(
        False,
        description="Whether it may be left out; the variable is then unbound. Else, with no default, it must be given.",
    )

    @field_validator("name")
    @classmethod
    def _free_name(cls, name: str) -> str:
        if name == STORE:
            raise ValueError(f"{STORE!r} is the name of the parameter that goes with paths; choose another")
        return name


class Taxonomy(Strict):
    """Where the question stands in the papers' taxonomy."""

    data: Literal["domain", "machine_learning", "execution", "hybrid"]
    execution_timing: Literal["online", "offline"]
    training_timing: Optional[Literal["intra", "inter"]] = None
    direction: Literal["backward", "forward"]
    phases: list[Literal["curation", "preparation", "learning"]] = Field(default_factory=list)


class Pivot(Strict):
    """Makes rows of (…, name, value) one row with a column a name, for each combination of the variables in ``rows``."""

    rows: list[str] = Field(min_length=1)
    name: str
    value: str


class Query(Strict):
    text: str = Field(min_length=1, description="A SPARQL SELECT with an empty block `VALUES ?name {}` a parameter.")


class Least(Strict):
    """How the least value of each is found without a look at everything that makes a value count.

    First, of every part, a bound that no value of it is below: of all values that may count, and no question whether they do.
    Then the least value of the part with the least bound, and of the next ones, until no bound is below what was found.
    """

    part: str = Field(pattern=r"^[a-z][a-z0-9_]{0,40}$", description="The variable of a part, as an epoch.")
    bounds: str = Field(min_length=1, description="A SPARQL SELECT of the parts, as IRIs, and ?bound.")
    text: str = Field(min_length=1, description="A SPARQL SELECT of ?least, with a block for a part.")


class Each(Strict):
    """What an analysis is asked of, one by one: the query is asked for each at the same time, and the answers are put together.

    A store plans a query for a few given resources by going from them; where it must find them first, in a part of the same
    query, it may go through all that there is.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,40}$", description="The variable; the query has a block for it.")
    text: str = Field(min_length=1, description="A SPARQL SELECT of this variable, with blocks for parameters.")
    known: dict[str, str] = Field(
        default_factory=dict,
        description="What few things are looked up for each before the query: by variable, a SPARQL SELECT of it; there are "
        "blocks for it, which get all that were found.",
    )
    least: Optional[Least] = Field(
        None, description="How the least value of each is found; the query has a block VALUES ?least {} for it."
    )
    order: Optional[str] = Field(
        None, description="The column that the answers are put in order by, the least first; else as they were found."
    )
    first: Optional[int] = Field(None, ge=1, description="How many answers are kept, in that order; else all.")

    @property
    def sparql(self) -> str:
        """The text with the usual prefixes before it."""
        return SPARQL_PREFIXES + self.text


class Analysis(Strict):
    """A named question."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,60}$")
    title: str = Field(min_length=1, max_length=200)
    question: str = Field(min_length=1, max_length=2000)
    taxonomy: Taxonomy
    parameters: list[Parameter] = Field(default_factory=list)
    pivot: Optional[Pivot] = None
    columns: dict[str, str] = Field(default_factory=dict, description="What the columns mean that are always there.")
    each: Optional[Each] = None
    query: Query

    @property
    def sparql(self) -> str:
        """The text with the usual prefixes before it."""
        return SPARQL_PREFIXES + self.query.text

    @staticmethod
    def _told(each: Each, blocks: frozenset[str]) -> frozenset[str]:
        """Names of parameters that the query is asked with for each. Raises ``ValueError`` where a block is missing."""
        told = {each.name, *each.known}
        if each.name in each.known or (each.least is not None and each.least.part in {*told, LEAST}):
            raise ValueError("each: two of its variables have one name")
        if each.least is not None:
            bounds = _blocks("each.least.bounds", SPARQL_PREFIXES + each.least.bounds)
            exact = _blocks("each.least.text", SPARQL_PREFIXES + each.least.text)
            _have("each.least.text", exact, {each.least.part})
            _have("query.text", blocks, {LEAST})
            blocks = blocks - {LEAST} | bounds | exact - {each.least.part}
        _have("query.text", blocks, told)
        looked_up = [_blocks(f"each.known.{name}", SPARQL_PREFIXES + text) for name, text in each.known.items()]
        return (blocks - told).union(*looked_up) - {each.name}

    @model_validator(mode="after")
    def _query_fits(self) -> Analysis:
        blocks = _blocks("query.text", self.sparql)
        if self.each is not None:
            blocks = self._told(self.each, blocks) | _blocks("each.text", self.each.sparql)
        names = {parameter.name for parameter in self.parameters}
        if names != blocks:
            wrong = ", ".join(sorted(names ^ blocks))
            raise ValueError(f"parameters and empty blocks VALUES ?name {{}} of the query differ in: {wrong}")
        return self


def _have(field: str, blocks: frozenset[str], names: set[str]) -> None:
    if missing := names - blocks:
        raise ValueError(f"{field}: it has no block VALUES ?{min(missing)} {{}}")


def _blocks(field: str, sparql: str) -> frozenset[str]:
    """Names of the blocks of a query. Raises ``ValueError`` where it may not be asked."""
    try:
        checked = guard.check(sparql)
        blocks = binding.parameters(sparql)
    except QueryEngineError as error:
        raise ValueError(f"{field}: {error.message}") from error
    if checked.form != "SELECT":
        raise ValueError(f"{field}: an analysis is a SELECT query")
    return blocks


def parse(content: dict[str, Any]) -> Analysis:
    """An analysis from its JSON or TOML form.

    Raises:
        Unprocessable: 422, it is none; the field is named.
    """
    try:
        return Analysis.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise Unprocessable(message, field=field or None, fix="See docs/reference/analyses.md for the form.") from error
