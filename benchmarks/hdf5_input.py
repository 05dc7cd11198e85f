# SPDX-License-Identifier: MIT
"""Time reading bitshuffle-LZ4 frames, as Eiger writes them, in threads.

Through h5py, where HDF5 lets one thread in at a time, and as `h5bragg compress` reads them: raw
chunks, decompressed outside of HDF5 by the same plugin.  Runs are interleaved, medians are printed;
a ratio is how many times as fast the second is, with as many threads, on this machine.

    python benchmarks/hdf5_input.py [--frames 64] [--threads 1 2 ...] [--rounds 5]
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
from simulated_frame import simulated
from timing import medians, timed_call

from h5bragg.hdf5_frames import Hdf5Source
from h5bragg.threads import ordered_map, usable_cpus

NDISTINCT = 4


def write_input(path: Path, nframes: int) -> None:
    """Write simulated frames, few of them again and again."""
    frames = [simulated(1.1, k)[0] for k in range(NDISTINCT)]
    shape = frames[0].shape
    with h5py.File(path, "w") as file:
        data = file.create_dataset(
            "entry/data/data", (nframes, *shape), frames[0].dtype, chunks=(1, *shape),
            **hdf5plugin.Bitshuffle(cname="lz4"),
        )  # fmt: skip
        for k in range(nframes):
            data[k] = frames[k % NDISTINCT]


def read_all(read: Callable[[int], Any], nframes: int, threads: int) -> None:
    with ordered_map(read, range(nframes), threads=threads) as results:
        for _ in results:
            pass


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--frames", type=int, default=64, help="of 4 Mpixel")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, usable_cpus()])
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frames.h5"
        write_input(path, args.frames)
        source = Hdf5Source(path)
        data = source.datasets[0]
        ways: dict[str, Callable[[int], Any]] = {"h5py": lambda k: data[k], "raw": source.read}
        for threads in args.threads:
            runs = {
                name: timed_call(partial(read_all, read, args.frames, threads))
                for name, read in ways.items()
            }
            ms = medians(runs, args.rounds)
            h5py_fps, raw_fps = (1e3 * args.frames / ms[name] for name in ways)
            print(
                f"{threads:3d} threads: h5py {h5py_fps:6.0f} fps, raw chunks {raw_fps:6.0f} fps: "
                f"{raw_fps / h5py_fps:.2f} times"
            )
        source.close()


if __name__ == "__main__":
    main()
