# SPDX-License-Identifier: MIT
"""Memory on a device, and on the host where the device reads and writes it at full speed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from threading import Lock
from typing import Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..errors import DeviceError
from .devices import Device, opencl
from .kernels import build

Result = TypeVar("Result")


class Session:
    """A device at work; `open` gives the one of this process.

    Parameters
    ----------
    device : Device
    """

    def __init__(self, device: Device) -> None:
        cl = opencl()
        self.device = device
        self.context = run(device, lambda: cl.Context([device.handle]))
        self._programs: dict[str, Any] = {}
        self._lock = Lock()

    @staticmethod
    @cache
    def open(device: Device) -> Session:
        """Open a device, once."""
        return Session(device)

    def program(self, dtype: np.dtype[Any]) -> Any:
        """Compile the kernels for a pixel type, once."""
        with self._lock:
            if dtype.name not in self._programs:
                self._programs[dtype.name] = build(
                    self.context, self.device, dtype, by_frame=self.device.is_cpu
                )
            return self._programs[dtype.name]

    def buffer(self, nbytes: int) -> Any:
        """Allocate memory on the device."""
        cl = opencl()
        size = max(int(nbytes), 16)
        return run(self.device, lambda: cl.Buffer(self.context, cl.mem_flags.READ_WRITE, size))

    def constant(self, queue: Any, array: NDArray[Any]) -> Any:
        """Copy an array to the device, for good."""
        cl = opencl()
        buffer = self.buffer(array.nbytes)
        if array.nbytes:
            run(self.device, lambda: cl.enqueue_copy(queue, buffer, np.ascontiguousarray(array)))
        return buffer

    def pinned(self, queue: Any, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """Allocate memory on the host that the device reads and writes without a detour."""
        cl = opencl()
        nbytes = max(int(np.prod(shape)) * np.dtype(dtype).itemsize, 16)
        flags = cl.mem_flags.READ_WRITE | cl.mem_flags.ALLOC_HOST_PTR

        def allocate() -> NDArray[Any]:
            memory = cl.Buffer(self.context, flags, nbytes)
            how = cl.map_flags.READ | cl.map_flags.WRITE
            array, _ = cl.enqueue_map_buffer(queue, memory, how, 0, (nbytes,), np.uint8)
            return array  # type: ignore[no-any-return]

        used = int(np.prod(shape)) * np.dtype(dtype).itemsize
        return run(self.device, allocate)[:used].view(dtype).reshape(shape)


def run(device: Device, call: Callable[[], Result]) -> Result:
    """Call OpenCL.

    Raises
    ------
    DeviceError
        The device has failed; the message says how.
    """
    cl = opencl()
    try:
        return call()
    except cl.MemoryError as error:
        raise DeviceError(
            f"{device.name} has no memory left ({error}): use device='cpu', or stop other "
            "programs that use it"
        ) from error
    except cl.Error as error:
        raise DeviceError(f"{device.name} failed ({error}): use device='cpu'") from error
