# SPDX-License-Identifier: MIT
"""Real frames: the same bytes through h5py, h5dump, and h5repack to another filter."""

import sys
from pathlib import Path
from typing import Any

import fabio
import h5py
import numpy as np
import pytest
from hdf5_hosts import (
    Sample,
    decode_sample,
    need_program,
    read_with_h5dump,
    read_with_python,
    run_host,
)
from stream_sizes import stream_sizes

import h5bragg

NAMES = ["thau_3_2_0003.cbf.bz2", "DLS_I03_smargon_0001.cbf.gz", "dlsnxs2cbf_therm_0001.cbf.gz"]
OPTIONS: list[Any] = [
    pytest.param({}, id="default"),
    *(
        pytest.param(
            {"snr_pick": snr_pick, "local_counts": 0}, id=str(snr_pick), marks=pytest.mark.slow
        )
        for snr_pick in (1, 2, 3)
    ),
]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize(
    "name", [NAMES[1], *(pytest.param(NAMES[k], marks=pytest.mark.slow) for k in (0, 2))]
)
def test_programs_agree_on_real_frames(
    data_path: Path, tmp_path: Path, name: str, options: dict[str, Any]
) -> None:
    geometry = h5bragg.Geometry.from_file(data_path / name)
    frame = fabio.open(str(data_path / name)).data.astype("i4")
    path = tmp_path / "real.h5"
    with h5py.File(path, "w") as file:
        filter_options = h5bragg.Bragg(geometry, **options)
        file.create_dataset("data", data=frame[None], chunks=(1, *frame.shape), **filter_options)
    sample = Sample(path, "data", frame[None], geometry)
    expected = decode_sample(sample)
    np.testing.assert_array_equal(expected[0] < 0, frame < 0)
    np.testing.assert_array_equal(expected[0][frame < 0], frame[frame < 0])

    by_python = read_with_python(sys.executable, sample, tmp_path / "out.npy")
    np.testing.assert_array_equal(by_python, expected)
    by_h5dump = read_with_h5dump(sample, tmp_path / "out.bin")
    np.testing.assert_array_equal(by_h5dump, expected)
    repacked = tmp_path / "repacked.h5"
    done = run_host(need_program("h5repack"), "-f", "GZIP=1", path, repacked)
    assert done.returncode == 0, done.stderr
    with h5py.File(repacked, "r") as file:
        np.testing.assert_array_equal(file["data"][...], expected)


@pytest.mark.slow
def test_what_does_not_depend_on_the_payload_is_less_than_2_percent(data_path: Path) -> None:
    """Headers, profile, mask and kept flags of a Pilatus frame at 3 sigma."""
    path = data_path / NAMES[0]
    frame = np.ascontiguousarray(fabio.open(str(path)).data, dtype="i4")
    params = h5bragg.SparsifyParams(snr_pick=3, local_counts=0)
    sizes = stream_sizes(h5bragg.encode(frame, h5bragg.Geometry.from_file(path), params))
    fixed = sum(sizes[name] for name in ("headers", "profile", "mask", "kept flags"))
    assert fixed < 0.02 * sum(sizes.values()), sizes
