# SPDX-License-Identifier: MIT
"""Read a file back that has just been written, and compare it with the frames that went in."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from .codec import ChunkInfo, Fill, SparseFrame, decode, inspect, unpack
from .comparison import FramePair, thresholds
from .errors import ChunkError, ReadBackError
from .frames import FrameSequence
from .geometry import NO_RING
from .hdf5_open import open_hdf5
from .sparse_dataset import Progress, SparseDataset
from .threads import ordered_map

_TILE = 4
_MACRO = 4  # tiles
# Factors of what is expected in a macro block are powers of 2^(1/4), means and variances rounded.
_ALLOWANCE = 1.25
# Sums are stored to half a step.  In rings that no pattern describes the last counts of a tile may
# find no room, and the variance of a tile can only be guessed here: so a few tiles may be off by
# more.  Of Poisson counts none is, in practice; of others 4 % and 2.5 times were seen.
_MOST_OFF = {"counting": 0.02, "other": 0.08}
_FARTHEST_OFF = {"counting": 4.0, "other": 6.0}


def read_back(
    path: Path,
    name: str,
    frames: FrameSequence,
    *,
    numbers: Sequence[int] | None = None,
    threads: int | None = None,
    progress: Progress = lambda _: None,
) -> None:
    """Compare all frames of a dataset with those that went in.

    Pixels that are stored exactly and masked pixels must be the same, no other pixel may be above
    the threshold of its ring, and the counts of each tile must be those of the frame to half a
    step (docs/statistics.md, "Local counts").

    Parameters
    ----------
    path : Path
        The file; it is read from the disk, not from the memory that holds what was written.
    name : str
        Path of the dataset in it.
    frames : FrameSequence
        What went in; it is read again.
    numbers : sequence of int or None
        Which of `frames` are in the file; None means all.
    threads : int or None
        None means one a CPU, at most 16.
    progress : callable
        Called with the number of frames that have just been compared.

    Raises
    ------
    ReadBackError
        A frame differs, or cannot be read; the message names the first one.
    InputError
        The input cannot be read any more.
    """
    _forget(path)
    with open_hdf5(path) as file:
        sparse = SparseDataset(file[name])
        maps = _TileMaps()
        inside = range(len(frames)) if numbers is None else numbers
        if sparse.nframes != len(inside):
            raise ReadBackError(f"{sparse.nframes} of {len(inside)} frames are there")

        def check(start: int) -> int:
            stored = sparse.read_chunk(start)
            if stored is None or not stored.is_encoded:
                raise ReadBackError(f"frame {start} was not stored by h5bragg's filter")
            try:
                info = inspect(stored.data)
                restored = decode(stored.data).reshape(-1, *frames.shape)
                parts = [unpack(stored.data, k) for k in range(stored.nframes)]
            except ChunkError as error:
                raise ReadBackError(f"frame {start} cannot be read back: {error}") from error
            for k, part in enumerate(parts):
                raw = frames.read(inside[start + k]).pixels
                reason = first_fault(FramePair(raw, restored[k], part, info), maps.of(info))
                if reason:
                    raise ReadBackError(f"frame {start + k} differs from the input: {reason}")
            return stored.nframes

        with ordered_map(check, sparse.starts(), threads=threads) as counts:
            for count in counts:
                progress(count)


def read_dense_back(
    path: Path,
    written: Sequence[tuple[str, SparseDataset]],
    *,
    fill: Fill = "noise",
    threads: int | None = None,
    progress: Progress = lambda _: None,
) -> None:
    """Compare dense datasets with the sparse ones that they were made of, pixel by pixel.

    Parameters
    ----------
    path : Path
        The dense file; it is read from the disk.
    written : sequence of (str, SparseDataset)
        Path of each dense dataset, and what it was made of.
    fill : {"noise", "mean"}
        See `decode`.
    threads, progress
        See `read_back`.

    Raises
    ------
    ReadBackError
        A frame differs, or cannot be read.
    """
    _forget(path)
    with open_hdf5(path) as file:
        for name, sparse in written:
            dense = file[name]
            with sparse.frames(threads=threads, fill=fill) as frames:
                for start, expected in zip(sparse.starts(), frames, strict=True):
                    _compare_dense(dense, sparse, start, expected)
                    progress(len(expected))


def _compare_dense(
    dense: h5py.Dataset, sparse: SparseDataset, start: int, expected: NDArray[Any]
) -> None:
    """Compare frames of a dense dataset from number `start` on."""
    rows = np.s_[start : start + len(expected)]
    try:
        found = dense[rows] if dense.ndim > len(sparse.stack_shape) else dense[()]
    except (OSError, RuntimeError) as error:
        raise ReadBackError(f"{dense.name}, frame {start}, cannot be read back") from error
    if not np.array_equal(found.reshape(expected.shape), expected):
        raise ReadBackError(f"{dense.name}, frame {start}, differs from the input")


@dataclass(frozen=True)
class TileMap:
    """Ring and normalisation of every tile: shape (tile rows, tile columns)."""

    ring: NDArray[np.uint16]
    normalisation: NDArray[np.float32]


class _TileMaps:
    """Tile maps of the chunks of a file, made once each."""

    def __init__(self) -> None:
        self._maps: dict[Any, TileMap] = {}
        self._lock = threading.Lock()

    def of(self, info: ChunkInfo) -> TileMap:
        key = (info.geometry, info.params)
        with self._lock:
            if key not in self._maps:
                self._maps[key] = tile_map(info)
            return self._maps[key]


def tile_map(info: ChunkInfo) -> TileMap:
    """Return the map of a chunk's tiles: all pixels of one have its ring and normalisation."""
    ring, normalisation = info.geometry.ring_map(info.params)
    return TileMap(ring[::_TILE, ::_TILE], normalisation[::_TILE, ::_TILE])


def first_fault(pair: FramePair, tiles: TileMap) -> str | None:
    """Say what is wrong with a frame that was read back; None if nothing is.

    Parameters
    ----------
    pair : FramePair
        What went in, and what came out.
    tiles : TileMap
        See `tile_map`.
    """
    raw, restored = pair.raw, pair.restored
    if pair.sparse.is_lossless:
        ndiffer = np.count_nonzero(raw != restored)
        return f"{ndiffer} pixels of a frame that is stored whole" if ndiffer else None
    masked = pair.is_masked()
    exact = pair.is_picked() & ~masked
    wrong = raw != restored
    for where, what in ((masked, "masked pixels"), (exact, "pixels that are stored exactly")):
        ndiffer = np.count_nonzero(wrong & where)
        if ndiffer:
            return f"{ndiffer} {what}"
    drawn = ~(masked | exact)
    params = pair.info.params
    is_counting = raw.dtype.kind == "u" or not ((raw < 0) & ~masked).any()
    limit = thresholds(
        pair.sparse, params, tiles.ring, tiles.normalisation, is_counting=is_counting
    )
    for frame, what in ((restored, "restored"), (raw, "left out")):
        nabove = np.count_nonzero(tile_max(frame, drawn) > limit)
        if nabove:
            return f"{nabove} tiles in which a pixel above the threshold was {what}"
    if not params.local_counts:
        return None
    kind = "counting" if is_counting and params.error_model == "poisson" else "other"
    return _sums_fault(*sum_errors(pair, drawn, tiles), kind)


def _sums_fault(
    bound: NDArray[np.float64], difference: NDArray[np.float64], kind: str
) -> str | None:
    """Say how many sums are off by more than half a step, if it is too many, or too much."""
    ratio = np.abs(difference) / bound
    noff = np.count_nonzero(ratio > 1)
    likely = _MOST_OFF[kind] * len(ratio)
    if noff <= likely + 3 * likely**0.5 and ratio.max(initial=0) <= _FARTHEST_OFF[kind]:
        return None
    return f"the counts of {noff} of {len(ratio)} tiles, by up to {ratio.max():.1f} half steps"


def sum_errors(
    pair: FramePair, drawn: NDArray[np.bool_], tiles: TileMap
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how far sums of tiles, and of coarse blocks, may be off, and how far they are.

    Parameters
    ----------
    pair : FramePair
    drawn : ndarray
        Shape (slow, fast): pixels that are restored from the sums.
    tiles : TileMap

    Returns
    -------
    bound, difference : ndarray
        Shape (n,): the n tiles and blocks that have a sum of their own.
    """
    count = tile_sum(drawn)
    left_out = np.where(drawn, pair.raw, 0)
    sums = tile_sum(left_out)
    difference = tile_sum(np.where(drawn, pair.restored, 0)) - sums
    params = pair.info.params
    mean, variance = _expected(pair.sparse, tiles)
    squares = tile_sum(left_out, square=True)
    squares += mean * (count * mean - 2 * sums)  # about the mean
    macro_count = tile_sum(count)
    factor = tile_sum(sums) / np.maximum(tile_sum(count * mean), 1e-9)
    measured = tile_sum(squares) / np.maximum(macro_count, 1)
    scale = (np.maximum(factor, 1), measured)
    factor, measured = (_spread(values, count.shape) for values in scale)
    most = np.maximum(count * np.maximum(mean, variance) * factor, count * measured) * _ALLOWANCE
    # A coarse block has one sum; which blocks are, is known for certain away from the limit.
    is_there = count > 0
    nthere = np.maximum(tile_sum(is_there), 1)
    per_block = 16 * _MACRO**2 * tile_sum(np.where(is_there, mean, 0)) / nthere
    coarse, fine = (per_block < part * params.coarse_limit for part in (0.8, 1.2))
    single = is_there & ~_spread(fine, count.shape)
    blocks = coarse & (macro_count > 0)
    bounds = (
        _half_step(most[single], params.local_step),
        _half_step(tile_sum(np.where(is_there, most, 0))[blocks], min(params.local_step, 1)),
    )
    differences = (difference[single], tile_sum(difference)[blocks])
    return np.concatenate(bounds), np.concatenate(differences).astype(np.float64)


def _expected(
    sparse: SparseFrame, tiles: TileMap
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and variance of a pixel of each tile, 0 on no ring."""
    nbins = len(sparse.background_mean)
    ring = np.where(tiles.ring == NO_RING, nbins, tiles.ring)
    scale = tiles.normalisation.astype(np.float64)
    mean = np.append(sparse.background_mean, 0).astype(np.float64)[ring] * scale
    sigma = np.append(sparse.background_std, 0).astype(np.float64)[ring] * scale
    return mean, sigma**2


def _half_step(variance: NDArray[np.float64], step: float) -> NDArray[np.float64]:
    """Return half a step of a sum of some variance; one count is the least, rounding another half.

    Examples
    --------
    >>> import numpy as np
    >>> _half_step(np.array([0.01, 16.0]), 1.5)
    array([1.01, 3.51])
    """
    widest: NDArray[np.float64] = np.maximum(step * np.sqrt(variance) / 2, 0.5) + 0.51
    return widest


def tile_sum(values: NDArray[Any], *, square: bool = False) -> NDArray[Any]:
    """Return the sums of tiles of 4 x 4, of squares if asked for; those at the edges are smaller.

    Examples
    --------
    >>> import numpy as np
    >>> tile_sum(np.full((4, 6), 3, "uint8"))
    array([[48, 24]])
    """
    kind = np.float64 if square or values.dtype.kind == "f" else np.int64
    return _by_tile(values, np.add, lambda row: _squared(row) if square else row.astype(kind))


def _squared(values: NDArray[Any]) -> NDArray[np.float64]:
    wide = values.astype(np.float64)
    wide *= wide
    return wide


def tile_max(values: NDArray[Any], drawn: NDArray[np.bool_]) -> NDArray[Any]:
    """Return the largest drawn value of tiles of 4 x 4, the type's smallest where none is."""
    least = np.where(drawn, values, np.iinfo(values.dtype).min)
    return _by_tile(least, np.maximum, lambda row: row)


def _by_tile(
    values: NDArray[Any], combine: np.ufunc, prepare: Callable[[NDArray[Any]], NDArray[Any]]
) -> NDArray[Any]:
    """Combine the pixels of each tile: every fourth row with the next, then columns likewise."""
    rows = prepare(values[::_TILE]).copy()
    for k in range(1, _TILE):
        part = prepare(values[k::_TILE])
        combine(rows[: len(part)], part, out=rows[: len(part)])
    tiles: NDArray[Any] = rows[:, ::_TILE].copy()
    for k in range(1, _TILE):
        part = rows[:, k::_TILE]
        combine(tiles[:, : part.shape[1]], part, out=tiles[:, : part.shape[1]])
    return tiles


def _spread(blocks: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Give each tile the value of its macro block."""
    wide = np.repeat(np.repeat(blocks, _MACRO, axis=0), _MACRO, axis=1)
    return wide[: shape[0], : shape[1]]


def _forget(path: Path) -> None:
    """Have the operating system forget what it remembers of a file, once that is on the disk."""
    if not hasattr(os, "posix_fadvise"):
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)
