# SPDX-License-Identifier: MIT
"""The C library: declarations read from its headers, the shared library, and its status codes.

cffi works in ABI mode, so the installed package needs no compiler, and it releases the GIL
during every call.  The library is the HDF5 plugin itself: HDF5 opens the same file, and both
share the geometries that this process registers.
"""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path
from typing import Any

import cffi

from .errors import (
    ChecksumError,
    ChunkVersionError,
    CorruptChunkError,
    GeometryError,
    H5braggError,
    NotAChunkError,
    ParameterError,
    TruncatedChunkError,
)

_PACKAGE = Path(__file__).resolve().parent
_LIBRARY_NAMES = ("libh5bragg.so", "libh5bragg.dylib", "h5bragg.dll")


def _find_header() -> Path:
    """Find h5bragg.h: in the installed package, else in the source tree around it."""
    source_tree = _PACKAGE.parent.parent / "filter"
    for folder in (_PACKAGE, source_tree):
        header = folder / "include" / "h5bragg.h"
        if header.is_file():
            return header
    raise ImportError(f"h5bragg.h is missing from {_PACKAGE}: reinstall h5bragg")


def _find_library() -> Path:
    """Find the plugin library: H5BRAGG_LIBRARY if set, else the one of the package."""
    override = os.environ.get("H5BRAGG_LIBRARY")
    if override:
        # Not resolve(): where versions are installed side by side the plugin is a link.
        return Path(override).absolute()
    candidates = [_PACKAGE / "plugin" / name for name in _LIBRARY_NAMES]
    return next((path for path in candidates if path.is_file()), candidates[0])


HEADER_PATH = _find_header()
LIBRARY_PATH = _find_library()
PLUGIN_PATH = str(LIBRARY_PATH.parent)
INCLUDE_PATH = str(HEADER_PATH.parent)


def _declarations(header_text: str) -> str:
    """Cut out the part of h5bragg.h that cffi can parse."""
    marked = header_text.split("/* CFFI-BEGIN */")[1].split("/* CFFI-END */", maxsplit=1)[0]
    return marked.replace("H5BRAGG_API ", "")


def _constant(name: str, declarations: str) -> int:
    """Read the value of an integer macro of the header, readable without loading the library."""
    found = re.search(rf"^#define {name} (\d+)$", declarations, re.MULTILINE)
    if found is None:
        raise ImportError(f"{HEADER_PATH} does not define {name}: reinstall h5bragg")
    return int(found[1])


_HEADERS = (HEADER_PATH, HEADER_PATH.with_name("h5bragg_peaks.h"))
_DECLARATIONS = "".join(_declarations(path.read_text(encoding="utf-8")) for path in _HEADERS)
FILTER_ID = _constant("H5BRAGG_FILTER_ID", _DECLARATIONS)
FORMAT_VERSION = _constant("H5BRAGG_FORMAT_VERSION", _DECLARATIONS)
CONFIG_NWORDS = _constant("H5BRAGG_CONFIG_NWORDS", _DECLARATIONS)
MAX_PANELS = _constant("H5BRAGG_MAX_PANELS", _DECLARATIONS)

ffi: Any = cffi.FFI()
ffi.cdef(_DECLARATIONS)
STATUS: dict[str, int] = ffi.typeof("h5bragg_status").relements

_ERRORS: dict[int, type[Exception]] = {
    STATUS["H5BRAGG_NO_MEMORY"]: MemoryError,
    STATUS["H5BRAGG_BAD_SHAPE"]: GeometryError,
    STATUS["H5BRAGG_BAD_GEOMETRY"]: GeometryError,
    STATUS["H5BRAGG_UNKNOWN_GEOMETRY"]: GeometryError,
    STATUS["H5BRAGG_BAD_PIXEL_TYPE"]: ParameterError,
    STATUS["H5BRAGG_BAD_PARAMETER"]: ParameterError,
    STATUS["H5BRAGG_BAD_MASK_CODE"]: ParameterError,
    STATUS["H5BRAGG_BAD_CONFIG"]: ParameterError,
    STATUS["H5BRAGG_BAD_PEAK_PARAMETER"]: ParameterError,
    STATUS["H5BRAGG_PEAKS_NOT_STORED"]: ParameterError,
    STATUS["H5BRAGG_NOT_A_CHUNK"]: NotAChunkError,
    STATUS["H5BRAGG_TRUNCATED"]: TruncatedChunkError,
    STATUS["H5BRAGG_BAD_CHECKSUM"]: ChecksumError,
    STATUS["H5BRAGG_BAD_VERSION"]: ChunkVersionError,
    STATUS["H5BRAGG_CORRUPT"]: CorruptChunkError,
}


@cache
def library() -> Any:
    """Load the C library, once.

    Raises
    ------
    H5braggError
        The library is missing or cannot be loaded.
    """
    try:
        return ffi.dlopen(str(LIBRARY_PATH))
    except OSError as error:
        raise H5braggError(
            f"the h5bragg library {LIBRARY_PATH} cannot be loaded ({error}): reinstall h5bragg"
        ) from error


def version() -> str:
    """Return the version of the loaded C library, "major.minor.patch"."""
    return str(ffi.string(library().h5bragg_version()).decode())


def status_text(status: int) -> str:
    """Return the C library's English sentence for a status."""
    return str(ffi.string(library().h5bragg_status_text(status)).decode())


def check(status: int, context: str = "") -> None:
    """Raise the exception of a status that is not H5BRAGG_OK.

    Parameters
    ----------
    status : int
        What a C function returned.
    context : str
        Specifics of this call, put before the C library's sentence.

    Raises
    ------
    ParameterError, GeometryError, ChunkError, MemoryError, H5braggError
    """
    if status == STATUS["H5BRAGG_OK"]:
        return
    sentence = status_text(status)
    raise _ERRORS.get(status, H5braggError)(f"{context}: {sentence}" if context else sentence)
