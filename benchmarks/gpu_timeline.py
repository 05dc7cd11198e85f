# SPDX-License-Identifier: MIT
"""What an OpenCL device does while frames are encoded, by its own clock.

How long the upload of a frame takes while all CPUs pack, beside an upload alone, and for how much
of the time frames come up, results go down, and kernels run: where a device waits, something else
is the limit (docs/gpu.md).  Nothing is written to a file.

    python benchmarks/gpu_timeline.py [--device gpu|opencl:NAME] [--batches 100] [--lanes N]
        [--batch FRAMES]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np
import pyopencl as cl
from gpu_encode import copy_rate, make_case

from h5bragg.opencl import Device, GpuEncoder, find_device
from h5bragg.stages import Stages

Interval = tuple[int, int]


@contextmanager
def recorded_copies() -> Iterator[dict[str, list[tuple[int, Any]]]]:
    """Bytes and events of all copies that are enqueued meanwhile, to the device and from it."""
    copies: dict[str, list[tuple[int, Any]]] = {"up": [], "down": []}
    enqueue_copy = cl.enqueue_copy

    def recording(queue: Any, to: Any, source: Any, **options: Any) -> Any:
        event = enqueue_copy(queue, to, source, **options)
        down = isinstance(to, np.ndarray)
        copies["down" if down else "up"].append((to.nbytes if down else source.nbytes, event))
        return event

    with mock.patch.object(cl, "enqueue_copy", recording):
        yield copies


def interval(event: Any) -> Interval:
    """Nanoseconds of the device's clock."""
    return event.profile.start, event.profile.end


def covered_ns(intervals: list[Interval]) -> int:
    """How long at least one of them lasts."""
    covered, until = 0, 0
    for start, end in sorted(intervals):
        covered += max(0, end - max(start, until))
        until = max(until, end)
    return covered


def report(device: Device, args: argparse.Namespace) -> None:
    case = make_case("4M-uint32", args.mean)
    alone_ms = 1e3 * case.frame_nbytes / copy_rate(case, device, 50)
    encoder = GpuEncoder(
        lambda: Stages.of(case.geometry, None, case.frames.dtype),
        device=device,
        nlanes=args.lanes,
        batch_nframes=args.batch,
        profile=True,
    )
    memory = encoder.allocate(len(case.frames))
    memory[...] = case.frames
    batch = [memory[k % len(memory)] for k in range(encoder.batch_nframes)]
    for future in [encoder.submit(batch) for _ in range(2 * encoder.nlanes)]:
        future.result()
    kernels = encoder.kernel_seconds
    with recorded_copies() as copies:
        start = time.perf_counter()
        for future in [encoder.submit(batch) for _ in range(args.batches)]:
            future.result()
        elapsed = time.perf_counter() - start
    kernels = encoder.kernel_seconds - kernels
    encoder.close()
    up, down = ([interval(event) for _, event in copies[way]] for way in ("up", "down"))
    frames = [interval(event) for nbytes, event in copies["up"] if nbytes == case.frame_nbytes]
    print(
        f"{device.name}: {encoder.nlanes} lanes of {encoder.batch_nframes} frames of "
        f"{case.frame_nbytes / 1e6:.1f} MB, {args.batches * len(batch) / elapsed:.0f} fps"
    )
    busy_ms = float(np.mean([end - begin for begin, end in frames])) / 1e6
    print(f"  upload of a frame alone {alone_ms:.3f} ms, meanwhile {busy_ms:.3f} ms on average")
    for name, share in (
        ("frames and rules go up", 1e-9 * covered_ns(up) / elapsed),
        ("results come down", 1e-9 * covered_ns(down) / elapsed),
        ("something goes either way", 1e-9 * covered_ns(up + down) / elapsed),
        ("kernels run, added up", kernels / elapsed),
    ):
        print(f"  {share:6.1%} of the time {name}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--device", default="gpu")
    parser.add_argument("--batches", type=int, default=100)
    parser.add_argument("--lanes", type=int)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--mean", type=float, default=1.1, help="counts a pixel")
    args = parser.parse_args()
    report(find_device(args.device), args)


if __name__ == "__main__":
    main()
