"""Preparation: the curated file to training, validation and test sets, one triple of sets for each range of images.

Writes ``{range}/train.npz``, ``validation.npz`` and ``test.npz`` into the work folder.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import pllib

WORK = Path()
RANGES = {"0-899": (0, 900), "0-1796": (0, 1797)}


def crop(images: np.ndarray, margin: int, noise_threshold: float) -> np.ndarray:
    """Images without their margin, and with grey values up to the threshold taken for noise (shape n x pixels, 0 to 1)."""
    inner = images[:, margin:-margin, :] if margin else images
    return np.where(inner <= noise_threshold, 0, inner).reshape(len(images), -1) / 16.0


@pllib.task
def split(prepared: np.ndarray, labels: np.ndarray, image_range: str, test_fraction: float, seed: int) -> dict:
    """Shuffles and splits; the three files are what it generates."""
    folder = WORK / image_range
    folder.mkdir(exist_ok=True)
    order = np.random.default_rng(seed).permutation(len(labels))
    size = int(len(labels) * test_fraction)
    parts = {"test": order[:size], "validation": order[size : 2 * size], "train": order[2 * size :]}
    sets = {}
    for name, rows in parts.items():
        path = folder / f"{name}.npz"
        np.savez(path, x=prepared[rows], y=labels[rows])
        characteristics = {"images": len(rows), "classes": len(set(labels[rows].tolist()))}
        sets[name] = pllib.dataset(path, store="digits", characteristics=characteristics)
    return sets


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder for the files")
    global WORK
    WORK = work = parser.parse_args().work
    pllib.store("digits", root=str(work))
    curated = pllib.data(work / "curated.npz", store="digits")

    with pllib.workflow("prepare", study="digits"):
        for image_range, (first, last) in RANGES.items():
            parameters = {"image_range": image_range, "margin": 1, "noise_threshold": 1.0}
            with pllib.task("crop", used={"curated": curated, **parameters}) as task:
                with np.load(work / "curated.npz") as file:
                    images, labels = file["images"][first:last], file["labels"][first:last]
                prepared = crop(images, parameters["margin"], parameters["noise_threshold"])
                task.generated(prepared=prepared, labels=labels)
            split(prepared, labels, image_range, 0.2, 7)
            print(f"prepared images {image_range}")


if __name__ == "__main__":
    main()
