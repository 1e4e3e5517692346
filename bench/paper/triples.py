"""The papers' set as N-Triples: the tracker's own conversion of the records, and the manager's own writer of what comes of it.

python -m bench.paper.triples FILE [EPOCHS] [plain]     plain: without PROV-ML's classes
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from bench.paper.records import EPOCHS, Sent, paper_set
from manager.documents import decode_document
from manager.ontology import as_ntriples, classes
from manager.triples import Writer, join
from pllib.provml.iris import DEFAULT_BASE
from pllib.provml.vocabulary import PROVML, RDF
from tracker.conversion import Document
from tracker.names import Specifications
from tracker.plans import Fresh, Known
from tracker.records import decode_record

_OF_PROV_ML = f" <{RDF}type> <{PROVML}".encode()


def triples(sent: Iterable[Sent], base: str = DEFAULT_BASE) -> Iterator[tuple[bytes, int]]:
    """N-Triples of what each process sent, as the services would have written them, and how many there are."""
    known, specifications, writer = Known(), Specifications(), Writer(base, classes())
    for producer, records in sent:
        fresh = Fresh(known)
        document = Document(producer, specifications, fresh)
        for record in records:
            document.add(decode_record(json.dumps(record).encode()))
        known.add(fresh.statements)
        yield join([writer.lines(decode_document(msgspec.Raw(document.encoded())))])


def write(target: BinaryIO, epochs: int = EPOCHS, seed: int = 1, plain: bool = False) -> int:
    """Writes the set, with the ontology; how many triples it has.

    Args:
        plain: without the classes of PROV-ML, as the papers compare it.
    """
    total = 0
    target.write(as_ntriples())
    for text, count in triples(paper_set(epochs, seed)):
        if plain:
            lines = [line for line in text.splitlines(keepends=True) if _OF_PROV_ML not in line]
            text, count = b"".join(lines), len(lines)
        target.write(text)
        total += count
    return total


if __name__ == "__main__":
    with Path(sys.argv[1]).open("wb") as file:
        print(write(file, int((sys.argv[2:3] or [str(EPOCHS)])[0]), plain=sys.argv[3:] == ["plain"]), "triples")
