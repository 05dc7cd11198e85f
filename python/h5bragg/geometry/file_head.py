# SPDX-License-Identifier: MIT
"""Read the beginning of a file that may be compressed by gzip or bzip2."""

from __future__ import annotations

import bz2
import gzip
import zlib
from pathlib import Path
from typing import IO, cast

from ..errors import GeometryError


def read_head(path: Path, nbytes: int) -> bytes:
    """Return at most the first `nbytes` decompressed bytes of a file.

    Raises
    ------
    GeometryError
        The file is missing, unreadable, or its compressed stream is damaged.
    """
    try:
        with _open(path) as file:
            return file.read(nbytes)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise GeometryError(f"the file cannot be read: {reason}") from error


def _open(path: Path) -> IO[bytes]:
    """Open a file for reading, through the decompressor that its first bytes name."""
    with path.open("rb") as file:
        magic = file.read(3)
    if magic[:2] == b"\x1f\x8b":
        return cast(IO[bytes], gzip.open(path, "rb"))
    if magic == b"BZh":
        return bz2.open(path, "rb")
    return path.open("rb")
