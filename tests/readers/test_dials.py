# SPDX-License-Identifier: MIT
"""Debian's DIALS imports a compressed file and finds the spots of the raw frames in it."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import fabio
import h5py
import numpy as np
import pytest
from hdf5_hosts import need_program, run_host

NAMES = ("thau_3_2_0003.cbf.bz2", "thau_3_2_0009.cbf.bz2")
READ_SCRIPT = """
import sys, numpy
from dxtbx.model.experiment_list import ExperimentList
experiment = ExperimentList.from_file(sys.argv[1])[0]
frames = [experiment.imageset.get_raw_data(k)[0].as_numpy_array()
          for k in range(len(experiment.imageset))]
detector = experiment.detector[0]
numpy.savez(sys.argv[2], frames=frames, size=detector.get_image_size(),
            distance=detector.get_distance(), beam=detector.get_ray_intersection_px((0, 0, -1)))
"""
SPOTS_SCRIPT = """
import sys, numpy
from dials.array_family import flex
spots = flex.reflection_table.from_file(sys.argv[1])
numpy.savez(sys.argv[2], center=spots["xyzobs.px.value"], counts=spots["intensity.sum.value"])
"""


@dataclass(frozen=True)
class Import:
    """A file that DIALS has imported, in the folder of what it wrote."""

    path: Path
    folder: Path
    text: str


@pytest.fixture(scope="module")
def dials_python() -> str:
    """The Python that runs DIALS."""
    first_line = Path(need_program("dials.import", "dials")).read_text().splitlines()[0]
    return first_line.removeprefix("#!").split()[0]


@pytest.fixture(scope="module")
def sparse(data_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Import:
    """Two real frames as `h5bragg compress` writes them, with their peaks, which DIALS ignores."""
    folder = tmp_path_factory.mktemp("sparse")
    path = folder / "thau.h5"
    sources = [str(data_path / name) for name in NAMES]
    compress = [
        sys.executable,
        "-m",
        "h5bragg.cli",
        "compress",
        *sources,
        "-o",
        str(path),
        "--peaks",
    ]
    subprocess.run(compress, check=True, capture_output=True)
    return import_file(path, folder)


@pytest.fixture(scope="module")
def raw(data_path: Path, tmp_path_factory: pytest.TempPathFactory, sparse: Import) -> Import:
    """The same file with the raw frames in the place of the sparse ones."""
    folder = tmp_path_factory.mktemp("raw")
    path = folder / "thau.h5"
    shutil.copyfile(sparse.path, path)
    with h5py.File(path, "r+") as file:
        del file["entry/data/data"]
        frames = np.stack([fabio.open(str(data_path / name)).data for name in NAMES])
        file.create_dataset("entry/data/data", data=frames, chunks=(1, *frames.shape[1:]))
    return import_file(path, folder)


def import_file(path: Path, folder: Path) -> Import:
    done = run_host(need_program("dials.import", "dials"), path, folder=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return Import(path, folder, done.stdout)


def run_python(python: str, script: str, source: Path, out: Path) -> dict[str, np.ndarray]:
    done = run_host(python, "-c", script, source, out)
    assert done.returncode == 0, done.stderr
    return dict(np.load(out))


def find_spots(python: str, imported: Import) -> dict[str, np.ndarray]:
    found = run_host("dials.find_spots", "imported.expt", "nproc=2", folder=imported.folder)
    assert found.returncode == 0, found.stdout + found.stderr
    assert "Saved " in found.stdout
    reflections = imported.folder / "strong.refl"
    return run_python(python, SPOTS_SCRIPT, reflections, imported.folder / "spots.npz")


def partners(centers: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Index of the nearest other spot of the frame, -1 if it is a pixel away or more."""
    nearest = np.full(len(centers), -1)
    for k, center in enumerate(centers):
        distance = np.linalg.norm((others - center) * (1, 1, 10), axis=1)
        if len(distance) and distance.min() < 1:
            nearest[k] = distance.argmin()
    return nearest


@pytest.mark.slow
def test_dials_imports_what_compress_wrote(sparse: Import) -> None:
    assert "FormatNXmx" in sparse.text
    assert "num images: 2" in sparse.text


@pytest.mark.slow
def test_dials_reads_the_decoded_frames(sparse: Import, tmp_path: Path, dials_python: str) -> None:
    experiment = sparse.folder / "imported.expt"
    seen = run_python(dials_python, READ_SCRIPT, experiment, tmp_path / "seen.npz")
    with h5py.File(sparse.path, "r") as file:
        np.testing.assert_array_equal(seen["frames"], file["entry/data/data"][...])
    assert tuple(seen["size"]) == (2463, 2527)
    assert seen["distance"] == pytest.approx(351.0, abs=0.01)
    assert tuple(seen["beam"]) == pytest.approx((1261.61, 1306.96), abs=0.02)
    assert {-1, -2} <= set(np.unique(seen["frames"][seen["frames"] < 0]))


@pytest.mark.slow
def test_dials_finds_the_spots_of_the_raw_frames(
    sparse: Import, raw: Import, dials_python: str
) -> None:
    """All but 1 % of them in both directions, with the same counts within 1 %."""
    before, after = find_spots(dials_python, raw), find_spots(dials_python, sparse)
    assert len(before["center"]) > 2000
    assert len(after["center"]) == pytest.approx(len(before["center"]), rel=0.01)
    found_again = partners(before["center"], after["center"])
    assert (found_again >= 0).mean() > 0.99
    assert (partners(after["center"], before["center"]) >= 0).mean() > 0.99
    raw_counts = before["counts"][found_again >= 0].sum()
    assert after["counts"][found_again[found_again >= 0]].sum() == pytest.approx(
        raw_counts, rel=0.01
    )
