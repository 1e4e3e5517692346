"""The code in the README and the guides does what they say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def blocks(path: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / path).read_text(encoding="utf-8"), re.DOTALL)


def test_the_readme_s_code_runs_and_its_questions_are_answered(lab):
    code = "\n".join(blocks("README.md"))
    for name in ("raw.npz", "train.npz", "model.pkl"):
        (lab.folder / name).write_bytes(name.encode())
    for name in ("scratch", "prepare", "train", "digits"):  # other tests use the same services, and some the same names
        code = code.replace(f'"{name}"', f'"{name}-{lab.mark}"')
    code = code.replace("    ...\n", "    pass\n")
    lab.run(code)
    lab.settle()
    found = lab.lineage("model.pkl", store=f"scratch-{lab.mark}")
    labels = {node["label"] for node in found["nodes"] if node["kind"] == "activity"}
    assert "fit" in labels
    evaluations = lab.select(
        "SELECT ?v { ?m a provml:Model ; prov:hadMember ?e . ?e a provml:ModelEvaluation ; prov:value ?v . "
        f'FILTER(CONTAINS(STR(?m), "{lab.mark}")) }}'
    )
    assert [float(row["v"]) for row in evaluations] == [0.25]
    (run,) = lab.select(
        "SELECT DISTINCT ?v ?least { ?s a provlake:Series ; prov:value ?v ; provlake:minimum ?least . "
        "?s prov:wasGeneratedBy/provlake:isPartOf ?run . "
        f'?run prov:used ?d . FILTER(CONTAINS(STR(?d), "{lab.folder.name}")) }}'
    )
    assert float(run["v"]) == float(run["least"]) == 0.1


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 150


@pytest.mark.parametrize("number", range(3))
def test_code_for_asking_questions_runs(lab, number):
    lab.run("import pllib\nwith pllib.workflow('train', study='MARK'):\n    pass\n")
    code = [block for block in blocks("docs/how-to/ask-questions.md")]
    if number >= len(code):
        return
    done = lab.run(code[number].replace("http://127.0.0.1:8472", lab.services.query_url))
    assert done.stderr == ""


def test_every_relative_link_leads_somewhere():
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if not target.startswith(("http://", "https://")):
                assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} → {target}"


def test_every_guarantee_names_a_test_that_is_there():
    text = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| promise")]
    assert len(rows) > 20
    for row in rows:
        proofs = re.findall(r"`([\w/]+(?:\.py)?/?)(?:::(\w+))?`", row.split(" | ")[-1])
        assert proofs, row
        for path, name in proofs:
            place = ROOT / path if path.startswith("bench/") else ROOT / "tests" / path
            assert place.exists(), path
            assert not name or f"def {name}(" in place.read_text(encoding="utf-8"), name
