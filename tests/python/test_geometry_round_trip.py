# SPDX-License-Identifier: MIT
"""Detectors of many panels come back from a chunk, and from the file that `compress` writes."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from crystfel_files import DETECTORS
from input_files import write_data
from pixel_positions import pixel_positions_m, worst_px

import h5bragg
from h5bragg import Geometry
from h5bragg.frames import open_frames
from h5bragg.writer import compress

PIXEL_M = {"Jungfrau 4M": 75e-6, "AGIPD 1M": 200e-6, "CSPAD": 110e-6}


@pytest.fixture(params=list(DETECTORS))
def name(request: pytest.FixtureRequest) -> str:
    detector: str = request.param
    return detector


@pytest.fixture
def geometry(tmp_path: Path, name: str) -> Geometry:
    path = tmp_path / "detector.geom"
    path.write_text(DETECTORS[name]())
    return Geometry.from_file(path)


def frame_of(geometry: Geometry) -> np.ndarray:
    """A background that falls with the scattering angle."""
    mean = 1 + 6 * np.exp(-((geometry.two_theta_rad() / 0.4) ** 2))
    return np.random.default_rng(5).poisson(mean).astype(np.uint16)


def test_panels_come_back_from_the_chunk(name: str, geometry: Geometry) -> None:
    found = h5bragg.inspect(h5bragg.encode(frame_of(geometry), geometry)).geometry
    assert found.shape == geometry.shape
    for was, now in zip(geometry.panels, found.panels, strict=True):
        assert (was.slow, was.fast) == (now.slow, now.fast)
        for field in ("origin_m", "slow_m", "fast_m"):
            assert now.__dict__[field] == tuple(map(float, np.float32(was.__dict__[field])))
    worst = worst_px(pixel_positions_m(found), pixel_positions_m(geometry), PIXEL_M[name])
    assert worst < 0.001


def test_panels_come_back_from_the_file_of_compress(
    tmp_path: Path, name: str, geometry: Geometry
) -> None:
    frame = frame_of(geometry)
    stack = frame.reshape(16, 512, 128) if name == "AGIPD 1M" else frame
    raw = write_data(tmp_path / "raw.h5", stack[None])
    with open_frames([raw]) as frames:
        compress(frames, tmp_path / "sparse.h5", geometry=geometry, device="cpu")
    found = Geometry.from_file(tmp_path / "sparse.h5")
    worst = worst_px(pixel_positions_m(found), pixel_positions_m(geometry), PIXEL_M[name])
    assert worst < 0.001
    assert found.wavelength_m == pytest.approx(geometry.wavelength_m, rel=1e-6)
    with h5py.File(tmp_path / "sparse.h5") as file:
        assert file["entry/data/data"].shape == (1, *stack.shape)
