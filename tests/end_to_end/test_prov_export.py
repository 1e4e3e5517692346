"""What a real script captured, as PROV documents: valid, the same in every format, and read by the ``prov`` package."""

from __future__ import annotations

import warnings

import prov.model
import pytest

from pllib import prov as documents
from pllib.query import Client
from query_engine.exports import FORMATS

SCRIPT = """
import pllib
from pathlib import Path

pllib.store("MARK", root=".")
Path("raw.csv").write_text("1")
with pllib.workflow("prepare MARK") as flow:
    with flow.task("clean", used={"raw": pllib.data("raw.csv", store="MARK"), "limit": 3}) as task:
        Path("clean.csv").write_text("2")
        task.generated(data=pllib.data("clean.csv", store="MARK"), rows=7)
with pllib.workflow("train MARK") as flow:
    for lr in (0.1, 0.2):
        with flow.task("fit", used={"data": pllib.data("clean.csv", store="MARK"), "lr": lr, "note": 'ä "quoted"\\n\\\\'}) as task:
            Path("model.pkl").write_text(str(lr))
            task.generated(model=pllib.data("model.pkl", store="MARK"), loss=0.25)
    try:
        with flow.task("check", used={"loss": 0.25}):
            raise ValueError("<no> & no")
    except ValueError:
        pass
"""


@pytest.fixture
def runs(lab):
    lab.run(SCRIPT)
    lab.settle()
    client = Client(lab.services.query_url)
    found = [each for each in client.executions() if lab.mark in each["workflow"]]
    assert len(found) == 2
    return client, found


def test_every_execution_and_lineage_of_a_real_run_is_a_valid_document(runs):
    client, found = runs
    train = next(each for each in found if each["workflow"].startswith("train"))
    for each in found:
        same = documents.read(client.prov(each["id"]).encode(), "json")
        for name in FORMATS:
            document = documents.read(client.prov(each["id"], name).encode(), name)
            assert documents.validate(document) == []
            assert documents.differences(document, same) == [], name
    for name in FORMATS:
        assert documents.validate(documents.read(client.lineage(train["iri"], format=name).encode(), name)) == []
    told = documents.read(client.prov(train["id"]).encode(), "json")
    counts = {
        kind: sum(each.kind == kind for each in told.statements) for kind in ("activity", "used", "wasGeneratedBy")
    }
    # The fifth is that of what it used, by the other execution.
    assert counts == {"activity": 4, "used": 7, "wasGeneratedBy": 5}


def test_the_prov_package_reads_all_of_a_real_run(runs):
    client, found = runs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        texts = {name: client.prov(found[0]["id"], f"prov-{name}") for name in ("json", "xml", "jsonld")}
        texts["provn"] = client.prov(found[0]["id"], "provn")
        read = {name: prov.model.ProvDocument.deserialize(content=text, format=name) for name, text in texts.items()}
    assert all(each == read["json"] for each in read.values())
