# SPDX-License-Identifier: MIT
"""The kernels' sources, and programs made of them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DeviceError
from .devices import Device, opencl

GROUP_SIZE = 128
_STAGES = ("tiles", "count_tiles", "find_boxes", "find_wide_boxes",
           "choose_tiles", "number_groups", "list_pixels", "find_peaks")  # fmt: skip
# On CPUs a work-item takes a whole frame in place of a tile, in vectors and without atomics.
BY_FRAME = "_by_frame"
_STAGES_BY_FRAME = tuple(
    name + BY_FRAME for name in ("count_tiles", "find_boxes", "choose_tiles", "list_pixels")
)
_OPENCL_TYPES = {"uint8": "uchar", "uint16": "ushort", "uint32": "uint", "int16": "short",
                 "int32": "int"}  # fmt: skip


def kernel_folder() -> Path:
    """Find the kernels: in the installed package, else in the source tree around it."""
    package = Path(__file__).resolve().parent
    for folder in (package / "kernels", package.parents[2] / "kernels"):
        if (folder / "tiles.cl").is_file():
            return folder
    raise DeviceError(f"the OpenCL kernels are missing from {package}: reinstall h5bragg")


@cache
def _source(*, by_frame: bool) -> str:
    folder = kernel_folder()
    names = _STAGES + (_STAGES_BY_FRAME if by_frame else ())
    return "\n".join((folder / f"{name}.cl").read_text(encoding="utf-8") for name in names)


def build(context: Any, device: Device, dtype: np.dtype[Any], *, by_frame: bool) -> Any:
    """Compile the kernels for a pixel type.

    Parameters
    ----------
    context : pyopencl.Context
    device : Device
    dtype : dtype
    by_frame : bool
        With those that take a frame each.

    Raises
    ------
    DeviceError
        The driver refuses them; the message has the first line of what it says.
    """
    cl = opencl()
    program = cl.Program(context, _source(by_frame=by_frame))
    try:
        return program.build(options=_options(dtype), devices=[device.handle])
    except cl.Error as error:
        lines = [line.strip() for line in str(error).splitlines() if "error" in line.casefold()]
        raise DeviceError(
            f"the kernels cannot be built for {device.name}: {lines[0] if lines else error}"
        ) from error


def _options(dtype: np.dtype[Any]) -> list[str]:
    pixel = _OPENCL_TYPES[dtype.name]
    wide = "int" if dtype.kind == "i" else "uint"
    names = {
        "PIXEL": pixel,
        "IS_SIGNED": int(dtype.kind == "i"),
        "PIXEL_MASK": f"{2 ** (8 * dtype.itemsize) - 1:#x}u",
        "UNSIGNED(x)": f"(uint)({wide})(x)",
        "UNSIGNED4(x)": f"as_uint4(convert_{wide}4(x))",
        "UNSIGNED16(x)": f"as_uint16(convert_{wide}16(x))",
        "GROUP_SIZE": f"{GROUP_SIZE}u",
    }
    return ["-cl-std=CL1.2", *(f"-D{name}={value}" for name, value in names.items())]
