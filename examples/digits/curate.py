"""Curation: the raw file of handwritten digits to one checked file of images and labels, with facts of the domain.

The raw file is the one that scikit-learn ships (UCI Machine Learning Repository, "Optical Recognition of Handwritten
Digits": 1,797 images of 8 x 8 grey values). Writes ``curated.npz`` into the work folder.
"""

from __future__ import annotations

import argparse
import gzip
from pathlib import Path

import numpy as np
import sklearn.datasets

import pllib

SOURCE = "UCI Optical Recognition of Handwritten Digits (NIST forms, 32 x 32 bitmaps, counts of 4 x 4 blocks)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder for the files")
    work = parser.parse_args().work
    raw_path = Path(sklearn.datasets.__file__).parent / "data" / "digits.csv.gz"
    curated_path = work / "curated.npz"
    pllib.store("digits", root=str(work))

    with pllib.workflow("curate", study="digits") as wf:
        with wf.task("read", used={"raw": pllib.data(raw_path, store="scikit-learn")}) as read:
            with gzip.open(raw_path, "rt") as file:
                table = np.loadtxt(file, delimiter=",")
            read.generated(table=table, rows=len(table))

        with wf.task("check", used={"table": table, "grey_levels": 17}) as check:
            images, labels = table[:, :-1].reshape(-1, 8, 8), table[:, -1].astype(int)
            complete = np.isfinite(table).all(axis=1) & (images.max(axis=(1, 2)) < 17)
            np.savez(curated_path, images=images[complete], labels=labels[complete])
            check.generated(
                rejected=int((~complete).sum()),
                curated=pllib.data(
                    curated_path,
                    store="digits",
                    facts={
                        "source": pllib.domain(SOURCE),
                        "subject": pllib.domain("handwritten digits 0-9"),
                        "image_size": pllib.domain("8 x 8"),
                        "number_of_images": pllib.domain(int(complete.sum())),
                    },
                ),
            )
    print(f"curated {int(complete.sum())} images")


if __name__ == "__main__":
    main()
