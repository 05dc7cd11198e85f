# SPDX-License-Identifier: MIT
"""Chunks of a batch written in one call are those that h5py writes one by one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from h5bragg import chunk_write
from h5bragg.chunk_write import write_chunks

CHUNKS = [np.frombuffer(np.random.default_rng(k).bytes(24), np.uint8) for k in range(5)]


@pytest.fixture(params=["in one call", "one by one"])
def written(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways; HDF5 of h5py shows its function, so that the first is no accident."""
    assert chunk_write._write_function() is not None
    if request.param == "one by one":
        monkeypatch.setattr(chunk_write, "_write_function", lambda: None)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[h5py.File]:
    with h5py.File(tmp_path / "data.h5", "w") as file:
        yield file


def create(file: h5py.File, nframes: int, per_chunk: int = 1) -> h5py.Dataset:
    return file.create_dataset("data", (nframes, 3, 4), "u2", chunks=(per_chunk, 3, 4))


@pytest.mark.usefixtures("written")
@pytest.mark.parametrize("start", [0, 2])
def test_chunks_lie_one_behind_the_other(file: h5py.File, start: int) -> None:
    data = create(file, 8)
    assert list(write_chunks(data, start, 1, CHUNKS))[-1] == 5
    stored = data[...]
    expected = np.zeros((8, 3, 4), "u2")
    expected[start : start + 5] = np.stack(CHUNKS).view("u2").reshape(5, 3, 4)
    np.testing.assert_array_equal(stored, expected)
    assert data.id.get_num_chunks() == 5


@pytest.mark.usefixtures("written")
def test_chunks_of_two_frames(file: h5py.File) -> None:
    data = create(file, 6, per_chunk=2)
    chunks = [np.concatenate(CHUNKS[k : k + 2]) for k in (0, 2)]
    assert list(write_chunks(data, 2, 2, chunks))[-1] == 2
    np.testing.assert_array_equal(data[2:].view("u1").ravel(), np.concatenate(CHUNKS[:4]))
    assert list(write_chunks(data, 0, 2, [])) == []


@pytest.mark.usefixtures("written")
def test_what_comes_before_one_that_fails_is_written(file: h5py.File) -> None:
    data = create(file, 4)
    nwritten = []
    with pytest.raises((OSError, ValueError), match="offset exceeds dimensions"):
        nwritten.extend(write_chunks(data, 0, 3, CHUNKS[:3]))
    assert nwritten[-1] == 2
    np.testing.assert_array_equal(data[[0, 3]].view("u1").reshape(2, 24), CHUNKS[:2])
