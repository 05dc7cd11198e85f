# SPDX-License-Identifier: MIT
"""use_gpu: the HDF5 filter of this process encodes on a GPU, whoever writes."""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from ._clib import STATUS, ffi, library
from .errors import ParameterError
from .params import params_from_c
from .stages import Stages

if TYPE_CHECKING:
    from .opencl import Device, GpuEncoder

_active = threading.Lock()
_log = logging.getLogger("h5bragg")


class _GarbageCollection:
    """Garbage collection, which may be put off by several threads at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._nwaiting, self._was_on = 0, False

    @contextmanager
    def put_off(self) -> Iterator[None]:
        """Put it off until the block, and all others of the kind, are left."""
        with self._lock:
            if self._nwaiting == 0:
                self._was_on = gc.isenabled()
                gc.disable()
            self._nwaiting += 1
        try:
            yield
        finally:
            with self._lock:
                self._nwaiting -= 1
                if self._nwaiting == 0 and self._was_on:
                    gc.enable()


_garbage_collection = _GarbageCollection()


@contextmanager
def use_gpu(device: str = "gpu", *, threads: int | None = None) -> Iterator[None]:
    """Let ``dataset[i] = frame`` and all other writes through the filter encode on a GPU.

    HDF5 hands one chunk after the other to its filters, so nothing overlaps: `FrameWriter` is many
    times faster.  The bytes are the same.  Frames below 1 MB wait in HDF5's cache: flush the file
    before the block ends.

    Parameters
    ----------
    device : str
        ``"gpu"`` or ``"opencl:NAME"``, see `FrameWriter`.
    threads : int or None
        Of the C library, for chunks of several frames; None means one a CPU.

    Raises
    ------
    DeviceError
        There is no such device; or, at the end of the block, it has failed: the log ``h5bragg``
        has said so at once, and the C library has encoded that frame and all others, so that the
        file is complete.
    ParameterError
        A block of this kind is at work in this process already.

    Examples
    --------
    >>> import h5bragg
    >>> with h5bragg.use_gpu("opencl:no such device"):
    ...     pass
    Traceback (most recent call last):
    ...
    h5bragg.errors.DeviceError: ...
    """
    from .opencl import find_device  # noqa: PLC0415 - whoever needs no GPU needs no pyopencl

    found = find_device(device)
    if not _active.acquire(blocking=False):
        raise ParameterError("use_gpu is at work in this process already: leave that block first")
    hook = _Hook(found, threads)
    try:
        library().h5bragg_set_encoder(hook.callback, ffi.NULL)
        yield
    finally:
        library().h5bragg_set_encoder(ffi.NULL, ffi.NULL)
        hook.close()
        _active.release()
    if hook.error is not None:
        raise hook.error


class _Hook:
    """What the filter calls: a GPU encoder for each kind of chunk.

    HDF5 is at work, and h5py's lock is held.  So everything is done in this thread: another one may
    want that lock, if only to let go of an object of h5py that it finds among the garbage, and
    would wait for this one for ever.  Nor is garbage collected here: HDF5 would be called again.
    """

    def __init__(self, device: Device, threads: int | None) -> None:
        self._device, self._threads = device, threads
        self._encoders: dict[Any, GpuEncoder] = {}
        self._lock = threading.Lock()
        self.error: Exception | None = None
        failed = STATUS["H5BRAGG_ENCODER_FAILED"]
        self.callback = ffi.callback("h5bragg_encoder", self._encode, error=failed)

    def close(self) -> None:
        """Let go of the device."""
        for encoder in self._encoders.values():
            encoder.close()

    def _encode(self, *call: Any) -> int:
        """Encode one chunk: an h5bragg_encoder, called with the GIL held.

        HDF5 would store a frame that it gets no chunk for as it is, without an error: h5py makes
        filters optional.
        """
        with _garbage_collection.put_off(), self._lock:
            return self._encode_alone(*call)

    def _encode_alone(self, *call: Any) -> int:
        frames, kind, nframes, geometry, params, out, capacity, out_nbytes, _ = call
        if self.error is None:
            try:
                encoder = self._encoder(kind, nframes, geometry, params)
                shape = (nframes, geometry.ny, geometry.nx)
                nbytes = int(np.prod(shape)) * encoder.dtype.itemsize
                stack = np.frombuffer(ffi.buffer(frames, nbytes), encoder.dtype).reshape(shape)
                (chunk,) = encoder.submit(list(stack)).result()
                if len(chunk) <= capacity:
                    ffi.memmove(out, chunk.data, len(chunk))
                    out_nbytes[0] = len(chunk)
                    return STATUS["H5BRAGG_OK"]
            except Exception as error:  # it is raised when the block ends
                self.error = error
                _log.warning("the CPU goes on encoding: %s", error)
        status: int = library().h5bragg_encode(
            frames, kind, nframes, geometry, params, out, capacity, out_nbytes
        )
        return status

    def _encoder(self, kind: int, nframes: int, geometry: Any, params: Any) -> GpuEncoder:
        """Return the encoder of a kind of chunk, made when it is first needed."""
        from .opencl import GpuEncoder  # noqa: PLC0415

        key = (kind, nframes, params.file_big_endian, params_from_c(params[0]), geometry.ny,
               geometry.nx, geometry.distance_m, geometry.wavelength_m,
               bytes(ffi.buffer(geometry.panels, geometry.npanels * ffi.sizeof("h5bragg_panel"))),
               int(ffi.cast("intptr_t", geometry.mask)))  # fmt: skip
        if key not in self._encoders:
            self._encoders[key] = GpuEncoder(
                lambda: Stages(kind, nframes, geometry, params),
                device=self._device,
                threads=self._threads,
                batch_nframes=nframes,
                has_threads=False,
            )
        return self._encoders[key]
