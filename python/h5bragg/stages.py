# SPDX-License-Identifier: MIT
"""The C library's encoder in stages: what kernels count and choose goes in, chunks come out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._clib import check, ffi, library
from .geometry import Geometry
from .geometry.c_geometry import CGeometry
from .params import SparsifyParams, check_params, effective_params, params_to_c
from .pixels import DTYPES, is_big_endian, pixel_type

NCOUNTS = 64
RULE_NBYTES = ffi.sizeof("h5bragg_cell_rule")
LARGE_NBYTES = ffi.sizeof("h5bragg_large_pixel")


@dataclass(frozen=True)
class Tiles:
    """What kernels need to know of a detector, see h5bragg_tiles in h5bragg.h.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of tiles.
    ncells : int
    has_local : bool
    most_sum : int
    codes : tuple of int
        Mask codes as unsigned numbers.
    cell : ndarray of uint16
        Shape (rows * columns,).
    mask : ndarray of uint8 or None
        Of the geometry, one byte a pixel.
    """

    shape: tuple[int, int]
    ncells: int
    has_local: bool
    most_sum: int
    codes: tuple[int, ...]
    cell: NDArray[np.uint16]
    mask: NDArray[np.uint8] | None


@dataclass(frozen=True)
class Counts:
    """What there is in a frame, see h5bragg_counts."""

    total: int
    has_negative: bool
    absent: NDArray[np.uint32]
    count: NDArray[np.uint32]
    large: NDArray[np.uint32]


@dataclass(frozen=True)
class Chosen:
    """What was chosen of a frame, see h5bragg_chosen; `above` is None with local counts."""

    valid: NDArray[np.uint16]
    sum: NDArray[np.uint16]
    kept: NDArray[np.uint8]
    calm: NDArray[np.uint8]
    has_large: NDArray[np.uint8]
    exact: NDArray[np.uint8]
    above: NDArray[np.uint16] | None
    excess: NDArray[np.uint8]
    within: NDArray[np.uint32]
    squares: NDArray[np.uint32]
    squares_high: NDArray[np.uint32]


@dataclass(frozen=True)
class Rules:
    """What the library says of a frame before its tiles are chosen, see h5bragg_rules."""

    is_ready: bool
    is_wide: bool
    nwithin: int
    nsquares: int


_CHOSEN_TYPES = {
    "valid": "uint16_t[]", "sum": "uint16_t[]", "kept": "uint8_t[]", "calm": "uint8_t[]",
    "has_large": "uint8_t[]", "exact": "uint8_t[]", "above": "uint16_t[]", "excess": "uint8_t[]",
    "within": "uint32_t[]", "squares": "uint32_t[]", "squares_high": "uint32_t[]",
}  # fmt: skip


class Stages:
    """The encoder of one frame after the other, for one thread at a time.

    Parameters
    ----------
    kind : int
        h5bragg_pixel_type.
    nframes : int
        Frames of a chunk.
    geometry, params : cdata
        h5bragg_geometry and h5bragg_params, which are copied.
    """

    def __init__(self, kind: int, nframes: int, geometry: Any, params: Any) -> None:
        handle = ffi.new("h5bragg_stages **")
        check(library().h5bragg_stages_make(kind, nframes, geometry, params, handle))
        self._handle = ffi.gc(handle[0], library().h5bragg_stages_free)
        self.nframes = nframes
        self.shape: tuple[int, int] = (geometry.ny, geometry.nx)
        self.dtype = DTYPES[kind]
        self._out = np.empty(library().h5bragg_bound(kind, 1, geometry), np.uint8)
        self._used = ffi.new("size_t *")
        self._alone = ffi.new("uint32_t *")

    @staticmethod
    def of(
        geometry: Geometry,
        params: SparsifyParams | None,
        dtype: np.dtype[Any],
        *,
        nframes: int = 1,
    ) -> Stages:
        """Make stages for chunks of nframes frames; dtype is the pixel type of the HDF5 file.

        Raises
        ------
        ParameterError, GeometryError
            They cannot be used.
        """
        kind = pixel_type(dtype)
        settings = params_to_c(
            effective_params(params, geometry.polarization), file_big_endian=is_big_endian(dtype)
        )
        check_params(settings, kind, dtype.name)
        with CGeometry(geometry) as c_geometry:
            return Stages(kind, nframes, c_geometry, settings)

    def tiles(self) -> Tiles:
        """Return what kernels need to know."""
        found = ffi.new("h5bragg_tiles *")
        check(library().h5bragg_stages_tiles(self._handle, found))
        ntiles, npixels = found.nrows * found.ncolumns, self.shape[0] * self.shape[1]
        return Tiles(
            shape=(found.nrows, found.ncolumns),
            ncells=found.ncells,
            has_local=bool(found.has_local),
            most_sum=found.most_sum,
            codes=tuple(found.code[k] for k in range(found.ncodes)),
            cell=self._copy(found.cell, np.uint16, ntiles),
            mask=None if found.mask == ffi.NULL else self._copy(found.mask, np.uint8, npixels),
        )

    def model(self, counts: Counts, rules: NDArray[np.uint8]) -> Rules:
        """Make background and thresholds of a frame, and the rules of its cells.

        Parameters
        ----------
        counts : Counts
        rules : ndarray of uint8
            Shape (ncells + 1, RULE_NBYTES): where they are put.
        """
        c = ffi.new("h5bragg_counts *")
        c.total = counts.total
        c.has_negative = counts.has_negative
        c.absent = ffi.from_buffer("uint32_t[]", counts.absent)
        c.count = ffi.from_buffer("uint32_t[]", counts.count)
        c.large = ffi.cast("h5bragg_large_pixel *", ffi.from_buffer(counts.large))
        c.nlarge = counts.large.nbytes // LARGE_NBYTES
        found = ffi.new("h5bragg_rules *")
        rule = ffi.cast("h5bragg_cell_rule *", ffi.from_buffer(rules))
        check(library().h5bragg_stages_model(self._handle, c, rule, found))
        return Rules(bool(found.is_ready), bool(found.is_wide), found.nwithin, found.nsquares)

    def pack(self, frame: NDArray[Any], chosen: Chosen | None) -> tuple[bytes, bool]:
        """Return a frame of a chunk, and whether the C library encoded all of it itself.

        Where chunks are of one frame, it is the chunk.

        Parameters
        ----------
        frame : ndarray
            C-contiguous, native byte order.
        chosen : Chosen or None
            None makes the library do it all.
        """
        start = self._begin() if self.nframes == 1 else 0
        nbytes, is_alone = self._pack_at(start, frame, chosen)
        if self.nframes == 1:
            check(library().h5bragg_stages_seal(ffi.from_buffer(self._out), start + nbytes))
        return self._out[: start + nbytes].tobytes(), is_alone

    def chunk(self, frames: list[bytes]) -> bytes:
        """Return the chunk of several frames that `pack` gave."""
        chunk = bytearray(self._out[: self._begin()].tobytes()) + b"".join(frames)
        check(library().h5bragg_stages_seal(ffi.from_buffer(chunk), len(chunk)))
        return bytes(chunk)

    @staticmethod
    def _copy(pointer: Any, dtype: type, n: int) -> NDArray[Any]:
        nbytes = n * np.dtype(dtype).itemsize
        array: NDArray[Any] = np.frombuffer(ffi.buffer(pointer, nbytes), dtype).copy()
        return array

    def _begin(self) -> int:
        """Write the start of a chunk; return its size."""
        out = ffi.from_buffer(self._out)
        check(library().h5bragg_stages_begin(self._handle, out, len(self._out), self._used))
        return int(self._used[0])

    def _pack_at(self, start: int, frame: NDArray[Any], chosen: Chosen | None) -> tuple[int, bool]:
        """Write a frame there; return its size, and whether the library did all of it."""
        c = ffi.NULL
        if chosen is not None:
            c = ffi.new("h5bragg_chosen *")
            for name, kind in _CHOSEN_TYPES.items():
                array = getattr(chosen, name)
                if array is not None:
                    setattr(c, name, ffi.from_buffer(kind, array))
        out = self._out[start:]
        check(
            library().h5bragg_stages_pack(
                self._handle, ffi.from_buffer(frame), c, ffi.from_buffer(out), len(out),
                self._used, self._alone,
            )
        )  # fmt: skip
        return int(self._used[0]), bool(self._alone[0])
