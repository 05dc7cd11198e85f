# SPDX-License-Identifier: MIT
"""background() against pyFAI's sigma-clip.

Our rings are made of tiles of 4 x 4 pixels, pyFAI's of pixels, so profiles that are smooth over
many rings are compared, interpolated in angle. Both see the same pixels, so they differ by less
than their standard errors.
"""

import numpy as np
import pytest
from numpy.typing import NDArray
from ring_statistics import LIMIT

from h5bragg import Geometry, SparsifyParams, background
from h5bragg.rings import Background

pytest.importorskip("pyFAI")
from pyFAI import detectors
from pyFAI.containers import Integrate1dResult
from pyFAI.integrator.azimuthal import AzimuthalIntegrator

SHAPE = (800, 800)
PIXEL_M, DISTANCE_M, CENTER_PX, POLARIZATION = 75e-6, 0.2, (410, 385), 0.9
GEOMETRY = Geometry.flat(
    shape=SHAPE,
    pixel_size_m=PIXEL_M,
    distance_m=DISTANCE_M,
    beam_center_px=CENTER_PX,
    wavelength_m=1e-10,
)
LEAST_PIXELS = 500


def integrator() -> AzimuthalIntegrator:
    config = {"pixel1": PIXEL_M, "pixel2": PIXEL_M, "max_shape": list(SHAPE), "orientation": 3}
    return AzimuthalIntegrator(
        dist=DISTANCE_M, poni1=CENTER_PX[0] * PIXEL_M, poni2=CENTER_PX[1] * PIXEL_M,
        wavelength=1e-10, detector=detectors.detector_factory("Detector", config),
    )  # fmt: skip


def simulate(level: float, correction: NDArray[np.float64] | float) -> NDArray[np.int32]:
    """A broad ring of up to three times the level, and bright pixels for the sigma-clip."""
    random = np.random.default_rng(int(level))
    radius_px = np.tan(GEOMETRY.two_theta_rad()) * DISTANCE_M / PIXEL_M
    mean = level * (1 + 2 * np.exp(-(((radius_px - 220) / 90) ** 2)))
    frame = random.poisson(mean * correction)
    bright = random.random(SHAPE) < 0.005
    frame[bright] += random.integers(30, 2000, np.count_nonzero(bright))
    return frame.astype(np.int32)


def both(
    level: float, error_model: str, is_corrected: bool
) -> tuple[Background, Integrate1dResult]:
    ai = integrator()
    factor = POLARIZATION if is_corrected else None
    correction = (
        ai.polarization(SHAPE, factor=factor) * ai.solidAngleArray(SHAPE) if is_corrected else 1.0
    )
    frame = simulate(level, correction)
    params = SparsifyParams(
        error_model=error_model,  # type: ignore[arg-type]
        polarization=factor,
        solid_angle=is_corrected,
    )
    ours = background(frame, GEOMETRY, params)
    theirs = ai.sigma_clip_ng(
        frame, len(ours.mean), unit="2th_rad", error_model=error_model, thres=0, max_iter=5,
        correctSolidAngle=is_corrected, polarization_factor=factor, method=("no", "csr", "cython"),
    )  # fmt: skip
    return ours, theirs


@pytest.mark.parametrize("is_corrected", [False, True], ids=["plain", "corrected"])
@pytest.mark.parametrize("error_model", ["poisson", "azimuthal", "hybrid"])
@pytest.mark.parametrize("level", [5, 10, 30])
def test_clipped_mean_and_deviation_are_those_of_pyfai(
    level: float, error_model: str, is_corrected: bool
) -> None:
    ours, theirs = both(level, error_model, is_corrected)
    large = (ours.count > LEAST_PIXELS) & (
        np.interp(ours.two_theta_rad, theirs.radial, theirs.count) > LEAST_PIXELS
    )
    assert np.count_nonzero(large) > 200
    angle = ours.two_theta_rad[large]
    mean, sem, std = (
        np.interp(angle, theirs.radial, values)
        for values in (theirs.intensity, theirs.sem, theirs.std)
    )
    relative = ours.mean[large] / mean - 1
    relative_std = ours.std[large] / std - 1
    error = np.hypot(ours.sem[large], sem) / mean
    # Classes of the normalisation are 1/32 wide; their rounding averages out over most rings.
    rounding = 1 / 64 if is_corrected else 0.0
    assert abs(relative.mean()) < 0.002 + rounding / 8
    assert np.all(np.abs(relative) < rounding + LIMIT * error)
    if not is_corrected:
        assert np.mean((relative / error) ** 2) < 1 + LIMIT * np.sqrt(2 / len(error))
    # The standard error of a measured deviation is 1 / sqrt(2 n); both are, so twice its square.
    # In the other models it is the root of the mean.
    count = ours.count[large]
    std_error = np.maximum(1 / np.sqrt(count), error)
    assert abs(relative_std.mean()) < 0.01
    assert np.all(np.abs(relative_std) < rounding + LIMIT * std_error)
