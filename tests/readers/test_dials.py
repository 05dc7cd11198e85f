# SPDX-License-Identifier: MIT
"""Debian's DIALS imports a compressed file and finds the spots that h5bragg kept."""

import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from hdf5_hosts import run_host

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


@pytest.fixture(scope="module")
def dials_python() -> str:
    """The Python that runs DIALS."""
    program = shutil.which("dials.import")
    if program is None:
        pytest.skip("DIALS is not installed: Debian has it in dials")
    first_line = Path(program).read_text().splitlines()[0]
    return first_line.removeprefix("#!").split()[0]


@pytest.mark.slow
def test_dials_reads_real_frames(data_path: Path, tmp_path: Path, dials_python: str) -> None:
    sources = [data_path / f"thau_3_2_{number}.cbf.bz2" for number in ("0003", "0006")]
    sparse = tmp_path / "thau.h5"
    compress = [sys.executable, "-m", "h5bragg.cli", "compress", *sources, "-o", sparse]
    subprocess.run(list(map(str, compress)), check=True, capture_output=True)
    imported = run_host("dials.import", sparse, folder=tmp_path)
    assert "num images: 2" in imported.stdout, imported.stdout + imported.stderr

    out = tmp_path / "dials.npz"
    read = run_host(dials_python, "-c", READ_SCRIPT, tmp_path / "imported.expt", out)
    assert read.returncode == 0, read.stderr
    seen = np.load(out)
    with h5py.File(sparse, "r") as file:
        np.testing.assert_array_equal(seen["frames"], file["entry/data/data"][...])
    assert tuple(seen["size"]) == (2463, 2527)
    assert seen["distance"] == pytest.approx(351.0, abs=0.01)
    assert tuple(seen["beam"]) == pytest.approx((1261.61, 1306.96), abs=0.02)
    assert {-1, -2} <= set(np.unique(seen["frames"][seen["frames"] < 0]))

    found = run_host("dials.find_spots", "imported.expt", "nproc=1", folder=tmp_path)
    assert found.returncode == 0, found.stderr
    assert "Saved " in found.stdout
