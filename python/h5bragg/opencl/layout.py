# SPDX-License-Identifier: MIT
"""Sizes of what a batch of frames has on the device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..stages import NCOUNTS, Tiles
from .kernels import GROUP_SIZE

# Words of the counts of a frame before those of its cells: see kernels/tiles.cl.
NHEADER = 16
# Bytes of what is known of a tile: likewise.
TILE_NBYTES = 8
_WITHIN_NIDLE = 8
# Large pixels of a frame that there is room for: a sixty-fourth of all.
_LARGE_SHARE = 64


@dataclass(frozen=True)
class Layout:
    """Sizes of what a batch has on the device, per frame.

    Parameters
    ----------
    shape : tuple of int
        Of frames.
    dtype : numpy.dtype
    tiles : Tiles
    nframes : int
        Most frames of a batch.
    """

    shape: tuple[int, int]
    dtype: np.dtype[Any]
    tiles: Tiles
    nframes: int

    @property
    def npixels(self) -> int:
        """Pixels of a frame."""
        return self.shape[0] * self.shape[1]

    @property
    def ntiles(self) -> int:
        """Tiles of a frame."""
        return self.tiles.shape[0] * self.tiles.shape[1]

    @property
    def room(self) -> int:
        """Tiles that there is room for: whole work-groups."""
        return -(-self.ntiles // GROUP_SIZE) * GROUP_SIZE

    @property
    def plane_nbytes(self) -> int:
        """Bytes of the pixels with zeros around them."""
        rows, columns = self.tiles.shape
        return (4 * rows + 2) * (4 * columns + 8)

    @property
    def counts_nwords(self) -> int:
        """Words of the counts."""
        return self.counts_first + self.tiles.ncells * NCOUNTS

    @property
    def counts_first(self) -> int:
        """Words before the counters of the first cell."""
        return -(-(NHEADER + self.tiles.ncells) // NCOUNTS) * NCOUNTS

    @property
    def nsquares(self) -> int:
        """Rows that squares are summed in, at most."""
        return self.tiles.ncells + _WITHIN_NIDLE

    @property
    def frame_nbytes(self) -> int:
        """Bytes of a frame on the device, nearly all of them."""
        per_tile = TILE_NBYTES + 4 + 4 + 2 + 32
        pixels = self.npixels * self.dtype.itemsize + self.plane_nbytes
        return pixels + per_tile * self.room + 4 * self.counts_nwords + 8 * self.large_room

    @property
    def large_room(self) -> int:
        """Large pixels that there is room for."""
        return self.npixels // _LARGE_SHARE + 1024


def uint4(*numbers: int) -> Any:
    """Return four numbers as kernels take them."""
    from pyopencl import cltypes  # noqa: PLC0415

    return cltypes.make_uint4(*numbers)  # type: ignore[attr-defined]
