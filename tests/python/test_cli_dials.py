# SPDX-License-Identifier: MIT
"""DIALS, which knows nothing of h5bragg, finds the simulated crystal in a compressed scan."""

import re
import shutil
from pathlib import Path

import pytest
from hdf5_hosts import run_host

from h5bragg.frames import FrameSequence
from h5bragg.simulation import Simulation
from h5bragg.writer import compress

CELL = (58.0, 58.0, 150.0, 90.0, 90.0, 90.0)


def run_dials(folder: Path, *command: str) -> str:
    """Run one program of DIALS and return what it prints."""
    done = run_host(*command, folder=folder)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("dials.import") is None, reason="DIALS is not installed")
def test_dials_indexes_a_compressed_scan(tmp_path: Path) -> None:
    scan = Simulation(modules=(3, 2))
    compress(FrameSequence([scan]), tmp_path / "scan.h5", geometry=scan.geometry)
    text = run_dials(tmp_path, "dials.import", "scan.h5")
    assert re.search(r"num images: 8\n", text)
    assert re.search(r"sweep: +1\n", text)
    run_dials(tmp_path, "dials.find_spots", "imported.expt", "nproc=1")
    text = run_dials(tmp_path, "dials.index", "imported.expt", "strong.refl", "nproc=1")
    found = re.findall(r"Unit cell: (.*)", text)[-1]
    cell = [float(number) for number in re.sub(r"\(\d+\)", "", found).split(",")]
    assert cell == pytest.approx(CELL, rel=2e-3)
    indexed, missed = map(int, re.findall(r"\|\s+0 \|\s+(\d+) \|\s+(\d+) \|", text)[-1])
    assert indexed > 8 * missed
