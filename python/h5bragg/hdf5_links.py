# SPDX-License-Identifier: MIT
"""Which other files an HDF5 dataset is read from."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import h5py


def external_files(datasets: Iterable[h5py.Dataset]) -> tuple[Path, ...]:
    """Return the files that datasets are linked from or, if virtual, put together from.

    Parameters
    ----------
    datasets : iterable of h5py.Dataset

    Returns
    -------
    tuple of Path
        In order, each once.
    """
    files: dict[Path, None] = {}
    for data in datasets:
        files[Path(data.file.filename)] = None
        files.update(dict.fromkeys(_virtual_files(data)))
    return tuple(files)


def missing_file(data: h5py.Dataset) -> Path | None:
    """Return the first file that a virtual dataset needs and that is missing.

    HDF5 itself would fill its frames with zeros.
    """
    return next((path for path in _virtual_files(data) if not path.exists()), None)


def _virtual_files(data: h5py.Dataset) -> list[Path]:
    if not data.is_virtual:
        return []
    home = Path(data.file.filename)
    names = [source.file_name for source in data.virtual_sources()]
    return [home if name == "." else home.parent / name for name in names]
