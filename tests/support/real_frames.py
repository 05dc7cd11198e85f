# SPDX-License-Identifier: MIT
"""What the fixtures of real frames hand to tests."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from h5bragg import Geometry


@dataclass(frozen=True)
class RealFrame:
    """A frame of a real detector and its geometry, both from one CBF file."""

    path: Path
    pixels: NDArray[np.int32]
    geometry: Geometry
