"""What `frameworks/mlflow2_script.py` leaves in a tracking store of MLflow 2, as an extraction tells it."""

from __future__ import annotations

from typing import Any

from pllib import prov
from pllib.provml.iris import DEFAULT_BASE as BASE

Project = dict[str, Any]


def check(found: prov.Document, project: Project, registry: str, artifacts: bool = True) -> None:
    """The document says what the script did.

    Args:
        project: what the script printed.
        registry: how it is called in ids.
        artifacts: whether they are there.
    """
    assert prov.validate(found) == []
    run = f"{BASE}execution/flowers/{project['run']}"
    said = {each.id: dict(each.attributes) for each in found.statements if each.id}
    pairs = {(each.kind, *each.arguments[:2]) for each in found.statements if not each.id}
    assert ("wasInformedBy", f"{BASE}execution/flowers/{project['inner']}", run) in pairs
    used = {pair[2] for pair in pairs if pair[:2] == ("used", run)}
    values = ("lr/f-0.1", "layers/i-3", "name/s-a%20b")
    assert {f"{BASE}value/flowers/{project['run']}/{value}" for value in values} <= used
    assert len([each for each in used if each and "mlflow-datasets/numbers/" in each]) == int(
        tuple(map(int, project["version"].split(".")[:2])) >= (2, 4)
    )
    made = {pair[1] for pair in pairs if pair[0] == "wasGeneratedBy" and pair[2] == run}
    assert {f"{run}/loss", f"{run}/odd"} <= made
    for path in ("notes%20and%20more%2Fx.txt", "root.txt", "mean%2FMLmodel") if artifacts else ():
        assert [each for each in made if each and path in each], path
    model = f"{BASE}data/{registry}/flowers%20model"
    task = f"{BASE}execution/{registry}/flowers%20model"
    assert ("wasGeneratedBy", f"{model}/1", f"{task}/register/1") in pairs
    (source,) = {pair[2] for pair in pairs if pair[:2] == ("used", f"{task}/register/1")}
    assert ("wasGeneratedBy", source, run) in pairs
    # Of a version that was deleted a server tells nothing.
    assert (("wasInvalidatedBy", f"{model}/2", f"{task}/delete/2") in pairs) == ("127.0.0.1" not in registry)
    for alias in ("champion", "Production"):
        assert [each for each in said if f"%40{alias}/1-" in each], alias
    assert f"{BASE}deletion/execution/flowers/{project['inner']}" in said
    assert f"{BASE}deletion/workflow/flowers%20gone" in said


def registry_of(found: prov.Document) -> str:
    """How the registry is called in ids."""
    return next(each.id for each in found.statements if each.id and "/register/1" in each.id).split("/")[-4]
