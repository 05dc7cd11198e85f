# SPDX-License-Identifier: MIT
"""What an HDF5 file holds, so that two of them can be compared."""

import hashlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np


def contents(path: Path) -> dict[str, Any]:
    """Everything that a file holds by name: attributes, and values or stored chunks."""
    found: dict[str, Any] = {}
    with h5py.File(path, "r") as file:
        found["/"] = attributes(file)

        def visit(name: str, item: h5py.HLObject) -> None:
            value: Any = None
            if isinstance(item, h5py.Dataset):
                layout = (item.shape, item.dtype.str, item.chunks)
                value = (layout, chunks(item) if item.chunks else value_of(item[()]))
            found[name] = (attributes(item), value)

        file.visititems(visit)
    return found


def attributes(item: h5py.HLObject) -> dict[str, Any]:
    return {name: value_of(value) for name, value in item.attrs.items()}


def value_of(value: Any) -> Any:
    array = np.asarray(value)
    return (array.dtype.str, array.shape, array.tolist())


def chunks(data: h5py.Dataset) -> list[tuple[int, bytes]]:
    """Filter mask and bytes of every chunk that is stored."""
    offsets = [data.id.get_chunk_info(k).chunk_offset for k in range(data.id.get_num_chunks())]
    return [data.id.read_direct_chunk(offset) for offset in sorted(offsets)]


def file_hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
