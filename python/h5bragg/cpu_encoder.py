# SPDX-License-Identifier: MIT
"""CpuEncoder: whole chunks go in, their bytes come out, encoded on all CPUs."""

from __future__ import annotations

import queue
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .peaks import EncodedChunk
from .stages import Stages
from .threads import usable_cpus


class CpuEncoder:
    """Encodes chunks in threads: what `opencl.GpuEncoder` is on a device.

    Parameters
    ----------
    make_stages : callable
        Makes a `Stages` of the frames; it is called once a thread.
    threads : int or None
        None means one a CPU.
    """

    def __init__(self, make_stages: Callable[[], Stages], *, threads: int | None = None) -> None:
        workers = max(1, threads or usable_cpus())
        first = make_stages()
        self.name = f"the CPU, {workers} thread{'s' if workers > 1 else ''}"
        self.batch_nframes = first.nframes
        self.staging_nframes = (workers + 2) * first.nframes
        self.wants_copies = False
        self._shape, self._dtype = first.shape, first.dtype
        self._free: queue.SimpleQueue[Stages] = queue.SimpleQueue()
        for stages in (first, *(make_stages() for _ in range(workers - 1))):
            self._free.put(stages)
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="h5bragg")

    def allocate(self, nframes: int) -> NDArray[Any]:
        """Return memory for frames: shape (nframes, slow, fast), of anything."""
        return np.empty((nframes, *self._shape), self._dtype)

    def submit(self, frames: Sequence[NDArray[Any]]) -> Future[list[EncodedChunk]]:
        """Begin to encode a chunk, as `opencl.GpuEncoder.submit`."""
        return self._pool.submit(self._encode, frames)

    def _encode(self, frames: Sequence[NDArray[Any]]) -> list[EncodedChunk]:
        stages = self._free.get()
        try:
            return [stages.encode(frames)]
        finally:
            self._free.put(stages)

    def close(self) -> None:
        """Wait for what has begun."""
        self._pool.shutdown()
