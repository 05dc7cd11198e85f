# SPDX-License-Identifier: MIT
"""Open HDF5 files to read, and say in one sentence why that is not possible."""

from __future__ import annotations

from pathlib import Path

import h5py

from .frame_source import InputError


def open_hdf5(path: Path) -> h5py.File:
    """Open an HDF5 file to read.

    Raises
    ------
    InputError
        It is missing, being written, truncated or no HDF5 file.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist: check the name")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        reason = " ".join(str(error).split())[:200]
        if isinstance(error, BlockingIOError) or "already open for write" in reason:
            raise InputError(
                f"{path} is being written: wait until its writer has closed it, or, if the writer "
                f"has crashed, free the file with 'h5clear -s --increment=0 {path}'"
            ) from error
        raise InputError(f"{path} cannot be opened as HDF5, is it truncated? ({reason})") from error
