"""A ProvLake prospective document as a specification of our own form. Pure.

A document is refused as a whole, with everything that is wrong with it, since half a plan misleads.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, get_args

from pydantic import ValidationError

from .. import lenient_json
from ..errors import RecordError
from ..plain_values import check_size, clean_text
from ..records import Stage
from ..specifications import DATA_TYPES, SpecificationForm
from ..validation import Finding, quoted
from .stores import kind_of

Json = Any
Node = str | tuple[str]

MAX_FINDINGS = 50
MAX_DEPTH = 16
"""Depth of complex attributes."""

_MEANINGS = {
    "hyper_parameter": "hyperparameter",
    "data_characteristic": "dataset_characteristic",
    **{name: name for name in ("hyperparameter", "dataset_characteristic", "dataset", "evaluation_measure", "model")},
    **{name: name for name in ("feature_set", "learning_task", "model_hyperparameter", "implementation", "domain")},
}
_SEMANTICS = ("PARAMETER", "OUTPUT_VALUE", "FILE_REFERENCE")
_STAGES: tuple[str, ...] = get_args(Stage)


class Plan(NamedTuple):
    """The specification, or why there is none."""

    form: SpecificationForm | None
    findings: list[Finding]


def read(body: bytes) -> Plan:
    """The specification in a prospective document.

    Raises:
        RequestError: 400 when the body is no JSON.
    """
    duplicates: list[str] = []

    def members(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
        found = dict(pairs)
        if len(found) < len(pairs):
            counts = Counter(name for name, _ in pairs)
            duplicates.extend(name for name, count in counts.items() if count > 1)
        return found

    document = lenient_json.parse(body, object_pairs_hook=members)
    try:
        check_size(document, "the document")
    except RecordError as error:
        return Plan(None, [Finding("201", "malformed_document", f"{error.field} has {error.message}")])
    reader = _Reader()
    for name in duplicates:
        reader.tell("202", "duplicate_name", f"{_quoted(name)} is there twice in one object: rename one of them")
    form = reader.form(document)
    if reader.findings:
        return Plan(None, reader.findings)
    try:
        return Plan(SpecificationForm.model_validate(form), [])
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        return Plan(None, [Finding("201", "malformed_document", f"{where}: {first['msg']}".replace("'", "’"))])


class _Reader:
    """Reads a document and collects what is wrong with it."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self._stores: set[str] = set()

    def tell(self, number: str, type_: str, explanation: str) -> None:
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(Finding(number, type_, explanation))

    def form(self, document: Json) -> Json:
        document = self._object(document, "the document")
        workflow = document.get("dataflow_name")
        if not isinstance(workflow, str) or not workflow:
            self.tell("201", "malformed_document", "`dataflow_name` is missing: give the name of the workflow")
        stores = self._read_stores(self._object(document.get("storages") or {}, "`storages`"))
        self._stores = set(stores)
        given = self._object(document.get("data_transformations") or {}, "`data_transformations`")
        transformations = {name: self._transformation(name, about) for name, about in given.items()}
        self._check_flow(transformations)
        align = self._object(document.get("align_terms") or {}, "`align_terms`")
        form = {
            "workflow": workflow,
            "study": document.get("context_name") or None,
            "description": document.get("description") or None,
            "stores": stores,
            "transformations": transformations,
            "align": dict(align),
        }
        return {name: value for name, value in form.items() if value is not None}

    def _object(self, value: Json, where: str) -> Mapping[str, Json]:
        if isinstance(value, dict):
            return value
        self.tell("201", "malformed_document", f"{where} is no object")
        return {}

    def _list(self, value: Json, where: str) -> list[Json]:
        if value is None:
            return []
        if isinstance(value, list):
            return value
        self.tell("201", "malformed_document", f"{where} is no list")
        return []

    def _read_stores(self, given: Mapping[str, Json]) -> dict[str, Json]:
        found = {}
        for name, about in given.items():
            about = self._object(about, f"the storage {_quoted(name)}")
            host = about.get("host_address") or about.get("url")
            store = {"type": kind_of(about.get("type")), "host": host}
            found[name] = {key: value for key, value in store.items() if value is not None}
        return found

    def _transformation(self, name: str, about: Json) -> Json:
        where = f"transformation {_quoted(name)}"
        about = self._object(about, where)
        stage = about.get("stage") or about.get("ml_semantics")
        if stage is not None and stage not in _STAGES:
            self.tell("206", "unknown_semantics", f"{_quoted(stage)} of {where}: use {', '.join(_STAGES)}")
        planned = {
            "stage": stage,
            "part_of": about.get("part_of") or None,
            "kind": about.get("kind") or None,
            "description": about.get("description") or None,
            "inputs": self._datasets(about.get("input_datasets"), where),
            "outputs": self._datasets(about.get("output_datasets"), where),
        }
        return {key: value for key, value in planned.items() if value is not None}

    def _datasets(self, given: Json, where: str) -> dict[str, Json]:
        """The attributes of all data sets on one side of a transformation."""
        found: dict[str, Json] = {}
        for dataset in self._list(given, f"data sets of {where}"):
            attributes = self._object(dataset, f"a data set of {where}").get("attributes")
            self._attributes(attributes, where, found, MAX_DEPTH)
        return found

    def _attributes(self, given: Json, where: str, found: dict[str, Json], depth: int) -> None:
        for attribute in self._list(given, f"attributes of {where}"):
            about = self._object(attribute, f"an attribute of {where}")
            name = about.get("name")
            if not isinstance(name, str) or not name:
                self.tell("201", "malformed_document", f"an attribute of {where} has no `name`")
            elif name in found:
                told = f"{_quoted(name)} is there twice in {where}: rename one of them"
                self.tell("202", "duplicate_name", told)
            else:
                found[name] = self._attribute(about, f"{_quoted(name)} of {where}", depth)

    def _attribute(self, about: Mapping[str, Json], where: str, depth: int) -> Json:
        dtype, elements = about.get("dtype"), about.get("elementdtype")
        for given in (dtype, elements):
            if given is not None and given not in DATA_TYPES:
                self.tell("203", "unknown_dtype", f"{_quoted(given)} of {where}: use {', '.join(DATA_TYPES)}")
        members: dict[str, Json] = {}
        if depth:
            self._attributes(about.get("attributes"), where, members, depth - 1)
        elif about.get("attributes"):
            self.tell("201", "malformed_document", f"{where} is nested deeper than {MAX_DEPTH}")
        planned = {
            "as": self._meaning(about.get("ml_semantics"), where),
            "dtype": dtype,
            "elements": elements,
            "members": members or None,
            "reference": self._semantics(about.get("semantics"), where) or None,
            "stores": self._storages(about.get("storage_references"), where) or None,
            "description": about.get("description") or None,
        }
        return {key: value for key, value in planned.items() if value is not None}

    def _meaning(self, given: Json, where: str) -> str | None:
        if not given:
            return None
        known = _MEANINGS.get(given) if isinstance(given, str) else None
        if known is None:
            self.tell("206", "unknown_semantics", f"{_quoted(given)} of {where}: use {', '.join(_MEANINGS)}")
        return known

    def _semantics(self, given: Json, where: str) -> bool:
        if given and given not in _SEMANTICS:
            self.tell("206", "unknown_semantics", f"{_quoted(given)} of {where}: use {', '.join(_SEMANTICS)}")
        return bool(given == "FILE_REFERENCE")

    def _storages(self, given: Json, where: str) -> list[str]:
        """Names of stores, given as a list or as an object whose keys they are."""
        names = list(given) if isinstance(given, dict) else self._list(given, f"storage references of {where}")
        for name in names:
            if not isinstance(name, str) or name not in self._stores:
                self.tell(
                    "205", "unknown_storage", f"{_quoted(name)} of {where} is not in `storages`: describe it there"
                )
        return [name for name in names if isinstance(name, str)]

    def _check_flow(self, transformations: Mapping[str, Json]) -> None:
        """Tells of transformations that feed each other in a circle, and of some that are part of themselves."""
        parts = {name: [about["part_of"]] for name, about in transformations.items() if about.get("part_of")}
        for links, what in ((_flow(transformations), "feed each other"), (parts, "are part of each other")):
            circle = _circle(links)
            if circle:
                told = " → ".join(_quoted(name) for name in circle if isinstance(name, str))
                fix = "a loop is planned once, as one round of it"
                self.tell("204", "cycle", f"the transformations {told} {what} in a circle: {fix}")


def _flow(transformations: Mapping[str, Json]) -> dict[Node, list[Node]]:
    """Transformation → what it makes (as a tuple) → transformations that take it.

    What goes in and out of one transformation is only changed there: a chain of such is no circle.
    """
    links: dict[Node, list[Node]] = {}
    for name, about in transformations.items():
        inputs, outputs = about.get("inputs", {}), about.get("outputs", {})
        links[name] = [(attribute,) for attribute in outputs if attribute not in inputs]
        for attribute in inputs:
            if attribute not in outputs:
                links.setdefault((attribute,), []).append(name)
    return links


def _circle(links: Mapping[Any, Sequence[Node]]) -> list[Node] | None:
    """A circle in a directed graph, from a node to itself; ``None`` when there is none."""
    done: set[Node] = set()
    for start in links:
        path: dict[Node, Iterator[Node]] = {} if start in done else {start: iter(links[start])}
        while path:
            node = next(reversed(path))
            following = next(path[node], None)
            if following is None:
                done.add(node)
                del path[node]
            elif following in path:
                nodes = list(path)
                return [*nodes[nodes.index(following) :], following]
            elif following not in done:
                path[following] = iter(links.get(following, ()))
    return None


def _quoted(value: Json) -> str:
    return quoted(clean_text(str(value)))
