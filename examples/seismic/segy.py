"""Seismic volumes as SEG-Y files (revision 1, IEEE floats): what surveys come as.

A file is a text header (3,200 bytes, EBCDIC), a binary header (400 bytes) and traces: a header of 240 bytes, in which
stands where the trace was recorded, and big-endian samples.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

TEXT, BINARY, TRACE = 3200, 400, 240
IEEE_FLOAT, REVISION = 5, 0x0100


class Volume(NamedTuple):
    """Amplitudes (inline x crossline x sample), and corners of the map: west, south, east, north (thousandths of a degree)."""

    amplitudes: np.ndarray
    corners: tuple[int, int, int, int]

    @property
    def slices(self) -> int:
        """Number of slices: one an inline."""
        return len(self.amplitudes)


def _trace(samples: int) -> np.dtype:
    names = ["x", "y", "inline", "crossline", "samples"]
    formats = [">i4", ">i4", ">i4", ">i4", (">f4", (samples,))]
    return np.dtype(
        {"names": names, "formats": formats, "offsets": [180, 184, 188, 192, TRACE], "itemsize": TRACE + 4 * samples}
    )


def write(path: Path, volume: Volume, text: str) -> None:
    """Writes a volume, its traces ordered by inline and crossline."""
    inlines, crosslines, samples = volume.amplitudes.shape
    traces = np.zeros((inlines, crosslines), _trace(samples))
    west, south, east, north = volume.corners
    traces["inline"] = np.arange(inlines)[:, None]
    traces["crossline"] = np.arange(crosslines)
    traces["x"] = np.linspace(west, east, crosslines).round()
    traces["y"] = np.linspace(south, north, inlines).round()[:, None]
    traces["samples"] = volume.amplitudes
    header = np.zeros(BINARY // 2, ">i2")
    header[[8, 10, 12, 150, 151]] = 4000, samples, IEEE_FLOAT, REVISION, 0x0001
    path.write_bytes(text.ljust(TEXT)[:TEXT].encode("cp500") + header.tobytes() + traces.tobytes())


def read(path: Path) -> Volume:
    """Reads what :func:`write` wrote. Raises ValueError for any other file."""
    content = path.read_bytes()
    header = np.frombuffer(content, ">i2", BINARY // 2, TEXT)
    if header[12] != IEEE_FLOAT or header[150] != REVISION:
        raise ValueError(f"{path} is no SEG-Y file of revision 1 with IEEE floats")
    traces = np.frombuffer(content, _trace(int(header[10])), offset=TEXT + BINARY)
    inlines = int(traces["inline"].max()) + 1
    corners = tuple(
        int(limit) for limit in (traces["x"].min(), traces["y"].min(), traces["x"].max(), traces["y"].max())
    )
    return Volume(traces["samples"].reshape(inlines, -1, int(header[10])).astype(np.float32), corners)  # type: ignore[arg-type]
