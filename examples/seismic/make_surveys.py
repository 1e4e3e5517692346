"""What a data centre would hold, made up here: three surveys as SEG-Y files, documents about them, and a geology of triples.

Nothing of this is captured: provenance begins with the curation that finds these data. The names are those of
well-known surveys; all numbers are synthetic. Writes ``raw/{survey}.sgy``, ``survey-docs.sqlite`` and ``geology.ttl`` into
the work folder, the same ones each time.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
from pathlib import Path
from typing import NamedTuple

import numpy as np

from examples.seismic import segy
from examples.seismic.interpretation import inside

SHAPE = (48, 96, 48)
"""Inlines, crosslines and samples of a survey."""
GEOLOGY = "https://example.org/geology/"


class Survey(NamedTuple):
    """A survey: its corners (thousandths of a degree), when it was shot, its field and basin, and its body of salt."""

    name: str
    corners: tuple[int, int, int, int]
    year: int
    field: str
    basin: str
    salt: tuple[int, int, int, int]
    """Inline, crossline and sample of its middle, and its radius in samples."""


SURVEYS = [
    Survey("netherlands-f3", (4_680, 54_790, 4_960, 54_940), 1987, "F3", "North Sea Basin", (20, 40, 28, 18)),
    Survey("parihaka", (172_900, -39_250, 173_400, -38_950), 2005, "Parihaka", "Taranaki Basin", (26, 60, 30, 16)),
    Survey("albacora", (-40_200, -22_250, -39_900, -22_050), 1997, "Albacora", "Campos Basin", (24, 30, 26, 20)),
]


def amplitudes(survey: Survey, seed: int) -> np.ndarray:
    """Folded layers, a body of salt without layers in it, and a corner where nothing was recorded but noise."""
    random = np.random.default_rng(seed)
    inline, crossline, sample = np.indices(SHAPE, dtype=np.float32)
    folds = 5 * np.sin(crossline / 17 + seed) + 3 * np.cos(inline / 11)
    layers = np.sin(2 * np.pi * (sample + folds) / 8) * (1 + 0.3 * np.sin(sample / 3 + seed))
    body = inside(survey.salt, SHAPE)
    found = np.where(body, random.normal(0, 0.7, SHAPE), layers) + random.normal(0, 0.25, SHAPE)
    found[:, -20:, -16:] = random.normal(0, 0.02, (SHAPE[0], 20, 16))
    return found.astype(np.float32)


def document(survey: Survey) -> dict[str, object]:
    """What the document store holds about a survey: where it lies, and what an interpreter saw in it."""
    return {
        "name": survey.name,
        "acquired": survey.year,
        "coordinates": [degrees / 1000 for degrees in survey.corners],
        "field": f"{GEOLOGY}field/{survey.field.lower()}",
        "interpretation": {"salt": list(survey.salt)},
    }


def triples(surveys: list[Survey]) -> str:
    """A small geology in Turtle: fields, the basins that they lie in, and their names."""
    lines = [f"@prefix geo: <{GEOLOGY}> .", "@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> ."]
    for survey in surveys:
        basin = f"<{GEOLOGY}basin/{survey.basin.lower().replace(' ', '-')}>"
        lines.append(
            f'<{GEOLOGY}field/{survey.field.lower()}> a geo:Field ; rdfs:label "{survey.field}" ; geo:basin {basin} .'
        )
        lines.append(f'{basin} a geo:Basin ; rdfs:label "{survey.basin}" .')
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder for the files")
    work = parser.parse_args().work
    (work / "raw").mkdir(parents=True, exist_ok=True)
    for number, survey in enumerate(SURVEYS):
        volume = segy.Volume(amplitudes(survey, 7 + number), survey.corners)
        segy.write(work / "raw" / f"{survey.name}.sgy", volume, f"C 1 SURVEY {survey.name} (SYNTHETIC)")
    with sqlite3.connect(work / "survey-docs.sqlite") as documents:
        documents.execute("CREATE TABLE IF NOT EXISTS document (id TEXT PRIMARY KEY, revision INTEGER, body TEXT)")
        rows = [(f"surveys/{survey.name}", 1, json.dumps(document(survey))) for survey in SURVEYS]
        documents.executemany("INSERT OR REPLACE INTO document VALUES (?, ?, ?)", rows)
    documents.close()
    (work / "geology.ttl").write_text(triples(SURVEYS), encoding="utf-8")
    print(f"made {len(SURVEYS)} surveys of {SHAPE[0]} slices")


if __name__ == "__main__":
    main()
