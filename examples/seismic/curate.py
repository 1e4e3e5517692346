"""Curation: each raw survey with what a document store and a triple store say about it, as one curated item.

Reads every ``raw/*.sgy`` of the work folder, its document and its triples. Writes ``curated/{survey}.npz``: the amplitudes,
and which samples are salt. Of the file comes the number of slices, of the document the coordinates and the
interpretation, of the triples the field and its basin.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import rdflib

import pllib
from examples.seismic import segy
from examples.seismic.interpretation import inside

NAMES = """PREFIX geo: <https://example.org/geology/> PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#>
SELECT ?field ?basin { ?place rdfs:label ?field ; geo:basin/rdfs:label ?basin }"""


class Documents:
    """The document store: a table of JSON documents with revisions."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)

    def get(self, key: str) -> tuple[dict[str, Any], int]:
        """A document and its revision."""
        row = self._connection.execute("SELECT body, revision FROM document WHERE id = ?", (key,)).fetchone()
        return json.loads(row[0]), row[1]

    def close(self) -> None:
        self._connection.close()


def names(geology: rdflib.Graph, place: str) -> dict[str, str]:
    """Names of a field and of its basin, from the triple store."""
    (row,) = geology.query(NAMES, initBindings={"place": rdflib.URIRef(place)})
    return {"field": str(row[0]), "basin": str(row[1])}


def curate(wf: Any, work: Path, raw: Path, documents: Documents, geology: rdflib.Graph) -> None:
    """One survey, from three stores to one curated item."""
    name = raw.stem
    with wf.task("read", used={"raw": pllib.data(raw, store="raw"), "format": "SEG-Y revision 1"}) as read:
        volume = segy.read(raw)
        read.generated(amplitudes=volume.amplitudes, number_of_slices=volume.slices)

    key = f"surveys/{name}"
    document, revision = documents.get(key)
    place = document["field"]
    used = {
        "amplitudes": volume.amplitudes,
        "document": pllib.data(key, store="survey-docs", version=f"revision-{revision}"),
        "place": pllib.data(place, store="geology"),
    }
    with wf.task("join", used=used) as join:
        path = work / "curated" / f"{name}.npz"
        salt = inside(document["interpretation"]["salt"], volume.amplitudes.shape)
        np.savez(path, amplitudes=volume.amplitudes, salt=salt)
        facts = {"number_of_slices": volume.slices, "coordinates": document["coordinates"], **names(geology, place)}
        domain = {fact: pllib.domain(value) for fact, value in facts.items()}
        join.generated(curated=pllib.data(path, store="curated", facts=domain))
    print(f"curated {name}: {facts['field']}, {facts['basin']}, {facts['number_of_slices']} slices")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder for the files")
    work = parser.parse_args().work
    (work / "curated").mkdir(exist_ok=True)
    for store in ("raw", "curated"):
        pllib.store(store, root=str(work / store))
    documents = Documents(work / "survey-docs.sqlite")
    geology = rdflib.Graph().parse(work / "geology.ttl")
    with pllib.workflow("curate-surveys", study="seismic") as wf:
        for raw in sorted((work / "raw").glob("*.sgy")):
            curate(wf, work, raw, documents, geology)
    documents.close()


if __name__ == "__main__":
    main()
