# SPDX-License-Identifier: MIT
"""What is in an HDF5 file: its image datasets, how they are compressed, what h5bragg kept."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import h5py

from .chunk_totals import ChunkTotals
from .codec import ChunkInfo, inspect
from .frame_record import FrameRecord, frame_records
from .hdf5_links import walk_datasets
from .sparse_dataset import SparseDataset, is_sparse


@dataclass(frozen=True, kw_only=True)
class DatasetSummary:
    """One dataset of two or more dimensions.

    Parameters
    ----------
    name : str
        Path in the file.
    shape : tuple of int
    dtype : str
    chunks : tuple of int or None
    filters : tuple of str
        Names of its HDF5 filters.
    stored_nbytes, raw_nbytes : int
        Size in the file, and dense.
    totals : ChunkTotals or None
        How h5bragg stored the frames; None for other datasets.
    chunk : ChunkInfo or None
        What the first chunk says of format, parameters and geometry.
    missing_frames : int
        Frames that were never written.
    frames : tuple of FrameRecord or None
        How each frame is stored, if that was asked for.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    chunks: tuple[int, ...] | None
    filters: tuple[str, ...]
    stored_nbytes: int
    raw_nbytes: int
    totals: ChunkTotals | None = None
    chunk: ChunkInfo | None = None
    missing_frames: int = 0
    frames: tuple[FrameRecord, ...] | None = None

    @property
    def ratio(self) -> float:
        """How many times smaller than dense it is; 0 if nothing is stored."""
        return self.raw_nbytes / self.stored_nbytes if self.stored_nbytes else 0.0

    def as_json(self) -> dict[str, Any]:
        """Return all of it as what JSON can hold.

        Returns
        -------
        dict
            The fields by their names.  Those of the first chunk are `format_version`, `nbins`,
            `params` and `geometry`.
        """
        found = asdict(replace(self, chunk=None))
        del found["chunk"]
        if self.chunk is not None:
            geometry = self.chunk.geometry
            found["format_version"] = self.chunk.format_version
            found["nbins"] = self.chunk.nbins
            found["params"] = asdict(self.chunk.params)
            found["geometry"] = {
                "shape": geometry.shape,
                "distance_m": geometry.distance_m,
                "wavelength_m": geometry.wavelength_m,
                "panels": [asdict(panel) for panel in geometry.panels],
            }
        return found


def summarize(
    file: h5py.File,
    *,
    with_frames: bool = False,
    progress: Callable[[int], None] = lambda _: None,
) -> list[DatasetSummary]:
    """Summarise the image stacks of a file, or without any its two-dimensional datasets.

    Parameters
    ----------
    file : h5py.File
    with_frames : bool
        Also tell how each frame is stored.
    progress : callable
        Called with the number of frames that have just been looked at.

    Raises
    ------
    InputError
        A chunk is damaged.

    Examples
    --------
    >>> import h5py, numpy as np
    >>> with h5py.File("x", "w", driver="core", backing_store=False) as file:
    ...     file.create_dataset("a", data=np.zeros((9, 9)), compression="gzip").name
    ...     [found.filters for found in summarize(file)]
    '/a'
    [('deflate',)]
    """
    found = [data for data in walk_datasets(file) if data.ndim >= 2]
    stacks = [data for data in found if data.ndim >= 3 or is_sparse(data)]
    return [_summarize(data, with_frames, progress) for data in stacks or found]


def _summarize(
    data: h5py.Dataset, with_frames: bool, progress: Callable[[int], None]
) -> DatasetSummary:
    details: dict[str, Any] = {}
    if is_sparse(data):
        sparse = SparseDataset(data)
        totals = sparse.totals(progress)
        seen = totals.sparse_frames + totals.lossless_frames + totals.unfiltered_frames
        details = {
            "totals": totals,
            "chunk": next((inspect(c.data) for c in sparse.chunks() if c.is_encoded), None),
            "missing_frames": sparse.nframes - seen,
            "frames": tuple(frame_records(sparse)) if with_frames else None,
        }
    return DatasetSummary(
        name=data.name,
        shape=tuple(data.shape),
        dtype=data.dtype.name,
        chunks=data.chunks,
        filters=_filter_names(data),
        stored_nbytes=int(data.id.get_storage_size()),
        raw_nbytes=int(data.size) * data.dtype.itemsize,
        **details,
    )


def _filter_names(data: h5py.Dataset) -> tuple[str, ...]:
    plist: Any = data.id.get_create_plist()
    filters = (plist.get_filter(i) for i in range(plist.get_nfilters()))
    # Plugins put installation hints behind their name.
    return tuple(
        re.split(r"[;:\0]", found[3].decode("utf-8", "replace"))[0] or f"filter {found[0]}"
        for found in filters
    )
