# SPDX-License-Identifier: MIT
"""The queue of a lane: copies and kernels in order, none of which is waited for by OpenCL."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .devices import opencl
from .memory import Session, run


class LaneQueue:
    """A queue of a device.

    Parameters
    ----------
    session : Session
    profile : bool
        Let events of kernels tell how long they took.
    """

    def __init__(self, session: Session, *, profile: bool = False) -> None:
        cl = opencl()
        self._session = session
        properties = cl.command_queue_properties.PROFILING_ENABLE if profile else 0
        self._queue = self._run(lambda: cl.CommandQueue(session.context, properties=properties))
        self._copies: list[Any] = []  # an event that is dropped waits for its copy

    def pinned(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """Allocate memory on the host that the device reads and writes without a detour."""
        return self._session.pinned(self._queue, shape, dtype)

    def constant(self, array: NDArray[Any]) -> Any:
        """Copy an array to the device, for good."""
        return self._session.constant(self._queue, array)

    def copy(self, to: Any, source: Any, **options: Any) -> Any:
        """Enqueue a copy to or from the device.

        Returns
        -------
        pyopencl.Event
        """
        cl = opencl()
        event = self._run(
            lambda: cl.enqueue_copy(self._queue, to, source, is_blocking=False, **options)
        )
        self._copies.append(event)
        return event

    def fetch_starts(
        self, to: NDArray[Any], source: Any, counts: Sequence[int], nbytes: int
    ) -> None:
        """Fetch the first items of the list of each frame, all in one copy: calls are what costs.

        Parameters
        ----------
        to : ndarray
            Shape (frames, ...): whole lists.
        source : pyopencl.Buffer
            The same on the device.
        counts : sequence of int
            Items wanted of each; negative ones count as none.
        nbytes : int
            Of an item.
        """
        width = nbytes * max(counts)
        if width > 0:
            pitch = (to[0].nbytes, 0)
            self.copy(
                to, source, buffer_origin=(0, 0, 0), host_origin=(0, 0, 0),
                region=(width, len(counts), 1), buffer_pitches=pitch, host_pitches=pitch,
            )  # fmt: skip

    def fill(self, buffer: Any, nbytes: int) -> None:
        """Enqueue zeros."""
        cl = opencl()
        zero = np.zeros(1, np.uint8 if nbytes % 4 else np.uint32)
        self._run(lambda: cl.enqueue_fill_buffer(self._queue, buffer, zero, 0, nbytes))

    def launch(
        self, kernel: Any, size: tuple[int, int], group: tuple[int, int], *arguments: Any
    ) -> Any:
        """Enqueue a kernel.

        Returns
        -------
        pyopencl.Event
        """
        return self._run(lambda: kernel(self._queue, size, group, *arguments))

    def finish(self) -> None:
        """Wait until all is done."""
        self._run(self._queue.finish)
        self._copies.clear()

    def until(self, event: Any) -> Generator[Callable[[], bool], None, None]:
        """Wait for an event, by looking: drivers that wait themselves keep a core busy.

        Yields
        ------
        callable
            Tells whether it is over.
        """
        cl = opencl()
        self._run(self._queue.flush)
        status = cl.event_info.COMMAND_EXECUTION_STATUS
        done = cl.command_execution_status.COMPLETE  # below it are errors
        yield lambda: self._run(lambda: event.get_info(status)) <= done

    def until_done(self) -> Generator[Callable[[], bool], None, None]:
        """Wait until all is done, as `until` does."""
        cl = opencl()
        yield from self.until(self._run(lambda: cl.enqueue_marker(self._queue)))
        self.finish()

    def _run(self, call: Callable[[], Any]) -> Any:
        return run(self._session.device, call)
