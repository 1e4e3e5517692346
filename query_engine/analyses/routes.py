"""Routes of the analyses: ``/v1/analyses``."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Optional

from fastapi import APIRouter, Body, Query, Request, Response
from pydantic import BaseModel, Field

from query_engine.analyses.catalogue import Catalogue
from query_engine.analyses.form import Analysis, Taxonomy, parse
from query_engine.analyses.running import Runner
from query_engine.names import Names

router = APIRouter(prefix="/v1/analyses", tags=["analyses"])

_EXAMPLE = {
    "name": "models-of-person",
    "title": "Models of a person",
    "question": "Which models did a person train?",
    "taxonomy": {"data": "machine_learning", "execution_timing": "offline", "direction": "backward"},
    "parameters": [{"name": "person", "type": "text", "description": "the person's name"}],
    "query": {
        "text": "SELECT ?model WHERE { VALUES ?person {} ?model a provml:Model ; "
        "prov:wasGeneratedBy/provlake:isPartOf/prov:wasAssociatedWith/rdfs:label ?person }"
    },
}


class Column(BaseModel):
    name: str
    description: str


class Answer(BaseModel):
    """What an analysis found."""

    analysis: str
    parameters: dict[str, Any] = Field(description="As they were understood: data by the id of its state.")
    columns: list[Column]
    rows: list[dict[str, Any]]
    truncated: bool = Field(description="Whether rows were left out.")
    elapsed_ms: float = Field(description="Time that the store took.")


class Listed(BaseModel):
    """An analysis in the list."""

    name: str
    title: str
    question: str
    taxonomy: Taxonomy
    parameters: list[dict[str, Any]]
    stored: bool = Field(description="Whether a user stored it; else it is built in.")


class Listing(BaseModel):
    items: list[Listed]
    next: Optional[str] = None


def _catalogue(request: Request) -> Catalogue:
    return Catalogue(request.app.state.settings.data)


@router.get("")
async def list_analyses(
    request: Request,
    data: Optional[Literal["domain", "machine_learning", "execution", "hybrid"]] = None,
    execution_timing: Optional[Literal["online", "offline"]] = None,
    training_timing: Optional[Literal["intra", "inter"]] = None,
    direction: Optional[Literal["backward", "forward"]] = None,
) -> Listing:
    """The named analyses, those of the given facets of the taxonomy."""
    wanted = {
        "data": data,
        "execution_timing": execution_timing,
        "training_timing": training_timing,
        "direction": direction,
    }
    catalogue = _catalogue(request)
    found = [
        Listed(
            **analysis.model_dump(include={"name", "title", "question"}),
            taxonomy=analysis.taxonomy,
            parameters=[parameter.model_dump() for parameter in analysis.parameters],
            stored=catalogue.is_stored(analysis.name),
        )
        for analysis in catalogue.all()
        if all(value is None or getattr(analysis.taxonomy, facet) == value for facet, value in wanted.items())
    ]
    return Listing(items=found)


@router.post("", status_code=201, responses={200: {"description": "It replaced the one of that name."}})
async def store_analysis(
    request: Request,
    response: Response,
    content: Annotated[
        dict[str, Any], Body(examples=[_EXAMPLE], description="The form that GET of one analysis gives.")
    ],
) -> Analysis:
    """Keeps an analysis of your own."""
    analysis = parse(content)
    if not _catalogue(request).store(analysis):
        response.status_code = 200
    return analysis


@router.get("/{name}", responses={404: {"description": "No analysis of that name."}})
async def get_analysis(request: Request, name: str) -> Analysis:
    """An analysis with its parameters, its SPARQL and its columns."""
    return _catalogue(request).get(name)


@router.delete("/{name}", status_code=204, responses={404: {"description": "No stored analysis of that name."}})
async def delete_analysis(request: Request, name: str) -> None:
    """Takes a stored analysis away."""
    _catalogue(request).delete(name)


@router.get("/{name}/run", responses={404: {"description": "No such analysis, or nothing is known of the data."}})
async def run_analysis(
    request: Request,
    name: str,
    store: Annotated[Optional[str], Query(description="The store that the paths of `data` parameters are in.")] = None,
) -> Answer:
    """Runs an analysis; its parameters are query parameters."""
    given = dict(request.query_params)
    return Answer(**await _runner(request).run(_catalogue(request).get(name), given))


@router.post("/{name}/run", responses={404: {"description": "No such analysis, or nothing is known of the data."}})
async def run_analysis_with_body(request: Request, name: str, parameters: dict[str, Any]) -> Answer:
    """Runs an analysis; its parameters are a JSON object."""
    return Answer(**await _runner(request).run(_catalogue(request).get(name), parameters))


def _runner(request: Request) -> Runner:
    state = request.app.state
    return Runner(state.store, Names(state.settings.base))
