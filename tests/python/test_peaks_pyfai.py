# SPDX-License-Identifier: MIT
"""Peaks of real frames against pyFAI's peak finder: found, and each difference of a known kind.

The kinds are those of docs/peaks.md, "Against pyFAI".
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from real_frames import RealFrame

from h5bragg import PeakParams, Peaks, SparsifyParams, find_peaks

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
FRAMES = ["thau_3_2_0003.cbf.bz2", "thau_3_2_0014.cbf.bz2"]
# Peaks are the same if they are as near as that.
NEAR_PX = 2.0


def peer_peaks(real: RealFrame, wanted: PeakParams) -> NDArray[Any]:
    """pyFAI's peaks, positions as ours."""
    pytest.importorskip("pyFAI")
    pytest.importorskip("pyopencl")
    sys.path.insert(0, str(BENCHMARKS))
    try:
        from peer_pyfai import PeerPeaks
    finally:
        sys.path.remove(str(BENCHMARKS))
    found = PeerPeaks(real.pixels, real.geometry).find(real.pixels, wanted)
    found["pos0"] += 0.5
    found["pos1"] += 0.5
    return found


def nearest(places: NDArray[Any], others: NDArray[Any]) -> NDArray[np.float64]:
    """How far each place is from the nearest of the others."""
    from scipy.spatial import cKDTree

    return cKDTree(others).query(places)[0]


def places_of(peaks: Peaks) -> NDArray[np.float64]:
    return np.column_stack([peaks.slow_px, peaks.fast_px])


@pytest.mark.slow
@pytest.mark.parametrize("name", FRAMES)
def test_peaks_of_pyfai_are_found_and_differences_are_of_known_kinds(
    real_frame: Callable[[str], RealFrame], name: str
) -> None:
    from peak_kinds import extra_kinds, missing_kinds

    real, wanted = real_frame(name), PeakParams()
    theirs = peer_peaks(real, wanted)
    params = SparsifyParams(error_model="hybrid", polarization=real.geometry.polarization)
    ours = find_peaks(real.pixels, real.geometry, params)
    their_places = np.column_stack([theirs["pos0"], theirs["pos1"]])
    distance = nearest(their_places, places_of(ours))
    strong = theirs["intensity"] > 8 * theirs["sigma"]
    assert strong.sum() > 300
    assert (distance[strong] <= NEAR_PX).mean() >= 0.95
    # pyFAI's centre of mass is one of positive signals, too.
    assert np.median(distance[distance <= NEAR_PX]) < 0.02
    lost = strong & (distance > NEAR_PX)
    pixels = zip(*np.divmod(theirs["index"][lost], real.pixels.shape[1]), strict=True)
    missing = missing_kinds(real, params, pixels)
    ours_alone = nearest(places_of(ours), their_places) > NEAR_PX
    extra = extra_kinds(real, params, ours[ours_alone])
    assert missing["other"] == 0
    assert extra["other"] <= 0.002 * len(ours)
