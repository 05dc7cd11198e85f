# SPDX-License-Identifier: MIT
"""The C decoder and a reader written from docs/format.md agree on every pixel."""

import format_reader
import numpy as np
import pytest

from h5bragg import Geometry, Panel, SparsifyParams, decode, encode

SHAPE = (60, 75)
TILTED = Geometry.flat(
    shape=SHAPE,
    pixel_size_m=(4e-4, 5e-4),
    distance_m=0.03,
    beam_center_px=(20.3, 31.7),
    wavelength_m=1e-10,
    rotations_rad=(0.1, -0.2, 0.3),
)


def two_panels():
    panels = [
        Panel(slow=(0, 60), fast=(0, 35), origin_m=(-0.02, -0.01, 0.03),
              slow_m=(0, 4e-4, 0), fast_m=(4e-4, 0, 1e-5)),
        Panel(slow=(0, 58), fast=(40, 75), origin_m=(0.02, -0.01, 0.01),
              slow_m=(0, 4e-4, 0), fast_m=(0, 0, -4e-4)),
    ]  # fmt: skip
    return Geometry.from_panels(shape=SHAPE, panels=panels, distance_m=0.03, wavelength_m=1e-10)


both_ways = pytest.mark.parametrize("local_counts", [0, 4])


def assert_agreement(raw, geometry, params):
    chunk = encode(raw, geometry, params)
    ours = decode(chunk).reshape(-1, *SHAPE)
    theirs = np.array(format_reader.decode(chunk)).reshape(-1, *SHAPE)
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    "dtype",
    [
        "uint16",
        "int32",
        *(pytest.param(dtype, marks=pytest.mark.slow) for dtype in ("uint8", "uint32", "int16")),
    ],
)
@pytest.mark.parametrize("error_model", ["poisson", "azimuthal", "hybrid"])
@both_ways
def test_counting_frames(dtype, error_model, local_counts):
    random = np.random.default_rng(1)
    raw = random.poisson(random.gamma(2, 1.5, (2, *SHAPE))).astype(dtype)
    raw[:, 5:9] = np.iinfo(dtype).max if np.iinfo(dtype).min == 0 else -2
    raw[0, 30:50, 20] = 100
    raw[1, 44, 3] = np.iinfo(dtype).max - 5
    params = SparsifyParams(
        error_model=error_model, snr_pick=2.5, radial_bins=12, seed=77, local_counts=local_counts
    )
    assert_agreement(raw, TILTED, params)


@pytest.mark.parametrize(
    ("mean", "sigma"), [(0, 1), (0, 4), (5, 300), (60, 3), (300, 50), (9000, 2000)]
)
@both_ways
def test_charge_integrating_frames(mean, sigma, local_counts):
    raw = np.random.default_rng(2).normal(mean, sigma, SHAPE).round().astype("int32")
    raw[3, 3] = 2**31 - 1
    params = SparsifyParams(error_model="azimuthal", radial_bins=6, local_counts=local_counts)
    assert_agreement(raw, TILTED, params)


@both_ways
@pytest.mark.parametrize("mean", [2, 400])
def test_panels_and_pixels_between_them(mean, local_counts):
    raw = np.random.default_rng(3).poisson(mean, SHAPE).astype("uint16")
    params = SparsifyParams(radial_bins=0, mask_codes=(65535,), local_counts=local_counts)
    assert_agreement(raw, two_panels(), params)


def test_frame_stored_whole():
    raw = np.random.default_rng(4).integers(0, 2**32, SHAPE, dtype="uint32")
    assert_agreement(raw, TILTED, SparsifyParams())


@pytest.mark.parametrize("mean", [0.02, 0.3, 4, 60])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"local_step": 0.25, "local_significance": 2, "coarse_limit": 0},
        {"local_step": 2.5, "local_significance": 7.9375, "coarse_limit": 64, "snr_pick": 8},
        {"local_step": 4, "local_significance": 0.0625, "coarse_limit": 8, "snr_pick": 1},
        {"local_counts": 0, "snr_pick": 6},
    ],
    ids=str,
)
def test_uneven_frames_with_every_parameter(mean, options):
    random = np.random.default_rng(5)
    raw = random.poisson(mean * random.gamma(5, 0.2, SHAPE)).astype("uint16")
    raw[5:9] = 65535
    raw[30:33, 40:44] += 20
    raw[40:, :30] //= 3
    assert_agreement(raw, TILTED, SparsifyParams(radial_bins=8, **options))


@both_ways
@pytest.mark.parametrize("mean", [0.02, 3, 30])
def test_multiplied_and_over_dispersed_counts(mean, local_counts):
    random = np.random.default_rng(6)
    for raw in (3 * random.poisson(mean, SHAPE), random.negative_binomial(2 * mean, 2 / 3, SHAPE)):
        params = SparsifyParams(
            error_model="azimuthal", radial_bins=6, snr_pick=3, local_counts=local_counts
        )
        assert_agreement(raw.astype("int32"), TILTED, params)
