# SPDX-License-Identifier: MIT
"""The short form of validation/: DIALS makes of compressed frames what it makes of raw ones."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import pytest

import h5bragg

RUN = Path(__file__).resolve().parents[2] / "validation" / "run.py"


@pytest.mark.slow
def test_dials_integrates_compressed_frames_as_raw_ones(tmp_path: Path) -> None:
    if shutil.which("dials.import") is None:
        pytest.skip("DIALS is not installed: Debian has it in dials")
    pytest.importorskip("scipy")
    work = tmp_path / "work"
    command = [sys.executable, str(RUN), "--short", "--settings", "default", "-w", str(work)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (simulation,) = json.loads((work / "results.json").read_text())
    raw, ours = simulation["found"]["raw"], simulation["found"]["default"]

    # DIALS read the compressed file itself.
    (frames,) = work.glob("*/default/frames/*.h5")
    with h5py.File(frames) as file:
        pipeline = file["entry/data/data"].id.get_create_plist()
        assert pipeline.get_filter(0)[0] == h5bragg.FILTER_ID
    assert ours["ratio"] > 4

    # The simulation is right: its truth is what DIALS finds, give or take the 3 % by which
    # single observations differ; the two hundred strongest make up the sum.
    assert raw["indexed_spots"] > 0.98 * raw["strong_spots"] > 1000
    assert abs(raw["bias_all"]) < 3 * 3 / 200**0.5 + 0.5

    assert ours["strong_spots"] == pytest.approx(raw["strong_spots"], rel=0.02)
    assert ours["indexed_spots"] == pytest.approx(raw["indexed_spots"], rel=0.02)
    assert ours["common"] > 0.98 * raw["observations"]
    # The bar for the sum is 1 %; the sum itself is known to this standard error only.
    assert abs(ours["sum_to_raw"] - 1) < 0.01 + 3 * ours["sum_to_raw_error"]
    # Other counts of the same mean would differ by the square root of two; ours are mostly kept.
    assert ours["change_in_sigma"] < 1
    for third in ("low", "middle", "high"):
        key = f"background_{third}"
        assert ours[key] == pytest.approx(raw[key], rel=0.01)

    assert "| strong spots |" in (work / "table.md").read_text()
    assert (work / "rate_bias.png").read_bytes().startswith(b"\x89PNG")
