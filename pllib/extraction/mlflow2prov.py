"""Extraction with the identifiers and the model of MLflow2PROV: ``Type?key=value&…``, every value url-quoted, in one namespace.

Its sub-models are: addition, modification and deletion of files; addition and deletion of experiments, runs and versions of registered
models; addition of registered models. What MLflow has got since are more types of the same kind: ``LoggedModel``, ``Dataset``,
``RegisteredModelAlias``.
"""

from __future__ import annotations

import posixpath
from typing import Dict, Iterable, Iterator, List, Mapping, Optional, Set, Tuple, Union
from urllib.parse import quote_plus

from ..prov.literals import double
from ..prov.model import Attribute, Literal, Ref, Statement, statement
from ..provml.vocabulary import PROV, XSD
from .git import SUBMODULE, Commit, Person
from .history import History, Revision, Step
from .mapping import Known, Links, Mapper, artifact_path, iso, printable
from .signatures import described, logged_before
from .tracking import (
    DELETED,
    DELETED_VERSION,
    USER,
    Artifact,
    Dataset,
    Experiment,
    LoggedModel,
    ModelVersion,
    Point,
    RegisteredModel,
    Run,
    Tags,
    TrackingStore,
)

NAMESPACE = "https://github.com/mariusschlegel/mlflow2prov/"
_TYPE, _ROLE, _COLLECTION = PROV + "type", PROV + "role", Ref(PROV + "Collection")
_REMEMBERED = 100_000
Given = Union[str, int, float, bool, Literal, None]


def identifier(type: str, **keys: str) -> str:
    """The IRI of something by its type and what tells it from others of that type."""
    given = "&".join(
        f"{name}={quote_plus(value.encode('utf-8', 'surrogateescape'), safe='')}" for name, value in keys.items()
    )
    return f"{NAMESPACE}{type}?{given}"


def user(person: Person) -> str:
    """The IRI of a user; one of MLflow has a name only."""
    return identifier("User", name=person.name, email=person.email.lower())


class Mlflow2ProvMapper(Mapper):
    """See the module."""

    def __init__(self) -> None:
        self._said: Set[str] = set()

    @property
    def namespaces(self) -> Dict[str, str]:
        return {"": NAMESPACE}

    # -- git ------------------------------------------------------------------------------------------------------

    def commit(self, history: History, each: Commit, steps: List[Step]) -> Iterator[Statement]:
        activity = _commit(each.sha)
        about = {"sha": each.sha, "title": printable(each.title), "message": printable(each.message)}
        times = {"authored_at": _time(each.authored), "committed_at": _time(each.committed)}
        yield statement(
            "activity", activity, (each.authored, each.committed), _attributes("Commit", {**about, **times})
        )
        for parent in each.parents:
            yield statement("wasInformedBy", None, (activity, _commit(parent)))
        for person, role in ((each.author, "CommitAuthor"), (each.committer, "Committer")):
            yield from self._user(person)
            yield statement("wasAssociatedWith", None, (activity, user(person)), _role(role))
        for step in steps:
            yield from self._file(activity, each, step)

    def _file(self, activity: str, each: Commit, step: Step) -> Iterator[Statement]:
        path, sha = step.change.path, each.sha
        status = step.revision.status if step.revision is not None else "D"
        revision = _revision(path, sha, status)
        first = (
            step.revision.first if step.revision is not None else step.before[0].first if step.before else (path, sha)
        )
        file = identifier("File", name=posixpath.basename(first[0]), path=first[0], commit=first[1])
        about: Dict[str, Given] = {
            "name": printable(posixpath.basename(path)),
            "path": printable(path),
            "status": status,
        }
        if step.change.mode == SUBMODULE:
            about["submodule"] = step.change.blob
        yield statement("entity", revision, (), _attributes("FileRevision", about))
        yield statement("specializationOf", None, (revision, file))
        before = [_revision(one.path, one.commit, one.status) for one in step.before]
        if step.revision is None:
            yield statement("wasInvalidatedBy", None, (revision, activity, each.committed), _role("DeletedRevision"))
        else:
            if first == (path, sha):
                yield from self._addition(file, activity, each, path)
            role = "AddedRevision" if status in "AC" else "ModifiedRevision"
            yield statement("wasGeneratedBy", None, (revision, activity, each.committed), _role(role))
            yield statement("wasAttributedTo", None, (revision, user(each.author)))
        for earlier in before:
            kind = ((_TYPE, Ref(PROV + "Revision")),) if status != "C" else ()
            yield statement("wasDerivedFrom", None, (revision, earlier), kind)
            yield statement("used", None, (activity, earlier, each.committed), _role("PreviousRevision"))

    def _addition(self, file: str, activity: str, each: Commit, path: str) -> Iterator[Statement]:
        about = {"name": printable(posixpath.basename(path)), "path": printable(path), "commit": each.sha}
        yield statement("entity", file, (), _attributes("File", about))
        yield statement("wasGeneratedBy", None, (file, activity, each.committed), _role("File"))
        yield statement("wasAttributedTo", None, (file, user(each.author)))

    def _user(self, person: Person) -> Iterator[Statement]:
        iri = user(person)
        if self._first(iri):
            about = {"name": printable(person.name), "email": printable(person.email.lower()) or None}
            yield statement("agent", iri, (), _attributes("User", about))

    def _named_user(self, name: Optional[str]) -> Tuple[Optional[str], List[Statement]]:
        if not name:
            return None, []
        person = Person(name, "")
        return user(person), [*self._user(person)]

    def _first(self, iri: str) -> bool:
        if iri in self._said:
            return False
        if len(self._said) >= _REMEMBERED:
            self._said.clear()
        self._said.add(iri)
        return True

    # -- experiments and runs -------------------------------------------------------------------------------------

    def experiment(self, store: TrackingStore, experiment: Experiment) -> Iterator[Statement]:
        collection = _experiment(experiment)
        about = {
            "experiment_id": experiment.id,
            "name": experiment.name,
            "artifact_location": experiment.artifact_location,
            "lifecycle_stage": experiment.lifecycle_stage,
        }
        yield statement("entity", collection, (), _attributes("Experiment", about, _COLLECTION))
        creation = _Creation(
            experiment.id, "Experiment", iso(experiment.created), iso(experiment.updated), "AddedExperiment"
        )
        creation.user, told = self._named_user(experiment.tags.get(USER))
        yield from told
        yield from creation.of(collection)
        yield from creation.association("ExperimentAuthor")
        keys = {"experiment_id": experiment.id}
        members = [*_tags("ExperimentTag", keys, experiment.tags)]
        yield from creation.members(collection, members, "AddedExperimentTag")
        if experiment.lifecycle_stage == DELETED:
            deleted = [collection, *(each.id or "" for each in members)]
            yield from _deletion(
                experiment.id, "Experiment", iso(experiment.updated), deleted, creation.user, "DeletedExperiment"
            )

    def run(self, store: TrackingStore, run: Run, experiment: Experiment, links: Links) -> Iterator[Statement]:
        collection = _run(run.id, run.name)
        about = {
            "run_id": run.id,
            "name": run.name,
            "status": run.status.lower(),
            "lifecycle_stage": run.lifecycle_stage,
            "artifact_uri": run.artifact_uri,
            "note": run.tags.get("mlflow.note.content"),
        }
        yield statement("entity", collection, (), _attributes("Run", about, _COLLECTION))
        yield statement("hadMember", None, (_experiment(experiment), collection))
        creation = _Creation(run.id, "Run", iso(run.started), iso(run.ended), "AddedRun")
        creation.user, told = self._named_user(run.user or run.tags.get(USER))
        yield from told
        yield from creation.of(collection)
        yield from creation.association("RunAuthor")
        deleted = [collection]
        for member in _members(run, store.run_artifacts(run)):
            yield from creation.members(collection, [member], "AddedRun")
            if run.lifecycle_stage == DELETED:
                deleted.append(member.id or "")
        yield from self._inputs(run, creation.activity)
        yield from _code(run, creation.activity, links)
        outer = links.parent(run)
        if outer is not None:
            yield statement("wasInformedBy", None, (creation.activity, _creation(outer.run_id, "Run")))
        if run.lifecycle_stage == DELETED:
            yield from _deletion(run.id, "Run", iso(run.deleted or run.ended), deleted, creation.user, "DeletedRun")

    def nested(self, run: Known, outer: Known) -> Iterator[Statement]:
        yield statement("wasInformedBy", None, (_creation(run.run_id, "Run"), _creation(outer.run_id, "Run")))

    def _inputs(self, run: Run, activity: str) -> Iterator[Statement]:
        for data in run.datasets:
            yield _dataset(data)
            role = _role(data.context) if data.context else ()
            yield statement("used", None, (activity, _dataset_id(data), iso(run.started)), role)
        for model in run.input_models:
            yield statement("used", None, (activity, identifier("LoggedModel", model_id=model), iso(run.started)))

    # -- models ---------------------------------------------------------------------------------------------------

    def logged_model(
        self, store: TrackingStore, model: LoggedModel, run: Optional[Known], experiment: Experiment
    ) -> Iterator[Statement]:
        entity = identifier("LoggedModel", model_id=model.id)
        facts = described(store.model_file(model))
        about: Dict[str, Given] = {
            "model_id": model.id,
            "name": model.name,
            "status": model.status,
            "lifecycle_stage": model.lifecycle_stage,
            "artifact_location": model.artifact_location,
            "model_type": model.model_type,
            "created_at": _time(iso(model.created)),
            "last_updated_at": _time(iso(model.updated)),
            **{name: str(fact) for name, fact in facts.items()},
        }
        yield statement("entity", entity, (), _attributes("LoggedModel", about, _COLLECTION))
        made = run is not None
        if run is not None:
            yield statement(
                "wasGeneratedBy",
                None,
                (entity, _creation(run.run_id, "Run"), iso(model.created)),
                _role("AddedLoggedModel"),
            )
        for artifact in store.model_artifacts(model):
            iri = identifier("Artifact", model_id=model.id, path=artifact.path)
            yield statement("entity", iri, (), _attributes("Artifact", _about_artifact(artifact)))
            yield statement("hadMember", None, (entity, iri))
        if model.lifecycle_stage == DELETED:
            yield from _deletion(model.id, "LoggedModel", iso(model.updated), [entity], None, "DeletedLoggedModel")
        elif not made:
            yield statement("wasGeneratedBy", None, (entity, None, iso(model.created)))

    def registered_model(self, store: TrackingStore, model: RegisteredModel, links: Links) -> Iterator[Statement]:
        collection = identifier("RegisteredModel", name=model.name)
        times = {"created_at": _time(iso(model.created)), "last_updated_at": _time(iso(model.updated))}
        about = {"name": model.name, **times, "description": model.description}
        yield statement("entity", collection, (), _attributes("RegisteredModel", about, _COLLECTION))
        creation = _Creation(
            model.name, "RegisteredModel", iso(model.created), iso(model.updated), "AddedRegisteredModel"
        )
        creation.user, told = self._named_user(model.tags.get(USER))
        yield from told
        yield from creation.of(collection)
        yield from creation.association("RegisteredModelAuthor")
        members = _tags("RegisteredModelTag", {"registered_model_name": model.name}, model.tags)
        yield from creation.members(collection, members, "AddedRegisteredModel")
        for version in model.versions:
            yield from self._version(collection, version, links)
        for alias, number in model.aliases.items():
            iri = identifier("RegisteredModelAlias", registered_model_name=model.name, alias=alias)
            yield statement("entity", iri, (), _attributes("RegisteredModelAlias", {"name": alias, "version": number}))
            yield statement("alternateOf", None, (iri, _version(model.name, number)))

    def _version(self, collection: str, version: ModelVersion, links: Links) -> Iterator[Statement]:
        entity = _version(version.name, version.version)
        uid = f"{version.name}-version-{version.version}"
        about = {
            "name": version.name,
            "version": version.version,
            "created_at": _time(iso(version.created)),
            "last_updated_at": _time(iso(version.updated)),
            "description": version.description,
            "registered_model_version_stage": version.stage,
            "source_path": version.source,
            "status": version.status,
        }
        yield statement("entity", entity, (), _attributes("RegisteredModelVersion", about, _COLLECTION))
        yield statement("specializationOf", None, (entity, collection))
        role = "AddedRegisteredModelVersion"
        creation = _Creation(uid, "RegisteredModelVersion", iso(version.created), iso(version.updated), role)
        creation.user, told = self._named_user(version.user)
        yield from told
        yield from creation.of(entity)
        yield from creation.association("RegisteredModelVersionAuthor")
        keys = {"registered_model_name": version.name, "registered_model_version": version.version}
        members = [*_tags("RegisteredModelVersionTag", keys, version.tags)]
        yield from creation.members(entity, members, role)
        run = links.run(version.run_id)
        source = _source(version, run)
        if source is not None:
            yield statement("wasDerivedFrom", None, (entity, source))
            yield statement("used", None, (creation.activity, source, iso(version.created)), _role(role))
        if run is not None:
            yield statement("wasInformedBy", None, (creation.activity, _creation(run.run_id, "Run")))
        if version.stage == DELETED_VERSION:
            deleted = [entity, *(each.id or "" for each in members)]
            yield from _deletion(
                uid, "RegisteredModelVersion", iso(version.updated), deleted, creation.user, f"Deleted{role[5:]}"
            )


class _Creation:
    """The activity with which something came into being; ``role`` is what it then plays."""

    def __init__(self, uid: str, of: str, started: Optional[str], ended: Optional[str], role: str) -> None:
        self.activity = _creation(uid, of)
        self.user: Optional[str] = None
        self._uid, self._times, self._role = uid, (started, ended), role

    def of(self, entity: str) -> Iterator[Statement]:
        """The activity, and that it generated the thing."""
        yield statement("activity", self.activity, self._times, _attributes("Creation", {"uid": self._uid}))
        yield from self._generated(entity, self._role)

    def association(self, role: str) -> Iterator[Statement]:
        if self.user is not None:
            yield statement("wasAssociatedWith", None, (self.activity, self.user), _role(role))

    def members(self, collection: str, found: Iterable[Statement], role: str) -> Iterator[Statement]:
        """What came with the thing and belongs to it."""
        for each in found:
            yield each
            if each.kind == "entity" and each.id is not None:
                yield statement("hadMember", None, (collection, each.id))
                yield from self._generated(each.id, role)

    def _generated(self, entity: str, role: str) -> Iterator[Statement]:
        yield statement("wasGeneratedBy", None, (entity, self.activity, self._times[0]), _role(role))
        if self.user is not None:
            yield statement("wasAttributedTo", None, (entity, self.user))


# -- identifiers ----------------------------------------------------------------------------------------------------


def _commit(sha: str) -> str:
    return identifier("Commit", sha=sha)


def _revision(path: str, commit: str, status: str) -> str:
    return identifier("FileRevision", name=posixpath.basename(path), path=path, commit=commit, status=status)


def _creation(uid: str, of: str) -> str:
    return identifier("Creation", uid=uid, resource_type=of)


def _experiment(experiment: Experiment) -> str:
    return identifier("Experiment", experiment_id=experiment.id, name=experiment.name)


def _run(run_id: str, name: str) -> str:
    return identifier("Run", run_id=run_id, name=name)


def _version(name: str, version: str) -> str:
    return identifier("RegisteredModelVersion", name=name, version=version)


def _dataset_id(data: Dataset) -> str:
    return identifier("Dataset", name=data.name, digest=data.digest)


# -- statements -----------------------------------------------------------------------------------------------------


def _attributes(type: str, about: Mapping[str, Given], *more: Ref) -> Tuple[Attribute, ...]:
    given = [(NAMESPACE + name, _literal(value)) for name, value in about.items() if value is not None]
    return (*given, (_TYPE, Literal(type)), *((_TYPE, each) for each in more))


def _literal(value: Given) -> Literal:
    if isinstance(value, Literal):
        return value
    if isinstance(value, bool):
        return Literal("true" if value else "false", XSD + "boolean")
    if isinstance(value, int):
        return Literal(str(value), XSD + "integer")
    return Literal(double(value), XSD + "double") if isinstance(value, float) else Literal(printable(str(value)))


def _time(text: Optional[str]) -> Optional[Literal]:
    return Literal(text, XSD + "dateTime") if text is not None else None


def _role(name: str) -> Tuple[Attribute, ...]:
    return ((_ROLE, Literal(name)),)


def _deletion(
    uid: str, of: str, time: Optional[str], deleted: Iterable[str], who: Optional[str], role: str
) -> Iterator[Statement]:
    activity = identifier("Deletion", uid=uid, resource_type=of)
    yield statement("activity", activity, (time, time), _attributes("Deletion", {"uid": uid}))
    if who is not None:
        yield statement("wasAssociatedWith", None, (activity, who))
    for each in dict.fromkeys(deleted):
        yield statement("wasInvalidatedBy", None, (each, activity, time), _role(role))


def _tags(type: str, keys: Dict[str, str], tags: Tags) -> Iterator[Statement]:
    for name, text in tags.items():
        iri = identifier(type, **keys, name=name.strip())
        yield statement("entity", iri, (), _attributes(type, {"name": name.strip(), "value": text.strip()}))


def _members(run: Run, found: Iterable[Artifact]) -> Iterator[Statement]:
    """What belongs to a run: metrics, parameters, tags, artifacts and the models among them."""
    for name, points in run.metrics.items():
        yield from _metric(run.id, name, points)
    for name, text in run.params.items():
        iri = identifier("Param", run_id=run.id, name=name)
        yield statement("entity", iri, (), _attributes("Param", {"name": name, "value": text}))
    yield from _tags("RunTag", {"run_id": run.id}, run.tags)
    models = set(logged_before(run))
    for artifact in found:
        yield _artifact(run.id, artifact)
        folder, _, name = artifact.path.rpartition("/")
        if name == "MLmodel" or artifact.path in models:
            models.add(folder if name == "MLmodel" else artifact.path)
    for path in sorted(models):
        entity = identifier("ModelArtifact", run_id=run.id, path=path)
        yield statement("entity", entity, (), _attributes("ModelArtifact", {"path": path, "is_dir": True}))
        if path:
            yield statement("specializationOf", None, (entity, identifier("Artifact", run_id=run.id, path=path)))


def _metric(run_id: str, name: str, points: List[Point]) -> Iterator[Statement]:
    seen: Set[int] = set()
    for point in points:
        keys = {"run_id": run_id, "name": name, "step": str(point.step)}
        if point.step in seen:  # a step that was logged again
            keys["timestamp"] = str(point.time)
        seen.add(point.step)
        about: Dict[str, Given] = {
            "name": name,
            "value": point.value,
            "timestamp": _time(iso(point.time)),
            "step": point.step,
        }
        yield statement("entity", identifier("Metric", **keys), (), _attributes("Metric", about))


def _artifact(run_id: str, artifact: Artifact) -> Statement:
    iri = identifier("Artifact", run_id=run_id, path=artifact.path)
    return statement("entity", iri, (), _attributes("Artifact", _about_artifact(artifact)))


def _about_artifact(artifact: Artifact) -> Dict[str, Given]:
    return {"path": artifact.path, "is_dir": artifact.is_dir, "file_size": artifact.size}


def _dataset(data: Dataset) -> Statement:
    about = {"name": data.name, "digest": data.digest, "source_type": data.source_type, "source": data.source}
    return statement(
        "entity",
        _dataset_id(data),
        (),
        _attributes("Dataset", {**about, "schema": data.schema, "profile": data.profile}),
    )


def _code(run: Run, activity: str, links: Links) -> Iterator[Statement]:
    """The commit that a run was made with, and the revision of its script that was there at that commit."""
    sha, _ = links.commit(run)
    if sha is not None:
        yield statement("wasInformedBy", None, (activity, _commit(sha)))
    script: Optional[Revision] = links.script(run)
    if script is not None:
        revision = _revision(script.path, script.commit, script.status)
        yield statement("used", None, (activity, revision, iso(run.started)), _role("PreviousRevision"))


def _source(version: ModelVersion, run: Optional[Known]) -> Optional[str]:
    """What a version was made of: a logged model, or the very model artifact of its run."""
    if version.model_id:
        return identifier("LoggedModel", model_id=version.model_id)
    path = artifact_path(version, run)
    if path is None or version.run_id is None:
        return None
    return identifier("ModelArtifact", run_id=version.run_id, path=path)
