# SPDX-License-Identifier: MIT
"""Find the datasets of a file that h5bragg compressed, and copy files with them made dense."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin

from .codec import Fill
from .errors import ParameterError
from .frame_source import InputError
from .hdf5_links import walk_datasets
from .output_file import output_hdf5
from .read_back import read_dense_back
from .sparse_dataset import Progress, SparseDataset, is_sparse
from .tree_copy import copy_attributes, copy_tree

# How `densify` may compress, and the arguments of h5py's create_dataset for it.
COMPRESSIONS: dict[str, Callable[[], Mapping[str, Any]]] = {
    "bitshuffle-lz4": lambda: hdf5plugin.Bitshuffle(cname="lz4"),
    "bitshuffle-zstd": lambda: hdf5plugin.Bitshuffle(cname="zstd"),
    "zstd": hdf5plugin.Zstd,
    "gzip": lambda: {"compression": "gzip", "shuffle": True},
    "lzf": lambda: {"compression": "lzf", "shuffle": True},
    "none": dict,
}


def find_sparse(file: h5py.File) -> list[SparseDataset]:
    """Return all datasets of a file that h5bragg compressed, those in linked files included.

    Raises
    ------
    InputError
        There is none.
    """
    found = [SparseDataset(data) for data in walk_datasets(file) if is_sparse(data)]
    if not found:
        raise InputError(
            f"{file.filename} has no dataset that h5bragg compressed: give the output of "
            "'h5bragg compress'"
        )
    return found


def densify(
    source: h5py.File,
    output: Path,
    *,
    compression: str = "bitshuffle-lz4",
    fill: Fill = "noise",
    threads: int | None = None,
    force: bool = False,
    verify: bool = False,
    progress: Progress = lambda _: None,
) -> int:
    """Copy a file with its sparse datasets made dense, for programs without the plugin.

    Parameters
    ----------
    source : h5py.File
        File to copy.
    output : Path
        File to write; it appears under its name when it is complete.
    compression : str
        A key of `COMPRESSIONS`.
    fill : {"noise", "mean"}
        See `decode`.
    threads : int or None
        Decoding threads; None means one a CPU.
    force : bool
        Replace a file of that name.
    verify : bool
        Read all frames back and compare them before the file takes its name.
    progress : callable
        Called with the number of frames that have just been written, and once more with those
        that have been compared.

    Returns
    -------
    int
        Number of frames made dense.

    Raises
    ------
    InputError, OutputError, ParameterError
        Input, output or compression are not usable; no output is left behind.
    ReadBackError
        With `verify`: the file does not hold the frames; it is kept as OUTPUT.failed.
    """
    if compression not in COMPRESSIONS:
        names = ", ".join(COMPRESSIONS)
        raise ParameterError(f"compression={compression!r} is not usable: give one of {names}")
    sparse = find_sparse(source)
    inputs = [Path(source.filename), *(Path(item.data.file.filename) for item in sparse)]
    count = 0
    written: list[tuple[str, SparseDataset]] = []

    def check(path: Path) -> None:
        if verify:
            read_dense_back(path, written, fill=fill, threads=threads, progress=progress)

    def write_dense(data: h5py.Dataset, group: h5py.Group, name: str) -> bool:
        nonlocal count
        if not is_sparse(data):
            return False
        item = SparseDataset(data)
        options = COMPRESSIONS[compression]()
        single = (1,) * (data.ndim - len(item.stack_shape))
        chunks = None if compression == "none" else single + item.stack_shape
        dense = group.create_dataset(
            name, shape=data.shape, dtype=data.dtype, chunks=chunks, **options
        )
        copy_attributes(data, dense)
        written.append((dense.name, item))
        with item.frames(threads=threads, fill=fill) as decoded:
            for start, frames in zip(item.starts(), decoded, strict=True):
                if single:
                    dense[start : start + len(frames)] = frames.reshape(-1, *item.stack_shape)
                else:
                    dense[...] = frames.reshape(data.shape)
                count += len(frames)
                progress(len(frames))
        return True

    with output_hdf5(output, force=force, inputs=inputs, check=check) as file:
        copy_tree(source, file, write_dense)
    return count
