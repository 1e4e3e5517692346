"""``pllib runs model``: what a version of a registered model came from, and which runs and scripts loaded it."""

from __future__ import annotations

import argparse
import json
from typing import Any, Dict, List, Optional, Tuple
from urllib.parse import unquote

from ..command_line import add_command, print_table
from ..errors import ConfigurationError
from ..query import Client
from ..query_options import add_query_options, query_client

Row = Dict[str, Any]
OWN = ("mlflow-registry:", "mlflow-models")
"""Workflows of what is done with models, and not by them."""
STATES = """
SELECT ?state ?version ?store ?at WHERE {
  ?reference provlake:key %s ; provlake:store ?store . FILTER(CONTAINS(STR(?store), "/store/mlflow-registry"))
  ?state prov:specializationOf ?reference ; provlake:version ?version ; prov:wasGeneratedBy/prov:startedAtTime ?at .
} ORDER BY DESC(?at)"""
DELETED = """
SELECT ?at WHERE { ?task prov:used ?what ; prov:startedAtTime ?at . FILTER(REGEX(STR(?task), "/delete/[^/]*$"))
  { BIND(<%(state)s> AS ?what) } UNION { <%(state)s> prov:specializationOf ?what } } ORDER BY ?at LIMIT 1"""


def add_model(actions: Any) -> None:
    """Adds ``pllib runs model`` to the actions of ``pllib runs``."""
    text = "Shows what a registered model was made of: its run, commit, data and parameters; and who loaded it."
    parser = add_command(actions, "model", show_model, text, "pllib runs model flower@production")
    parser.add_argument("model", help="NAME/VERSION, NAME@ALIAS, or NAME: its newest version")
    parser.add_argument("--registry", help="part of the registry's name, where several have such a model: host:5000")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_query_options(parser)


def show_model(chosen: argparse.Namespace) -> int:
    client = query_client(chosen)
    found = model(client, chosen.model, chosen.registry)
    if chosen.json:
        print(json.dumps(found, ensure_ascii=False))
    else:
        print_table(["what", "name", "value", "id"], _rows(found))
    return 0


def model(client: Client, name: str, registry: Optional[str] = None) -> Row:
    """What a version of a registered model came from, and what used it.

    Args:
        name: ``NAME/VERSION``, ``NAME@ALIAS`` or ``NAME``.
        registry: part of the name of the registry; needed where several have such a model.

    Raises:
        ConfigurationError: there is no such model, or several registries have one.
    """
    version = _version(client, name, registry)
    behind = client.lineage(version["state"], grain="task")
    ahead = client.lineage(version["state"], direction="forward", depth=2, grain="task")
    source = next((node for node in _by_depth(behind) if node.get("type") == "provml:LearningProcessExecution"), None)
    logged = [node["label"] for node in _by_depth(behind) if node.get("store") == "mlflow-models"]
    return {
        "name": version["name"],
        "version": version["version"],
        "registry": version["store"],
        "id": version["state"],
        "deleted": _deleted(client, version["state"]),
        "logged_models": logged,
        "run": None if source is None else client.run(source["id"][len("execution/") :]),
        "used_by": [
            {key: node.get(key) for key in ("id", "workflow", "execution", "started", "status")}
            for node in _by_depth(ahead)
            if node["kind"] == "activity" and not str(node.get("workflow")).startswith(OWN)
        ],
    }


def _deleted(client: Client, state: str) -> Optional[str]:
    """When a version was deleted, by itself or with its model."""
    return next((str(row["at"]) for row in client.sparql(DELETED % {"state": state})), None)


def _by_depth(found: Row) -> List[Row]:
    return sorted(found["nodes"], key=lambda node: node.get("depth") or 0)


def _version(client: Client, given: str, registry: Optional[str]) -> Row:
    name, version = _parsed(given)
    states = _states(client, name, registry, given)
    if "@" in name:
        version = states[0]["version"].rpartition("-")[0]
        alias, name = name, name.rpartition("@")[0]
        if version == "none":
            raise ConfigurationError(f"{alias} was deleted on {states[0]['at']}; name a version: {name}/1")
        states = [one for one in _states(client, name, registry, given) if one["store"] == states[0]["store"]]
    of = [one for one in states if version is None or one["version"] == version]
    if not of:
        raise ConfigurationError(
            f"{name} has no version {version}; there are: {_listed(one['version'] for one in states)}"
        )
    return {**of[0], "name": name}


def _parsed(given: str) -> Tuple[str, Optional[str]]:
    name, sign, version = given.rpartition("/")
    return (name, version) if sign and name and "@" not in given else (given, None)


def _states(client: Client, key: str, registry: Optional[str], given: str) -> List[Row]:
    found = [
        {"state": row["state"], "version": str(row["version"]), "store": _store(row["store"]), "at": str(row["at"])}
        for row in client.sparql(STATES % json.dumps(key))
    ]
    found = [one for one in found if registry is None or registry in one["store"]]
    if not found:
        raise ConfigurationError(f"no registered model is known as {given}; it takes NAME/VERSION, NAME@ALIAS or NAME")
    stores = {one["store"] for one in found}
    if len(stores) > 1:
        raise ConfigurationError(f"several registries have {given}: {_listed(stores)}; choose one by --registry")
    return found


def _listed(names: Any) -> str:
    return ", ".join(sorted(set(names)))


def _store(iri: str) -> str:
    return unquote(iri.rpartition("/store/")[2])


def _rows(found: Row) -> List[List[Any]]:
    rows: List[List[Any]] = [["model", found["name"], found["version"], found["id"].rpartition("/id/")[2]]]
    rows.append(["registry", found["registry"], None, None])
    rows += [["deleted", None, found["deleted"], None]] if found["deleted"] else []
    rows += [["logged model", name, None, None] for name in found["logged_models"]]
    run = found["run"]
    if run is not None:
        rows.append(["run", run["tags"].get("name"), run["status"], run["id"]])
        rows += [["person", agent.rpartition("/")[2], None, agent] for agent in run["agents"] if "/person/" in agent]
        for what, kind in (("code", "code"), ("data set", "datasets")):
            rows += [[what, _place(one["data"]), one["data"]["version"], one["id"]] for one in run[kind] if one["data"]]
        rows += [["parameter", name, value, None] for name, value in run["parameters"].items()]
        rows += [["metric", metric["name"], metric["latest"], metric["id"]] for metric in run["metrics"]]
    rows += [["loaded by", one["workflow"], one["started"], one["id"]] for one in found["used_by"]]
    return rows


def _place(data: Row) -> str:
    return f"{data['store']} {data['key']}"
