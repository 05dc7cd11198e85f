# SPDX-License-Identifier: MIT
"""GpuEncoder: batches of frames go in, chunks come out, several batches being on their way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..peaks import EncodedChunk
from ..stages import Pool, Stages, Tiles
from ..threads import usable_cpus
from .devices import Device, find_device
from .driver import DirectDriver, Driver, Turns
from .lane import Lane
from .lane_queue import LaneQueue
from .layout import Layout
from .memory import Session

# Batches are of about so many pixels for each CPU, at most 32: launching and waiting cost little
# then, and while a batch is on the bus or the device, others have the CPUs.  A frame is packed by
# one CPU, so that large ones are no fewer than three eighths of the CPUs.
_BATCH_NPIXELS, _MOST_CPUS = 9 << 19, 32
_LEAST_BATCH, _LARGE_SHARE = 3, 3 / 8
# Batches on their way, as many as have twelve frames for each CPU.
_LEAST_LANES, _MOST_LANES, _FRAMES_PER_CPU = 8, 12, 12
_MOST_UPLOADS = 1
# Kernels that run on the CPUs themselves leave nothing to overlap with: one batch is packed while
# the next one is looked at.
_CPU_LANES = 2
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
        Of the C library; None means one a CPU.
    batch_nframes : int or None
        Frames of a batch; None means as many as suit the device.  They are whole chunks.
    profile : bool
        Let `kernel_seconds` add up how long kernels take.
    has_threads : bool
        Without threads of Python, `submit` returns when all is done, and there is one lane.

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
        has_threads: bool = True,
    ) -> None:
        device = device or find_device()
        ncpus = threads or usable_cpus()
        self._stages = make_stages()
        tiles = self._stages.tiles()
        self.name, self.dtype = device.name, self._stages.dtype
        self._session = Session.open(device)
        layout = _fitting(self._stages, tiles, batch_nframes, ncpus)
        self.batch_nframes = layout.nframes
        wanted = _CPU_LANES if device.is_cpu else _lanes_wanted(layout, ncpus)
        most = _lanes_that_fit(layout, device) if has_threads else 1
        self.nlanes = nlanes or min(wanted, most)
        self.staging_nframes = self.batch_nframes * (self.nlanes + 1)
        self.wants_copies = not device.is_cpu  # drivers copy other memory by themselves, slowly
        self._queue = LaneQueue(self._session)
        mask = np.zeros(1, np.uint8) if tiles.mask is None else tiles.mask
        cells, masked = (self._queue.constant(x) for x in (tiles.cell, mask))
        self._waiters = (
            ThreadPoolExecutor(self.nlanes, thread_name_prefix="h5bragg-wait")
            if has_threads
            else None
        )
        pool, uploads = Pool(ncpus), Turns(_MOST_UPLOADS)
        self._lanes = [
            Lane(
                self._session,
                layout,
                [make_stages() for _ in range(self.batch_nframes)],
                (cells, masked),
                pool=pool,
                waiters=self._waiters,
                uploads=uploads,
                profile=profile,
            )
            for _ in range(self.nlanes)
        ]
        self._driver = Driver(self._lanes) if has_threads else DirectDriver(self._lanes[0])

    def allocate(self, nframes: int) -> NDArray[Any]:
        """Return memory for frames that the device reads at full speed.

        Returns
        -------
        ndarray
            Shape (nframes, slow, fast), of anything.
        """
        shape = (nframes, *self._stages.shape)
        return self._queue.pinned(shape, self._stages.dtype)

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
        return self._driver.submit(frames)

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
        self._driver.close()
        if self._waiters is not None:
            self._waiters.shutdown()
        self._lanes = []


def _fitting(stages: Stages, tiles: Tiles, batch_nframes: int | None, ncpus: int) -> Layout:
    """Return the layout of batches of whole chunks."""
    npixels = stages.shape[0] * stages.shape[1]
    used = min(ncpus, _MOST_CPUS)
    suitable = max(used * _BATCH_NPIXELS // npixels, int(_LARGE_SHARE * used))
    wanted = batch_nframes or max(_LEAST_BATCH, suitable)
    nframes = -(-wanted // stages.nframes) * stages.nframes
    return Layout(stages.shape, stages.dtype, tiles, nframes)


def _lanes_wanted(layout: Layout, ncpus: int) -> int:
    """Return how many lanes keep the CPUs busy."""
    wanted = -(-_FRAMES_PER_CPU * ncpus // layout.nframes)
    return min(max(wanted, _LEAST_LANES), _MOST_LANES)


def _lanes_that_fit(layout: Layout, device: Device) -> int:
    """Return how many lanes the device's memory allows; one at least, which may fail then."""
    room = _MEMORY_SHARE * device.handle.global_mem_size
    return max(1, int(room / (layout.nframes * layout.frame_nbytes)))
