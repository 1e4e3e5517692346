"""The SHACL shapes: a run's graph conforms to them, and each of them finds what it is there for."""

from __future__ import annotations

import pytest
from pyshacl import validate
from rdflib import Graph

from manager.ontology import graph
from pllib.provml.iris import DEFAULT_BASE
from pllib.provml.vocabulary import SPARQL_PREFIXES
from tests.provenance import tracked
from tests.provenance.constraints import check


@pytest.fixture(scope="module")
def run() -> str:
    """A run of every kind of record, as N-Triples."""
    return "\n".join(tracked.lines(tracked.document(tracked.run()), tracked.document(tracked.chain(3))))


def report(ntriples: str, more: str = "") -> tuple[bool, str]:
    found = Graph().parse(data=ntriples, format="nt")
    found.parse(data=SPARQL_PREFIXES + more, format="turtle", publicID=DEFAULT_BASE)
    conforms, _, text = validate(found, shacl_graph=graph("shapes"), ont_graph=graph("ontology"), inference="rdfs")
    return conforms, text


def test_a_run_conforms(run: str) -> None:
    conforms, text = report(run)
    assert conforms, text


def test_a_run_holds_to_prov_constraints(run: str) -> None:
    assert check(run.splitlines()) == ([], [])


ACTIVITY = "<execution/train/9f-1/fit/1>"
VALUE = "<execution/train/9f-1/fit/1/acc>"
STATE = "<data/scratch/train.npz/s1-2f>"
BROKEN = {
    "exactly one plan": f"{ACTIVITY} prov:wasInfluencedBy <workflow/other> .",
    "exactly one plan ": '<a> prov:startedAtTime "2026-01-01T00:00:00Z"^^xsd:dateTime .',
    "begins once": f'{ACTIVITY} prov:startedAtTime "2020-01-01T00:00:00.000000Z"^^xsd:dateTime .',
    "begins once, and not after its end": '<a> prov:wasInfluencedBy <p> ; provlake:status "finished" ; '
    'prov:startedAtTime "2026-01-02T00:00:00Z"^^xsd:dateTime ; prov:endedAtTime "2026-01-01T00:00:00Z"^^xsd:dateTime .',
    "ends at most once": f'{ACTIVITY} prov:endedAtTime "2030-01-01T00:00:00.000000Z"^^xsd:dateTime .',
    "finished or failed": '<execution/train/9f-1/epoch/1> provlake:status "running" .',
    "says how": '<a> prov:endedAtTime "2026-01-01T00:00:00Z"^^xsd:dateTime .',
    "part of one workflow execution": f"{ACTIVITY} provlake:isPartOf <execution/other/1> .",
    "what is used is an entity": f"{ACTIVITY} prov:used <execution/train/9f-1/epoch/1> .",
    "what generates is an activity": f'{VALUE} prov:wasGeneratedBy "fit" .',
    "exactly one literal": f"{VALUE} prov:value 7 .",
    "belongs to an attribute": f"<v> prov:value 1 ; prov:wasGeneratedBy {ACTIVITY} .",
    "or a state of data, is generated once": f"{STATE} prov:wasGeneratedBy {ACTIVITY} .",
    "a value, or a state": f"{VALUE} prov:wasGeneratedBy <execution/train/9f-1/epoch/1> .",
    "one path or key": '<data/scratch/train.npz> prov:value "other" .',
    "names its store and key": '<d> a provlake:DataReference ; prov:value "d" .',
    "a state is one of the reference itself": f"{STATE} prov:specializationOf {STATE} .",
    "activities are informed by activities": f"{ACTIVITY} prov:wasInformedBy {VALUE} .",
    "plans use nothing": "<workflow/train> prov:used <workflow/train/attribute/lr> .",
    "not below 0": f"{ACTIVITY} provlake:duration -1e0 .",
    "has a name": "<p> a provml:Training .",
}


@pytest.mark.parametrize("message", BROKEN)
def test_what_is_broken_is_found(run: str, message: str) -> None:
    conforms, text = report(run, BROKEN[message])
    assert not conforms
    assert message.strip() in text
