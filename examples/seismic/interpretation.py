"""What an interpreter said of a survey, as samples of its volume."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def inside(salt: Sequence[int], shape: tuple[int, ...]) -> np.ndarray:
    """Which samples are in a body of salt, given by inline, crossline and sample of its middle and its radius."""
    inline, crossline, sample = np.indices(shape)
    middle, radius = salt[:3], salt[3]
    distance = (inline - middle[0]) ** 2 + ((crossline - middle[1]) / 1.5) ** 2 + (sample - middle[2]) ** 2
    return distance <= radius**2
