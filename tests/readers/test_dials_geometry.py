# SPDX-License-Identifier: MIT
"""Pixels lie where DIALS (dxtbx) has them: mini-CBF, Eiger masters, and what `compress` writes."""

import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from crystfel_files import DETECTORS, jungfrau_4m
from hdf5_hosts import run_host
from input_files import write_cbf, write_data, write_master

from h5bragg import Geometry, Panel
from h5bragg.frames import open_frames
from h5bragg.writer import compress

# For each panel the lab positions in metres of points given in pixels (slow, fast), corners and
# centres of pixels among them.  get_lab_coord leaves DIALS' correction for parallax out.
POSITIONS_SCRIPT = """
import sys, numpy, dxtbx, dxtbx.nexus
from dxtbx.format.FormatCBFMiniPilatus import FormatCBFMiniPilatus
# DIALS 3.12 refuses the mask of panels that lie side by side in the frame; the mask is not wanted.
dxtbx.nexus.get_static_mask = lambda detector: None
load = {"any": dxtbx.load, "mini-CBF": FormatCBFMiniPilatus}[sys.argv[3]]
places = {}
for i, panel in enumerate(load(sys.argv[1]).get_detector()):
    nfast, nslow = panel.get_image_size()
    mm_fast, mm_slow = panel.get_pixel_size()
    ends = lambda n: numpy.unique([0, 0.5, *(numpy.linspace(0, n - 1, 12) // 1 + 0.5), n])
    places[f"slow{i}"], places[f"fast{i}"] = ends(nslow), ends(nfast)
    places[f"lab{i}"] = [[panel.get_lab_coord((fast * mm_fast, slow * mm_slow))
                          for fast in ends(nfast)] for slow in ends(nslow)]
numpy.savez(sys.argv[2], **places)
"""
FRAMES_SCRIPT = """
import sys, numpy, dxtbx, dxtbx.nexus
dxtbx.nexus.get_static_mask = lambda detector: None
imageset = dxtbx.load(sys.argv[1]).get_imageset([sys.argv[1]])
numpy.savez(sys.argv[2], *[panel.as_numpy_array() for panel in imageset.get_raw_data(0)])
"""
# DIALS follows imgCIF: z points to the source, y up where our slow axis runs down.
DIALS_TO_LAB = np.array([1e-3, -1e-3, -1e-3])

Worst = Callable[..., float]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def dials_python() -> str:
    """The Python that runs DIALS."""
    program = shutil.which("dials.import")
    if program is None:
        pytest.skip("DIALS is not installed: Debian has it in dials")
    return Path(program).read_text().splitlines()[0].removeprefix("#!").split()[0]


@pytest.fixture
def worst_px(dials_python: str, tmp_path: Path) -> Worst:
    """How far, in pixels, panels of a geometry are from those that DIALS finds in a file."""

    def compare(path: Path, geometry: Geometry, reader: str = "any") -> float:
        out = tmp_path / "positions.npz"
        done = run_host(dials_python, "-c", POSITIONS_SCRIPT, path, out, reader)
        assert done.returncode == 0, done.stderr
        found = np.load(out)
        assert len(found.files) == 3 * len(geometry.panels)
        worst = 0.0
        for i, panel in enumerate(geometry.panels):
            slow, fast = found[f"slow{i}"][:, None, None], found[f"fast{i}"][None, :, None]
            assert (slow.max(), fast.max()) == panel.shape
            ours = panel.origin_m + slow * np.array(panel.slow_m) + fast * np.array(panel.fast_m)
            away = np.linalg.norm(ours - found[f"lab{i}"] * DIALS_TO_LAB, axis=-1)
            worst = max(worst, float(away.max()) / min(panel.pixel_size_m))
        return worst

    return compare


@pytest.mark.parametrize(
    ("name", "reader"),
    [
        ("thau_3_2_0003.cbf.bz2", "any"),
        # Left alone, DIALS reads this file's second, imgCIF header, which is rounded to 10 um.
        ("DLS_I03_smargon_0001.cbf.gz", "mini-CBF"),
        ("dlsnxs2cbf_therm_0001.cbf.gz", "any"),
    ],
)
def test_real_mini_cbf(data_path: Path, worst_px: Worst, name: str, reader: str) -> None:
    path = data_path / name
    assert worst_px(path, Geometry.from_file(path), reader) < 0.001


def test_mini_cbf(tmp_path: Path, worst_px: Worst) -> None:
    geometry = Geometry.flat(
        shape=(619, 487), pixel_size_m=172e-6, distance_m=0.2,
        beam_center_px=(311.25, 140.75), wavelength_m=1e-10,
    )  # fmt: skip
    path = write_cbf(tmp_path / "a_0001.cbf", np.zeros(geometry.shape, np.int32), geometry)
    assert worst_px(path, Geometry.from_file(path)) < 0.001


def test_real_eiger_master(tmp_path: Path, data_path: Path, worst_px: Worst) -> None:
    path = tmp_path / "dectris_eiger_master.h5"
    shutil.copy(data_path / path.name, path)
    # The data file is not among the test data; DIALS wants to see one.
    with h5py.File(tmp_path / "dectris_eiger_data_000001.h5", "w") as file:
        file.create_dataset("entry/data/data", (1, 3269, 3110), "u2", chunks=(1, 3269, 3110))
    assert worst_px(path, Geometry.from_file(path)) < 0.001


def compressed(folder: Path, geometry: Geometry) -> Path:
    """A file of `compress` with one frame of this detector."""
    mean = 1 + 6 * np.exp(-((np.nan_to_num(geometry.two_theta_rad()) / 0.4) ** 2))
    frame = np.random.default_rng(5).poisson(mean).astype(np.uint16)
    raw = write_data(folder / "raw.h5", frame[None])
    with open_frames([raw]) as frames:
        compress(frames, folder / "sparse.h5", geometry=geometry, device="cpu")
    return folder / "sparse.h5"


@pytest.mark.parametrize("rotations", [(0.0, 0.0, 0.0), (0.1, -0.2, 0.3), (0.02, 0.4, -3.0)])
def test_one_panel_of_compress(
    tmp_path: Path, worst_px: Worst, rotations: tuple[float, float, float]
) -> None:
    geometry = Geometry.flat(
        shape=(1065, 1030), pixel_size_m=(75e-6, 80e-6), distance_m=0.15,
        beam_center_px=(400.25, 612.5), wavelength_m=1e-10, rotations_rad=rotations,
    )  # fmt: skip
    path = compressed(tmp_path, geometry)
    assert worst_px(path, geometry) < 0.001


def test_a_few_panels_of_compress(tmp_path: Path, worst_px: Worst) -> None:
    panels = [
        Panel((0, 80), (0, 200), (-0.01, -0.008, 0.05), (0, 1e-4, 0), (1e-4, 0, 0)),
        Panel((80, 160), (0, 200), (-0.01, 0.002, 0.051), (0, 1e-4, 2e-6), (1e-4, 0, 0)),
        Panel((160, 240), (40, 200), (0.03, 0.01, 0.03), (-6e-5, 0, 8e-5), (0, -1e-4, 0)),
    ]
    geometry = Geometry.from_panels(panels, shape=(240, 200), wavelength_m=1e-10)
    path = compressed(tmp_path, geometry)
    assert worst_px(path, geometry) < 0.001


@pytest.mark.parametrize("name", list(DETECTORS))
def test_detectors_of_many_panels(
    tmp_path: Path, worst_px: Worst, dials_python: str, name: str
) -> None:
    """The frames are what DIALS reads of the panels as well.

    DIALS 3.12 insists on panels whose axes are perpendicular, and reads no stacks of modules.
    """
    crystfel = tmp_path / "detector.geom"
    crystfel.write_text(jungfrau_4m(skew=0) if name == "Jungfrau 4M" else DETECTORS[name]())
    geometry = Geometry.from_file(crystfel)
    path = compressed(tmp_path, geometry)
    assert worst_px(path, Geometry.from_file(path)) < 0.001
    out = tmp_path / "frames.npz"
    done = run_host(dials_python, "-c", FRAMES_SCRIPT, path, out)
    assert done.returncode == 0, done.stderr
    with h5py.File(path) as file:
        frame = file["entry/data/data"][0].reshape(geometry.shape)
    parts = np.load(out)
    for panel, part in zip(geometry.panels, parts.values(), strict=True):
        np.testing.assert_array_equal(part, frame[slice(*panel.slow), slice(*panel.fast)])


def test_a_master_of_beam_centre_and_distance(tmp_path: Path, worst_px: Worst) -> None:
    geometry = Geometry.flat(
        shape=(514, 1030), pixel_size_m=75e-6, distance_m=0.25, beam_center_px=(250.25, 500.5),
        wavelength_m=1e-10,
    )  # fmt: skip
    data = write_data(tmp_path / "a_data_000001.h5", np.zeros((1, *geometry.shape), np.uint16))
    path = write_master(tmp_path / "a_master.h5", [(data, 1)], geometry)
    with open_frames([path]) as frames:
        compress(frames, tmp_path / "sparse.h5", geometry=geometry, device="cpu")
    assert Geometry.from_file(tmp_path / "sparse.h5").shape == geometry.shape
    assert worst_px(tmp_path / "sparse.h5", Geometry.from_file(path)) < 0.001
