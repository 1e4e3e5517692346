"""Asking the query engine from Python; standard library only, and not imported by ``import pllib``.

::

    from pllib.query import Client

    client = Client("http://127.0.0.1:8472")
    client.sparql("SELECT ?m { ?m a provml:Model }")
    client.lineage("model.pkl", store="scratch")
    client.analysis("q3", dataset="train.npz", store="scratch")["rows"]
    best = next(client.runs(experiment="digits", metric="loss", context="validation"))
    client.series(best["id"], "loss", context="validation")["values"]

Errors::

    PllibError
    └── QueryError            root of these
        ├── QueryUnreachable  no answer, or none of a query engine
        └── QueryRefused      an answer that is an error: its status, code, field and fix
"""

from __future__ import annotations

import json
import re
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence
from urllib.parse import quote, urlencode

from .errors import ConfigurationError, PllibError
from .provml.iris import encode
from .provml.vocabulary import PREFIXES, XSD

Row = Dict[str, Any]

_NUMBERS = {
    XSD + name: int for name in ("integer", "int", "long", "short", "byte", "nonNegativeInteger", "positiveInteger")
}
_FLOATS = (XSD + "double", XSD + "float", XSD + "decimal")
_JSON = "http://www.w3.org/1999/02/22-rdf-syntax-ns#JSON"
_PREFIX = re.compile(r"\bPREFIX\s+([A-Za-z][\w-]*)\s*:", re.IGNORECASE)


class QueryError(PllibError):
    """A question that was not answered."""


class QueryUnreachable(QueryError):
    """No answer within the time, or one that is no query engine's."""


class QueryRefused(QueryError):
    """The query engine said no.

    Attributes:
        status: HTTP status.
        code: name of the reason, for programs.
        field: what in the question is wrong, where that is known.
        fix: what to do about it.
    """

    def __init__(self, status: int, code: str, message: str, field: Optional[str], fix: Optional[str]) -> None:
        super().__init__(message + (f" ({field})" if field else "") + (f"; {fix}" if fix else ""))
        self.status, self.code, self.field, self.fix = status, code, field, fix


def _fetched(address: str, headers: Mapping[str, str], timeout: float, body: Optional[bytes] = None) -> Iterator[bytes]:
    """An answer in pieces; ``timeout`` is for each."""
    from .query_http import fetched  # what it imports takes longer than most commands do

    return fetched(address, headers, timeout, body)


def _fetch(address: str, headers: Mapping[str, str], timeout: float, body: Optional[bytes] = None) -> bytes:
    return b"".join(_fetched(address, headers, timeout, body))


def _headers(token: Optional[str], accept: str) -> Dict[str, str]:
    return {"Accept": accept, **({"Authorization": f"Bearer {token}"} if token else {})}


def _parsed(content: bytes, url: str) -> Any:
    try:
        return json.loads(content)
    except ValueError as error:
        raise QueryUnreachable(f"{url} did not answer with JSON") from error


def get_json(
    url: str,
    path: str,
    parameters: Optional[Mapping[str, Any]] = None,
    *,
    timeout: float = 30.0,
    token: Optional[str] = None,
) -> Any:
    """The JSON answer of one GET.

    Args:
        url: address of the service; ``path`` is below it.
        parameters: query parameters; those that are ``None`` are left out.
        timeout: seconds.

    Raises:
        QueryError: there was none.
    """
    given = {name: value for name, value in (parameters or {}).items() if value is not None}
    address = url.rstrip("/") + path + ("?" + urlencode(given, doseq=True) if given else "")
    return _parsed(_fetch(address, _headers(token, "application/json"), timeout), url)


def post_json(url: str, path: str, content: Any, *, timeout: float = 30.0, token: Optional[str] = None) -> Any:
    """The JSON answer to a POST of JSON. As ``get_json``."""
    headers = {**_headers(token, "application/json"), "Content-Type": "application/json"}
    body = json.dumps(content).encode("utf-8")
    return _parsed(_fetch(url.rstrip("/") + path, headers, timeout, body), url)


class Client:
    """Asks one query engine.

    Args:
        url: its address.
        timeout: seconds to wait for an answer.
        token: sent as bearer token.
    """

    def __init__(self, url: str = "http://127.0.0.1:8472", timeout: float = 30.0, token: Optional[str] = None) -> None:
        if not url.startswith(("http://", "https://")):
            raise QueryUnreachable(f"{url!r} is no address: write http://HOST:PORT")
        self.url, self.timeout, self.token = url.rstrip("/"), timeout, token

    def sparql(self, query: str) -> List[Row]:
        """Rows of a SELECT, as Python values by name; of an ASK one row with ``answer``.

        The prefixes ``prov``, ``provlake``, ``provml``, ``mls``, ``rdf``, ``rdfs`` and ``xsd`` need not be declared.
        """
        headers = {
            **_headers(self.token, "application/sparql-results+json"),
            "Content-Type": "application/sparql-query; charset=utf-8",
        }
        body = _with_prefixes(query).encode("utf-8")
        found = _parsed(_fetch(f"{self.url}/sparql", headers, self.timeout, body), self.url)
        try:
            if "boolean" in found:
                return [{"answer": found["boolean"]}]
            names, rows = found["head"]["vars"], found["results"]["bindings"]
            return [{name: _python(row[name]) if name in row else None for name in names} for row in rows]
        except (KeyError, TypeError) as error:
            raise QueryUnreachable(f"{self.url} did not answer with the result of a SELECT or ASK query") from error

    def lineage(
        self,
        of: str,
        *,
        store: Optional[str] = None,
        direction: str = "backward",
        depth: Optional[int] = None,
        grain: str = "value",
        type: Optional[str] = None,
        format: str = "json",
    ) -> Any:
        """What something came from (``backward``) or what came of it (``forward``).

        Args:
            of: path of a file, or the IRI or id of any resource.
            store: the store that the path is in.
            depth: at most so many steps; by default to the end.
            grain: ``value``, or ``task`` to leave single values out.
            type: only nodes of this class and those below it, without edges: ``Model``, ``LearningDataset``.
            format: ``json`` for a dict with ``nodes`` and ``edges``; for text ``dot``, ``svg``, or a PROV document
                as in :meth:`prov`.
        """
        given = {
            "of": of,
            "store": store,
            "direction": direction,
            "depth": depth,
            "grain": grain,
            "type": type,
            "format": format,
        }
        given = {name: value for name, value in given.items() if value is not None}
        content = self._content("/v1/lineage", given)
        return _parsed(content, self.url) if format == "json" else content.decode("utf-8")

    def prov(self, execution: str, format: str = "prov-json") -> str:
        """A workflow execution as a PROV document.

        Args:
            execution: ``{workflow}/{execution}`` or its IRI.
            format: ``prov-json``, ``provn``, ``prov-xml``, ``prov-ttl``, ``prov-trig``, ``prov-nt`` or ``prov-jsonld``;
                ``svg`` or ``dot`` for a drawing.
        """
        path = f"/v1/executions/{_execution_path(execution)}/prov"
        return self._content(path, {"format": format}).decode("utf-8")

    def openlineage(self, execution: str, namespace: str = "pllib") -> Iterator[Row]:
        """A workflow execution and its tasks as OpenLineage events.

        Args:
            execution: ``{workflow}/{execution}`` or its IRI.
            namespace: of the jobs.
        """
        identifier = execution.split("execution/", 1)[-1]
        return self._pages(f"/v1/executions/{identifier}/openlineage", {"namespace": namespace})

    def crate(self, execution: str, format: str = "json") -> bytes:
        """A workflow execution as an RO-Crate without its files: the metadata, or with ``zip`` also the PROV document."""
        identifier = execution.split("execution/", 1)[-1]
        return self._content(f"/v1/executions/{identifier}/crate", {"format": format})

    def documents(
        self, format: str = "json", documents: Sequence[str] = (), bundles: Sequence[str] = ()
    ) -> Iterator[bytes]:
        """The whole store as a PROV document, piece by piece as it comes; or imported documents and bundles.

        Args:
            format: ``nt``, ``ttl``, ``trig``, ``provn``, ``json``, ``xml`` or ``jsonld``.
            documents: digests, ids or IRIs of imported documents; several make one.
            bundles: IRIs of bundles in imported documents.
        """
        name = format if format == "provn" else f"prov-{format}"
        query = urlencode({"format": name, "document": documents, "bundle": bundles}, doseq=True)
        return _fetched(f"{self.url}/v1/prov?{query}", _headers(self.token, "*/*"), self.timeout)

    def analyses(self, **facets: str) -> List[Row]:
        """The named analyses, those of the given facets (``data="hybrid"``, ``direction="forward"``, …)."""
        return _items(self._get("/v1/analyses", facets))

    def analysis(self, name: str, **parameters: Any) -> Row:
        """Runs a named analysis: ``columns``, ``rows`` (a dict each) and whether the answer was ``truncated``."""
        found: Row = self._get(f"/v1/analyses/{quote(name, safe='')}/run", parameters)
        return found

    def poly(
        self,
        provenance: Mapping[str, Any],
        *,
        column: Optional[str] = None,
        data: Optional[Sequence[Mapping[str, Any]]] = None,
        sql: Optional[str] = None,
        limit: Optional[int] = None,
    ) -> Row:
        """Provenance rows joined with the data that they refer to: ``columns``, ``rows``, ``references``, ``stale``.

        Args:
            provenance: ``{"sparql": "SELECT …"}``, ``{"analysis": "q3", "parameters": {…}}`` or ``{"lineage": {…}}``.
            column: column of its rows with the IRIs or ids of data; in place of ``data``, where that is all there is.
            data: the tables of data, each ``{"name", "column"}`` or ``{"name", "reference": {"store", "key"}}``.
            sql: one SELECT over ``prov`` and the tables of data (``d``, unless named).
            limit: rows of the answer.
        """
        tables = list(data) if data is not None else [{"column": column}]
        given = {"provenance": provenance, "data": tables, "sql": sql, "limit": limit}
        content = {name: value for name, value in given.items() if value is not None}
        found: Row = post_json(self.url, "/v1/poly", content, timeout=self.timeout, token=self.token)
        return found

    def executions(self, **filters: Any) -> Iterator[Row]:
        """All workflow executions that fit (``workflow``, ``status``, ``study``, ``person``, …), newest first."""
        return self._pages("/v1/executions", filters)

    def execution(self, identifier: str) -> Row:
        """One workflow execution, by ``{workflow}/{execution}`` or its IRI."""
        found: Row = self._get("/v1/executions/" + _execution_path(identifier), {})
        return found

    def runs(self, *, params: Optional[Mapping[str, Any]] = None, **filters: Any) -> Iterator[Row]:
        """All runs of experiments that fit, newest first, or ranked by a metric.

        Args:
            params: values that their parameters must have.
            filters: ``experiment``, ``study``, ``status``, ``person``; ``metric`` to rank by, with ``context``
                (``"validation"``), ``by`` (``"latest"``, ``"minimum"``, ``"maximum"``) and ``order`` (``"asc"``,
                ``"desc"``); ``limit`` of a page.
        """
        wanted = {f"param.{name}": _parameter(value) for name, value in (params or {}).items()}
        return self._pages("/v1/runs", {**filters, **wanted})

    def run(self, identifier: str) -> Row:
        """All of one run, by ``{experiment}/{execution}`` or its IRI: parameters, metrics, models, code, environment."""
        found: Row = self._get("/v1/runs/" + _execution_path(identifier), {})
        return found

    def run_series(self, run: str, **filters: Any) -> Iterator[Row]:
        """The series of a run (``name``, ``context``, ``telemetry``) with their latest, least and greatest values."""
        return self._pages(f"/v1/runs/{_execution_path(run)}/series", filters)

    def series(self, of: str, name: Optional[str] = None, *, context: Optional[str] = None, **options: Any) -> Row:
        """Points of a series: ``steps``, ``times`` and ``values`` (NaN and the infinities as floats), ``total``, ``downsampled``.

        Args:
            of: the id or IRI of the series; with ``name``, the run that has it.
            name: name of the series.
            context: part of the run that it belongs to (``"training"``); the run as a whole when left out.
            options: ``points`` (1,000), ``method`` (``"lttb"``, ``"minmax"``, ``"every"``), ``x`` (``"step"``,
                ``"time"``), ``from_step``, ``to_step``, ``from``, ``to``, ``rank``.
        """
        inside = _execution_path(of)
        if name is not None:
            inside += f"/{encode(context)}/0/{encode(name)}" if context else f"/{encode(name)}"
        found: Row = self._get(f"/v1/series/execution/{inside}", options)
        return {**found, "values": [_number(value) for value in found["values"]]}

    def compare(
        self, runs: Sequence[str], series: Optional[str] = None, *, context: Optional[str] = None, **options: Any
    ) -> Row:
        """What differs among runs; with the name of a ``series``, that one of each of them, aligned by step.

        Args:
            runs: ``{experiment}/{execution}`` or IRIs.
            context: part of the runs that the series belongs to; empty for the runs themselves.
            options: of series: ``points``, ``from_step``, ``to_step``.
        """
        given: Dict[str, Any] = {"run": [_execution_path(run) for run in runs]}
        if series is None:
            found: Row = self._get("/v1/compare/runs", given)
            return found
        found = self._get("/v1/compare/series", {**given, "name": series, "context": context, **options})
        for of_run in found["runs"]:
            of_run.update({name: [_number(v) for v in of_run[name]] for name in ("values", "minimum", "maximum")})
        return found

    def data(self, path: Optional[str] = None, **filters: Any) -> Iterator[Row]:
        """Data references (``path``, ``store``, ``prefix``), with their states and who used and generated them."""
        return self._pages("/v1/data", {"path": path, **filters})

    def stores(self) -> Iterator[Row]:
        """Data stores with their type, all their names, their schemas and the number of references into them."""
        return self._pages("/v1/stores", {})

    def draft(self, workflow: str) -> Row:
        """The specification of a workflow, drafted from what was captured of it."""
        found: Row = self._get(f"/v1/workflows/{quote(workflow, safe='')}/specification", {})
        return found

    def drawing(self, workflow: str, format: str = "svg") -> str:
        """The plan of a workflow, drawn: ``svg`` or ``dot``."""
        return self._content(f"/v1/workflows/{quote(workflow, safe='')}/drawing", {"format": format}).decode("utf-8")

    def values(self, **filters: Any) -> Iterator[Row]:
        """Values that fit (``attribute``, ``value``, ``type``, ``execution``)."""
        return self._pages("/v1/values", filters)

    def _get(self, path: str, parameters: Mapping[str, Any]) -> Any:
        return get_json(self.url, path, parameters, timeout=self.timeout, token=self.token)

    def _content(self, path: str, parameters: Mapping[str, Any]) -> bytes:
        """An answer as it is, in whatever format the parameters ask for."""
        address = f"{self.url}{path}?{urlencode(parameters)}"
        return _fetch(address, _headers(self.token, "*/*"), self.timeout)

    def _pages(self, path: str, filters: Mapping[str, Any]) -> Iterator[Row]:
        page = self._get(path, filters)
        yield from _items(page)
        while page["next"]:  # a path with its query
            page = get_json(self.url, page["next"], timeout=self.timeout, token=self.token)
            yield from _items(page)


def _execution_path(identifier: str) -> str:
    """What follows ``execution/`` in an id or IRI; of ``{workflow}/{execution}`` as people write it, the same."""
    path = identifier.split("/execution/", 1)[-1] if "://" in identifier else identifier
    if path.startswith("execution/"):
        path = path[len("execution/") :]
    if "/" not in path:
        raise ConfigurationError(
            f"{identifier[:200]!r} names no execution: write WORKFLOW/EXECUTION, such as train/9f-1"
        )
    return quote(path, safe="/%")


def _parameter(value: Any) -> str:
    """A parameter's value as an address says it."""
    return value if isinstance(value, str) else json.dumps(value)


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, str) else value


def _items(page: Any) -> List[Row]:
    """The items of one page of a list."""
    if not isinstance(page, dict) or not isinstance(page.get("items"), list) or "next" not in page:
        raise QueryUnreachable("the answer is no page of a list: is this the address of a query engine?")
    items: List[Row] = page["items"]
    return items


def _with_prefixes(query: str) -> str:
    declared = {name.lower() for name in _PREFIX.findall(query)}
    return "".join(f"PREFIX {name}: <{iri}>\n" for name, iri in PREFIXES.items() if name not in declared) + query


def _python(term: Mapping[str, str]) -> Any:
    """A term of a result as a Python value: numbers, booleans and JSON converted, IRIs and the rest as text."""
    text, datatype = term["value"], term.get("datatype")
    try:
        if datatype in _NUMBERS:
            return int(text)
        if datatype in _FLOATS:
            return float(text.replace("INF", "inf"))
        if datatype == XSD + "boolean":
            return text in ("true", "1")
        return json.loads(text) if datatype == _JSON else text
    except ValueError:
        return text
