# SPDX-License-Identifier: MIT
"""GpuEncoder: batches of frames go in, chunks come out, several batches being on their way."""

from __future__ import annotations

import queue
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..peaks import EncodedChunk
from ..stages import Stages, Tiles
from ..threads import usable_cpus
from .devices import Device, find_device, opencl
from .lane import Lane
from .layout import Layout
from .memory import Session, run

# Batches are of about so many pixels: launching and waiting cost little then.
_BATCH_NPIXELS = 32 << 20
_LEAST_BATCH = 3
# While a batch is on the bus or the device, others have the CPUs; more lanes gain nothing.
_LEAST_LANES = 4
_MOST_LANES = 12
# Of the device's memory; others use it, too.
_MEMORY_SHARE = 0.5


class GpuEncoder:
    """Encodes frames on an OpenCL device; the bytes are those of `h5bragg.encode`.

    Parameters
    ----------
    make_stages : callable
        Makes a `Stages` of the frames; it is called once for each frame that is on its way.
    device : Device or None
        None means the first GPU.
    nlanes : int or None
        Batches on their way at the same time; None means as many as suit CPUs and device.
    threads : int or None
        Of the C library, for each batch; None means one a CPU.
    batch_nframes : int or None
        Frames of a batch; None means as many as suit the device.  They are whole chunks.
    profile : bool
        Let `kernel_seconds` add up how long kernels take.

    Raises
    ------
    DeviceError
        There is no such device, or it fails.
    """

    def __init__(
        self,
        make_stages: Callable[[], Stages],
        *,
        device: Device | None = None,
        nlanes: int | None = None,
        threads: int | None = None,
        batch_nframes: int | None = None,
        profile: bool = False,
    ) -> None:
        device = device or find_device()
        ncpus = threads or usable_cpus()
        self._stages = make_stages()
        tiles = self._stages.tiles()
        self.name, self.dtype = device.name, self._stages.dtype
        self._session = Session.open(device)
        layout = _fitting(self._stages, tiles, batch_nframes)
        self.batch_nframes = layout.nframes
        self.nlanes = nlanes or _lanes_that_fit(layout, ncpus, device)
        self.staging_nframes = self.batch_nframes * (self.nlanes + 1)
        cl = opencl()
        self._queue = run(device, lambda: cl.CommandQueue(self._session.context))
        mask = np.zeros(1, np.uint8) if tiles.mask is None else tiles.mask
        cells, masked = (self._session.constant(self._queue, x) for x in (tiles.cell, mask))
        self._lanes = []
        self._free: queue.SimpleQueue[Lane] = queue.SimpleQueue()
        for _ in range(self.nlanes):
            stages = [make_stages() for _ in range(self.batch_nframes)]
            self._lanes.append(
                Lane(
                    self._session,
                    layout,
                    stages,
                    (cells, masked),
                    threads=ncpus,
                    profile=profile,
                )
            )
            self._free.put(self._lanes[-1])
        self._drivers = ThreadPoolExecutor(self.nlanes, thread_name_prefix="h5bragg-lane")

    def allocate(self, nframes: int) -> NDArray[Any]:
        """Return memory for frames that the device reads at full speed.

        Returns
        -------
        ndarray
            Shape (nframes, slow, fast), of anything.
        """
        shape = (nframes, *self._stages.shape)
        return self._session.pinned(self._queue, shape, self._stages.dtype)

    def submit(self, frames: Sequence[NDArray[Any]]) -> Future[list[EncodedChunk]]:
        """Begin to encode whole chunks.

        Parameters
        ----------
        frames : sequence of ndarray
            At most `batch_nframes`, each of shape (slow, fast), native byte order, C-contiguous;
            they must stay as they are until the future is done.

        Returns
        -------
        Future
            Of the chunks.
        """
        return self._drivers.submit(self._encode, frames)

    def _encode(self, frames: Sequence[NDArray[Any]]) -> list[EncodedChunk]:
        lane = self._free.get()
        try:
            packed = lane.encode(frames)
        finally:
            self._free.put(lane)
        k = self._stages.nframes
        if k == 1:
            return packed
        return [self._stages.chunk(packed[i : i + k]) for i in range(0, len(packed), k)]

    @property
    def kernel_seconds(self) -> float:
        """Time that kernels took, of all frames; 0 without `profile`."""
        return 1e-9 * sum(lane.kernel_ns for lane in self._lanes)

    @property
    def frames_alone(self) -> int:
        """Frames that the C library had to encode by itself."""
        return sum(lane.nalone for lane in self._lanes)

    def close(self) -> None:
        """Wait for what has begun, and let go of the memory of the device."""
        self._drivers.shutdown()
        self._lanes = []


def _fitting(stages: Stages, tiles: Tiles, batch_nframes: int | None) -> Layout:
    """Return the layout of batches of whole chunks."""
    npixels = stages.shape[0] * stages.shape[1]
    wanted = batch_nframes or max(_LEAST_BATCH, _BATCH_NPIXELS // npixels)
    nframes = -(-wanted // stages.nframes) * stages.nframes
    return Layout(stages.shape, stages.dtype, tiles, nframes)


def _lanes_that_fit(layout: Layout, ncpus: int, device: Device) -> int:
    """Return how many lanes CPUs and memory allow; one at least, which may fail then."""
    wanted = min(max(ncpus // 2, _LEAST_LANES), _MOST_LANES)
    room = _MEMORY_SHARE * device.handle.global_mem_size
    return max(1, min(wanted, int(room / (layout.nframes * layout.frame_nbytes))))
