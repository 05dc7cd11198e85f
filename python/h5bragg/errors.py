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
    """Bytes are not a chunk, or a damaged one."""


class DeviceError(H5braggError, RuntimeError):
    """An OpenCL device is missing, or failed."""
