# SPDX-License-Identifier: MIT
"""The encoder on a GPU, through OpenCL (docs/gpu.md).

Everything that knows pyopencl is in here, and only what uses a device imports it.
"""

from __future__ import annotations

from .devices import Device, find_device
from .encoder import GpuEncoder

__all__ = ["Device", "GpuEncoder", "find_device"]
