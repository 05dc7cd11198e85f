# SPDX-License-Identifier: MIT
"""Decode bitshuffle chunks by the bitshuffle library that hdf5plugin holds, outside of HDF5.

That library trusts the lengths that a chunk states, and reads on behind the end of a damaged one;
they are checked here first.  Its HDF5 filter is not called, as that reports errors to HDF5, which
lets one thread in at a time.

The layout of a chunk is that of https://github.com/kiyo-masui/bitshuffle: the number of its bytes
and that of a block's in 8 and 4 bytes, then the blocks, each behind the 4 bytes of its length, all
big-endian; up to seven pixels that are left over follow as they are.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import hdf5plugin
import numpy as np
from numpy.typing import NDArray

_FUNCTIONS = {0: "bshuf_bitunshuffle", 2: "bshuf_decompress_lz4", 3: "bshuf_decompress_zstd"}
_HEADER = struct.Struct(">QI")
_LENGTH = struct.Struct(">I")
_ATOM = 8  # blocks are of a multiple of as many pixels
_LARGEST_BLOCK = 1 << 30  # bytes; LZ4 takes an int


@cache
def _library() -> ctypes.CDLL | None:
    """Load the library; there is none that can be loaded in some builds of hdf5plugin."""
    for path in Path(hdf5plugin.PLUGIN_PATH).glob("libh5bshuf.*"):
        with suppress(OSError, AttributeError):
            library = ctypes.CDLL(str(path))
            for name in _FUNCTIONS.values():
                function = getattr(library, name)
                function.restype = ctypes.c_int64
                function.argtypes = [ctypes.c_void_p] * 2 + [ctypes.c_size_t] * 3
            library.bshuf_default_block_size.restype = ctypes.c_size_t
            library.bshuf_default_block_size.argtypes = [ctypes.c_size_t]
            return library
    return None


class Bitshuffle:
    """The bitshuffle filter of a dataset, for reading.

    Any number of threads may use one.

    Parameters
    ----------
    cd_values : sequence of int
        As stored with the dataset: two words of version, bytes of a pixel, pixels of a block (0 for
        the default), compression (0 none, 2 LZ4, 3 Zstandard).

    Raises
    ------
    ValueError
        The values are none that this reads.

    Examples
    --------
    >>> import numpy as np
    >>> from h5bragg.bitshuffle import Bitshuffle
    >>> chunk = bytes.fromhex("000000000000000c 00000000") + bytes(range(12))
    >>> Bitshuffle((0, 4, 4, 0, 2)).decode(chunk, np.zeros(3, "u4"))
    array([ 50462976, 117835012, 185207048], dtype=uint32)
    """

    def __init__(self, cd_values: Sequence[int]) -> None:
        library, words = _library(), (*cd_values, 0, 0)
        if library is None:
            raise ValueError("hdf5plugin has no bitshuffle library that can be called")
        if len(cd_values) < 3 or cd_values[2] == 0 or words[4] not in _FUNCTIONS:
            raise ValueError(f"cd_values {tuple(cd_values)} are none of bitshuffle")
        self._itemsize, self._block_size, self._is_compressed = words[2], words[3], words[4] != 0
        self._function = getattr(library, _FUNCTIONS[words[4]])
        self._default = library.bshuf_default_block_size

    def decode(self, chunk: bytes, out: NDArray[Any]) -> NDArray[Any]:
        """Decode a chunk into a contiguous array of its pixels, and return that.

        Raises
        ------
        ValueError
            The chunk is damaged, or holds another number of bytes.
        """
        start, size = 0, out.nbytes // self._itemsize
        block_size = self._block_size
        if self._is_compressed:
            if len(chunk) < _HEADER.size:
                raise ValueError("the bitshuffle chunk is shorter than its header")
            nbytes, block_nbytes = _HEADER.unpack_from(chunk)
            block_size, start = block_nbytes // self._itemsize, _HEADER.size
        else:
            nbytes = len(chunk)
        if nbytes != out.nbytes or out.nbytes % self._itemsize:
            raise ValueError(f"the bitshuffle chunk is of {nbytes} bytes, not of {out.nbytes}")
        block_size = block_size or self._default(self._itemsize)
        if block_size % _ATOM or min(block_size, size) * self._itemsize > _LARGEST_BLOCK:
            raise ValueError(f"the bitshuffle chunk has blocks of {block_size} pixels")
        if self._is_compressed:
            self._check_lengths(chunk, size, block_size)
        given = np.frombuffer(chunk, np.uint8)
        nread = self._function(
            given.ctypes.data + start, out.ctypes.data, size, self._itemsize, block_size
        )
        if nread != len(chunk) - start:
            raise ValueError("the bitshuffle chunk is damaged")
        return out

    def _check_lengths(self, chunk: bytes, size: int, block_size: int) -> None:
        """Refuse a chunk whose blocks do not end where it does."""
        nblocks, rest = divmod(size, block_size)
        end = len(chunk) - size % _ATOM * self._itemsize
        position, length_at = _HEADER.size, _LENGTH.unpack_from
        try:
            for _ in range(nblocks + (rest >= _ATOM)):
                position += _LENGTH.size + length_at(chunk, position)[0]
        except struct.error:
            position = len(chunk) + 1
        if position != end:
            raise ValueError("the bitshuffle chunk ends elsewhere than its blocks")
