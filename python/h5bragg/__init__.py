# SPDX-License-Identifier: MIT
"""h5bragg: sparsify X-ray diffraction frames in HDF5 files that any HDF5 program reads dense.

Pixels that matter are stored exactly, a statistical description of the others; reading restores
background noise as the detector would have counted it.  Importing h5bragg lets h5py read and write
such files in this process.
"""

from __future__ import annotations

import warnings
from importlib import metadata

from . import _clib
from ._clib import FILTER_ID, PLUGIN_PATH
from .codec import ChunkInfo, SparseFrame, decode, encode, inspect, unpack
from .errors import ChunkError, DeviceError, GeometryError, H5braggError, ParameterError
from .filter import Bragg, register
from .frame_writer import FrameWriter
from .geometry import FlatDetector, Geometry, Panel
from .gpu_filter import use_gpu
from .parallel_read import read_frames
from .params import SparsifyParams
from .peaks import PeakParams, Peaks, find_peaks
from .rings import Background, background

try:
    __version__ = metadata.version("h5bragg")
except metadata.PackageNotFoundError:  # a source tree that is not installed
    __version__ = "0+source"

__all__ = [
    "FILTER_ID",
    "PLUGIN_PATH",
    "Background",
    "Bragg",
    "ChunkError",
    "ChunkInfo",
    "DeviceError",
    "FlatDetector",
    "FrameWriter",
    "Geometry",
    "GeometryError",
    "H5braggError",
    "Panel",
    "ParameterError",
    "PeakParams",
    "Peaks",
    "SparseFrame",
    "SparsifyParams",
    "__version__",
    "background",
    "decode",
    "encode",
    "find_peaks",
    "get_config",
    "inspect",
    "read_frames",
    "register",
    "unpack",
    "use_gpu",
]


def get_config() -> dict[str, str | int]:
    """Where this h5bragg lives and what it writes.

    Returns
    -------
    dict
        version, format_version, filter_id, plugin_path, library, include_path.

    Examples
    --------
    >>> import h5bragg
    >>> h5bragg.get_config()["filter_id"] == h5bragg.FILTER_ID
    True
    """
    return {
        "version": _clib.version(),
        "format_version": _clib.FORMAT_VERSION,
        "filter_id": FILTER_ID,
        "plugin_path": PLUGIN_PATH,
        "library": str(_clib.LIBRARY_PATH),
        "include_path": _clib.INCLUDE_PATH,
    }


if not register():
    warnings.warn(
        f"HDF5 cannot load the h5bragg filter from {PLUGIN_PATH}: h5py will not read or write "
        "files that use it; reinstall h5bragg, and unset HDF5_PLUGIN_PRELOAD if it is '::'",
        RuntimeWarning,
        stacklevel=2,
    )
