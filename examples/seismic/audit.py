"""Audit: what is in the archive, counted by somebody who has never heard of another name for it.

Writes ``audit.json`` into the work folder.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

import pllib


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder for the files")
    work = parser.parse_args().work
    pllib.store("archive", root=str(work / "archive"))
    pllib.store("reports", root=str(work))
    files = {path.relative_to(work / "archive").as_posix(): path for path in sorted((work / "archive").glob("*/*.npz"))}
    with pllib.workflow("audit-archive", study="seismic") as wf:
        used = {key: pllib.dataset(path, store="archive") for key, path in files.items()}
        with wf.task("count", used=used) as count:
            tiles = {}
            for key, path in files.items():
                with np.load(path) as file:
                    tiles[key] = len(file["y"])
            report = work / "audit.json"
            report.write_text(json.dumps(tiles, indent=1))
            count.generated(tiles=sum(tiles.values()), report=pllib.data(report, store="reports"))
    print(f"counted {len(tiles)} sets, {sum(tiles.values())} tiles")


if __name__ == "__main__":
    main()
