"""What things of MLflow are called: the same for whoever sees them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pllib.mlflow import naming
from pllib.references import machine_name

RUN, MODEL = "0123456789abcdef" * 2, "m-" + "0123456789abcdef" * 2


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5), ("-3", -3), ("0", 0), ("0.1", 0.1), ("1e-05", 1e-05), ("True", True), ("False", False),
        ("007", "007"), ("1.50", "1.50"), ("nan", "nan"), ("inf", "inf"), ("true", "true"), ("None", "None"), ("", ""), ("-0", "-0"),
        ("1_000", "1_000"), (" 1", " 1"), ("9" * 40, "9" * 40), ("[1, 2]", "[1, 2]"), ("٣", "٣"),
    ],
)  # fmt: skip
def test_a_parameter_is_a_number_only_where_nothing_is_lost(text: str, value: Any) -> None:
    found = naming.parameter(text)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        ("http://ml.example:5000", "ml.example:5000"), ("http://ml.example:5000/", "ml.example:5000"),
        ("https://user:secret@ml.example/team/", "ml.example/team"), ("https://ml.example:443", "ml.example"),
        ("ml.example:5000", "ml.example:5000"), ("sqlite:////lab/ml.db", f"{machine_name()}/lab/ml.db"),
        ("file:///lab/my%20runs", f"{machine_name()}/lab/my runs"), ("/lab/runs", f"{machine_name()}/lab/runs"),
        ("postgresql://user:secret@db:5432/ml", "postgresql://db:5432/ml"), ("databricks", "databricks"),
    ],
)  # fmt: skip
def test_a_place_is_the_same_from_client_and_server_and_has_no_credentials(uri: str, place: str) -> None:
    assert naming.place(uri) == place


@pytest.mark.parametrize(
    ("uri", "owner"),
    [
        (f"s3://bucket/ml/1/{RUN}/artifacts/plots/a.png", (RUN, None, "plots/a.png")),
        (f"mlflow-artifacts:/1/{RUN}/artifacts", (RUN, None, "")),
        (f"/lab/mlruns/1/models/{MODEL}/artifacts/MLmodel", (None, MODEL, "MLmodel")),
        ("/x/MLmodel", (None, None, "/x/MLmodel")),
        (f"file:///a%20b/1/{RUN}/artifacts/c%20d", (RUN, None, "c d")),
    ],
)  # fmt: skip
def test_whose_an_artifact_is(uri: str, owner: tuple[Any, ...]) -> None:
    assert naming.owner(uri) == owner


def test_artifacts_are_files_here_and_objects_elsewhere() -> None:
    local = naming.artifact("file:///lab/a%20b.txt", RUN)
    assert (local.path, local.store, local.version) == ("/lab/a b.txt", None, None)
    remote = naming.artifact(f"s3://key@bucket/1/{RUN}/artifacts/x", RUN, 5)
    assert (remote.store, remote.path, remote.version, remote.size) == ("s3://bucket", f"1/{RUN}/artifacts/x", RUN, 5)
    kept = naming.artifact(f"mlflow-artifacts://server:5000/1/{RUN}/artifacts/x", RUN)
    assert (kept.store, kept.path) == ("mlflow-artifacts", f"1/{RUN}/artifacts/x")


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ({"uri": "/lab/d.csv"}, (None, "/lab/d.csv")),
        ({"uri": "file:///lab/my%20d.csv"}, (None, "/lab/my d.csv")),
        ({"url": "https://me:secret@example.org/d.csv?token=1"}, (None, "https://example.org/d.csv")),
        ({"tags": {"mlflow.source.name": "x.py"}}, ("mlflow-datasets", "given")),
        ({"delta_table_name": "lab.d"}, ("tables", "lab.d")),
        ("no json", ("mlflow-datasets", "given")),
        (None, ("mlflow-datasets", "given")),
    ],
)  # fmt: skip
def test_where_a_data_set_is(source: Any, place: tuple[Any, ...]) -> None:
    assert naming.source_of(json.dumps(source) if isinstance(source, dict) else source, "given") == place


def test_a_data_set_has_its_digest_and_size() -> None:
    entity = {"name": "d", "digest": "1a2b", "source": '{"uri": "/d"}', "profile": '{"num_rows": 3, "shape": [3]}'}
    found = naming.dataset(entity, {"mlflow.data.context": "training"})
    assert (found.version, found.meaning) == ("1a2b", "dataset")
    assert found.facts == {"name": "d", "num_rows": 3, "context": "training"}


def test_code_is_what_the_tags_name() -> None:
    tags = {naming.COMMIT: "c0ffee", naming.SOURCE: "/home/ana/flowers/train.py"}
    assert naming.code({}) is None
    found = naming.code(tags)
    assert found is not None
    assert (found.store, found.path, found.version) == ("git:flowers", ".", "c0ffee")
    named = naming.code({**tags, naming.REPOSITORY: "https://ana:secret@example.org/lab/flowers.git"})
    assert named is not None
    assert named.store == "git:example.org/lab/flowers"
    assert "secret" not in str(named)
