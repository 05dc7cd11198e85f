# SPDX-License-Identifier: MIT
"""Read whole frames through h5py from a file in memory, as programs do that use HDF5."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import cycle
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
from filter_call import Parameters
from numpy.typing import NDArray
from timing import Timed, timed_call

import h5bragg

NFRAMES = 4
SMALL_CACHE = 2**20  # HDF5's own default, less than a frame: every read decodes


def write_frames(
    path: Path, frame: NDArray[np.integer], options: h5py.filters.FilterRefBase
) -> None:
    """Write one frame several times, a frame a chunk."""
    with h5py.File(path, "w") as file:
        shape = (NFRAMES, *frame.shape)
        data = file.create_dataset("data", shape, frame.dtype, chunks=(1, *frame.shape), **options)
        for k in range(NFRAMES):
            data[k] = frame


def _next_frame(data: h5py.Dataset) -> Timed:
    """Time reads of one frame after the other into new arrays."""
    numbers = cycle(range(NFRAMES))
    return timed_call(lambda: data[next(numbers)])


@contextmanager
def reads(
    frame: NDArray[np.integer], geometry: h5bragg.Geometry, parameters: Parameters
) -> Iterator[dict[str, Timed]]:
    """Give the reads of h5bragg and of bitshuffle-LZ4, on files in /dev/shm where that is."""
    memory = Path("/dev/shm")
    options = {
        "our read": h5bragg.Bragg(geometry, **parameters),
        "peer read": hdf5plugin.Bitshuffle(cname="lz4"),
    }
    with ExitStack() as stack:
        folder = stack.enter_context(
            tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None)
        )
        runs = {}
        for name, option in options.items():
            path = Path(folder) / f"{name}.h5"
            write_frames(path, frame, option)
            file = stack.enter_context(h5py.File(path, rdcc_nbytes=SMALL_CACHE))
            runs[name] = _next_frame(file["data"])
        yield runs
