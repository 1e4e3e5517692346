"""A script of Prov4ML's with a tracker configured: live in the store, and the documents in its folder all the same."""

from __future__ import annotations

from pllib import prov
from pllib.query import Client

SCRIPT = """
    import sys
    import pllib.prov4ml as prov4ml

    prov4ml.start_run("www.example.org", "prov4ml MARK", sys.argv[0] + ".prov", disable_codecarbon=True)
    prov4ml.log_param("lr", 0.1)
    prov4ml.log_dataset([1, 2, 3], "train")
    for step in range(100):
        prov4ml.log_metric("train/loss", 1 / (step + 1), prov4ml.Context.TRAINING, step=step)
    prov4ml.save_model_version({"weight": 1.0}, "model", prov4ml.Context.TRAINING)
    print(prov4ml.get_run_id())
    print(prov4ml.end_run()[0])
"""


def test_a_run_is_in_the_store_and_its_document_in_the_folder_says_the_same(lab):
    done = lab.run(SCRIPT)
    execution, path = done.stdout.splitlines()
    lab.settle()
    rows = lab.select(
        f"""SELECT ?value ?last ?model ?data {{
            ?run rdfs:label|prov:wasInfluencedBy ?plan . ?plan rdfs:label "prov4ml {lab.mark}" .
            ?training provlake:isPartOf ?run .
            ?series prov:wasGeneratedBy ?training ; a provlake:Series ; prov:value ?value ; provlake:lastStep ?last .
            ?model prov:wasGeneratedBy ?training ; a provml:Model .
            ?training prov:used ?data . ?data a provml:LearningDataset .
        }}"""
    )
    assert [(float(row["value"]), row["last"]) for row in rows] == [(0.01, "99")]
    exported = prov.read(
        Client(lab.services.query_url).prov(f"prov4ml {lab.mark}/{execution}", "prov-json").encode(), "json"
    )
    assert prov.differences(prov.read(lab.folder / path), exported) == []
