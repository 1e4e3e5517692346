"""What an older release left, in the store, in the queue and in spool files, is read by today's and makes one lineage."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.test_power_cut import send, settle

CHECKOUT = Path(__file__).resolve().parents[2]
RELEASES = sorted((Path(__file__).parent / "upgrade").glob("*.tar.gz"))


@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.name.partition(".")[0])
def test_a_folder_of_an_older_release_goes_on(release: Path, stack: Any, tmp_path: Path) -> None:
    with tarfile.open(release) as archive:
        archive.extractall(tmp_path, filter="data")
    with stack(tmp_path) as services:
        settle(services.tracker_url)  # what waited in the queue
        environment = {name: text for name, text in os.environ.items() if not name.startswith("PLLIB_")}
        command = [sys.executable, "-m", "pllib", "ship", str(tmp_path / "spool"), "--url", services.tracker_url]
        shipped = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=60)
        assert shipped.returncode == 0, shipped.stderr
        send(services.tracker_url, "today", range(1))
        settle(services.tracker_url)
        stats = httpx.get(f"{services.tracker_url}/v1/stats", trust_env=False).json()
        assert (stats["dead_letters"], stats["quarantined"]) == (0, 0)
        iri = execution_of_the_spool(services.query_url)
        found = httpx.get(f"{services.query_url}/v1/lineage", params={"of": iri}, trust_env=False, timeout=60)
        names = {node["label"] for node in found.json()["nodes"] if node["kind"] == "activity"}
        assert names == {"stored-task", "waiting-task", "spooled-task"}


def execution_of_the_spool(engine: str) -> str:
    """The execution of the task that was in the spool."""
    query = 'SELECT ?t { ?t prov:wasInfluencedBy ?p . ?p rdfs:label "spooled-task" }'
    prefixes = "PREFIX prov: <http://www.w3.org/ns/prov#> PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#> "
    headers = {"Accept": "application/sparql-results+json"}
    answer = httpx.get(f"{engine}/sparql", params={"query": prefixes + query}, headers=headers, trust_env=False)
    (row,) = answer.raise_for_status().json()["results"]["bindings"]
    return str(row["t"]["value"])
