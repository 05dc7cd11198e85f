# SPDX-License-Identifier: MIT
"""Look into one shared library as HDF5 would; run as a process, which a bad library may end.

Runs as ``python -I -S`` without NumPy, h5py or h5bragg.  Argument: the library.  Standard input: a
JSON object of chunks in base64, by format version.  Prints JSON: filter number and name of an HDF5
filter plugin, version and formats of an h5bragg library, or the loader's error.
"""

from __future__ import annotations

import base64
import ctypes
import json
import sys
from typing import Any

_FILTER_TYPE = 0
_INFO_NBYTES = 4096  # more than an h5bragg_info of any version


class FilterClass(ctypes.Structure):
    """HDF5's H5Z_class2_t; its functions are addresses."""

    _fields_ = (
        ("version", ctypes.c_int),
        ("id", ctypes.c_int),
        ("encoder_present", ctypes.c_uint),
        ("decoder_present", ctypes.c_uint),
        ("name", ctypes.c_char_p),
        ("can_apply", ctypes.c_void_p),
        ("set_local", ctypes.c_void_p),
        ("filter", ctypes.c_void_p),
    )


def probe(library: ctypes.CDLL, chunks: dict[str, str]) -> dict[str, Any]:
    """Return what a library says of itself."""
    found: dict[str, Any] = {}
    if hasattr(library, "H5PLget_plugin_info") and library.H5PLget_plugin_type() == _FILTER_TYPE:
        library.H5PLget_plugin_info.restype = ctypes.POINTER(FilterClass)
        filter_class = library.H5PLget_plugin_info().contents
        found["filter_id"] = filter_class.id
        found["filter_name"] = (filter_class.name or b"").decode("utf-8", "replace")
    if hasattr(library, "h5bragg_version"):
        library.h5bragg_version.restype = ctypes.c_char_p
        found["version"] = library.h5bragg_version().decode("utf-8", "replace")
        found["formats"] = [int(name) for name, text in chunks.items() if reads(library, text)]
    return found


def reads(library: ctypes.CDLL, text: str) -> bool:
    """Whether a library understands a chunk."""
    chunk = base64.b64decode(text)
    info = ctypes.create_string_buffer(_INFO_NBYTES)
    return bool(library.h5bragg_inspect(chunk, ctypes.c_size_t(len(chunk)), info) == 0)


def main() -> None:
    """Probe the library and print what was found."""
    chunks = json.load(sys.stdin)
    try:
        found = probe(ctypes.CDLL(sys.argv[1]), chunks)
    except OSError as error:
        found = {"error": str(error)}
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
