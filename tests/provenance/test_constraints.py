"""The checker of PROV-CONSTRAINTS finds what is wrong, by number, and nothing where nothing is."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from rdflib import Graph

from pllib.provml.iris import DEFAULT_BASE
from pllib.provml.vocabulary import SPARQL_PREFIXES
from tests.provenance.constraints import check, violations, warnings

GOOD = """
<execution/w/1> a provml:LearningProcessExecution ; prov:wasInfluencedBy <workflow/w> ;
    prov:startedAtTime "2026-01-01T00:00:00.000000Z"^^xsd:dateTime ; prov:endedAtTime "2026-01-01T00:01:00.000000Z"^^xsd:dateTime .
<execution/w/1/make/1> a provlake:DataTransformationExecution ; prov:wasInfluencedBy <workflow/w/transformation/make> ;
    prov:startedAtTime "2026-01-01T00:00:10.000000Z"^^xsd:dateTime ; prov:endedAtTime "2026-01-01T00:00:20.000000Z"^^xsd:dateTime ;
    prov:wasAssociatedWith <agent/process/9> .
<execution/w/1/use/2> a provlake:DataTransformationExecution ; prov:wasInfluencedBy <workflow/w/transformation/use> ;
    prov:startedAtTime "2026-01-01T00:00:30.000000Z"^^xsd:dateTime ; prov:endedAtTime "2026-01-01T00:00:40.000000Z"^^xsd:dateTime ;
    prov:used <execution/w/1/make/1/x>, <data/s/f/v1> ; prov:wasInformedBy <execution/w/1/make/1> .
<execution/w/1/make/1/x> prov:value 1 ; prov:wasDerivedFrom <workflow/w/attribute/x> ; prov:wasGeneratedBy <execution/w/1/make/1> .
<data/s/f> a provlake:DataReference .
<data/s/f/v1> a provlake:DataReference ; provlake:version "v1" ; prov:specializationOf <data/s/f> ;
    prov:wasGeneratedBy <execution/w/1/make/1> ; prov:hadMember <data/s/f/v1/n/1> .
<data/s/f/v1/n/1> prov:value 1 .
<workflow/w> a provml:LearningExperiment ; provlake:hasPart <workflow/w/transformation/make> .
<workflow/w/attribute/x> a provlake:Attribute .
<agent/process/9> a prov:SoftwareAgent .
"""
BAD = {
    "55 entity": "<execution/w/1/make/1> prov:specializationOf <data/s/f> .",
    "55 entity-activity": "<execution/w/1/make/1/x> a provml:TrainingExecution .",
    "28 unique": '<execution/w/1> prov:startedAtTime "2026-01-01T00:00:01.000000Z"^^xsd:dateTime .',
    "29 unique": '<execution/w/1> prov:endedAtTime "2026-01-01T00:01:01.000000Z"^^xsd:dateTime .',
    "30 start": '<a> prov:startedAtTime "2026-01-02T00:00:00.000000Z"^^xsd:dateTime ; '
    'prov:endedAtTime "2026-01-01T00:00:00.000000Z"^^xsd:dateTime .',
    "37 generation": "<execution/w/1/make/1> prov:used <y> . <y> prov:wasGeneratedBy <execution/w/1/use/2> .",
    "34 generation": '<data/s/f/v1> prov:generatedAtTime "2026-01-01T00:00:25.000000Z"^^xsd:dateTime .',
    "35 wasInformedBy": "<execution/w/1/make/1> prov:wasInformedBy <execution/w/1/use/2> .",
    "39 generation": "<execution/w/1/make/1/x> prov:wasGeneratedBy <execution/w/1/use/2> .",
    "39 generation-": "<data/s/f/v1> prov:wasGeneratedBy <execution/w/1/use/2> .",
    "42 irreflexivity": "<a> prov:wasDerivedFrom <b> . <b> prov:wasDerivedFrom <c> . <c> prov:wasDerivedFrom <a> .",
    "45 specialization": "<data/s/f/v1> prov:specializationOf <g> . <g> prov:wasGeneratedBy <execution/w/1/use/2> .",
    "52 irreflexivity": "<data/s/f> prov:specializationOf <data/s/f/v1> .",
    "52 irr": "<data/s/f> prov:specializationOf <data/s/f> .",
    "50 typing": "<workflow/w/transformation/make> prov:used <workflow/w/attribute/x> .",
    "50 typing: ": "<execution/w/1/make/1> prov:used <workflow/w/attribute/x> .",
    "50 ": "<e> prov:wasGeneratedBy <plan> . <plan> a provml:Training .",
}


def read(turtle: str) -> Graph:
    return Graph().parse(data=SPARQL_PREFIXES + turtle, format="turtle", publicID=DEFAULT_BASE)


def test_a_good_graph_has_no_violation() -> None:
    assert check(read(GOOD)) == ([], [])


@pytest.mark.parametrize("number", BAD)
def test_what_is_wrong_is_named(number: str) -> None:
    found = violations(read(GOOD + BAD[number]))
    assert any(one.startswith(number) for one in found), found
    assert all(DEFAULT_BASE in one for one in found)


def test_a_reference_without_a_state_may_be_generated_again() -> None:
    graph = read(GOOD + "<data/s/f> prov:wasGeneratedBy <execution/w/1/make/1>, <execution/w/1/use/2> .")
    assert violations(graph) == []
    assert [one[:2] for one in warnings(graph)] == ["39", "45"]


def test_lines_and_graphs_are_the_same() -> None:
    graph = read(GOOD + BAD["39 generation"] + BAD["52 irr"])
    lines = graph.serialize(format="nt").splitlines()
    assert sorted(violations(lines)) == sorted(violations(graph)) != []


def test_the_fixture_is_the_same_function(constraint_violations: Callable[[Graph], list[str]]) -> None:
    assert constraint_violations(read(GOOD)) == []


def test_a_long_chain_is_no_trouble() -> None:
    lines = [f"<urn:e{n}> <http://www.w3.org/ns/prov#wasDerivedFrom> <urn:e{n + 1}> ." for n in range(100_000)]
    assert violations(lines) == []
