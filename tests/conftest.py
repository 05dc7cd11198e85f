# SPDX-License-Identifier: MIT
"""What all tests share: slow tests run where CI is set; real frames, and simulated ones."""

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from input_files import Cli, run_cli
from numpy.typing import NDArray
from real_frames import RealFrame

from h5bragg import Geometry

ROOT = Path(__file__).resolve().parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests marked slow as well")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--slow") or os.environ.get("CI"):
        return
    skip = pytest.mark.skip(reason="slow: set CI=1 or pass --slow to run it")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(skip)


@pytest.fixture(scope="session")
def data_path() -> Path:
    """Folder of the real frames; skips where they are absent."""
    path = Path(os.environ.get("H5BRAGG_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not path.is_dir():
        pytest.skip(f"real frames not found in {path}: set H5BRAGG_TEST_DATA to their folder")
    return path


@pytest.fixture(scope="session")
def real_frame(data_path: Path) -> Callable[[str], RealFrame]:
    """Reads a real frame by file name, once in the session; skips where it is absent."""

    @cache
    def read(name: str) -> RealFrame:
        fabio = pytest.importorskip("fabio")
        path = data_path / name
        if not path.is_file():
            pytest.skip(f"{path} is absent")
        pixels = fabio.open(str(path)).data
        pixels.flags.writeable = False
        return RealFrame(path, pixels, Geometry.from_file(path))

    return read


@pytest.fixture(scope="session")
def thaumatin(real_frame: Callable[[str], RealFrame]) -> RealFrame:
    """A still of thaumatin on a Pilatus3 6M, with a background of about 3 counts."""
    return real_frame("thau_3_2_0003.cbf.bz2")


@pytest.fixture(scope="session")
def fine_slice(real_frame: Callable[[str], RealFrame]) -> RealFrame:
    """A fine slice on a Pilatus3 6M whose median pixel counts nothing."""
    return real_frame("DLS_I03_smargon_0001.cbf.gz")


@pytest.fixture(scope="session")
def eiger(real_frame: Callable[[str], RealFrame]) -> RealFrame:
    """A frame of an Eiger 16M whose median pixel counts nothing."""
    return real_frame("dlsnxs2cbf_therm_0001.cbf.gz")


@pytest.fixture(scope="session")
def small_geometry() -> Geometry:
    """An upright detector of 160 x 200 pixels with the beam off its centre."""
    return Geometry.flat(
        shape=(160, 200),
        pixel_size_m=(1e-4, 1.2e-4),
        distance_m=0.05,
        beam_center_px=(70.25, 110.5),
        wavelength_m=1e-10,
    )


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    """Runs the command line in this process, on arguments of any kind."""
    return lambda *arguments: run_cli(capsys, *arguments)


@pytest.fixture(scope="session")
def small_frame(small_geometry: Geometry) -> Callable[..., NDArray[np.integer]]:
    """Simulates frames of `small_geometry`: Poisson background, spots and mask codes."""

    def simulate(dtype: str = "uint16", seed: int = 0) -> NDArray[np.integer]:
        random = np.random.default_rng(seed)
        mean = 8 * np.exp(-((small_geometry.two_theta_rad() / 0.15) ** 2)) + 1
        frame = random.poisson(mean)
        spots = random.integers(0, small_geometry.shape, (40, 2))
        frame[spots[:, 0], spots[:, 1]] += random.integers(20, 100, 40)
        kind = np.dtype(dtype)
        gap, bad = (-1, -2) if kind.kind == "i" else (np.iinfo(kind).max, np.iinfo(kind).max - 1)
        frame[80:84] = gap
        frame[10:12, 20:23] = bad
        return frame.astype(kind)

    return simulate
