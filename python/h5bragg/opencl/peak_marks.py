# SPDX-License-Identifier: MIT
"""Tiles that may have peaks, marked on the device within the encoder's pipeline.

Every call costs Python more than the device: all lists of a batch come back in one copy, be they
full or not.  A frame with more such tiles than there is room for is left to the C library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..stages import Stages
from .layout import Layout, uint4
from .memory import Session

if TYPE_CHECKING:
    from .lane import Lane

# Tiles of a frame that there is room for: a sixteenth of all, and not too few.
_ROOM_SHARE = 16
_LEAST_ROOM = 1024


class PeakMarks:
    """What a lane has for peaks: limits go to the device, lists of tiles come back.

    Parameters
    ----------
    lane : Lane
        Its queue is used.
    session : Session
    layout : Layout
    stages : Stages
        Of one of its frames: it knows what is wanted.

    Attributes
    ----------
    limits : ndarray of uint8
        Shape (frames, 2 * (ncells + 1)), see h5bragg_stages_peak_limits.
    tiles : ndarray of uint32
        Shape (frames, most): tiles that may have peaks.
    """

    def __init__(self, lane: Lane, session: Session, layout: Layout, stages: Stages) -> None:
        wanted = stages.wanted_peaks
        assert wanted is not None
        self._lane = lane
        self._most = max(_LEAST_ROOM, layout.room // _ROOM_SHARE)
        is_one = stages.npanels == 1
        self._options = uint4(wanted.patch // 2, wanted.connected, is_one, self._most)
        n, nlimits = layout.nframes, 2 * (layout.tiles.ncells + 1)
        self._limits = session.buffer(n * nlimits)
        self._counts = session.buffer(4 * n)
        self._tiles = session.buffer(4 * n * self._most)
        self.limits: NDArray[np.uint8] = lane.queue.pinned((n, nlimits), np.uint8)
        self.limits[...] = 0
        self.tiles: NDArray[np.uint32] = lane.queue.pinned((n, self._most), np.uint32)
        self._host_counts: NDArray[np.uint32] = lane.queue.pinned((n,), np.uint32)

    def find(self, nframes: int, plane: Any, cells: Any, tiles: Any) -> Any:
        """Begin to list the tiles that may have peaks, once they are chosen.

        Returns
        -------
        pyopencl.Event
            Of the kernel.
        """
        lane = self._lane
        lane.queue.copy(self._limits, self.limits[:nframes])
        lane.queue.fill(self._counts, 4 * nframes)
        event = lane.launch(
            "find_peaks", nframes, plane, cells, self._limits, *lane.constants(), self._options,
            tiles, self._counts, self._tiles,
        )  # fmt: skip
        lane.queue.copy(self._host_counts[:nframes], self._counts)
        return event

    def fetch(self, nframes: int) -> list[int]:
        """Begin to fetch the lists; return how long they are, which is known by then.

        Returns
        -------
        list of int
            -1 for a list that is not complete.
        """
        counts: list[int] = self._host_counts[:nframes].tolist()
        self._lane.queue.copy(self.tiles[:nframes], self._tiles)
        return [count if count <= self._most else -1 for count in counts]
