"""Extraction with our identifiers: it joins what was captured live of the same runs, code, data and models.

================  =======================================================================================
commit            activity ``commit/{repository}/{sha}``
file              data ``git:{repository}``, key its path
file revision     state of it, version the commit that made it
the tree          data ``git:{repository}``, key ``.``, version the commit
experiment        workflow of its name; run: execution of it with the run's id
deletion          activity ``deletion/{id of what was deleted}``
registered model  data ``mlflow-registry:{where}``, key its name; a version is a state of it
================  =======================================================================================

All else as ``pllib.mlflow.naming`` has it.
"""

from __future__ import annotations

import json
from typing import Dict, Iterator, List, Optional, Set, Tuple

from ..documents import settling
from ..documents.conversion import Conversion, Fact
from ..mlflow import naming
from ..prov.model import Statement
from ..provml import iris
from ..provml.repositories import code_store
from ..provml.settled import Extent, merged
from ..provml.vocabulary import RDF, XSD
from . import records
from .facts import Gathered, commit, deletion
from .git import SUBMODULE, Commit, Person
from .history import History, Revision, Step
from .mapping import Known, Links, Mapper, iso, printable
from .tracking import (
    DELETED,
    DELETED_VERSION,
    Experiment,
    LoggedModel,
    ModelVersion,
    RegisteredModel,
    Run,
    TrackingStore,
)

_JSON, _TIME, _INTEGER = RDF + "JSON", XSD + "dateTime", XSD + "integer"


class NativeMapper(Mapper):
    """See the module.

    Args:
        base: beginning of all IRIs.
    """

    def __init__(self, base: str) -> None:
        self._base = base
        self._said: Set[Fact] = set()

    @property
    def namespaces(self) -> Dict[str, str]:
        return {"id": self._base}

    def _flushed(self, gathered: Gathered) -> Iterator[Statement]:
        return gathered.statements(self._said)

    # -- git ------------------------------------------------------------------------------------------------------

    def commit(self, history: History, each: Commit, steps: List[Step]) -> Iterator[Statement]:
        found = Gathered(self._base)
        repository = history.repository.name
        activity, store = commit(repository, each.sha), code_store(repository)
        found.classes(activity, "provlake:Commit")
        found.text(activity, "rdfs:label", printable(each.title) or each.sha[:12])
        found.text(activity, "prov:startedAtTime", each.authored)
        found.text(activity, "prov:endedAtTime", each.committed)
        found.text(activity, "provlake:sha", each.sha)
        found.text(activity, "provlake:message", printable(each.message))
        for parent in each.parents:
            found.link(activity, "prov:wasInformedBy", commit(repository, parent))
        for person, role in ((each.author, "author"), (each.committer, "committer")):
            found.relation("wasAssociatedWith", activity, self._person(found, person), None, role)
        tree = iris.data(store, ".", each.sha)
        self._data(found, store, ".", each.sha)
        found.link(tree, "prov:wasGeneratedBy", activity)
        for step in steps:
            self._step(found, store, activity, each, step)
        yield from self._flushed(found)

    def _step(self, found: Gathered, store: str, activity: str, each: Commit, step: Step) -> None:
        before = [iris.data(store, revision.path, revision.commit) for revision in step.before]
        if step.revision is None:
            for state in before:
                found.relation("wasInvalidatedBy", state, activity, each.committed)
            return
        state = iris.data(store, step.revision.path, step.revision.commit)
        self._data(found, store, step.revision.path, step.revision.commit)
        found.text(state, "provlake:change", step.change.status)
        if step.change.mode == SUBMODULE:
            found.classes(state, "provlake:Submodule")
            found.text(state, "provlake:sha", step.change.blob)
        found.relation("wasGeneratedBy", state, activity, each.committed)
        found.link(state, "prov:wasAttributedTo", self._person(found, each.author))
        for earlier in before:
            found.link(state, "prov:wasDerivedFrom", earlier)
            found.link(activity, "prov:used", earlier)
            if step.change.status == "R" and not earlier.startswith(iris.data(store, step.revision.path) + "/"):
                found.relation("wasInvalidatedBy", earlier, activity, each.committed)

    def _data(self, found: Gathered, store: str, key: str, version: str) -> None:
        reference, state = iris.data(store, key), iris.data(store, key, version)
        for identifier in (reference, state):
            found.classes(identifier, "provlake:DataReference")
            found.text(identifier, "prov:value", printable(key))
        found.text(reference, "provlake:key", printable(key))
        found.link(reference, "provlake:store", iris.store(store))
        found.text(state, "provlake:version", version)
        found.link(state, "prov:specializationOf", reference)

    def _person(self, found: Gathered, person: Person) -> str:
        """Id of an author; two of one name are two if their addresses differ."""
        identifier = iris.person(f"{person.name} <{person.email.lower()}>" if person.email else person.name)
        found.classes(identifier, "prov:Person", "provml:Persona")
        found.text(identifier, "rdfs:label", printable(person.name))
        found.text(identifier, "provlake:email", printable(person.email) or None)
        return identifier

    # -- experiments and runs -------------------------------------------------------------------------------------

    def experiment(self, store: TrackingStore, experiment: Experiment) -> Iterator[Statement]:
        found = Gathered(self._base)
        plan = iris.workflow(experiment.name)
        found.classes(plan, "provml:LearningExperiment")
        found.text(plan, "rdfs:label", experiment.name)
        about = {"mlflow.experiment_id": experiment.id, "mlflow.artifact_location": experiment.artifact_location}
        about["mlflow.lifecycle_stage"] = experiment.lifecycle_stage
        found.text(plan, "provlake:metadata", _json({**about, **experiment.tags}), _JSON)
        yield from self._flushed(found)
        if experiment.lifecycle_stage == DELETED:
            yield from self._deleted(plan, [plan], experiment.updated)

    def run(self, store: TrackingStore, run: Run, experiment: Experiment, links: Links) -> Iterator[Statement]:
        parent = links.parent(run)
        within = parent and records.execution(parent[0], parent[1])
        told = [*records.run_records(run, experiment, within, naming.registry_store(links.where))]
        found, made = self._converted(told, run.id)
        yield from found
        told = [*records.artifact_records(run, experiment, store.run_artifacts(run))]
        for start in range(0, len(told), 20):
            found, more = self._converted(told[start : start + 20], run.id)
            made += more
            yield from found
        yield from self._code(run, experiment, links)
        if run.lifecycle_stage == DELETED:
            yield from self._deleted(f"execution/{records.execution(experiment.name, run.id)}", made, run.deleted)

    def nested(self, run: Known, outer: Known) -> Iterator[Statement]:
        found = Gathered(self._base)
        inner, around = (f"execution/{records.execution(each.experiment, each.run_id)}" for each in (run, outer))
        found.link(inner, "provlake:within", around)
        found.link(inner, "prov:wasInformedBy", around)
        yield from self._flushed(found)

    def _code(self, run: Run, experiment: Experiment, links: Links) -> Iterator[Statement]:
        """How a run follows from the history: its commit, and the revision of its script that was there then."""
        sha, repository = links.commit(run)
        if sha is None or repository is None:
            return
        found = Gathered(self._base)
        activity, store = f"execution/{records.execution(experiment.name, run.id)}", code_store(repository)
        found.link(activity, "prov:wasInformedBy", commit(repository, sha))
        named = naming.code(run.tags)
        if named is not None and named.store is not None and named.store != store:
            found.link(iris.data(named.store, ".", sha), "prov:wasDerivedFrom", iris.data(store, ".", sha))
        revision = links.script(run)
        if revision is not None:
            self._script(found, activity, store, sha, revision)
        yield from self._flushed(found)

    def _script(self, found: Gathered, activity: str, store: str, sha: str, revision: Revision) -> None:
        state = iris.data(store, revision.path, sha)
        self._data(found, store, revision.path, sha)
        found.classes(state, "provml:Implementation")
        found.link(activity, "prov:used", state)
        if revision.commit != sha:  # unchanged since
            found.link(state, "prov:wasDerivedFrom", iris.data(store, revision.path, revision.commit))

    def _converted(self, told: List[records.Record], run_id: str) -> Tuple[Iterator[Statement], List[str]]:
        """Statements of records, and the ids of what was generated."""
        conversion = Conversion(records.producer_of(run_id))
        found = Gathered(self._base)
        made: List[str] = []
        extents: Dict[str, Extent] = {}
        for record in told:
            facts = conversion.facts(record)
            for series, extent in facts.extents:
                extents[series] = merged(extents[series], extent) if series in extents else extent
            made += [fact.subject for fact in facts if fact.property == "prov:wasGeneratedBy"]
            # No process told us: MLflow did.
            found.add(fact for fact in facts if fact.text != conversion.process)
        for series, extent in extents.items():
            found.add(settling.of_series(series, extent))
        return self._flushed(found), made

    # -- models ---------------------------------------------------------------------------------------------------

    def logged_model(
        self, store: TrackingStore, model: LoggedModel, run: Optional[Known], experiment: Experiment
    ) -> Iterator[Statement]:
        text = store.model_file(model)
        if run is not None:
            told = [*records.model_records(model, run, text, store.model_artifacts(model))]
            yield from self._converted(told, run.run_id)[0]
        else:
            yield from self._alone(model, text)
        if model.lifecycle_stage == DELETED:
            data = naming.logged_model(model.id)
            state = iris.data(str(data.store), data.path, data.version)
            yield from self._deleted(state, [state], model.updated)

    def _alone(self, model: LoggedModel, text: Optional[str]) -> Iterator[Statement]:
        """A model that no run made."""
        found = Gathered(self._base)
        data = naming.logged_model(model.id)
        self._data(found, str(data.store), data.path, str(data.version))
        state = iris.data(str(data.store), data.path, data.version)
        found.classes(state, "provml:Model")
        found.text(state, "rdfs:label", model.name or None)
        found.text(state, "prov:generatedAtTime", iso(model.created), _TIME)
        yield from self._flushed(found)

    def registered_model(self, store: TrackingStore, model: RegisteredModel, links: Links) -> Iterator[Statement]:
        registry = naming.registry_store(links.where)
        yield from self._converted([*records.registered(registry, model)], registry)[0]
        for version in model.versions:
            yield from self._version(registry, version, links)
        yield from self._converted([*records.pointed(registry, model)], registry)[0]

    def _version(self, registry: str, version: ModelVersion, links: Links) -> Iterator[Statement]:
        state = iris.data(registry, version.name, version.version)
        if version.stage == DELETED_VERSION:
            told = [*records.removal(registry, version)]
            yield from self._converted(told, registry)[0]
            task = f"execution/{told[0]['wf']}/{records.removal_id(version)}"
            yield from self._invalidated(task, [state], version.updated)
            return
        source = links.source(version)
        told = [*records.registration(registry, version, source)]
        yield from self._converted(told, registry)[0]
        found = Gathered(self._base)
        task = f"execution/{told[0]['wf']}/{records.registration_id(version)}"
        run = links.run(version.run_id)
        if run is not None:
            execution = f"execution/{records.execution(run.experiment, run.run_id)}"
            found.link(task, "prov:wasInformedBy", execution)
            if source is not None and source.store != naming.MODELS:  # a folder, which the run generated as a whole
                folder = records.wire(source)
                found.link(
                    iris.data(folder["store"], folder["key"], folder["version"]), "prov:wasGeneratedBy", execution
                )
        if version.user:
            person = iris.person(version.user)
            found.classes(person, "prov:Person", "provml:Persona")
            found.text(person, "rdfs:label", version.user)
            found.link(task, "prov:wasAssociatedWith", person)
        yield from self._flushed(found)

    # -- deletions ------------------------------------------------------------------------------------------------

    def _deleted(self, identifier: str, invalidated: List[str], time: Optional[int]) -> Iterator[Statement]:
        """The deletion of something, which invalidates it or what belongs to it."""
        found = Gathered(self._base)
        activity = deletion(identifier)
        found.text(activity, "prov:startedAtTime", iso(time))
        found.text(activity, "prov:endedAtTime", iso(time))
        if identifier not in invalidated:
            found.link(activity, "prov:wasInformedBy", identifier)
        yield from self._flushed(found)
        yield from self._invalidated(activity, invalidated, time)

    def _invalidated(self, activity: str, invalidated: List[str], time: Optional[int]) -> Iterator[Statement]:
        found = Gathered(self._base)
        found.classes(activity, "provlake:Deletion")
        for each in dict.fromkeys(invalidated):
            found.relation("wasInvalidatedBy", each, activity, iso(time))
        yield from self._flushed(found)


def _json(value: Dict[str, object]) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
