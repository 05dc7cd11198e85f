# SPDX-License-Identifier: MIT
"""Exceptions of h5bragg: each message is one sentence that says what to change."""

from __future__ import annotations


class H5braggError(Exception):
    """Base class of every error that h5bragg raises on purpose."""


class ParameterError(H5braggError, ValueError):
    """A sparsification parameter, pixel type or option is not usable."""


class GeometryError(H5braggError, ValueError):
    """A detector description is incomplete, impossible or does not fit the frames."""


class ChunkError(H5braggError, ValueError):
    """Bytes are not a chunk, or a damaged one; each of the kinds below has a class of its own."""


class NotAChunkError(ChunkError):
    """Bytes do not begin as a chunk does."""


class TruncatedChunkError(ChunkError):
    """A chunk ends early."""


class ChunkVersionError(ChunkError):
    """A chunk has a format version that this h5bragg does not read."""


class ChecksumError(ChunkError):
    """A chunk's bytes are not those that its checksum was made of."""


class CorruptChunkError(ChunkError):
    """A chunk's contents are impossible although its checksum is right."""


class ForeignChunkError(ChunkError):
    """A chunk may be good, but its frames are not of the shape, type or size that is expected."""


class DeviceError(H5braggError, RuntimeError):
    """An OpenCL device is missing, or failed."""


class ReadBackError(H5braggError):
    """A file that has just been written does not hold the frames that went in."""
