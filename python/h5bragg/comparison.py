# SPDX-License-Identifier: MIT
"""Compare frames with what a sparse file restores of them, pixel by pixel and ring by ring."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

import h5py
import hdf5plugin
import numpy as np
from numpy.typing import NDArray

from .codec import ChunkInfo, SparseFrame, decode, inspect, unpack
from .errors import ChunkError, GeometryError
from .frame_source import InputError
from .frames import FrameSequence
from .geometry import NO_RING
from .mask_bits import is_masked, mask_codes
from .params import SparsifyParams
from .ring_test import RingMoments, RingTest
from .shells import ShellMap, ShellSums
from .sparse_dataset import SparseDataset
from .spot_comparison import FoundSpots, SpotComparison, SpotFrame
from .threads import Handover, ordered_map

Progress = Callable[[int], None]


@dataclass
class Comparison:
    """Sums over the frames that were compared.

    Parameters
    ----------
    frames : int
        Number of frames.
    picked_pixels, picked_wrong : int
        Pixels stored exactly (picked, or of a tile that is kept or on no one panel), and those of
        them that differ.
    masked_pixels, masked_wrong : int
        Pixels with a mask code in either frame, and those whose code differs.
    discarded_pixels, over_threshold : int
        Pixels restored as noise, and those of them above the threshold of their ring.
    raw_over_threshold : int
        Discarded pixels that were above the threshold in the raw frame: none should be.
    raw_nbytes, sparse_nbytes, bitshuffle_nbytes : int
        Size of the frames dense, as stored, and compressed by bitshuffle-LZ4.
    raw, restored : RingMoments or None
        Ring-wise moments of the discarded pixels; None before the first frame.
    spots : SpotComparison or None
        Bragg spots; None before the first frame.
    shells : ShellSums or None
        Background by resolution, spots left out; None before the first frame.
    """

    frames: int = 0
    picked_pixels: int = 0
    picked_wrong: int = 0
    masked_pixels: int = 0
    masked_wrong: int = 0
    discarded_pixels: int = 0
    over_threshold: int = 0
    raw_over_threshold: int = 0
    raw_nbytes: int = 0
    sparse_nbytes: int = 0
    bitshuffle_nbytes: int = 0
    raw: RingMoments | None = field(default=None, repr=False)
    restored: RingMoments | None = field(default=None, repr=False)
    spots: SpotComparison | None = field(default=None, repr=False)
    shells: ShellSums | None = field(default=None, repr=False)

    @property
    def is_exact(self) -> bool:
        """Whether every guarantee on single pixels held."""
        return not (
            self.picked_wrong or self.masked_wrong or self.over_threshold or self.raw_over_threshold
        )

    @property
    def ratio(self) -> float:
        """How many times smaller than the dense frames the stored ones are."""
        return self.raw_nbytes / self.sparse_nbytes

    @property
    def bitshuffle_ratio(self) -> float:
        """How many times smaller than bitshuffle-LZ4 of the same frames the stored ones are."""
        return self.bitshuffle_nbytes / self.sparse_nbytes

    @property
    def moments(self) -> tuple[RingMoments, RingMoments] | None:
        """Raw and restored moments; None if nothing was discarded."""
        return None if self.raw is None or self.restored is None else (self.raw, self.restored)

    def ring_test(self) -> RingTest | None:
        """Compare the rings of raw and restored frames; None if nothing was discarded."""
        return None if self.moments is None else RingTest.of(*self.moments)

    def add(self, other: Comparison) -> None:
        """Add the sums of other frames."""
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("raw", "restored", "spots", "shells"):
            mine, theirs = getattr(self, name), getattr(other, name)
            both = mine is not None and theirs is not None
            setattr(self, name, mine + theirs if both else mine or theirs)


_COUNTS = tuple(item.name for item in fields(Comparison) if item.default == 0)


@dataclass(frozen=True)
class FramePair:
    """One raw frame and what was stored of it.

    Parameters
    ----------
    raw, restored : ndarray
        Shape (slow, fast).
    sparse : SparseFrame
        The parts of the stored frame.
    info : ChunkInfo
        What its chunk says.
    """

    raw: NDArray[Any]
    restored: NDArray[Any]
    sparse: SparseFrame
    info: ChunkInfo

    def is_masked(self) -> NDArray[np.bool_]:
        """Where either frame has a mask code: shape (slow, fast)."""
        return (self.sparse.mask > 0) | is_masked(
            self.raw, mask_codes(self.info.params, self.raw.dtype)
        )

    def is_picked(self) -> NDArray[np.bool_]:
        """Where pixels were stored exactly, other than by a mask code: shape (slow, fast)."""
        picked = np.zeros(self.raw.shape, bool)
        picked.reshape(-1)[self.sparse.index] = True
        return picked


class Comparer:
    """Compares frames of a series; ring maps are made once.

    Parameters
    ----------
    frames : FrameSequence
        The raw frames.
    sparse : SparseDataset
        The same frames, compressed.

    Raises
    ------
    InputError
        Number, shape or type of the frames differ.
    """

    def __init__(self, frames: FrameSequence, sparse: SparseDataset) -> None:
        self._frames = frames
        self._sparse = sparse
        if (len(frames), frames.shape) != (sparse.nframes, sparse.frame_shape):
            raise InputError(
                f"{sparse.where} holds {sparse.nframes} frames of shape {sparse.frame_shape}, the "
                f"raw input {len(frames)} of shape {frames.shape}: compare the same frames"
            )
        self._maps: dict[Any, tuple[NDArray[np.uint16], NDArray[np.float32]]] = {}
        # Bins by resolution are those of the geometry that is met first.
        self._shell_map: ShellMap | None = None
        self._shell_lock = threading.Lock()
        mask = frames.first.pixel_mask
        self._usable = None if mask is None else mask == 0

    def run(self, *, threads: int | None = None, progress: Progress = lambda _: None) -> Comparison:
        """Compare all frames.

        Parameters
        ----------
        threads : int or None
            None means one a CPU.
        progress : callable
            Called with the number of frames that have just been compared.

        Raises
        ------
        InputError
            A frame cannot be read.
        """
        total = Comparison()
        handover: Handover[FoundSpots] = Handover()
        handover.give(0, None)

        def compare_chunk(start: int) -> Comparison:
            return self._compare_chunk(start, handover)

        with ordered_map(compare_chunk, self._sparse.starts(), threads=threads) as parts:
            for part in parts:
                total.add(part)
                progress(part.frames)
        return total

    def pair(self, index: int) -> FramePair:
        """Read one frame and what was stored of it.

        Raises
        ------
        InputError
            There is no such frame, or it was stored without the filter.
        """
        if not 0 <= index < self._sparse.nframes:
            raise InputError(f"frame {index} is not there: give 0 to {self._sparse.nframes - 1}")
        per_chunk = self._sparse.frames_per_chunk
        pairs, _ = self._pairs(index - index % per_chunk)
        return pairs[index % per_chunk]

    def spots(self, pair: FramePair) -> SpotFrame:
        """Find the spots of a frame where it is masked neither by a code nor by the input."""
        valid = ~pair.is_masked()
        if self._usable is not None:
            valid &= self._usable
        return SpotFrame(pair.raw, pair.restored, valid)

    def ring_map(self, info: ChunkInfo) -> tuple[NDArray[np.uint16], NDArray[np.float32]]:
        """Return ring and normalisation of every pixel, as a chunk's encoder used them."""
        key = (info.geometry, info.params)
        if key not in self._maps:
            self._maps[key] = info.geometry.ring_map(info.params)
        return self._maps[key]

    def _pairs(self, start: int) -> tuple[list[FramePair], int]:
        """Return the frames of one chunk with what was stored, and the chunk's size."""
        stored = self._sparse.read_chunk(start)
        where = f"{self._sparse.where}, frame {start}"
        if stored is None or not stored.is_encoded:
            what = "was never written" if stored is None else "was stored raw by HDF5"
            raise InputError(f"{where} {what}: compress the frames again")
        self._sparse.check_chunk(stored)
        try:
            info = inspect(stored.data)
            restored = decode(stored.data).reshape(-1, *self._frames.shape)
            sparse = [unpack(stored.data, i) for i in range(stored.nframes)]
        except (ChunkError, GeometryError) as error:
            raise InputError(f"{where}: {error}") from error
        raws = [self._frames.read(start + i).pixels for i in range(stored.nframes)]
        pairs = [
            FramePair(*parts, info)
            for parts in zip(raws, restored[: stored.nframes], sparse, strict=True)
        ]
        return pairs, len(stored.data)

    def _compare_chunk(self, start: int, handover: Handover[FoundSpots]) -> Comparison:
        """Compare the frames of one chunk; the spots of the frame before come by the handover."""
        total = Comparison()
        frames: list[SpotFrame] = []
        last: FoundSpots | None = None
        try:
            pairs, total.sparse_nbytes = self._pairs(start)
            for pair in pairs:
                total.add(compare_frame(pair, *self.ring_map(pair.info)))
                frames.append(self.spots(pair))
                shells = self._shells(pair.info).sums(
                    pair.raw, pair.restored, frames[-1].background
                )
                total.add(Comparison(shells=shells))
            last = frames[-1].found
        finally:
            handover.give(start + self._sparse.frames_per_chunk, last)
        before = handover.take(start)
        for frame in frames:
            total.add(Comparison(spots=frame.compare(before)))
            before = frame.found
        return total

    def _shells(self, info: ChunkInfo) -> ShellMap:
        with self._shell_lock:
            if self._shell_map is None:
                self._shell_map = ShellMap(info.geometry)
            return self._shell_map


def compare_frame(
    pair: FramePair, ring: NDArray[np.uint16], normalisation: NDArray[np.float32]
) -> Comparison:
    """Compare one frame with what was stored of it.

    Parameters
    ----------
    pair : FramePair
    ring, normalisation : ndarray
        See `Geometry.ring_map`.
    """
    raw, restored = pair.raw, pair.restored
    wrong = restored != raw
    picked = pair.is_picked()
    masked = pair.is_masked()
    found = Comparison(
        frames=1,
        picked_pixels=int(np.count_nonzero(picked)),
        picked_wrong=int(np.count_nonzero(wrong & picked)),
        masked_pixels=int(np.count_nonzero(masked)),
        masked_wrong=int(np.count_nonzero(wrong & masked)),
        raw_nbytes=raw.nbytes,
        bitshuffle_nbytes=bitshuffle_nbytes(raw),
    )
    if pair.sparse.is_lossless:
        found.picked_wrong += int(np.count_nonzero(wrong & ~picked & ~masked))
        return found
    discarded = ~picked & ~masked
    is_counting = not (raw[~masked] < 0).any()
    limit = thresholds(pair.sparse, pair.info.params, ring, normalisation, is_counting=is_counting)
    found.discarded_pixels = int(np.count_nonzero(discarded))
    found.over_threshold = int(np.count_nonzero(discarded & (restored > limit)))
    found.raw_over_threshold = int(np.count_nonzero(discarded & (raw > limit)))
    nbins = len(pair.sparse.background_mean)
    rings = ring[discarded]
    found.raw = RingMoments.of(rings, raw[discarded], nbins)
    found.restored = RingMoments.of(rings, restored[discarded], nbins)
    return found


def thresholds(
    sparse: SparseFrame,
    params: SparsifyParams,
    ring: NDArray[np.uint16],
    normalisation: NDArray[np.float32],
    *,
    is_counting: bool = True,
) -> NDArray[np.float64]:
    """Return the count above which each pixel is stored exactly (docs/format.md, "Threshold").

    Parameters
    ----------
    sparse : SparseFrame
    params : SparsifyParams
        Of its chunk.
    ring, normalisation : ndarray
        See `Geometry.ring_map`.
    is_counting : bool
        No valid pixel of the frame is negative.

    Returns
    -------
    ndarray of float64
        Shape (slow, fast); infinite on no ring.
    """
    nbins = len(sparse.background_mean)
    mean = np.append(sparse.background_mean, np.inf).astype(float)
    std = np.append(sparse.background_std, 0).astype(float)
    index = np.where(ring == NO_RING, nbins, ring)
    # The encoder's normalisation classes in full precision: powers of exp(1/32).
    scale = np.exp(np.round(32 * np.log(np.maximum(normalisation, 1e-6), dtype=float)) / 32)
    expected = mean[index] * np.where(ring == NO_RING, 1, scale)
    if params.error_model == "azimuthal":
        sigma = std[index] * scale
    else:
        sigma = np.sqrt(np.maximum(expected, 0))
    limit = expected + params.snr_pick * sigma
    if params.local_counts and is_counting and params.snr_pick > 1:
        # A Poisson distribution reaches further up than a normal one.
        on_ring = (expected > 0) & (ring != NO_RING)
        skew = np.zeros_like(expected)
        np.divide(sigma**2, expected, out=skew, where=on_ring)
        np.minimum(skew, 2, out=skew)
        limit += (params.snr_pick**2 - 1) / 6 * skew
    floored: NDArray[np.float64] = np.floor(limit)
    return floored


def bitshuffle_nbytes(frame: NDArray[Any]) -> int:
    """Return the size of a frame compressed losslessly by bitshuffle-LZ4.

    Examples
    --------
    >>> import numpy as np
    >>> bitshuffle_nbytes(np.zeros((512, 512), "uint32")) < 20000
    True
    """
    # HDF5 refuses to open two files of one name, even in memory.
    name = f"bitshuffle-{threading.get_ident()}"
    with h5py.File(name, "w", driver="core", backing_store=False) as file:
        data = file.create_dataset(
            "data", data=frame, chunks=frame.shape, **hdf5plugin.Bitshuffle(cname="lz4")
        )
        return int(data.id.get_storage_size())
