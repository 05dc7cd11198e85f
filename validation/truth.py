# SPDX-License-Identifier: MIT
"""Compare what DIALS found with the truth, and with what it found in the raw frames."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from reflections import LEAST_SPACING_A, unique_indices
from scipy.spatial import cKDTree

Table = Mapping[str, NDArray[Any]]
Numbers = dict[str, float]

COUNT_LIMITS = (0.0, 5.0, 20.0, 100.0, 500.0, np.inf)
_INTEGRATED_SHELLS = 8  # the outer shell holds an eighth of the observations
_MERGED_SHELLS = 10
_FEWEST = 30  # observations that a number needs
# A frame counts as two pixels: spots are as far apart in rotation as on the detector.
_PIXELS_PER_FRAME = 2.0
_REACH_PX = 3.0


def pair(found: Table, known: Table, *, reach_px: float = _REACH_PX) -> tuple[Any, Any]:
    """Return indices of observations at one place and time, in either table.

    Parameters
    ----------
    found, known : mapping of str to ndarray
        With slow_px, fast_px and frame.
    reach_px : float
        Largest distance.
    """
    distance, index = cKDTree(_place(known)).query(_place(found), distance_upper_bound=reach_px)
    near = np.isfinite(distance)
    return np.flatnonzero(near), index[near]


def integrated_against_truth(found: Table, truth: Table) -> Numbers:
    """Return bias, correlation and background of integrated intensities.

    Parameters
    ----------
    found : mapping of str to ndarray
        Whole reflections as `dials_export.py` writes them.
    truth : mapping of str to ndarray
        As `simulate.py` writes it.
    """
    known = {name: truth[f"observed_{name}"] for name in ("slow_px", "fast_px", "frame", "counts")}
    here, there = pair(found, known)
    counts = known["counts"][there]
    intensity, spacing = found["intensity"][here], found["spacing_a"][here]
    error = intensity - counts
    numbers = {
        "observations": float(len(here)),
        "bias_all": 100 * error.sum() / counts.sum(),
    }
    for low, high in pairwise(COUNT_LIMITS):
        chosen = (counts >= low) & (counts < high)
        if chosen.sum() >= _FEWEST:
            numbers[f"bias_from_{low:g}"] = error[chosen].mean()
            numbers[f"rms_from_{low:g}"] = np.sqrt(np.mean(error[chosen] ** 2))
    outer = outer_shell(spacing, _INTEGRATED_SHELLS)
    numbers["bias_outer"] = 100 * error[outer].sum() / counts[outer].sum()
    numbers["cc_observed_outer"] = _correlation(intensity[outer], counts[outer])
    numbers |= _background_against_truth(found, truth)
    return {name: float(value) for name, value in numbers.items()}


def scaled_against_truth(scaled: Table, truth: Table) -> Numbers:
    """Return R and correlation of merged intensities.

    The scale is the median ratio of the strongest fifth, which weak reflections' bias leaves alone.

    Parameters
    ----------
    scaled, truth : mapping of str to ndarray
        As `dials_export.py` and `simulate.py` write them.
    """
    merged = merge(scaled, truth["unique_hkl"])
    known, spacing = truth["unique_intensity"], truth["unique_spacing_a"]
    measured = np.isfinite(merged) & (spacing >= LEAST_SPACING_A)
    merged, known, spacing = merged[measured], known[measured], spacing[measured]
    strong = known > np.quantile(known, 0.8)
    merged = merged / np.median(merged[strong] / known[strong])
    outer = outer_shell(spacing, _MERGED_SHELLS)
    return {
        "r_truth": float(np.abs(merged - known).sum() / known.sum()),
        "cc_truth": _correlation(merged, known),
        "cc_truth_outer": _correlation(merged[outer], known[outer]),
    }


def merge(scaled: Table, unique_hkl: NDArray[np.int_]) -> NDArray[np.float64]:
    """Return means of equivalent observations, weighted by variance; nan where there is none.

    Parameters
    ----------
    scaled : mapping of str to ndarray
        hkl, intensity and variance.
    unique_hkl : ndarray of int
        Shape (unique, 3): h >= k >= 0, l >= 0.
    """
    places = {tuple(hkl): place for place, hkl in enumerate(unique_hkl.tolist())}
    place = np.array([places.get(tuple(hkl), -1) for hkl in unique_indices(scaled["hkl"]).tolist()])
    usable = (place >= 0) & (scaled["variance"] > 0)
    place, weight = place[usable], 1 / scaled["variance"][usable]
    total = np.bincount(place, weight, len(unique_hkl))
    weighted = np.bincount(place, weight * scaled["intensity"][usable], len(unique_hkl))
    with np.errstate(invalid="ignore"):
        return np.asarray(weighted / total)


def against_raw(found: Table, raw: Table) -> Numbers:
    """Return how intensities differ from those of the same observations in the raw frames.

    Parameters
    ----------
    found, raw : mapping of str to ndarray
        Whole reflections as `dials_export.py` writes them.
    """
    here, there = pair(found, raw, reach_px=_REACH_PX / 2)
    intensity, before = found["intensity"][here], raw["intensity"][there]
    sigma = np.sqrt(np.maximum(raw["variance"][there], 1e-9))
    change = intensity - before
    return {
        "common": float(len(here)),
        "sum_to_raw": float(intensity.sum() / before.sum()),
        # Standard error of the sum's change, from the scatter of the changes.
        "sum_to_raw_error": float(change.std() * np.sqrt(len(here)) / before.sum()),
        "cc_raw": _correlation(intensity, before),
        "change_in_sigma": float(np.sqrt(np.mean((change / sigma) ** 2))),
    }


def outer_shell(spacing_a: NDArray[np.float64], nshells: int) -> NDArray[np.bool_]:
    """Tell which reflections are in the outermost of shells of equal population.

    Examples
    --------
    >>> import numpy as np
    >>> outer_shell(np.array([4.0, 3.0, 2.0, 1.5]), 4).tolist()
    [False, False, False, True]
    """
    return np.asarray(spacing_a <= np.quantile(spacing_a, 1 / nshells))


def _background_against_truth(found: Table, truth: Table) -> Numbers:
    """Return background found over true, for the thirds of least, middle and most background."""
    shape = truth["background"].shape
    slow = np.clip(found["slow_px"].astype(int), 0, shape[0] - 1)
    fast = np.clip(found["fast_px"].astype(int), 0, shape[1] - 1)
    known = truth["background"][slow, fast]
    limits = np.quantile(known, [0, 1 / 3, 2 / 3, 1])
    numbers = {}
    for name, low, high in zip(("low", "middle", "high"), limits[:-1], limits[1:], strict=True):
        chosen = (known >= low) & (known <= high)
        numbers[f"background_{name}"] = found["background"][chosen].sum() / known[chosen].sum()
    return numbers


def _place(table: Table) -> NDArray[np.float64]:
    frame = _PIXELS_PER_FRAME * table["frame"]
    return np.column_stack([table["slow_px"], table["fast_px"], frame])


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    return float(np.corrcoef(a, b)[0, 1])
