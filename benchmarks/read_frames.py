# SPDX-License-Identifier: MIT
"""Time read_frames in 1, 2, ... threads against h5py reading the same frames.

The peer is h5py reading bitshuffle-LZ4; files lie in memory where /dev/shm exists. Medians of
interleaved runs; only the ratios mean anything on another machine.

    python benchmarks/read_frames.py [--frames 24] [--rounds 5] [--snr-pick 2]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
from simulated_frame import simulated

import h5bragg
from h5bragg.threads import usable_cpus


def write_files(folder: Path, nframes: int, snr_pick: float) -> tuple[Path, Path]:
    """Write the same frames with h5bragg and with bitshuffle-LZ4."""
    frame, geometry = simulated(1.1, 1)
    paths = folder / "bragg.h5", folder / "bitshuffle.h5"
    options = (
        dict(h5bragg.Bragg(geometry, snr_pick=snr_pick)),
        dict(hdf5plugin.Bitshuffle(cname="lz4")),
    )
    for path, filter_options in zip(paths, options, strict=True):
        with h5py.File(path, "w") as file:
            shape = (nframes, *frame.shape)
            data = file.create_dataset(
                "data", shape, frame.dtype, chunks=(1, *frame.shape), **filter_options
            )
            for k in range(nframes):
                data[k] = np.roll(frame, 100 * k, axis=1)
    return paths


def timed(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--snr-pick", type=float, default=2)
    options = parser.parse_args()
    memory = Path("/dev/shm")
    threads = [n for n in (1, 2, 4, 8, 16, 32) if n <= usable_cpus()]
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        ours, peer = write_files(Path(folder), options.frames, options.snr_pick)
        with h5py.File(ours) as sparse, h5py.File(peer) as dense:
            data, peer_data = sparse["data"], dense["data"]
            out = np.zeros(data.shape, data.dtype)
            runs: dict[str, Callable[[], object]] = {
                "h5py, bitshuffle-LZ4": lambda: peer_data.read_direct(out),
                "h5py, h5bragg": lambda: data.read_direct(out),
            }
            for n in threads:
                runs[f"read_frames, {n} threads"] = lambda n=n: h5bragg.read_frames(
                    data, threads=n, out=out
                )
            times: dict[str, list[float]] = {name: [] for name in runs}
            for k in range(options.rounds + 1):
                for name, run in runs.items():
                    elapsed = timed(run)
                    if k:
                        times[name].append(elapsed)
    medians = {name: float(np.median(values)) for name, values in times.items()}
    first = medians["h5py, bitshuffle-LZ4"]
    print(f"{options.frames} frames of 4 Mpixel, uint32      frames/s   speed/h5py bitshuffle-LZ4")
    for name, seconds in medians.items():
        print(f"{name:36s} {options.frames / seconds:10.1f} {first / seconds:10.2f}")


if __name__ == "__main__":
    main()
