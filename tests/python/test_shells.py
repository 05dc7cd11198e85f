# SPDX-License-Identifier: MIT
"""Background by resolution: the right pixels in the right shells."""

import numpy as np
import pytest

from h5bragg import Geometry
from h5bragg.shells import NBINS, NSHELLS, ShellMap

SHAPE = (300, 280)
EVERYWHERE = np.ones(SHAPE, bool)


def detector(wavelength_m: float = 1e-10) -> Geometry:
    return Geometry.flat(
        shape=SHAPE, pixel_size_m=2e-4, distance_m=0.05,
        beam_center_px=(150, 120), wavelength_m=wavelength_m,
    )  # fmt: skip


def test_shells_hold_the_mean_counts_of_their_resolution() -> None:
    geometry = detector()
    d = 1 / (2 * np.sin(geometry.two_theta_rad() / 2))  # wavelength 1 A
    raw = np.round(100 * np.minimum(d, 5)).astype(int)
    restored = raw + (d < 2)
    found = ShellMap(geometry).sums(raw, restored, EVERYWHERE)
    assert found.unit == "A"
    assert len(found.shells) == NSHELLS
    assert found.sums[0].sum() == raw.size
    for shell in found.shells:
        assert shell.inner > shell.outer
        inside = (d < shell.inner) & (d >= shell.outer)
        assert shell.pixels == pytest.approx(np.count_nonzero(inside), abs=2)
        assert shell.raw == pytest.approx(raw[inside].mean(), rel=1e-3)
        assert shell.restored == pytest.approx(restored[inside].mean(), rel=1e-3)
    # Shells are equally wide in 1 / d.
    widths = [1 / shell.outer - 1 / shell.inner for shell in found.shells]
    np.testing.assert_allclose(widths, widths[0])
    assert len(found.bins) == NBINS


def test_without_a_wavelength_shells_are_by_radius_in_pixels() -> None:
    found = ShellMap(detector(0.0)).sums(EVERYWHERE, EVERYWHERE, EVERYWHERE)
    assert found.unit == "pixels"
    corner = np.hypot(149.5, 159.5)
    assert found.shells[-1].outer == pytest.approx(corner, rel=1e-6)
    assert found.shells[0].inner == pytest.approx(np.hypot(0.5, 0.5), rel=1e-4)


def test_pixels_that_are_no_background_and_empty_shells_are_left_out() -> None:
    background = EVERYWHERE.copy()
    background[:, :200] = False
    raw = np.where(background, 2, 1000)
    found = ShellMap(detector()).sums(raw, raw, background)
    assert {shell.raw for shell in found.shells} == {2.0}
    assert len(found.shells) < NSHELLS
    twice = found + found
    assert twice.shells[0].pixels == 2 * found.shells[0].pixels
    assert twice.shells[0].ratio == 1


def test_an_error_of_the_ratio_covers_counts_drawn_anew() -> None:
    random = np.random.default_rng(1)
    sums = None
    shell_map = ShellMap(detector())
    z = []
    for _ in range(20):
        raw, restored = random.poisson(0.3, (2, *SHAPE))
        sums = shell_map.sums(raw, restored, EVERYWHERE)
        z += [(shell.ratio - 1) / shell.ratio_error for shell in sums.shells]
    # Two countings differ by the square root of two; the codec's draws by at most one.
    assert np.mean(np.square(z)) == pytest.approx(2, abs=2 * 4 * (2 / len(z)) ** 0.5)


def test_nothing_counted_is_no_ratio() -> None:
    nothing = np.zeros(SHAPE, int)
    found = ShellMap(detector()).sums(nothing, nothing, EVERYWHERE)
    assert np.isnan([shell.ratio for shell in found.shells]).all()
