# SPDX-License-Identifier: MIT
"""Runs that are killed (SIGKILL) at random moments: nothing that was written is lost."""

import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from file_contents import contents, file_hash
from input_files import write_data, write_poni
from killed_runs import Runner
from numpy.typing import NDArray

import h5bragg
from h5bragg import Geometry
from h5bragg.partial_file import PartialFile, partial_path

SmallFrame = Callable[..., NDArray[np.integer]]
NFRAMES = 300
NKILLS = 56
KILLS_A_ROUND = 8

pytestmark = pytest.mark.slow

COMPRESS = """
from h5bragg.cli import main
def run(*arguments):
    main(list(arguments))
"""


def nkept(output: Path, scratch: Path) -> int:
    """How many frames a resumed run would find, looked up in a copy."""
    if not partial_path(output).exists():
        return 0
    shutil.copy(partial_path(output), scratch)
    with scratch.open("r+b") as file:
        partial = PartialFile(scratch, file.fileno())
        if partial.read_head() is not None:
            partial.find_chunks(NFRAMES, 1)
        return partial.nframes


def test_compress_killed_at_random_moments_goes_on_with_resume(
    tmp_path: Path, small_frame: SmallFrame, small_geometry: Geometry
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    out.mkdir()
    frames = np.stack([small_frame(seed=seed % 10) for seed in range(NFRAMES)])
    data = write_data(folder / "data.h5", frames)
    poni = write_poni(folder / "a.poni", small_geometry)
    before = [file_hash(data), file_hash(poni)]
    expected, output = tmp_path / "expected.h5", out / "scan.h5"
    options = ("compress", data, "--geometry", poni, "--threads", 2, "-q")
    random = np.random.default_rng(20)
    kills, moments = 0, set()
    with Runner(COMPRESS) as runner:
        run_s = runner.run(*options, "-o", expected).wall_s
        wanted = contents(expected)
        while kills < NKILLS:
            kept, most = 0, kills + KILLS_A_ROUND
            while not output.exists():
                # Late kills meet the closing of the file, which is a small part of a run.
                delay_s = random.uniform(0, 1.2) * run_s if kills < most else None
                ended = runner.run(*options, "-o", output, "--resume", kill_after_s=delay_s)
                kills += ended.was_killed
                assert ended.was_killed or ended.status == 0
                if not output.exists():
                    found = nkept(output, tmp_path / "copy")
                    assert found >= kept
                    kept = found
                    moments.add(kept)
            if not ended.was_killed:
                run_s = max(run_s / 2, min(ended.wall_s, 2 * run_s))
            assert contents(output) == wanted
            assert {path.name for path in out.iterdir()} <= {"scan.h5", "scan.h5.partial"}
            for path in out.iterdir():
                path.unlink()
    assert len(moments) >= 5
    assert [file_hash(data), file_hash(poni)] == before


# Tells how many frames it has flushed, by the length of a file.
WRITE = """
import h5py, h5bragg, numpy as np, os
def run(path, flushed, frames):
    frames = np.load(frames)
    slow, fast = frames.shape[1:]
    geometry = h5bragg.Geometry.flat(shape=(slow, fast), pixel_size_m=(1e-4, 1.2e-4),
                                     distance_m=0.05, beam_center_px=(70.25, 110.5),
                                     wavelength_m=1e-10)
    with h5py.File(path, "w", libver=("v110", "v110")) as file, open(flushed, "wb", 0) as count:
        data = file.create_dataset("data", (0, slow, fast), "u2", chunks=(1, slow, fast),
                                   maxshape=(None, slow, fast), **h5bragg.Bragg(geometry))
        file.swmr_mode = True
        with h5bragg.FrameWriter(data, geometry, device="cpu", threads=2) as writer:
            for number, frame in enumerate(frames):
                writer.write(frame)
                if number % 3 == 2:
                    writer.flush()
                    count.write(b"...")
"""


def test_what_a_frame_writer_has_flushed_is_readable_when_it_is_killed(
    tmp_path: Path, small_frame: SmallFrame, small_geometry: Geometry
) -> None:
    frames = np.stack([small_frame(seed=seed % 10) for seed in range(NFRAMES)])
    np.save(tmp_path / "frames.npy", frames)
    chunks = [h5bragg.encode(frame, small_geometry) for frame in frames[:10]]
    expected = [h5bragg.decode(chunk) for chunk in chunks]
    path, flushed = tmp_path / "scan.h5", tmp_path / "flushed"
    random = np.random.default_rng(21)
    lengths = []
    with Runner(WRITE) as runner:
        arguments = (path, flushed, tmp_path / "frames.npy")
        run_s = runner.run(*arguments).wall_s
        while len(lengths) < NKILLS:
            path.unlink(missing_ok=True)
            flushed.unlink(missing_ok=True)
            delay_s = random.uniform(0.05, 1) * run_s
            ended = runner.run(*arguments, kill_after_s=delay_s)
            if not ended.was_killed:
                run_s = min(run_s, ended.wall_s)
                continue
            least = flushed.stat().st_size if flushed.exists() else 0
            lengths.append(least)
            if not least:
                continue
            with h5py.File(path, "r", swmr=True) as file:
                written = file["data"][:least]
            assert len(written) == least
            for number, frame in enumerate(written):
                np.testing.assert_array_equal(frame, expected[number % 10])
    assert len(set(lengths)) >= 8
