# SPDX-License-Identifier: MIT
"""Time the encoder on an OpenCL device: frames into an HDF5 file, kernels alone, and the bus.

All of one run: frames a second from pinned memory into a file (on tmpfs, /dev/shm, by default),
those of the kernels alone (by the device's own clock), how fast the device reads pinned memory,
which share of that the whole path reaches, how many CPU cores it keeps busy; the same path with
peaks found on the way, from ordinary arrays, and with the encoder on all CPUs; and pyFAI's
sparsification on the same device, which leaves its frames in memory.  Only ratios mean anything on
another machine (docs/gpu.md).

    python benchmarks/gpu_encode.py [--device gpu|opencl:NAME] [--frames 1000] [--folder /dev/shm]
        [--case 4M-uint32 ...] [--no-peer] [--no-cpu]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray
from simulated_frame import simulated

import h5bragg
from h5bragg.opencl import Device, GpuEncoder, find_device
from h5bragg.opencl.memory import Session
from h5bragg.stages import Stages

NDISTINCT = 8
CASES = ("4M-uint32", "4M-uint16", "16M-uint32")
Frames = NDArray[np.integer]


@dataclass(frozen=True)
class Case:
    """Frames of one kind."""

    name: str
    frames: Frames
    geometry: h5bragg.Geometry

    @property
    def frame_nbytes(self) -> int:
        """Bytes of a frame."""
        return self.frames[0].nbytes


@dataclass(frozen=True)
class Way:
    """One way into the file."""

    fps: float
    cores: float
    stored_nbytes: int


def make_case(name: str, mean: float) -> Case:
    """Simulate frames."""
    size, dtype = name.split("-")
    scale = 2 if size == "16M" else 1
    geometry = simulated(mean, 0, scale=scale)[1]
    frames = np.empty((NDISTINCT // scale, *geometry.shape), dtype)
    for k in range(len(frames)):
        frame = simulated(mean, k, scale=scale)[0]
        frames[k] = np.where(frame == 2**32 - 1, np.iinfo(dtype).max, frame)
    return Case(name, frames, geometry)


def write_file(
    case: Case,
    nframes: int,
    folder: Path,
    device: str,
    *,
    pinned: bool,
    peaks: h5bragg.PeakParams | None = None,
) -> Way:
    """Write a file, and some frames beforehand; return what the rest took."""
    shape = tuple(case.geometry.shape)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        path = Path(scratch) / "frames.h5"
        with h5py.File(path, "w", libver="latest") as file:
            data = file.create_dataset(
                "data", (0, *shape), case.frames.dtype, chunks=(1, *shape),
                maxshape=(None, *shape), **h5bragg.Bragg(case.geometry),
            )  # fmt: skip
            with h5bragg.FrameWriter(data, case.geometry, device=device, peaks=peaks) as writer:
                frames = case.frames
                if pinned:
                    frames = writer.allocate(len(case.frames))
                    frames[...] = case.frames
                # All memory has been used then, as it is after the first moments of a scan.
                nwarm = max(4 * len(frames), nframes // 4)
                for k in range(nwarm):
                    writer.write(frames[k % len(frames)], copy=not pinned)
                writer.flush()
                start, cpu = time.perf_counter(), time.process_time()
                for k in range(nframes):
                    writer.write(frames[k % len(frames)], copy=not pinned)
                writer.flush()
                elapsed, used = time.perf_counter() - start, time.process_time() - cpu
        return Way(nframes / elapsed, used / elapsed, path.stat().st_size // (nwarm + nframes))


def kernel_fps(case: Case, device: Device, nbatches: int = 20) -> tuple[float, int]:
    """Frames a second by the time that kernels take; how many frames were not theirs alone."""
    encoder = GpuEncoder(
        lambda: Stages.of(case.geometry, None, case.frames.dtype), device=device, profile=True
    )
    frames = [case.frames[k % len(case.frames)] for k in range(encoder.batch_nframes)]
    for _ in range(encoder.nlanes):
        encoder.submit(frames).result()
    before, start = encoder.frames_alone, encoder.kernel_seconds
    for _ in range(nbatches):
        encoder.submit(frames).result()
    elapsed, alone = encoder.kernel_seconds - start, encoder.frames_alone - before
    encoder.close()
    return nbatches * len(frames) / elapsed, alone


def copy_rate(case: Case, device: Device, ncopies: int = 200) -> float:
    """Bytes a second from pinned memory to the device, one frame after the other."""
    import pyopencl as cl

    session = Session.open(device)
    queue = cl.CommandQueue(session.context)
    source = session.pinned(queue, case.frames.shape[1:], case.frames.dtype)
    source[...] = case.frames[0]
    target = session.buffer(source.nbytes)
    rates = []
    for _ in range(3):
        queue.finish()
        start = time.perf_counter()
        events = [cl.enqueue_copy(queue, target, source, is_blocking=False) for _ in range(ncopies)]
        queue.finish()
        rates.append(ncopies * source.nbytes / (time.perf_counter() - start))
        del events
    return max(rates)


def peer_fps(case: Case, nframes: int) -> float:
    """Frames a second of pyFAI's sparsify at 1 sigma, which leaves them in memory."""
    from peer_pyfai import timed_peer

    with timed_peer(case.frames[0], case.geometry, 1.0) as runs:
        runs["sparsify"]()
        return 1 / float(np.median([runs["sparsify"]() for _ in range(nframes)]))


def report(case: Case, args: argparse.Namespace, device: Device) -> None:
    nframes = max(64, args.frames * 4_500_000 // case.frames[0].size // 64 * 64)
    rate = copy_rate(case, device)
    bus_fps = rate / case.frame_nbytes
    on_device, alone = kernel_fps(case, device)
    pinned = write_file(case, nframes, args.folder, args.device, pinned=True)
    with_peaks = write_file(
        case, nframes, args.folder, args.device, pinned=True, peaks=h5bragg.PeakParams()
    )
    plain = write_file(case, nframes, args.folder, args.device, pinned=False)
    print(
        f"\n{case.name}: {case.frame_nbytes / 1e6:.1f} MB a frame, {nframes} frames, stored in "
        f"{pinned.stored_nbytes / 1e3:.0f} kB each, {alone} by the C library alone"
    )
    print(f"  pinned memory to device      {rate / 1e9:8.1f} GB/s = {bus_fps:8.0f} fps")
    print(f"  kernels alone                {on_device:8.0f} fps")
    print(
        f"  pinned memory to file        {pinned.fps:8.0f} fps = {pinned.fps / bus_fps:.0%} of the "
        f"bus, {pinned.cores:.1f} cores busy"
    )
    print(
        f"  the same with peaks          {with_peaks.fps:8.0f} fps = "
        f"{with_peaks.fps / pinned.fps:.0%} of that without, {with_peaks.cores:.1f} cores busy"
    )
    print(f"  ordinary arrays to file      {plain.fps:8.0f} fps, {plain.cores:.1f} cores busy")
    if not args.no_cpu:
        cpu = write_file(case, nframes // 2, args.folder, "cpu", pinned=False)
        print(f"  without a device             {cpu.fps:8.0f} fps, {cpu.cores:.1f} cores busy")
    if not args.no_peer:
        fps = peer_fps(case, 5 if bus_fps < 200 else 30)
        print(
            f"  pyFAI sparsify, same device  {fps:8.1f} fps: this is {pinned.fps / fps:.1f} times "
            "as fast"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="gpu")
    parser.add_argument("--frames", type=int, default=1000, help="of 4 Mpixel")
    parser.add_argument("--mean", type=float, default=1.1, help="counts a pixel")
    parser.add_argument("--folder", type=Path, default=Path("/dev/shm"))
    parser.add_argument("--case", nargs="+", choices=CASES, default=CASES)
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--no-cpu", action="store_true")
    args = parser.parse_args()
    device = find_device(args.device)
    print(f"{device.name}; {len(os.sched_getaffinity(0))} CPU cores; files in {args.folder}")
    for name in args.case:
        report(make_case(name, args.mean), args, device)


if __name__ == "__main__":
    main()
