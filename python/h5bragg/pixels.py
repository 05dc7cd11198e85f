# SPDX-License-Identifier: MIT
"""Pixel types and frame shapes: which arrays are frames that can be sparsified."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ._clib import ffi
from .errors import GeometryError, ParameterError
from .geometry import Geometry

_PIXEL_TYPES: dict[np.dtype[Any], str] = {
    np.dtype(np.uint8): "H5BRAGG_U8",
    np.dtype(np.uint16): "H5BRAGG_U16",
    np.dtype(np.uint32): "H5BRAGG_U32",
    np.dtype(np.int16): "H5BRAGG_I16",
    np.dtype(np.int32): "H5BRAGG_I32",
}
_PIXEL_CODES: dict[str, int] = ffi.typeof("h5bragg_pixel_type").relements
DTYPES: dict[int, np.dtype[Any]] = {
    _PIXEL_CODES[name]: dtype for dtype, name in _PIXEL_TYPES.items()
}
SUPPORTED_DTYPES = tuple(dtype.name for dtype in _PIXEL_TYPES)


def pixel_type(dtype: DTypeLike) -> int:
    """Return the h5bragg_pixel_type of a NumPy dtype of any byte order.

    Raises
    ------
    ParameterError
        Frames of this type cannot be sparsified; the message names those that can.

    Examples
    --------
    >>> from h5bragg.pixels import pixel_type
    >>> pixel_type("float32")
    Traceback (most recent call last):
    ...
    h5bragg.errors.ParameterError: pixels of type float32 cannot be sparsified: convert the \
frames to uint8, uint16, uint32, int16 or int32
    """
    found = np.dtype(dtype)
    name = _PIXEL_TYPES.get(found.newbyteorder("="))
    if name is None:
        supported = f"{', '.join(SUPPORTED_DTYPES[:-1])} or {SUPPORTED_DTYPES[-1]}"
        raise ParameterError(
            f"pixels of type {found} cannot be sparsified: convert the frames to {supported}"
        )
    return _PIXEL_CODES[name]


def check_shape(array: NDArray[Any], geometry: Geometry) -> None:
    """Refuse frames whose shape is not that of the geometry."""
    if array.ndim not in (2, 3) or array.shape[-2:] != tuple(geometry.shape) or not array.size:
        raise GeometryError(
            f"frames of shape {array.shape} do not fit the geometry: give {geometry.shape} or "
            f"(n, {geometry.shape[0]}, {geometry.shape[1]}), or the frames' own geometry"
        )


def is_big_endian(dtype: np.dtype[Any]) -> bool:
    """Whether pixels of this type lie in memory with their highest byte first."""
    return dtype.byteorder == ">" or (dtype.byteorder == "=" and sys.byteorder == "big")
