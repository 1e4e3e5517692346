"""Names of the model: namespaces, classes and properties of PROV-O, PROVLake and PROV-ML.

The one place where the two namespaces of the vocabulary are written in code; the ontology files
under ``manager/vocabulary`` use the same ones (a test compares them). Source of the class tables:
"Workflow Provenance in the Lifecycle of Scientific Machine Learning" (arXiv 2010.00330).
"""

from __future__ import annotations

from typing import Dict, NamedTuple, Optional

PROV = "http://www.w3.org/ns/prov#"
PROVLAKE = "https://w3id.org/pllib/provlake#"
PROVML = "https://w3id.org/pllib/prov-ml#"
MLS = "http://www.w3.org/ns/mls#"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
RDFS = "http://www.w3.org/2000/01/rdf-schema#"
XSD = "http://www.w3.org/2001/XMLSchema#"

PREFIXES: Dict[str, str] = {
    "prov": PROV,
    "provlake": PROVLAKE,
    "provml": PROVML,
    "mls": MLS,
    "rdf": RDF,
    "rdfs": RDFS,
    "xsd": XSD,
}

SPARQL_PREFIXES = "".join(f"PREFIX {name}: <{iri}>\n" for name, iri in PREFIXES.items())


class ValueClasses(NamedTuple):
    """The prospective and the retrospective class that one ML meaning of a value maps to (CURIEs)."""

    attribute: str
    value: str


SEMANTICS: Dict[str, ValueClasses] = {
    "hyperparameter": ValueClasses("provml:LearningHyperparameter", "provml:LearningHyperparameterValue"),
    "model_hyperparameter": ValueClasses("provml:ModelHyperparameter", "provml:ModelHyperparameterValue"),
    "model": ValueClasses("provml:ModelProspection", "provml:Model"),
    "dataset": ValueClasses("provml:LearningDatasetReference", "provml:LearningDataset"),
    "dataset_characteristic": ValueClasses("provml:DatasetCharacteristic", "provml:DatasetCharacteristicValue"),
    "feature_set": ValueClasses("provml:FeatureSet", "provml:FeatureSetData"),
    "evaluation_measure": ValueClasses("provml:EvaluationMeasure", "provml:ModelEvaluation"),
    "learning_task": ValueClasses("provml:LearningTask", "provml:LearningTaskValue"),
    "implementation": ValueClasses("provml:Algorithm", "provml:Implementation"),
    "domain": ValueClasses("provlake:DomainAttribute", "provlake:DomainValue"),
}
"""ML meaning of a value, as the wire says it, to its classes; a value without one is untyped."""


class ActivityClasses(NamedTuple):
    """The prospective and the retrospective class of one kind of activity (CURIEs)."""

    plan: str
    execution: str


WORKFLOW = ActivityClasses("provlake:Workflow", "provlake:WorkflowExecution")
LEARNING_WORKFLOW = ActivityClasses("provml:LearningExperiment", "provml:LearningProcessExecution")
TASK = ActivityClasses("provlake:DataTransformation", "provlake:DataTransformationExecution")
CYCLE = ActivityClasses("provlake:Cycle", "provlake:CycleExecution")
ITERATION = ActivityClasses("provlake:Cycle", "provlake:CycleIteration")

STAGES: Dict[str, ActivityClasses] = {
    "learning": ActivityClasses("provml:LearningStage", "provml:LearningStageExecution"),
    "training": ActivityClasses("provml:Training", "provml:TrainingExecution"),
    "validation": ActivityClasses("provml:Validation", "provml:ValidationExecution"),
    "evaluation": ActivityClasses("provml:Evaluation", "provml:EvaluationExecution"),
    "feature_extraction": ActivityClasses("provml:FeatureExtraction", "provml:FeatureExtractionExecution"),
}
SECTIONS: Dict[str, ActivityClasses] = {
    "learning": ActivityClasses("provml:LearningStageSection", "provml:LearningStageSectionExecution"),
    "training": ActivityClasses("provml:LearningStageSection", "provml:TrainingSectionExecution"),
    "validation": ActivityClasses("provml:LearningStageSection", "provml:ValidationSectionExecution"),
    "evaluation": ActivityClasses("provml:LearningStageSection", "provml:EvaluationSectionExecution"),
}

_OTHERS = {"workflow": WORKFLOW, "cycle": CYCLE, "iteration": ITERATION}


def activity_classes(kind: str, stage: Optional[str]) -> ActivityClasses:
    """The classes of a kind of activity.

    Args:
        kind: ``workflow``, ``task``, ``section``, ``cycle`` or ``iteration``.
        stage: of ``STAGES``, for a task or section that is part of learning.

    Raises:
        KeyError: there is no such kind or stage.
    """
    if kind == "task":
        return STAGES[stage] if stage else TASK
    if kind == "section":
        return SECTIONS.get(stage or "learning", SECTIONS["learning"])
    return _OTHERS[kind]


SESSION = "provlake:Session"
SERIES, TELEMETRY = "provlake:Series", "provlake:Telemetry"


def expand(curie: str) -> str:
    """The full IRI of a CURIE such as ``provml:Model``.

    Raises:
        KeyError: the prefix is none of ``PREFIXES``.
    """
    prefix, _, local = curie.partition(":")
    return PREFIXES[prefix] + local
