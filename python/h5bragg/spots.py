# SPDX-License-Identifier: MIT
"""Find Bragg spots in a frame and integrate them, the same way whatever frame it is.

This serves the comparison of raw and restored frames and nothing else: a plain finder that treats
both alike, not one to index with.

A spot is a pixel whose 3 x 3 pixels (the core) hold more counts than any other core up to two
pixels away, and more than the background explains.  The background is that of the 13 x 13 pixels
around, the inner 7 x 7 left out (the surroundings).  The significance is that of Li and Ma
(Astrophys. J. 272, 317, 1983, eq. 17) for N_on counts in the core and N_off in the surroundings, of
alpha = (pixels of the core) / (pixels of the surroundings):

    S^2 = 2 N_on ln((1 + alpha) / alpha * N_on / (N_on + N_off))
        + 2 N_off ln((1 + alpha) N_off / (N_on + N_off))

It is the likelihood ratio of two Poisson counts, so it holds at 0.01 counts a pixel as at 100, and
minds that the background is itself counted.

The intensity is the sum over 5 x 5 pixels (the box) less their share of the surroundings:

    I = N_box - beta N_off,   variance of I = N_box + beta^2 N_off,   beta = 25 / pixels around
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Reach of the core, of the box, and of the surroundings from where to where, in pixels.
_CORE, BOX, _GUARD, REACH = 1, 2, 3, 6
_CORE_PIXELS, _BOX_PIXELS = (2 * _CORE + 1) ** 2, (2 * BOX + 1) ** 2
# Of the 120 pixels around, so many must be valid (and, on integration, on no other spot).
_LEAST_AROUND = 40
LEAST_SIGNIFICANCE = 5.0
# Rows that are searched together: what a thread needs beside the frame stays a few MB.
_BAND_ROWS = 128
_PLACES_AT_ONCE = 2048


@dataclass(frozen=True, eq=False)
class Places:
    """Pixels of a frame.

    Parameters
    ----------
    slow, fast : ndarray of int
        Shape (n,): row and column.
    """

    slow: NDArray[np.intp]
    fast: NDArray[np.intp]

    def __len__(self) -> int:
        """Return the number of places."""
        return len(self.slow)

    def __getitem__(self, which: Any) -> Places:
        """Select some of them, as of an array."""
        return Places(self.slow[which], self.fast[which])

    def __add__(self, other: Places) -> Places:
        """Join two lists."""
        slow = np.concatenate([self.slow, other.slow])
        return Places(slow, np.concatenate([self.fast, other.fast]))


@dataclass(frozen=True, eq=False)
class Intensities:
    """Integrated intensities at some places.

    Parameters
    ----------
    counts, variance : ndarray of float64
        Shape (n,): counts above the background, and their counting variance, at least 1.
    is_usable : ndarray of bool
        Shape (n,): the box is valid altogether, and so is enough around it.
    """

    counts: NDArray[np.float64]
    variance: NDArray[np.float64]
    is_usable: NDArray[np.bool_]

    def __getitem__(self, which: Any) -> Intensities:
        """Select some of them, as of an array."""
        return Intensities(self.counts[which], self.variance[which], self.is_usable[which])


def find_spots(
    frame: NDArray[Any], valid: NDArray[np.bool_], *, least: float = LEAST_SIGNIFICANCE
) -> tuple[Places, NDArray[np.float64]]:
    """Find the spots of one frame.

    Parameters
    ----------
    frame : ndarray of integer
        Shape (slow, fast), counts.  Negative ones count as none.
    valid : ndarray of bool
        Shape (slow, fast).  Where not, there are no counts; spots less than three pixels from such
        a pixel, and spots less than six pixels from the edge, are left out.
    least : float
        Least significance of a spot, in sigma.

    Returns
    -------
    places : Places
        In the order of rows; no two within two pixels of each other in both directions.
    significance : ndarray of float64
        Shape (n,), in sigma.

    Examples
    --------
    >>> import numpy as np
    >>> frame = np.random.default_rng(1).poisson(2, (60, 80))
    >>> frame[20:23, 30:33] += 9
    >>> found, significance = find_spots(frame, np.ones(frame.shape, bool))
    >>> found.slow.tolist(), found.fast.tolist(), significance.round(1).tolist()
    ([21], [31], [13.2])
    """
    places = Places(np.empty(0, np.intp), np.empty(0, np.intp))
    significance = np.empty(0)
    if frame.shape[1] <= 2 * REACH:
        return places, significance
    for first in range(0, len(frame) - 2 * REACH, _BAND_ROWS):
        band = slice(first, first + _BAND_ROWS + 2 * REACH)
        found, sigma = _find_in_band(frame[band], valid[band], least)
        places += Places(found.slow + first, found.fast)
        significance = np.concatenate([significance, sigma])
    return places, significance


def _find_in_band(
    frame: NDArray[Any], valid: NDArray[np.bool_], least: float
) -> tuple[Places, NDArray[np.float64]]:
    """Find spots in all but the first and the last rows of a band."""
    counts = _BoxSums(np.where(valid, np.maximum(frame, 0), 0))
    pixels = _BoxSums(valid)
    # Nearly all pixels fall at once: a spot's core holds well more than its share of 13 x 13.
    core = counts.everywhere(_CORE)
    share = counts.everywhere(REACH) * (_CORE_PIXELS / (2 * REACH + 1) ** 2)
    inner = slice(REACH, -REACH)
    excess, share = (image[inner, inner] for image in (core - share, share))
    slow, fast = np.nonzero((excess > 0) & (excess**2 > 4 * share))
    places = Places(slow + REACH, fast + REACH)
    places = places[pixels.at(places, BOX) == _BOX_PIXELS]
    places = places[_is_highest(core, places)]
    around = pixels.at(places, REACH) - pixels.at(places, _GUARD)
    off = counts.at(places, REACH) - counts.at(places, _GUARD)
    alpha = _CORE_PIXELS / np.maximum(around, 1)
    sigma = li_ma_significance(counts.at(places, _CORE), off, alpha)
    found = (around >= _LEAST_AROUND) & (sigma >= least)
    return places[found], sigma[found]


class _BoxSums:
    """Sums over squares of a band, from one table of sums.

    Parameters
    ----------
    values : ndarray
        Shape (slow, fast).
    """

    def __init__(self, values: NDArray[Any]) -> None:
        ny, nx = values.shape
        self._table = np.zeros((ny + 1, nx + 1), np.int64)
        np.cumsum(values, axis=0, dtype=np.int64, out=self._table[1:, 1:])
        np.cumsum(self._table[1:, 1:], axis=1, out=self._table[1:, 1:])

    def everywhere(self, reach: int) -> NDArray[np.int64]:
        """Return the sums around every pixel, 0 where the square leaves the band: (slow, fast)."""
        table, size = self._table, 2 * reach + 1
        sums = np.zeros((table.shape[0] - 1, table.shape[1] - 1), np.int64)
        inner = sums[reach : sums.shape[0] - reach, reach : sums.shape[1] - reach]
        np.subtract(table[size:, size:], table[:-size, size:], out=inner)
        inner -= table[size:, :-size]
        inner += table[:-size, :-size]
        return sums

    def at(self, places: Places, reach: int) -> NDArray[np.int64]:
        """Return the sums around some pixels, none of them near the edge: (n,)."""
        top, bottom = places.slow - reach, places.slow + reach + 1
        left, right = places.fast - reach, places.fast + reach + 1
        table = self._table
        sums: NDArray[np.int64] = table[bottom, right] - table[top, right]
        sums += table[top, left] - table[bottom, left]
        return sums


def _is_highest(core: NDArray[np.int64], places: Places) -> NDArray[np.bool_]:
    """Return where no other core within two pixels is higher; of equal ones the first is."""
    own = core[places.slow, places.fast]
    highest = np.ones(len(places), bool)
    for slow, fast in product(range(-2, 3), range(-2, 3)):
        other = core[places.slow + slow, places.fast + fast]
        if (slow, fast) < (0, 0):
            highest &= other < own
        elif (slow, fast) > (0, 0):
            highest &= other <= own
    return highest


def li_ma_significance(
    on: NDArray[Any], off: NDArray[Any], alpha: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return by how many sigma N_on counts are more than the background explains.

    Parameters
    ----------
    on, off : ndarray of integer
        Shape (n,): counts in the core and around it.
    alpha : ndarray of float64
        Shape (n,): pixels of the core over pixels around it.

    Returns
    -------
    ndarray of float64
        Shape (n,); 0 where there are less counts than expected.

    Examples
    --------
    >>> import numpy as np
    >>> li_ma_significance(np.array([30, 5]), np.array([240, 0]), np.full(2, 0.075)).round(1)
    array([2.5, 5.2])
    """
    total = np.maximum(on + off, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        first = np.where(on > 0, on * np.log((1 + alpha) / alpha * (on / total)), 0)
        second = np.where(off > 0, off * np.log((1 + alpha) * (off / total)), 0)
    squared = np.where(on > alpha * off, 2 * (first + second), 0)
    sigma: NDArray[np.float64] = np.sqrt(np.maximum(squared, 0))
    return sigma


def integrate(
    frame: NDArray[Any],
    valid: NDArray[np.bool_],
    is_background: NDArray[np.bool_],
    places: Places,
) -> Intensities:
    """Integrate boxes of 5 x 5 pixels, less the background around them.

    Parameters
    ----------
    frame : ndarray of integer
        Shape (slow, fast), counts.
    valid : ndarray of bool
        Shape (slow, fast).
    is_background : ndarray of bool
        Shape (slow, fast): which valid pixels count as background, see `off_spots`.
    places : Places
        Middles of the boxes, six pixels or more from the edge.

    Examples
    --------
    >>> import numpy as np
    >>> frame = np.full((30, 30), 2)
    >>> frame[14:17, 14:17] += 10
    >>> valid = np.ones(frame.shape, bool)
    >>> found = integrate(frame, valid, valid, Places(np.array([15]), np.array([15])))
    >>> found.counts.tolist(), found.is_usable.tolist()
    ([90.0], [True])
    """
    offset = np.arange(-REACH, REACH + 1)
    distance = np.maximum(np.abs(offset)[:, None], np.abs(offset)[None, :])
    in_box, in_surroundings = distance <= BOX, distance > _GUARD
    parts = []
    for start in range(0, len(places), _PLACES_AT_ONCE):
        some = places[start : start + _PLACES_AT_ONCE]
        where = (
            some.slow[:, None, None] + offset[:, None],
            some.fast[:, None, None] + offset[None, :],
        )
        counts = frame[where].astype(np.float64)
        around = is_background[where] & in_surroundings
        is_whole = (valid[where] | ~in_box).all(axis=(1, 2))
        npixels = around.sum(axis=(1, 2))
        box = np.where(in_box & is_whole[:, None, None], counts, 0).sum(axis=(1, 2))
        off = np.where(around, counts, 0).sum(axis=(1, 2))
        parts.append((box, off, npixels, is_whole & (npixels >= _LEAST_AROUND)))
    if not parts:
        nothing = np.empty(0)
        return Intensities(nothing, nothing, np.empty(0, bool))
    box, off, npixels, usable = (np.concatenate(part) for part in zip(*parts, strict=True))
    beta = _BOX_PIXELS / np.maximum(npixels, 1)
    return Intensities(box - beta * off, np.maximum(box + beta**2 * off, 1), usable)


def off_spots(valid: NDArray[np.bool_], spots: Places) -> NDArray[np.bool_]:
    """Return which valid pixels are not in the box of a spot, nor next to it: (slow, fast)."""
    background: NDArray[np.bool_] = valid.copy()
    reach = range(-_GUARD, _GUARD + 1)
    for slow, fast in product(reach, reach):
        background[spots.slow + slow, spots.fast + fast] = False
    return background


def match(places: Places, others: Places, shape: tuple[int, int]) -> NDArray[np.intp]:
    """Return the nearest of other places within two pixels of each place.

    Parameters
    ----------
    places, others : Places
    shape : tuple of int
        Frame shape (slow, fast).

    Returns
    -------
    ndarray of int
        Shape (n,): number of the other place; -1 if there is none.

    Examples
    --------
    >>> import numpy as np
    >>> a = Places(np.array([10, 20]), np.array([10, 20]))
    >>> b = Places(np.array([50, 11]), np.array([50, 12]))
    >>> match(a, b, (60, 60)).tolist()
    [1, -1]
    """
    width = shape[1]
    keys = others.slow * width + others.fast
    order = np.argsort(keys)
    keys = keys[order]
    found = np.full(len(places), -1, np.intp)
    if not len(keys):
        return found
    reach = range(-BOX, BOX + 1)
    for slow, fast in sorted(product(reach, reach), key=lambda step: step[0] ** 2 + step[1] ** 2):
        wanted = (places.slow + slow) * width + places.fast + fast
        at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        hit = (found < 0) & (keys[at] == wanted)
        found[hit] = order[at[hit]]
    return found
