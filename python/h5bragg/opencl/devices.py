# SPDX-License-Identifier: MIT
"""Which OpenCL device to use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..errors import DeviceError

# Devices by this name are chosen by their own or their platform's name, whatever they are.
BY_NAME = "opencl:"


@dataclass(frozen=True)
class Device:
    """An OpenCL device.

    Parameters
    ----------
    name : str
        Its platform's and its own name.
    handle : pyopencl.Device
    is_cpu : bool
        Kernels for CPUs are used where there are some; without, those for GPUs.
    """

    name: str
    handle: Any
    is_cpu: bool


def opencl() -> Any:
    """Import pyopencl.

    Raises
    ------
    DeviceError
        It is not installed, or finds no OpenCL library.
    """
    try:
        import pyopencl  # noqa: PLC0415 - only whoever wants a GPU needs it
    except ImportError as error:
        raise DeviceError(
            f"pyopencl cannot be imported ({error}): install it with 'pip install h5bragg[gpu]'"
        ) from error
    return pyopencl


def find_device(choice: str = "gpu") -> Device:
    """Find a device to encode on.

    Parameters
    ----------
    choice : str
        ``"gpu"`` for the first GPU, or ``"opencl:"`` and a part of the name of a device or of its
        platform, in any case: ``"opencl:portable"`` is PoCL, which computes on the CPU.

    Raises
    ------
    DeviceError
        There is no such device; the message lists those found.
    """
    cl = opencl()
    found = _devices(cl)
    by_name = choice.startswith(BY_NAME)
    wanted = choice[len(BY_NAME) :].casefold()
    for device in found:
        is_gpu = device.handle.type & (cl.device_type.GPU | cl.device_type.ACCELERATOR)
        if wanted in device.name.casefold() if by_name else is_gpu:
            return device
    what = f"OpenCL device whose name contains {wanted!r}" if by_name else "OpenCL GPU"
    names = "; ".join(device.name for device in found) or "no OpenCL platform at all"
    raise DeviceError(f"no {what} was found, but {names}: use device='cpu', or install its driver")


def _devices(cl: Any) -> list[Device]:
    """List all devices of all platforms."""
    try:
        platforms = cl.get_platforms()
    except cl.Error:  # a loader without any driver says so by an error
        return []
    found = []
    for platform in platforms:
        try:
            handles = platform.get_devices()
        except cl.Error:
            continue
        for handle in handles:
            name = f"{platform.name.strip()}: {handle.name.strip()}"
            found.append(Device(name, handle, bool(handle.type & cl.device_type.CPU)))
    return found
