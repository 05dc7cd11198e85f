# SPDX-License-Identifier: MIT
"""HDF5's own command-line tools beside h5dump and h5repack."""

import re
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
from hdf5_hosts import Sample, decode_sample, need_program, read_chunks, run_host


def run_tool(name: str, *arguments: str | Path) -> str:
    done = run_host(need_program(name), *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_h5ls_prints_the_decoded_pixels(make_sample: Callable[..., Sample]) -> None:
    sample = make_sample("u2", count=1, shape=(40, 30))
    listed = run_tool("h5ls", "-d", "-s", f"{sample.path}/{sample.name}")
    # With -s, each line of data begins with its place, such as (0,12,0).
    data = re.sub(r"\([\d,]+\)", "", listed.split("Data:")[1])
    values = re.findall(r"\d+", data)
    np.testing.assert_array_equal(np.array(values, "u2"), decode_sample(sample).ravel())


def test_h5copy_copies_chunks_as_they_are(
    make_sample: Callable[..., Sample], tmp_path: Path
) -> None:
    sample = make_sample()
    target = tmp_path / "copy.h5"
    run_tool("h5copy", "-p", "-i", sample.path, "-o", target, "-s", sample.name, "-d", "/a/frames")
    copied = Sample(target, "a/frames", sample.frames, sample.geometry)
    assert read_chunks(copied) == read_chunks(sample)


def test_h5diff_compares_decoded_pixels(make_sample: Callable[..., Sample], tmp_path: Path) -> None:
    sample = make_sample()
    dense = tmp_path / "dense.h5"
    frames = decode_sample(sample)
    for change in (0, 1):
        frames[1, 100, 100] += change
        with h5py.File(dense, "w") as file:
            file["frames"] = frames
        done = run_host(need_program("h5diff"), sample.path, dense, sample.name, "/frames")
        assert done.returncode == change, done.stdout + done.stderr
