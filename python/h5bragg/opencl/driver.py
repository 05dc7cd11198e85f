# SPDX-License-Identifier: MIT
"""One thread leads all lanes: each goes a step further when what it waits for is there.

A thread a lane would be simpler.  But calls of OpenCL keep Python's lock, and a dozen threads that
wait for it, and for the driver's own locks, leave the device idle most of the time.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from ..peaks import EncodedChunk

Frames = Sequence[NDArray[Any]]
# Yields what tells whether the wait is over; returns the chunks.
Steps = Generator[Callable[[], bool], None, list[EncodedChunk]]

# How long to sleep between two looks: small batches are done soon.
_SHORT_PAUSE_S, _NSHORT, _PAUSE_S = 5e-5, 8, 3e-4


class Turns:
    """Lanes that do something of which a device does little at a time, such as uploads.

    One thread leads all lanes, and looks at those that began earlier first: so a number will do.

    Parameters
    ----------
    most : int
        Lanes that may do it at the same time.

    Examples
    --------
    >>> from h5bragg.opencl.driver import Turns
    >>> turns = Turns(1)
    >>> with turns:
    ...     turns.is_free()
    False
    >>> turns.is_free()
    True
    """

    def __init__(self, most: int) -> None:
        self._nfree = most

    def is_free(self) -> bool:
        """Whether one more may begin."""
        return self._nfree > 0

    def __enter__(self) -> None:
        """Begin."""
        self._nfree -= 1

    def __exit__(self, *_: object) -> None:
        """End."""
        self._nfree += 1


class HasSteps(Protocol):
    """What leads a batch through the device: a `Lane`."""

    def steps(self, frames: Frames) -> Steps:
        """Begin with a batch."""
        ...


@dataclass
class _Run:
    """A batch on its way; whatever goes wrong with it is for its future."""

    lane: HasSteps
    frames: Frames
    future: Future[list[EncodedChunk]]
    steps: Steps | None = None
    is_over: Callable[[], bool] = lambda: True

    def look(self) -> bool:
        """Do the next step if the wait before it is over; return whether anything was done."""
        try:
            if not self.is_over():
                return False
            if self.steps is None:
                self.steps = self.lane.steps(self.frames)
            self.is_over = next(self.steps)
        except StopIteration as last:
            self.future.set_result(last.value)
        except BaseException as error:
            self.future.set_exception(error)
        return True


class Driver:
    """Leads lanes.

    Parameters
    ----------
    lanes : sequence of HasSteps
        As many batches are on their way at a time.
    """

    def __init__(self, lanes: Sequence[HasSteps]) -> None:
        self._free = list(lanes)
        self._waiting: queue.SimpleQueue[tuple[Frames, Future[list[EncodedChunk]]] | None] = (
            queue.SimpleQueue()
        )
        self._is_open = True
        self._thread = threading.Thread(target=self._drive, name="h5bragg-device", daemon=True)
        self._thread.start()

    def submit(self, frames: Frames) -> Future[list[EncodedChunk]]:
        """Begin to encode a batch as soon as a lane is free."""
        future: Future[list[EncodedChunk]] = Future()
        self._waiting.put((frames, future))
        return future

    def close(self) -> None:
        """Wait for all batches; give none after that."""
        self._waiting.put(None)
        self._thread.join()

    def _drive(self) -> None:
        """Lead lanes until all is done: what the thread does."""
        running: list[_Run] = []
        nidle = 0
        while True:
            running += self._begin(may_wait=not running)
            if not running:
                return
            nsteps = sum([run.look() for run in running])
            self._free += [run.lane for run in running if run.future.done()]
            running = [run for run in running if not run.future.done()]
            nidle = 0 if nsteps else nidle + 1
            if nidle:
                time.sleep(_SHORT_PAUSE_S if nidle <= _NSHORT else _PAUSE_S)

    def _begin(self, *, may_wait: bool) -> list[_Run]:
        """Take batches for which there are lanes; none if there will be no more."""
        begun: list[_Run] = []
        while self._is_open and self._free:
            try:
                item = self._waiting.get(block=may_wait and not begun)
            except queue.Empty:
                break
            if item is None:
                self._is_open = False
            elif item[1].set_running_or_notify_cancel():
                begun.append(_Run(self._free.pop(), *item))
        return begun


class DirectDriver:
    """Leads one lane in the thread that calls.

    Who holds a lock that other threads may come to want, whatever they are doing, must not wait for
    them: h5py's own is wanted wherever Python's garbage collection meets an object of h5py.

    Parameters
    ----------
    lane : HasSteps
    """

    def __init__(self, lane: HasSteps) -> None:
        self._lane = lane

    def submit(self, frames: Frames) -> Future[list[EncodedChunk]]:
        """Encode a batch; return a future that is done."""
        run = _Run(self._lane, frames, Future())
        while not run.future.done():
            if not run.look():
                time.sleep(_SHORT_PAUSE_S)
        return run.future

    def close(self) -> None:
        """Do nothing: all batches are done."""
