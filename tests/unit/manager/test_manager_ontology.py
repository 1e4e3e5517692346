"""The vocabulary: complete, closed, the same everywhere, and fit to be imported by others."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from rdflib import OWL, RDF, RDFS, SKOS, BNode, Graph, Literal, URIRef

from manager.ontology import FILES, FOLDER, as_ntriples, classes, graph
from pllib.provml import vocabulary
from pllib.provml.vocabulary import MLS, PREFIXES, PROV, PROVLAKE, PROVML, expand

ROOT = Path(__file__).resolve().parents[3]
OURS = (PROVLAKE, PROVML)
KINDS = (OWL.Class, OWL.ObjectProperty, OWL.DatatypeProperty)
CURIE = re.compile(r"\b(provlake|provml):([A-Za-z]\w*)")
FORMER = {
    "Experiment": "LearningExperiment",
    "LearningDataSetReference": "LearningDatasetReference",
    "LearningDataSetReferenceValue": "LearningDataset",
    "ModelReference": "ModelProspection",
    "ModelReferenceValue": "Model",
    "LearningHyperparameterSetting": "LearningHyperparameterValue",
}
"""Names of the first published version, and the later spelling of one, to the names used here."""


@pytest.fixture(scope="module")
def ontology() -> Graph:
    return graph("ontology")


def terms(ontology: Graph) -> dict[str, URIRef]:
    """Every term of ours that is defined, to its kind."""
    found = {str(subject): kind for kind in KINDS for subject in ontology.subjects(RDF.type, kind)}
    return {term: kind for term, kind in found.items() if term.startswith(OURS)}


def test_every_term_has_a_label_a_comment_and_a_home(ontology: Graph) -> None:
    for term in map(URIRef, terms(ontology)):
        (label,), (comment,) = ontology.objects(term, RDFS.label), ontology.objects(term, RDFS.comment)
        assert isinstance(label, Literal), term
        assert label.language == "en", term
        assert isinstance(comment, Literal), term
        assert comment.language == "en", term
        assert str(comment).endswith("."), term
        (home,) = ontology.objects(term, RDFS.isDefinedBy)
        assert str(term).startswith(str(home) + "#"), term


def test_every_property_says_what_it_links(ontology: Graph) -> None:
    for term, kind in terms(ontology).items():
        if kind != OWL.Class:
            assert len(list(ontology.objects(URIRef(term), RDFS.range))) == 1, term


def test_nothing_is_without_a_definition(ontology: Graph) -> None:
    defined = terms(ontology)
    for triple in (*ontology, *graph("shapes")):
        for node in triple:
            if isinstance(node, URIRef) and node.startswith(OURS):
                assert str(node) in defined, node


@pytest.mark.parametrize(
    "place",
    [
        "pllib/**/*.py",
        "tracker/*.py",
        "manager/*.py",
        "query_engine/**/*.py",
        "docs/**/*.md",
        "examples/**/*.py",
        "README.md",
    ],
)
def test_every_term_that_is_used_is_defined(ontology: Graph, place: str) -> None:
    defined = terms(ontology)
    for file in ROOT.glob(place):
        for prefix, name in CURIE.findall(file.read_text(encoding="utf-8")):
            assert PREFIXES[prefix] + name in defined, f"{prefix}:{name} in {file.relative_to(ROOT)}"


def test_every_class_is_one_of_prov(ontology: Graph) -> None:
    for term, kind in terms(ontology).items():
        if kind == OWL.Class:
            same = [URIRef(term), *ontology.objects(URIRef(term), OWL.equivalentClass)]
            above = {str(one) for name in same for one in ontology.transitive_objects(name, RDFS.subClassOf)}
            assert any(one.startswith(PROV) for one in above), term


def test_every_learning_class_is_one_of_provlake(ontology: Graph) -> None:
    for name in terms(ontology):
        if name.startswith(PROVML) and name[len(PROVML) :] not in {
            *FORMER,
            "Persona",
            "ImplementationCharacteristicValue",
        }:
            above = ontology.transitive_objects(URIRef(name), RDFS.subClassOf)
            assert any(str(one).startswith(PROVLAKE) for one in above), name


def test_the_classes_of_the_code_are_defined() -> None:
    found = [*vocabulary.SEMANTICS.values(), *vocabulary.STAGES.values(), *vocabulary.SECTIONS.values()]
    found += [
        vocabulary.WORKFLOW,
        vocabulary.LEARNING_WORKFLOW,
        vocabulary.TASK,
        vocabulary.CYCLE,
        vocabulary.ITERATION,
    ]
    assert {name for pair in found for name in pair} <= classes()


def test_planned_and_executed_are_paired_by_kind(ontology: Graph) -> None:
    """What attributes mean is an attribute and its value; what activities are is a plan and its execution."""

    def above(curie: str) -> set[str]:
        return {str(one) for one in ontology.transitive_objects(URIRef(expand(curie)), RDFS.subClassOf)}

    for attribute, value in vocabulary.SEMANTICS.values():
        assert PROVLAKE + "Attribute" in above(attribute)
        assert PROV + "Entity" in above(value)
    for plan, execution in (
        *vocabulary.STAGES.values(),
        *vocabulary.SECTIONS.values(),
        vocabulary.TASK,
        vocabulary.CYCLE,
    ):
        assert PROVLAKE + "DataTransformation" in above(plan)
        assert PROV + "Activity" in above(execution)


def test_former_names_are_the_same_classes(ontology: Graph) -> None:
    for former, name in FORMER.items():
        old, new = URIRef(PROVML + former), URIRef(PROVML + name)
        assert (old, OWL.equivalentClass, new) in ontology
        assert (old, OWL.deprecated, Literal(True)) in ontology
        assert any(str(label) == former for label in ontology.objects(new, SKOS.altLabel)), name
        assert "provml:" + former in classes()


def test_ml_schema_is_named_where_there_is_a_counterpart(ontology: Graph) -> None:
    aligned = {str(subject)[len(PROVML) :] for subject, _, other in ontology if str(other).startswith(MLS)}
    assert aligned >= {
        *("Study", "LearningExperiment", "LearningProcessExecution", "LearningTask", "LearningDatasetReference"),
        *(
            "DatasetCharacteristic",
            "FeatureSet",
            "FeatureSetCharacteristic",
            "LearningHyperparameter",
            "Model",
            "Algorithm",
        ),
        *(
            "LearningHyperparameterValue",
            "Implementation",
            "Software",
            "EvaluationMeasure",
            "ModelEvaluation",
            "ModelProspection",
        ),
        *("EvaluationSpecification", "EvaluationProcedure", "ImplementationCharacteristicValue", "LearningDataset"),
    }


def test_namespaces_are_the_same_in_code_and_files(ontology: Graph) -> None:
    for file in FOLDER.glob("*.ttl"):
        for prefix, iri in re.findall(r"@prefix (\w+): <(.*?)>", file.read_text(encoding="utf-8")):
            assert PREFIXES.get(prefix, iri) == iri, file.name
    for name, namespace in (("provlake", PROVLAKE), ("prov-ml", PROVML)):
        found = {str(term) for term in terms(graph(name))}
        assert found
        assert all(term.startswith(namespace) for term in found)
        (header,) = graph(name).subjects(RDF.type, OWL.Ontology)
        assert str(header) + "#" == namespace
        assert list(graph(name).objects(header, OWL.versionIRI))
    assert set(FILES) == {"ontology", "provlake", "prov-ml", "shapes"}


def test_loading_it_again_adds_nothing(ontology: Graph) -> None:
    """A blank node would be another one each time."""
    assert not [node for triple in ontology for node in triple if isinstance(node, BNode)]
    assert as_ntriples().count(b" .\n") == len(ontology)
