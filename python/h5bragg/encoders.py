# SPDX-License-Identifier: MIT
"""Where to encode: the choice that `FrameWriter` and `h5bragg compress` offer as `device`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Protocol

from numpy.typing import NDArray

from .cpu_encoder import CpuEncoder
from .errors import DeviceError, ParameterError
from .peaks import EncodedChunk
from .stages import Stages

_log = logging.getLogger("h5bragg")


class Encoder(Protocol):
    """What encodes batches of frames: `CpuEncoder` or `opencl.GpuEncoder`."""

    name: str
    batch_nframes: int
    staging_nframes: int
    # Whether copying a frame to memory of `allocate` is faster than reading it where it is.
    wants_copies: bool

    def allocate(self, nframes: int) -> NDArray[Any]:
        """Return memory for frames that is fast to encode from."""
        ...

    def submit(self, frames: Sequence[NDArray[Any]]) -> Future[list[EncodedChunk]]:
        """Begin to encode at most batch_nframes frames, whole chunks."""
        ...

    def close(self) -> None:
        """Wait for what has begun."""
        ...


def open_encoder(
    make_stages: Callable[[], Stages], *, device: str = "auto", threads: int | None = None
) -> Encoder:
    """Open the encoder of a device.

    Parameters
    ----------
    make_stages : callable
        Makes a `Stages` of the frames.
    device : str
        ``"cpu"``; ``"gpu"``; ``"opencl:NAME"``, any OpenCL device by a part of its or its
        platform's name; ``"auto"``: a GPU if there is one that works, else the CPU, and a line in
        the log ``h5bragg`` says why.
    threads : int or None
        Threads of the C library; None means one a CPU.

    Raises
    ------
    DeviceError
        The device is not there, or fails.
    ParameterError
        There is no such choice.
    """
    if device == "cpu":
        return CpuEncoder(make_stages, threads=threads)
    if device not in ("auto", "gpu") and not device.startswith("opencl:"):
        raise ParameterError(f"device={device!r} is not usable: give auto, cpu, gpu or opencl:NAME")
    from .opencl import GpuEncoder, find_device  # noqa: PLC0415 - without it pyopencl is not needed

    try:
        found = find_device("gpu" if device == "auto" else device)
        encoder = GpuEncoder(make_stages, device=found, threads=threads)
    except DeviceError as error:
        if device != "auto":
            raise
        fallback = CpuEncoder(make_stages, threads=threads)
        _log.info("encoding on %s: %s", fallback.name, error)
        return fallback
    _log.info("encoding on %s", encoder.name)
    return encoder
