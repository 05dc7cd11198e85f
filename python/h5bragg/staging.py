# SPDX-License-Identifier: MIT
"""Memory that frames are copied to before they are encoded, used again and again."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .stages import Pool
from .threads import usable_cpus

# Frames from this size on are copied by several threads, as one does not fill the memory's bus.
_LARGE_NBYTES = 4 << 20
_NCOPIERS = 8


class Staging:
    """Memory for a limited number of frames.

    Parameters
    ----------
    allocate : callable
        Returns memory for so many frames, of shape (n, slow, fast).
    most : int
        Frames that there is memory for at the same time.
    """

    def __init__(self, allocate: Callable[[int], NDArray[Any]], most: int) -> None:
        self._allocate, self._nleft = allocate, most
        self._free: queue.SimpleQueue[NDArray[Any]] = queue.SimpleQueue()
        self._copiers = Pool(min(_NCOPIERS, usable_cpus()))

    def copy(self, frame: NDArray[Any]) -> NDArray[Any]:
        """Copy a frame; wait until there is memory for it."""
        staged = self._take()
        is_plain = frame.flags.c_contiguous and frame.dtype == staged.dtype
        if is_plain and frame.nbytes >= _LARGE_NBYTES:
            self._copiers.copy(staged, frame)
        else:
            np.copyto(staged, frame)
        return staged

    def give_back(self, staged: Iterable[NDArray[Any]]) -> None:
        """Let memory that `copy` returned be used again; any thread may."""
        for frame in staged:
            self._free.put(frame)

    def _take(self) -> NDArray[Any]:
        """Memory for a frame: new at first, later such as was given back."""
        if self._nleft > 0 and self._free.empty():
            self._nleft -= 1
            frame: NDArray[Any] = self._allocate(1)[0]
            return frame
        return self._free.get()
