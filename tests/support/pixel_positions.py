# SPDX-License-Identifier: MIT
"""Where pixel centres lie in the lab, computed from a geometry's panels."""

import numpy as np

from h5bragg import Geometry


def pixel_positions_m(geometry: Geometry) -> np.ndarray:
    """Centres in the lab frame of docs/geometry.md: (slow, fast, 3), NaN on no panel."""
    positions = np.full((*geometry.shape, 3), np.nan)
    for panel in geometry.panels:
        i, j = np.indices(panel.shape)[..., None] + 0.5
        place = panel.origin_m + i * np.asarray(panel.slow_m) + j * np.asarray(panel.fast_m)
        positions[slice(*panel.slow), slice(*panel.fast)] = place
    return positions


def worst_px(found_m: np.ndarray, expected_m: np.ndarray, pixel_m: float) -> float:
    """Longest distance between two sets of positions (..., 3), in pixels."""
    assert found_m.shape == expected_m.shape
    return float(np.linalg.norm(found_m - expected_m, axis=-1).max()) / pixel_m
