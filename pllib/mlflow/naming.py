"""What things of MLflow are called in the graph. Pure functions, so that capture in a client, in a server and extraction later agree.

======================  ==========================================================================================
experiment              workflow of its name
run                     execution of it, whose id is the run's: ``execution/{experiment}/{run id}``
logged model            data in store ``mlflow-models``, key and version its id (``m-…``)
model version           data in store ``mlflow-registry:{where}``, key the model's name, version its number
prompt version          data in that store too, with no class of a model; its text is the fact ``template``
alias (or stage)        data in the same store, key ``{model}@{alias}``, one state each time that it is set
registration            task ``register/{version}`` of the execution ``{model}`` of the workflow ``mlflow-registry:{where}``
artifact                a file of this machine, an object of its store, or data in store ``mlflow-artifacts``
data set                data at its source, version its digest
======================  ==========================================================================================
"""

from __future__ import annotations

import json
import posixpath
import re
from typing import Any, Dict, Mapping, NamedTuple, Optional, Tuple, Union
from urllib.parse import unquote, urlsplit

from ..provml.repositories import code_store, repository_name
from ..references import Data, machine_name
from ..runs.source_code import without_credentials

MODELS = "mlflow-models"
REGISTRY = "mlflow-registry"
EXPERIMENTS = "mlflow-experiments"
ARTIFACTS = "mlflow-artifacts"
DATASETS = "mlflow-datasets"
DEFAULT_EXPERIMENT = "Default"
LINK_TAG = "pllib.lineage"

COMMIT, REPOSITORY, BRANCH, SOURCE, PARENT, USER, RUN_NAME = (
    "mlflow.source.git.commit",
    "mlflow.source.git.repoURL",
    "mlflow.source.git.branch",
    "mlflow.source.name",
    "mlflow.parentRunId",
    "mlflow.user",
    "mlflow.runName",
)
CONTEXT = "mlflow.data.context"
LINKED_PROMPTS = "mlflow.linkedPrompts"
IS_PROMPT, PROMPT_TEXT = "mlflow.prompt.is_prompt", "mlflow.prompt.text"
_OF_PROMPTS = ("mlflow.prompt.", "_mlflow_")
NOT_TAGS = frozenset((PARENT, RUN_NAME, LINK_TAG, LINKED_PROMPTS, "mlflow.log-model.history", "mlflow.loggedArtifacts"))
"""Tags of runs that are no remarks: said otherwise, or of MLflow's own use."""

FAILED = {"FAILED": "failed", "KILLED": "failed", "FINISHED": "finished"}
"""Status of runs that are over."""

_RUN_ROOT = re.compile(r"(?:^|/)([0-9a-f]{32})/artifacts(?:/|$)")
_MODEL_ROOT = re.compile(r"(?:^|/)models/(m-[0-9a-f]{32})/artifacts(?:/|$)")
_INTEGER = re.compile(r"(?:0|-?[1-9][0-9]{0,17})\Z")


def parameter(text: Any) -> Union[str, int, float, bool]:
    """A parameter as the number or truth value that it is the text of, if writing that gives the same text."""
    if not isinstance(text, str):
        text = str(text)
    if text in ("True", "False"):
        return bool(text == "True")
    if _INTEGER.match(text):
        return int(text)
    try:
        number = float(text)
    except ValueError:
        return str(text)
    return number if repr(number) == text and number - number == 0.0 else str(text)


# -- models and the registry


def logged_model(model_id: str, facts: Optional[Mapping[str, Any]] = None) -> Data:
    """A logged model; its id is unique, and what it names does not change."""
    return Data(model_id, MODELS, "model", facts or None, model_id)


def registry_store(where: str) -> str:
    """The store of a model registry.

    Args:
        where: URI of the registry, as a client has it, or host and port that a server was asked by.
    """
    return f"{REGISTRY}:{place(where)}"


def place(uri: str) -> str:
    """Where a tracking server or store is, for names: host and port and path; of a file or database on this machine host and path."""
    scheme, sign, rest = uri.partition("://")
    if not sign:
        return uri.strip("/") if not uri.startswith(("/", ".", "file:")) else f"{machine_name()}{_path(uri)}"
    if scheme in ("http", "https"):
        parts = urlsplit(uri)
        port = parts.port if parts.port not in (None, 443 if scheme == "https" else 80) else None
        host = f"{parts.hostname}:{port}" if port else str(parts.hostname)
        return (host + parts.path).rstrip("/")
    if scheme in ("file",) or scheme.startswith("sqlite"):
        return f"{machine_name()}{_path(rest)}"
    return without_credentials(uri)


def _path(text: str) -> str:
    text = text[len("file:") :] if text.startswith("file:") else text
    return posixpath.normpath("/" + unquote(text).lstrip("/"))


def model_version(store: str, name: str, version: Any, facts: Optional[Mapping[str, Any]] = None) -> Data:
    """A version of a registered model."""
    return Data(name, store, "model", facts or None, str(version))


def alias(store: str, name: str, alias: str, state: str) -> Data:
    """What an alias (or stage) of a registered model points to; each time that it is set is a state."""
    return Data(f"{name}@{alias}", store, "model", None, state)


def is_prompt(tags: Optional[Mapping[str, Any]]) -> bool:
    """Whether what has these tags in a registry is a prompt; MLflow keeps prompts among the registered models."""
    return (tags or {}).get(IS_PROMPT) == "true"


def prompt(store: str, name: str, version: Any, tags: Optional[Mapping[str, Any]] = None) -> Data:
    """A version of a prompt: data beside the models of a registry. Its text is a fact, where the tags tell it."""
    text = (tags or {}).get(PROMPT_TEXT)
    return Data(name, store, None, {"template": text} if text else None, str(version))


def remarks_of_prompt(tags: Mapping[str, Any]) -> Dict[str, Any]:
    """The tags of a prompt that are no use of MLflow's own."""
    return {name: value for name, value in tags.items() if not name.startswith(_OF_PROMPTS)}


def linked_prompts(tags: Mapping[str, Any], store: str) -> Dict[str, Data]:
    """The prompts that a run, or a logged model, used, by name; as its tags say.

    Args:
        store: of the registry.
    """
    try:
        found = json.loads(tags.get(LINKED_PROMPTS) or "[]")
    except ValueError:
        return {}
    named = [one for one in found if isinstance(one, dict) and "version" in one] if isinstance(found, list) else []
    return {str(one.get("name")): prompt(store, str(one.get("name")), one["version"]) for one in named}


# -- artifacts


class Place(NamedTuple):
    """Whose an artifact is: of a run, of a logged model, of neither; and its path there."""

    run_id: Optional[str]
    model_id: Optional[str]
    path: str


def owner(uri: str) -> Place:
    """Whose artifacts are at a URI (``…/{run id}/artifacts/…``, ``…/models/{model id}/artifacts/…``)."""
    path = unquote(uri)
    found = _MODEL_ROOT.search(path)
    if found is not None:
        return Place(None, found.group(1), path[found.end() :].strip("/"))
    found = _RUN_ROOT.search(path)
    return Place(found.group(1), None, path[found.end() :].strip("/")) if found else Place(None, None, path)


def artifact(uri: str, run_id: Optional[str], size: Optional[int] = None) -> Data:
    """An artifact at a URI.

    On this machine it is a file with the states that files have; elsewhere its state is that of its run.
    """
    scheme, sign, _ = uri.partition(":")
    if not sign or scheme == "file" or len(scheme) == 1:
        return Data(local_path(uri), None, None, None, None)
    if scheme == ARTIFACTS:
        return Data(urlsplit(uri).path.strip("/"), ARTIFACTS, None, None, run_id, size)
    parts = urlsplit(uri)
    host = parts.netloc.rpartition("@")[2]
    return Data(parts.path.strip("/") or "/", f"{scheme}://{host}", None, None, run_id, size)


def local_path(uri: str) -> str:
    """The path of a ``file:`` URI, or of what is a path already."""
    if not uri.startswith("file:"):
        return uri
    return unquote(urlsplit(uri).path)


# -- data sets and code


def dataset(entity: Mapping[str, Any], tags: Mapping[str, Any]) -> Data:
    """A data set that a run used.

    Args:
        entity: ``name``, ``digest``, ``source_type``, ``source`` (JSON text), ``schema``, ``profile``, as MLflow has them.
        tags: of the input; ``mlflow.data.context`` says what it was used for.
    """
    name, digest = str(entity.get("name") or "dataset"), entity.get("digest")
    store, key = source_of(entity.get("source"), name)
    facts: Dict[str, Any] = {"name": name, "source_type": entity.get("source_type")}
    facts.update(_profile(entity.get("profile")))
    if tags.get(CONTEXT):
        facts["context"] = tags[CONTEXT]
    facts = {name: value for name, value in facts.items() if value is not None}
    return Data(key, store, "dataset", facts, None if digest is None else str(digest))


def source_of(source: Any, name: str) -> Tuple[Optional[str], str]:
    """Store and key of a data set's source; a data set made by code has its name in the store ``mlflow-datasets``.

    ``None`` as store means a path of this machine, or a URL, which has its store in it.
    """
    found = _json(source)
    for key in ("uri", "url", "path"):
        where = found.get(key)
        if isinstance(where, str) and where:
            where = without_credentials(where) if "://" in where and not where.startswith("file:") else where
            return None, local_path(where)
    if isinstance(found.get("table_name") or found.get("delta_table_name"), str):
        return "tables", str(found.get("table_name") or found.get("delta_table_name"))
    if "path" in found or "dataset_name" in found:
        return "huggingface", str(found.get("path") or found.get("dataset_name"))
    return DATASETS, name


def _profile(text: Any) -> Dict[str, Any]:
    """Of a profile what says in one value how large the data is."""
    return {name: value for name, value in _json(text).items() if isinstance(value, (int, float, str))}


def _json(text: Any) -> Dict[str, Any]:
    try:
        found = json.loads(text) if isinstance(text, str) else text
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def code(tags: Mapping[str, str]) -> Optional[Data]:
    """The commit that a run's tags name, of a repository that they name or of the folder of its source."""
    commit = tags.get(COMMIT)
    if not commit:
        return None
    address = tags.get(REPOSITORY)
    source = tags.get(SOURCE) or ""
    repository = repository_name(without_credentials(address)) if address else None
    folder = posixpath.basename(posixpath.dirname(source.replace("\\", "/")))
    facts = {"commit": commit}
    if tags.get(BRANCH):
        facts["branch"] = tags[BRANCH]
    if address:
        facts["remote"] = without_credentials(address)
    return Data(".", code_store(repository or folder or "repository"), "implementation", facts, commit)
