# SPDX-License-Identifier: MIT
"""h5repack: from h5bragg to another filter, to none, unchanged, and from raw to h5bragg."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from hdf5_hosts import Sample, decode_sample, need_program, read_chunks, run_host

import h5bragg

NO_PLUGIN = {"HDF5_PLUGIN_PATH": "/nonexistent"}


def repack(source: Path, target: Path, *options: str, **variables: str) -> None:
    done = run_host(need_program("h5repack"), *options, source, target, **variables)
    assert done.returncode == 0, done.stderr
    assert "failed" not in done.stderr


@pytest.mark.parametrize("target_filter", ["GZIP=1", "NONE"])
@pytest.mark.parametrize("dtype", ["u2", "i4", ">u4"])
def test_repacking_to_another_filter_keeps_the_dense_frames(
    make_sample: Callable[..., Sample], tmp_path: Path, target_filter: str, dtype: str
) -> None:
    sample = make_sample(dtype)
    target = tmp_path / "repacked.h5"
    repack(sample.path, target, "-f", target_filter)
    with h5py.File(target, "r") as file:
        dataset = file[sample.name]
        assert str(h5bragg.FILTER_ID) not in dataset._filters
        assert dataset.dtype == np.dtype(dtype)
        np.testing.assert_array_equal(dataset[...], decode_sample(sample))


def test_plain_repacking_copies_the_chunks(
    make_sample: Callable[..., Sample], tmp_path: Path
) -> None:
    sample = make_sample()
    target = tmp_path / "copy.h5"
    repack(sample.path, target)
    assert read_chunks(Sample(target, sample.name, sample.frames, sample.geometry)) == read_chunks(
        sample
    )


def test_plain_repacking_needs_no_plugin(
    make_sample: Callable[..., Sample], tmp_path: Path
) -> None:
    sample = make_sample()
    target = tmp_path / "copy.h5"
    repack(sample.path, target, **NO_PLUGIN)
    copied = Sample(target, sample.name, sample.frames, sample.geometry)
    np.testing.assert_array_equal(decode_sample(copied), decode_sample(sample))


@pytest.mark.parametrize("flag", [0, 1])
def test_repacking_into_h5bragg_encodes_as_the_library(
    make_sample: Callable[..., Sample], tmp_path: Path, flag: int
) -> None:
    """The cd_values, given as plain numbers, are all that a writer needs."""
    sample = make_sample("u2")
    raw = tmp_path / "raw.h5"
    with h5py.File(raw, "w") as file:
        file.create_dataset(sample.name, data=sample.frames, chunks=(1, *sample.frames.shape[1:]))
    words = h5bragg.Bragg(sample.geometry, snr_pick=3).filter_options
    user_filter = f"UD={h5bragg.FILTER_ID},{flag},{len(words)},{','.join(map(str, words))}"
    target = tmp_path / "sparse.h5"
    repack(raw, target, "-f", f"{sample.name}:{user_filter}")
    params = h5bragg.SparsifyParams(snr_pick=3)
    expected = [h5bragg.encode(frame, sample.geometry, params) for frame in sample.frames]
    assert read_chunks(Sample(target, sample.name, sample.frames, sample.geometry)) == expected


def test_repacking_into_chunks_that_cut_frames_says_which_would_do(
    make_sample: Callable[..., Sample], tmp_path: Path
) -> None:
    sample = make_sample()
    layout = f"{sample.name}:CHUNK=1x50x50"
    target = tmp_path / "cut.h5"
    h5repack = need_program("h5repack")
    done = run_host(h5repack, "--enable-error-stack", "-l", layout, sample.path, target)
    assert "create the dataset with chunks=(1, 211, 187), not (1, 50, 50)" in done.stderr
