# SPDX-License-Identifier: MIT
"""The demonstration: simulate, compress, read in a process with h5py alone, compare, draw."""

import re
from pathlib import Path

import h5py
import pytest
from input_files import run_cli

from h5bragg.demonstration import demonstrate
from h5bragg.errors import H5braggError
from h5bragg.simulation import Simulation

SMALL = Simulation(nframes=2, modules=(2, 2), module_shape=(300, 350), pixel_size_m=2.5e-4)


def test_demonstration_shows_exact_pixels_and_faithful_rings(tmp_path: Path) -> None:
    steps: list[str] = []
    found = demonstrate(tmp_path, simulation=SMALL, step=steps.append)
    assert found.reads_identical
    assert found.comparison.is_exact
    test = found.comparison.ring_test()
    assert test is not None
    assert test.is_consistent
    assert found.totals.ratio == pytest.approx(found.comparison.ratio)
    assert found.read_speed > 0
    assert found.write_speed > 0
    assert found.picture.read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "h5bragg_demo.h5",
        "h5bragg_demo.png",
    ]
    with h5py.File(found.data) as file:
        assert file["entry/data/data"].shape == (2, *SMALL.shape)
    assert len(steps) >= 4
    demonstrate(tmp_path, simulation=SMALL)  # older files are replaced


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(H5braggError, match="does not exist: create the folder"):
        demonstrate(tmp_path / "none", simulation=SMALL)


@pytest.mark.slow
def test_demo_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = run_cli(capsys, "demo", "--directory", tmp_path, "--frames", 1, "--snr-pick", 3)
    assert (found.status, found.err) == (0, "")
    text = " ".join(found.out.split())
    assert "1 simulated frames of 2167 x 2070 pixels" in text
    assert re.search(r"\d+\.\d times smaller than raw", text)
    assert re.search(r"\d+\.\d+ times smaller than bitshuffle-LZ4", text)
    assert "identical to decode()" in text
    assert re.search(r"reads at \d+\.\d+ and writes at \d+\.\d+ times the speed", text)
    assert (tmp_path / "h5bragg_demo.png").exists()
