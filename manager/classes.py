"""Which classes PROV-ML JSON may give to what: those of the ontology that stand for things of that kind.

The ontology files under ``manager/ontology`` define the same classes below the PROV-O class named here (tests compare them).
"""

from __future__ import annotations

from pllib.provml.vocabulary import expand


def _curies(prefix: str, names: str) -> frozenset[str]:
    return frozenset(f"{prefix}:{name}" for name in names.split())


ACTIVITIES = _curies(
    "provlake", "WorkflowExecution DataTransformationExecution CycleExecution CycleIteration"
) | _curies(
    "provml",
    "LearningProcessExecution BaseLearningExecution LearningStageExecution TrainingExecution ValidationExecution"
    " EvaluationExecution LearningStageSectionExecution TrainingSectionExecution ValidationSectionExecution"
    " EvaluationSectionExecution FeatureExtractionExecution",
)
"""Subclasses of ``prov:Activity``."""

ENTITIES = (
    _curies("provlake", "AttributeValue DataReference DomainValue")
    | _curies(
        "provml",
        "LearningTaskValue LearningDataset DatasetCharacteristicValue FeatureSetData LearningHyperparameterValue"
        " ModelHyperparameterValue Model ModelEvaluation Implementation ImplementationCharacteristicValue",
    )
    | {"prov:Entity", "prov:Collection"}
)
"""Subclasses of ``prov:Entity`` that values and data have."""

AGENTS = (
    _curies("provlake", "Program Person")
    | _curies("provml", "Persona Software Implementation")
    | _curies("prov", "Agent Person SoftwareAgent Organization")
)
"""Subclasses of ``prov:Agent``."""

PLANS = _curies(
    "provlake",
    "Project Workflow DataTransformation Cycle Attribute ComplexAttribute DomainAttribute DataSchema DatabaseSchema"
    " Database",
) | _curies(
    "provml",
    "Study LearningExperiment BaseLearningStage LearningStage Training Validation Evaluation LearningStageSection"
    " FeatureExtraction LearningTask LearningDatasetReference DatasetCharacteristic FeatureSet FeatureSetCharacteristic"
    " LearningHyperparameter ModelHyperparameter ModelProspection ModelSchema Algorithm EvaluationMeasure"
    " EvaluationSpecification EvaluationProcedure",
)
"""Prospective classes: ``prov:Plan`` or ``prov:Entity``."""

STORES = _curies("provlake", "DataStoreInstance DataStore Machine")
"""Data stores, planned and used, and the machines they are on."""

IRIS = {curie: expand(curie) for curie in ACTIVITIES | ENTITIES | AGENTS | PLANS | STORES}
"""Every class above, by CURIE."""
