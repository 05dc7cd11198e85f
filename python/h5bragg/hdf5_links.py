# SPDX-License-Identifier: MIT
"""Follow the links of an HDF5 file: every dataset once, and the files that it is read from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import h5py

_DEEPEST = 32


def object_key(item: h5py.HLObject) -> tuple[str, int]:
    """Return what tells one object of the opened files from another, whatever its names."""
    return item.file.filename, h5py.h5o.get_info(item.id).addr


def walk_datasets(file: h5py.File) -> Iterator[h5py.Dataset]:
    """Yield every dataset of a file once, those in linked files included.

    Parameters
    ----------
    file : h5py.File

    Examples
    --------
    >>> import h5py
    >>> with h5py.File("walk", "w", driver="core", backing_store=False) as file:
    ...     file["a/b"] = [1, 2]
    ...     file["c"] = h5py.SoftLink("/a/b")
    ...     [data.name for data in walk_datasets(file)]
    ['/a/b']
    """
    seen: set[tuple[str, int]] = set()

    def visit(group: h5py.Group, depth: int) -> Iterator[h5py.Dataset]:
        for name in group:
            try:
                item = group[name]
            except (KeyError, OSError, RuntimeError):
                continue  # a link that leads nowhere
            if isinstance(item, h5py.Group) and depth < _DEEPEST:
                yield from visit(item, depth + 1)
            elif isinstance(item, h5py.Dataset) and object_key(item) not in seen:
                seen.add(object_key(item))
                yield item

    return visit(file, 0)


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
    return [source_path(data, source.file_name) for source in data.virtual_sources()]


def source_path(data: h5py.Dataset, name: str) -> Path:
    """Return where a file is from which a virtual dataset takes frames.

    Parameters
    ----------
    data : h5py.Dataset
    name : str
        As stored with the dataset; "." is its own file.
    """
    home = Path(data.file.filename)
    return home if name == "." else home.parent / name
