# SPDX-License-Identifier: MIT
"""Compare the spots of raw frames with those of restored ones.

Where one looks decides what one sees.  A spot found in the raw frame is one whose counting noise
happened to help; noise drawn anew helps it no more, so its restored intensity is lower on average
even if the restored frame is as good a measurement as the raw one.  Of weak spots this is no small
effect.  Hence three selections, none of which prefers one of the frames:

- Spots found in either frame, classed by the mean of the two intensities.  Had the codec but
  replaced noise by other noise of the same kind, the two frames might be exchanged, and the sums
  of intensities would agree.
- Places where the frame before, raw, has a spot, classed by its intensity there.  Its noise knows
  nothing of this frame's.  In a scan many reflections last for more than one frame, with any part
  of their intensity; where there is none, noise is added and nothing else.  This is the test of
  weak reflections: spots too weak to be found in their own frame count as well.
- A lattice of fixed places, the same in all frames, those on spots of either frame left out: what
  is there beside spots.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .spots import (
    LEAST_SIGNIFICANCE,
    REACH,
    Intensities,
    Places,
    find_spots,
    integrate,
    match,
    off_spots,
)

# Intensity over its standard deviation, where classes begin; the first holds all below the second.
CLASS_EDGES = (5.0, 10.0, 20.0)
NCLASSES = len(CLASS_EDGES) + 1
_LATTICE_STEP = 53
# A spot counts as found again from this significance on: less than it takes to be found at first,
# so that chance in its surroundings does not make it come and go.
AGAIN_SIGNIFICANCE = 4.0
# Pairs of intensities kept for a picture.
MOST_PAIRS = 20000


@dataclass(frozen=True, eq=False)
class PairSums:
    """Sums over pairs of a raw and a restored intensity, class by class.

    Parameters
    ----------
    sums : ndarray of float64
        Shape (9, nclasses): number, raw, restored, (restored - raw)^2, z, z^2, raw^2 / variance,
        restored^2 / variance, variance; z = (restored - raw) / sqrt(variance), variance being the
        mean of the two.
    """

    sums: NDArray[np.float64]

    @classmethod
    def of(
        cls, raw: Intensities, restored: Intensities, group: NDArray[np.intp], nclasses: int
    ) -> PairSums:
        """Sum up pairs at usable places.

        Parameters
        ----------
        raw, restored : Intensities
        group : ndarray of int
            Shape (n,): class of each pair.
        nclasses : int

        Examples
        --------
        >>> import numpy as np
        >>> raw, restored = (
        ...     Intensities(np.array(counts), np.full(2, 100.0), np.ones(2, bool))
        ...     for counts in ([40.0, 60.0], [50.0, 60.0])
        ... )
        >>> pairs = PairSums.of(raw, restored, np.array([0, 0]), 1)
        >>> pairs.ratio.tolist(), pairs.rms_sigma.round(3).tolist()
        ([1.1], [0.707])
        """
        usable = raw.is_usable & restored.is_usable
        x, y = raw.counts[usable], restored.counts[usable]
        variance = mean_variance(raw, restored)[usable]
        z = (y - x) / np.sqrt(variance)
        rows = (
            np.ones_like(x), x, y, (y - x) ** 2, z, z**2,
            x**2 / variance, y**2 / variance, variance,
        )  # fmt: skip
        return cls(np.stack([np.bincount(group[usable], row, nclasses) for row in rows]))

    def __add__(self, other: PairSums) -> PairSums:
        """Add the pairs of other frames."""
        return PairSums(self.sums + other.sums)

    @property
    def total(self) -> PairSums:
        """All classes as one."""
        return PairSums(self.sums.sum(axis=1, keepdims=True))

    @property
    def count(self) -> NDArray[np.float64]:
        """Number of pairs."""
        count: NDArray[np.float64] = self.sums[0]
        return count

    @property
    def ratio(self) -> NDArray[np.float64]:
        """Sum of the restored intensities over that of the raw ones; NaN without any."""
        return _divide(self.sums[2], self.sums[1])

    @property
    def ratio_error(self) -> NDArray[np.float64]:
        """Standard error of `ratio` by the scatter of restored intensities about raw ones."""
        n, difference = self.sums[0], self.sums[2] - self.sums[1]
        scatter = self.sums[3] - _divide(difference**2, n)
        return _divide(np.sqrt(np.maximum(scatter, 0)), np.abs(self.sums[1]))

    @property
    def raw_significance(self) -> NDArray[np.float64]:
        """Sum of the raw intensities in units of its counting error."""
        return _divide(self.sums[1], np.sqrt(self.sums[8]))

    @property
    def mean_sigma(self) -> NDArray[np.float64]:
        """Mean of restored less raw in units of the counting sigma."""
        return _divide(self.sums[4], self.sums[0])

    @property
    def mean_sigma_error(self) -> NDArray[np.float64]:
        """Standard error of `mean_sigma`."""
        n = self.sums[0]
        variance = np.maximum(_divide(self.sums[5], n) - self.mean_sigma**2, 0)
        return _divide(np.sqrt(variance), np.sqrt(n))

    @property
    def rms_sigma(self) -> NDArray[np.float64]:
        """Root mean square of restored less raw in units of the counting sigma."""
        return np.sqrt(_divide(self.sums[5], self.sums[0]))

    @property
    def scatter_sigma(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Rms of raw, and of restored intensities, in units of the counting sigma."""
        raw, restored = (np.sqrt(_divide(self.sums[i], self.sums[0])) for i in (6, 7))
        return raw, restored


@dataclass(frozen=True, kw_only=True, eq=False)
class SpotComparison:
    """Sums over frames of what `compare_spots` finds.

    Parameters
    ----------
    raw_spots, restored_spots : int
        Spots found in raw and in restored frames.
    found_again : int
        Spots of the raw frames that have one of `AGAIN_SIGNIFICANCE` in the restored frame within
        two pixels.
    only_restored : int
        Spots of the restored frames that have no such one in the raw frame.
    either : PairSums
        Spots found in either frame, by `CLASS_EDGES`.
    elsewhere : PairSums
        Places of the raw spots of the frame before, by the intensity there.
    lattice : PairSums
        Fixed places off the spots, in one class.
    moments : ndarray of float64
        Shape (6,): sums of 1, x, y, x^2, x y, y^2 over `either`, x raw and y restored.
    pairs : ndarray of float32
        Shape (n, 3): raw, restored and sigma of the first spots of `either`, to draw.
    """

    raw_spots: int
    restored_spots: int
    found_again: int
    only_restored: int
    either: PairSums
    elsewhere: PairSums
    lattice: PairSums
    moments: NDArray[np.float64]
    pairs: NDArray[np.float32] = field(repr=False)

    def __add__(self, other: SpotComparison) -> SpotComparison:
        """Add other frames."""
        names = {item.name for item in fields(self)} - {"pairs"}
        sums = {name: getattr(self, name) + getattr(other, name) for name in names}
        pairs = self.pairs
        if len(pairs) < MOST_PAIRS:
            pairs = np.concatenate([pairs, other.pairs])[:MOST_PAIRS]
        return replace(self, pairs=pairs, **sums)

    @property
    def found_again_fraction(self) -> float:
        """Fraction of the raw spots that are found again; NaN without any."""
        return self.found_again / self.raw_spots if self.raw_spots else float("nan")

    @property
    def correlation(self) -> float:
        """Correlation of raw and restored intensities of the spots found in either frame."""
        n, x, y, xx, xy, yy = self.moments
        spread = (n * xx - x * x) * (n * yy - y * y)
        return float((n * xy - x * y) / np.sqrt(spread)) if spread > 0 else float("nan")


@dataclass(frozen=True, eq=False)
class FoundSpots:
    """The spots of one raw frame, for the next frame to look there.

    Parameters
    ----------
    places : Places
    group : ndarray of int
        Shape (n,): class of each.
    """

    places: Places
    group: NDArray[np.intp]


class SpotFrame:
    """Spots of a raw and a restored frame, found, not yet compared.

    Parameters
    ----------
    raw, restored : ndarray of integer
        Shape (slow, fast), counts.
    valid : ndarray of bool
        Shape (slow, fast).
    """

    def __init__(self, raw: NDArray[Any], restored: NDArray[Any], valid: NDArray[np.bool_]) -> None:
        self.raw = raw
        self.restored = restored
        self.valid = valid
        self._in_raw, self._all_in_raw = _strong_and_all(raw, valid)
        self._in_restored, self._all_in_restored = _strong_and_all(restored, valid)
        self.background = off_spots(valid, self._in_raw + self._in_restored)

    @cached_property
    def found(self) -> FoundSpots:
        """The spots of the raw frame, classed by their raw intensity."""
        raw = integrate(self.raw, self.valid, self.background, self._in_raw)
        group = intensity_class(raw.counts, raw.variance)
        return FoundSpots(self._in_raw[raw.is_usable], group[raw.is_usable])

    def compare(self, before: FoundSpots | None) -> SpotComparison:
        """Compare the two frames.

        Parameters
        ----------
        before : FoundSpots or None
            Spots of the raw frame before; None if there is none.
        """
        shape = self._shape
        again = match(self._in_raw, self._all_in_restored, shape) >= 0
        before_too = match(self._in_restored, self._all_in_raw, shape) >= 0
        _, raw, restored = self.either
        variance = mean_variance(raw, restored)
        group = intensity_class((raw.counts + restored.counts) / 2, variance)
        x, y = raw.counts, restored.counts
        pairs = np.stack([x, y, np.sqrt(variance)], axis=1).astype(np.float32)
        return SpotComparison(
            raw_spots=len(self._in_raw),
            restored_spots=len(self._in_restored),
            found_again=int(np.count_nonzero(again)),
            only_restored=int(np.count_nonzero(~before_too)),
            either=PairSums.of(raw, restored, group, NCLASSES),
            elsewhere=self._compare_at(before),
            lattice=self._compare_lattice(),
            moments=np.array([len(x), x.sum(), y.sum(), x @ x, x @ y, y @ y]),
            pairs=pairs[:MOST_PAIRS],
        )

    @cached_property
    def either(self) -> tuple[Places, Intensities, Intensities]:
        """The usable spots of either frame, with their raw and their restored intensities."""
        partner = match(self._in_raw, self._in_restored, self._shape)
        is_alone = match(self._in_restored, self._in_raw, self._shape) < 0
        places = _middles(self._in_raw, self._in_restored, partner) + self._in_restored[is_alone]
        raw, restored = self._integrate(places)
        usable = raw.is_usable & restored.is_usable
        return places[usable], raw[usable], restored[usable]

    @property
    def _shape(self) -> tuple[int, int]:
        return self.raw.shape[0], self.raw.shape[1]

    def _integrate(self, places: Places) -> tuple[Intensities, Intensities]:
        raw, restored = (
            integrate(frame, self.valid, self.background, places)
            for frame in (self.raw, self.restored)
        )
        return raw, restored

    def _compare_at(self, spots: FoundSpots | None) -> PairSums:
        if spots is None:
            return PairSums(np.zeros((9, NCLASSES)))
        return PairSums.of(*self._integrate(spots.places), spots.group, NCLASSES)

    def _compare_lattice(self) -> PairSums:
        slow, fast = np.meshgrid(
            *(np.arange(REACH, size - REACH, _LATTICE_STEP) for size in self._shape), indexing="ij"
        )
        places = Places(slow.reshape(-1), fast.reshape(-1))
        places = places[self.background[places.slow, places.fast]]
        return PairSums.of(*self._integrate(places), np.zeros(len(places), np.intp), 1)


def compare_spots(
    raw: NDArray[Any],
    restored: NDArray[Any],
    valid: NDArray[np.bool_],
    *,
    before: FoundSpots | None = None,
) -> SpotComparison:
    """Compare the spots of one raw frame and the restored one.

    Parameters
    ----------
    raw, restored : ndarray of integer
        Shape (slow, fast), counts.
    valid : ndarray of bool
        Shape (slow, fast).
    before : FoundSpots or None
        Spots of the raw frame before; None if there is none.

    Examples
    --------
    >>> import numpy as np
    >>> raw = np.random.default_rng(1).poisson(2, (100, 100))
    >>> raw[20:23, 30:33] += 9
    >>> found = compare_spots(raw, raw, np.ones(raw.shape, bool))
    >>> found.raw_spots, found.found_again, found.either.total.ratio.tolist()
    (1, 1, [1.0])
    """
    return SpotFrame(raw, restored, valid).compare(before)


def intensity_class(counts: NDArray[np.float64], variance: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the class of intensities, by `CLASS_EDGES`: shape (n,).

    Examples
    --------
    >>> import numpy as np
    >>> intensity_class(np.array([-3.0, 49.0, 70.0, 9e9]), np.full(4, 100.0)).tolist()
    [0, 0, 1, 3]
    """
    return np.searchsorted(CLASS_EDGES, counts / np.sqrt(variance), side="right")


def mean_variance(raw: Intensities, restored: Intensities) -> NDArray[np.float64]:
    """Return the counting variance that both frames agree on: shape (n,)."""
    mean: NDArray[np.float64] = (raw.variance + restored.variance) / 2
    return mean


def _strong_and_all(frame: NDArray[Any], valid: NDArray[np.bool_]) -> tuple[Places, Places]:
    """Return the spots of a frame, and those together with fainter ones."""
    places, significance = find_spots(frame, valid, least=AGAIN_SIGNIFICANCE)
    return places[significance >= LEAST_SIGNIFICANCE], places


def _middles(raw: Places, restored: Places, partner: NDArray[np.intp]) -> Places:
    """Return the middle between matched spots, so that neither frame centres the box."""
    has = partner >= 0
    slow, fast = raw.slow.copy(), raw.fast.copy()
    slow[has] = (slow[has] + restored.slow[partner[has]]) // 2
    fast[has] = (fast[has] + restored.fast[partner[has]]) // 2
    return Places(slow, fast)


def _divide(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(divide="ignore", invalid="ignore"):
        quotient: NDArray[np.float64] = np.where(b > 0, a / b, np.nan)
    return quotient
