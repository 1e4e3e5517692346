"""Preparation: ranges of slices of curated surveys, cut into tiles, as training, validation and test sets.

Writes ``prepared/{set}/train.npz``, ``validation.npz`` and ``test.npz`` into the work folder. A tile is described by the
strengths of its wavelengths, and is salt when most of its samples are.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

import pllib

SETS: dict[str, dict[str, Any]] = {
    "f3-low": {"surveys": ["netherlands-f3"], "slice_range": "0-31", "tile_size": 12, "noise_threshold": 0.1},
    "parihaka-low": {"surveys": ["parihaka"], "slice_range": "0-31", "tile_size": 16, "noise_threshold": 0.2},
    "both-high": {
        "surveys": ["netherlands-f3", "parihaka"],
        "slice_range": "16-47",
        "tile_size": 12,
        "noise_threshold": 0.1,
    },
}
"""What each set is made of, and how."""
SPLIT = {"test_fraction": 0.2, "seed": 7}


def cut(volume: np.ndarray, slice_range: str, size: int) -> np.ndarray:
    """Tiles (n x size x size) of a range of slices, both ends included; what is too narrow for a tile falls away."""
    first, last = (int(limit) for limit in slice_range.split("-"))
    slices = volume[first : last + 1]
    rows, columns = slices.shape[1] // size, slices.shape[2] // size
    blocks = slices[:, : rows * size, : columns * size].reshape(len(slices), rows, size, columns, size)
    return blocks.transpose(0, 1, 3, 2, 4).reshape(-1, size, size)


def tiles_of(wf: Any, work: Path, survey: str, how: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Tiles of one survey, and which of them are salt."""
    path = work / "curated" / f"{survey}.npz"
    parameters = {name: pllib.hyperparameter(how[name]) for name in ("slice_range", "tile_size")}
    with wf.task("cut", used={"curated": pllib.data(path, store="curated"), **parameters}) as task:
        with np.load(path) as file:
            tiles = cut(file["amplitudes"], how["slice_range"], how["tile_size"])
            salt = cut(file["salt"], how["slice_range"], how["tile_size"]).mean(axis=(1, 2)) > 0.5
        task.generated(tiles=tiles, salt=salt)
    return tiles, salt


def described(wf: Any, parts: dict[str, tuple[np.ndarray, np.ndarray]], threshold: float) -> tuple[Any, Any]:
    """The tiles of all surveys that are more than noise, by the strengths of their wavelengths, and which are salt."""
    arrays = {
        f"{what} of {survey}": array for survey, part in parts.items() for what, array in zip(("tiles", "salt"), part)
    }
    used = {**arrays, "noise_threshold": pllib.hyperparameter(threshold)}
    with wf.task("filter", used=used) as task:
        tiles, salt = (np.concatenate(arrays) for arrays in zip(*parts.values()))
        strong = tiles.std(axis=(1, 2)) > threshold
        x = np.log1p(np.abs(np.fft.rfft2(tiles[strong]))).reshape(int(strong.sum()), -1).astype(np.float32)
        y = salt[strong].astype(int)
        task.generated(x=x, y=y, noise=int((~strong).sum()))
    return x, y


def split(wf: Any, folder: Path, x: np.ndarray, y: np.ndarray) -> int:
    """Shuffles and writes the three sets; size of the training set."""
    folder.mkdir(parents=True, exist_ok=True)
    with wf.task("split", used={"x": x, "y": y, **SPLIT}) as task:
        order = np.random.default_rng(SPLIT["seed"]).permutation(len(y))
        size = int(len(y) * SPLIT["test_fraction"])
        parts = {"test": order[:size], "validation": order[size : 2 * size], "train": order[2 * size :]}
        for name, rows in parts.items():
            path = folder / f"{name}.npz"
            np.savez(path, x=x[rows], y=y[rows])
            characteristics = {"tiles": len(rows), "salt_tiles": int(y[rows].sum())}
            task.generated({name: pllib.dataset(path, store="prepared", characteristics=characteristics)})
    return len(parts["train"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder for the files")
    work = parser.parse_args().work
    for store in ("curated", "prepared"):
        pllib.store(store, root=str(work / store))
    with pllib.workflow("prepare-tiles", study="seismic") as wf:
        for name, how in SETS.items():
            parts = {survey: tiles_of(wf, work, survey, how) for survey in how["surveys"]}
            x, y = described(wf, parts, how["noise_threshold"])
            size = split(wf, work / "prepared" / name, x, y)
            print(f"prepared {name}: slices {how['slice_range']}, {size} tiles for training")


if __name__ == "__main__":
    main()
