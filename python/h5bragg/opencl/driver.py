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


class HasSteps(Protocol):
    """What leads a batch through the device: a `Lane`."""

    def steps(self, frames: Frames) -> Steps:
        """Begin with a batch."""
        ...


@dataclass
class _Run:
    """A batch on its way."""

    lane: HasSteps
    steps: Steps
    future: Future[list[EncodedChunk]]
    is_over: Callable[[], bool] = lambda: True

    def advance(self) -> bool:
        """Go on if the wait is over; return whether that was the last step."""
        try:
            self.is_over = next(self.steps)
        except StopIteration as last:
            self.future.set_result(last.value)
        except BaseException as error:
            self.future.set_exception(error)
        else:
            return False
        return True

    def is_ready(self) -> bool:
        """Tell whether the next step can be done; an error in finding out is one of the batch."""
        try:
            return self.is_over()
        except BaseException as error:
            failure = error

        def fail() -> Steps:
            raise failure
            yield

        self.steps = fail()
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
            ready = [run for run in running if run.is_ready()]
            for run in ready:
                if run.advance():
                    running.remove(run)
                    self._free.append(run.lane)
            nidle = 0 if ready else nidle + 1
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
                lane = self._free.pop()
                begun.append(_Run(lane, lane.steps(item[0]), item[1]))
        return begun
