"""A graph about data in several stores, by the rules of docs/reference/rdf-model.md."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Optional

from pllib.provml import iris
from pllib.provml.iris import DEFAULT_BASE as BASE
from tests.integration.query_graph import HEAD


def iri(store: str, key: str, version: Optional[str] = None) -> str:
    """The full IRI of data, or of a state of it."""
    return BASE + iris.data(store, key, version)


def data(store: str, key: str, *versions: str) -> str:
    """Statements about data and its states; a task used each."""
    whole, text = iris.data(store, key), _quoted(key)
    lines = [f"<store/{iris.encode(store)}> a provlake:DataStoreInstance ; rdfs:label {_quoted(store)} ."]
    lines.append(
        f"<{whole}> a provlake:DataReference ; prov:value {text} ; provlake:key {text} ; "
        f"provlake:store <store/{iris.encode(store)}> ."
    )
    lines += [
        f"<{iris.data(store, key, version)}> a provlake:DataReference ; prov:specializationOf <{whole}> ; "
        f"prov:value {text} ; provlake:version {_quoted(version)} ; prov:wasGeneratedBy <execution/prepare/p/split/1> ."
        for version in versions
    ]
    for number, used in enumerate([iris.data(store, key, version) for version in versions] or [whole]):
        run = f"execution/train/{number}"
        lines.append(
            f"<{run}> a provlake:WorkflowExecution ; prov:wasInfluencedBy <workflow/train> . "
            f"<{run}/fit/1> a provml:TrainingExecution ; provlake:isPartOf <{run}> ; prov:used <{used}> ; "
            f'prov:startedAtTime "2026-01-0{number + 1}T10:00:00.000000Z"^^xsd:dateTime .'
        )
    return "\n".join(lines)


def graph(statements: Iterable[str]) -> str:
    """A Turtle document."""
    return "\n".join([f"@base <{BASE}> .", HEAD, "<workflow/train> a provlake:Workflow .", *statements])


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
