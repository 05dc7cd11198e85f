# SPDX-License-Identifier: MIT
"""The pixel_mask of NXmx: bits that say why a pixel is masked."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .params import SparsifyParams

# Bits of NXdetector/pixel_mask, by position in the mask codes: -1 or the type's maximum marks
# pixels without a sensor, -2 or the maximum less one those that do not work.
GAP_BIT = 1
BAD_BIT = 2
_CODE_BITS = (GAP_BIT, BAD_BIT)


def mask_codes(params: SparsifyParams, dtype: np.dtype[Any]) -> tuple[int, ...]:
    """Return the pixel values that mark masked pixels.

    Examples
    --------
    >>> import numpy as np
    >>> [mask_codes(SparsifyParams(), np.dtype(name)) for name in ("uint16", "int32")]
    [(65535, 65534), (-1, -2)]
    """
    if params.mask_codes is not None:
        return params.mask_codes
    if dtype.kind == "u":
        top = int(np.iinfo(dtype).max)
        return top, top - 1
    return -1, -2


class MaskBits:
    """Collects which pixels are masked in every frame.

    A pixel whose code occurs in some frames only, such as an overload, is no masked pixel.

    Parameters
    ----------
    codes : tuple of int
        See `mask_codes`.

    Examples
    --------
    >>> import numpy as np
    >>> bits = MaskBits((-1, -2))
    >>> bits.add(np.array([[-1, -2, 5, -1]]))
    >>> bits.add(np.array([[-1, -2, 5, 7]]))
    >>> bits.pixel_mask(None, (1, 4))
    array([[1, 2, 0, 0]], dtype=uint32)
    """

    def __init__(self, codes: tuple[int, ...]) -> None:
        self._codes = codes
        self._index: NDArray[np.intp] | None = None
        self._value: NDArray[Any] | None = None

    def add(self, pixels: NDArray[Any]) -> None:
        """Take one more frame into account: shape (slow, fast)."""
        flat = pixels.reshape(-1)
        if self._index is None:
            self._index = np.flatnonzero(is_masked(flat, self._codes))
            self._value = flat[self._index]
            return
        keep = flat[self._index] == self._value
        if not keep.all():
            assert self._value is not None
            self._index, self._value = self._index[keep], self._value[keep]

    def pixel_mask(
        self, file_mask: NDArray[np.uint32] | None, shape: tuple[int, int]
    ) -> NDArray[np.uint32]:
        """Return the bits of the collected codes or-ed into a file's own mask.

        Parameters
        ----------
        file_mask : ndarray of uint32 or None
            Shape (slow, fast).
        shape : tuple of int
            Frame shape (slow, fast).
        """
        mask = np.zeros(shape, np.uint32) if file_mask is None else file_mask.copy()
        if self._index is not None and self._value is not None:
            flat = mask.reshape(-1)
            for code, bit in zip(self._codes, _CODE_BITS, strict=False):
                index = self._index[self._value == code]
                # The file's own reason is the better one.
                flat[index] = np.where(flat[index] == 0, bit, flat[index])
        return mask


def is_masked(pixels: NDArray[Any], codes: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return where pixels hold one of the mask codes, same shape."""
    masked = np.zeros(pixels.shape, bool)
    for code in codes:
        masked |= pixels == code
    return masked
