"""The vocabulary and the shapes, in the form that is asked for."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from edge.errors import RequestError

from .ontology import FILES, FORMATS, serialize

router = APIRouter(tags=["vocabulary"])


def _chosen(accept: str) -> str:
    """The media type to answer with; Turtle where all are welcome.

    Raises:
        RequestError: 406, none of ours is.
    """
    wanted = [part.split(";")[0].strip() for part in accept.split(",")]
    for media_type in wanted:
        if media_type in FORMATS:
            return media_type
    if not accept or any(part in ("*/*", "text/*", "application/*", "text/html", "text/plain") for part in wanted):
        return "text/turtle"
    raise RequestError(
        406, "not_acceptable", f"no form is {accept[:100]}", field="Accept", fix=f"ask for {', '.join(FORMATS)}"
    )


def _answer(request: Request, name: str) -> Response:
    if name not in FILES:
        raise RequestError(404, "not_found", f"there is no {name[:100]!r} here", fix=f"there are {', '.join(FILES)}")
    media_type = _chosen(request.headers.get("accept", ""))
    return Response(serialize(name, FORMATS[media_type]), media_type=f"{media_type}; charset=utf-8")


@router.get("/ontology")
async def ontology(request: Request) -> Response:
    """The whole vocabulary: PROVLake and PROV-ML."""
    return _answer(request, "ontology")


@router.get("/ontology/{name}")
async def vocabulary(request: Request, name: str) -> Response:
    """One of its two files: ``provlake`` or ``prov-ml``."""
    return _answer(request, name)


@router.get("/shapes")
async def shapes(request: Request) -> Response:
    """SHACL shapes of the retrospective graph."""
    return _answer(request, "shapes")
