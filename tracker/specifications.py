"""Prospective specifications: what a workflow's names mean (docs/reference/tracker.md, Prospective specifications).

A specification says which names mean the same (``align``) and what values and transformations mean; both are applied to a
record before it gets its identifiers.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal, NamedTuple, Optional

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edge.errors import RequestError
from pllib.provml import iris, vocabulary

from . import store_plans
from .records import Stage
from .store_plans import Place
from .values import Meaning

Name = Annotated[str, Field(min_length=1, max_length=340)]
InnerName = Annotated[str, Field(min_length=1, max_length=200)]
"""Name of something in a store; an id may hold four of them."""
Json = Any

MAX_NAMES = 10_000


Description = Annotated[str, Field(max_length=10_000)]
DataType = Annotated[str, Field(max_length=100)]

DATA_TYPES = ("integer", "float", "string", "boolean", "list", "complex_attribute", "any")
"""Types of values that validation knows (``tracker/validation.py``); another one is text for people."""

Direction = Literal["inputs", "outputs"]


class StoreForm(BaseModel):
    """A data store that the workflow's data are in."""

    model_config = ConfigDict(extra="forbid")

    type: Optional[Name] = Field(default=None, description="FILE_SYSTEM, RELATIONAL_DBMS, DOCUMENT_DBMS, …")
    host: Optional[Name] = Field(default=None, description="its address")


class SchemaReference(BaseModel):
    """A data schema in a store: a table, a collection, a file format."""

    model_config = ConfigDict(extra="forbid")

    store: Name
    name: InnerName
    database: Optional[InnerName] = None
    database_schema: Optional[InnerName] = None

    @property
    def place(self) -> Place:
        return Place(self.store, self.name, self.database, self.database_schema)


class AttributeForm(BaseModel):
    """What one input or output is."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    meaning: Optional[Meaning] = Field(default=None, alias="as", description="ML meaning of its values")
    dtype: Optional[DataType] = Field(default=None, description="type of its values: " + ", ".join(DATA_TYPES))
    elements: Optional[DataType] = Field(default=None, description="type of the elements of a list")
    members: dict[Name, AttributeForm] = Field(default={}, max_length=MAX_NAMES, description="parts of a structure")
    reference: bool = Field(default=False, description="its values refer to data: paths, keys, IRIs")
    stores: list[Name] = Field(default=[], max_length=100, description="the stores that they may refer to")
    data_schema: Optional[SchemaReference] = Field(
        default=None, alias="schema", description="the table, collection or file format that they are in"
    )
    description: Optional[Description] = None

    @property
    def places(self) -> list[str]:
        """All stores that its values may be in."""
        return list(dict.fromkeys([*self.stores, *([self.data_schema.store] if self.data_schema else [])]))


class TransformationForm(BaseModel):
    """What one task, section or cycle is planned to do."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["task", "section", "cycle"] = "task"
    stage: Optional[Stage] = None
    part_of: Optional[Name] = Field(default=None, description="the transformation it is nested in")
    description: Optional[Description] = None
    inputs: dict[Name, AttributeForm] = Field(default={}, max_length=MAX_NAMES)
    outputs: dict[Name, AttributeForm] = Field(default={}, max_length=MAX_NAMES)


class SpecificationForm(BaseModel):
    """What a workflow is planned to do."""

    model_config = ConfigDict(extra="forbid")

    workflow: Name
    study: Optional[Name] = None
    description: Optional[Description] = None
    stores: dict[Name, StoreForm] = Field(default={}, max_length=MAX_NAMES, description="name → data store")
    transformations: dict[Name, TransformationForm] = Field(default={}, max_length=MAX_NAMES)
    align: dict[Name, Name] = Field(
        default={}, max_length=MAX_NAMES, description="attribute name in the records → the name it means"
    )

    @model_validator(mode="after")
    def _aligned_to_final_names(self) -> SpecificationForm:
        for name, target in self.align.items():
            if target in self.align:
                raise ValueError(f"align: {name!r} means {target!r}, which is itself aligned: give the final name")
        return self

    @model_validator(mode="after")
    def _nested_in_known(self) -> SpecificationForm:
        for name, transformation in self.transformations.items():
            if transformation.part_of is not None and transformation.part_of not in self.transformations:
                raise ValueError(f"transformations.{name}.part_of: {transformation.part_of!r} is not described")
        return self


class Specification(NamedTuple):
    """A specification as the conversion needs it. All names are aligned.

    Attributes:
        align: name in the records → name it means.
        stages: transformation → stage.
        inputs: (transformation, name) → ML meaning of what it uses.
        outputs: (transformation, name) → ML meaning of what it generates.
        planned: (transformation, direction) → name → what is planned of it.
    """

    align: Mapping[str, str] = MappingProxyType({})
    stages: Mapping[str, str] = MappingProxyType({})
    inputs: Mapping[tuple[str, str], str] = MappingProxyType({})
    outputs: Mapping[tuple[str, str], str] = MappingProxyType({})
    planned: Mapping[tuple[str, str], Mapping[str, AttributeForm]] = MappingProxyType({})

    def attribute(self, transformation: str, direction: Direction, name: str) -> AttributeForm | None:
        """What is planned of an input or output, by its name in the records."""
        return self.planned.get((transformation, direction), {}).get(self.align.get(name, name))


NONE = Specification()
"""No specification: names mean themselves."""


def parse(body: bytes) -> SpecificationForm:
    """The specification in a request's body.

    Raises:
        RequestError: 422, naming the field.
    """
    try:
        return SpecificationForm.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        path = "$" + "".join(f".{part}" for part in first["loc"])
        raise RequestError(
            422, "bad_specification", first["msg"], field=path, fix="see docs/reference/tracker.md"
        ) from error


def compiled(form: SpecificationForm) -> Specification:
    """The specification as lookups."""

    planned = {
        (transformation, direction): {form.align.get(name, name): attribute for name, attribute in attributes.items()}
        for transformation, about in form.transformations.items()
        for direction, attributes in (("inputs", about.inputs), ("outputs", about.outputs))
    }

    def meanings(wanted: Direction) -> dict[tuple[str, str], str]:
        return {
            (transformation, name): attribute.meaning
            for (transformation, direction), attributes in planned.items()
            for name, attribute in attributes.items()
            if direction == wanted and attribute.meaning is not None
        }

    stages = {name: about.stage for name, about in form.transformations.items() if about.stage is not None}
    return Specification(dict(form.align), stages, meanings("inputs"), meanings("outputs"), planned)


def stores(form: SpecificationForm) -> list[Json]:
    """The data stores of a specification, as PROV-ML JSON."""
    return [store_plans.instance(name, name, about.type, about.host) for name, about in form.stores.items()]


def plans(form: SpecificationForm) -> list[Json]:
    """The plans of a specification, as PROV-ML JSON."""
    workflow = iris.workflow(form.workflow)
    learns = any(planned.stage not in (None, "feature_extraction") for planned in form.transformations.values())
    tops = [name for name, planned in form.transformations.items() if planned.part_of is None]
    found: list[Json] = [
        _plan(
            workflow,
            (vocabulary.LEARNING_WORKFLOW if learns else vocabulary.WORKFLOW).plan,
            form.workflow,
            form.description,
            parts=[iris.transformation(form.workflow, name) for name in tops],
        )
    ]
    if form.study is not None:
        found.append(_plan(iris.study(form.study), "provml:Study", form.study, None, parts=[workflow]))
    for name, planned in form.transformations.items():
        found.extend(_plans_of(form, name, planned))
    return [*found, *_plans_of_stores(form)]


def _plans_of_stores(form: SpecificationForm) -> list[Json]:
    """The plans of all stores and schemas that are named."""
    attributes = [
        about for each in form.transformations.values() for about in (*each.inputs.values(), *each.outputs.values())
    ]
    names = dict.fromkeys([*form.stores, *(name for about in attributes for name in about.places)])
    kinds = {name: about.type for name, about in form.stores.items()}
    places = dict.fromkeys(about.data_schema.place for about in attributes if about.data_schema)
    return [
        *(store_plans.store(name, name, kinds.get(name)) for name in names),
        *(plan for place in places for plan in store_plans.schema(place)),
    ]


def _plans_of(form: SpecificationForm, name: str, planned: TransformationForm) -> list[Json]:
    def attributes(given: Mapping[str, AttributeForm]) -> list[tuple[str, AttributeForm]]:
        return [(form.align.get(attribute, attribute), about) for attribute, about in given.items()]

    inputs, outputs = attributes(planned.inputs), attributes(planned.outputs)
    parts = [inner for inner, about in form.transformations.items() if about.part_of == name]
    found = [
        _plan(
            iris.transformation(form.workflow, name),
            vocabulary.activity_classes(planned.kind, planned.stage).plan,
            name,
            planned.description,
            inputs=[iris.attribute(form.workflow, attribute) for attribute, _ in inputs],
            outputs=[iris.attribute(form.workflow, attribute) for attribute, _ in outputs],
            parts=[iris.transformation(form.workflow, inner) for inner in parts],
        )
    ]
    for attribute, about in (*inputs, *outputs):
        identifier = iris.attribute(form.workflow, attribute)
        schemas = [about.data_schema.place.id] if about.data_schema else []
        stores = [iris.store_plan(store) for store in about.stores]
        kind = attribute_class(about.meaning)
        found.append(_plan(identifier, kind, attribute, about.description, dataSchemas=schemas, dataStores=stores))
    return found


def attribute_class(meaning: str | None) -> str:
    """The prospective class (CURIE) of an attribute whose values have this meaning."""
    return vocabulary.SEMANTICS[meaning].attribute if meaning else "provlake:Attribute"


def _plan(identifier: str, kind: str, label: str, description: str | None, **links: list[str]) -> Json:
    plan: Json = {"id": identifier, "types": [kind], "label": label}
    if description:
        plan["description"] = description
    plan.update({name: ids for name, ids in links.items() if ids})
    return plan
