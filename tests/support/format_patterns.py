# SPDX-License-Identifier: MIT
"""Pattern noise of docs/format.md: patterns, variants, permutations, levels and coarse blocks."""

import itertools
import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from format_numbers import WORD, NextBits, hashed

LARGEST_SUM = 511
CANDIDATES = 256
VARIANTS = 64
MOST_ROUNDS = 64


@lru_cache(None)
def pixel_weights(t: int) -> list[float]:
    """w_0 to w_T, the Poisson distribution of mean 8 but for a factor."""
    w = [1.0]
    for n in range(1, t + 1):
        w.append(w[-1] * 8.0 / n)
    return w


@lru_cache(None)
def running_sums(k: int, t: int) -> np.ndarray:
    """Sums of w_i W_(k-1)(s - i), i = 0 to n, at [s, n]; infinite for n above min(T, s)."""
    w, before = pixel_weights(t), tile_weights(k - 1, t)
    sums = np.full((LARGEST_SUM + 1, t + 1), np.inf)
    total = np.zeros(LARGEST_SUM + 1)
    for n in range(min(t, LARGEST_SUM) + 1):
        total[n:] += before[: LARGEST_SUM + 1 - n] * w[n]
        sums[n:, n] = total[n:]
    return sums


@lru_cache(None)
def tile_weights(k: int, t: int) -> np.ndarray:
    """W_k(s) for s = 0 to 511: the weight of the sum s of k pixels from 0 to T."""
    if k == 0:
        return np.array([1.0] + [0.0] * LARGEST_SUM)
    sums = running_sums(k, t)
    last = np.minimum(t, np.arange(LARGEST_SUM + 1))
    return sums[np.arange(LARGEST_SUM + 1), last]


@lru_cache(None)
def candidates(f: int, t: int, total: int) -> np.ndarray:
    """256 rows of f pixels from 0 to T with that sum, sorted by their sum of squares."""
    bits = NextBits(hashed(0x9E3779B97F4A7C15, f * 65536 + t * 1024 + total) | 1)
    drawn = np.array([bits.take() for _ in range(CANDIDATES * f)]).reshape(CANDIDATES, f)
    left = np.full(CANDIDATES, total)
    rows = np.zeros((CANDIDATES, f), dtype=np.int64)
    for pixel, k in enumerate(range(f, 0, -1)):
        u = drawn[:, pixel] * 2.0**-32 * tile_weights(k, t)[left]
        n = np.sum(running_sums(k, t)[left] <= u[:, None], axis=1)
        for row in np.flatnonzero(n > np.minimum(t, left)):
            n[row] = last_possible(k, t, int(left[row]))
        rows[:, pixel] = n
        left = left - n
    squares = np.sum(rows * rows, axis=1)
    return rows[np.argsort(squares, kind="stable")]


def last_possible(k: int, t: int, s: int) -> int:
    w, before = pixel_weights(t), tile_weights(k - 1, t)
    return max(n for n in range(min(t, s) + 1) if w[n] * before[s - n] > 0)


def aimed_squares(f: int, t: int, total: int, dispersion: int, q4: int) -> int:
    """Aim of the sum of squares over the 64 variants."""
    w, before = pixel_weights(t), tile_weights(f - 1, t)
    g = 0.0
    for n in range(min(t, total) + 1):
        g += n * n * (w[n] * float(before[total - n]))
    squares = f * (g / float(tile_weights(f, t)[total]))
    even = total * total / f
    step = max(1, min(math.isqrt(total * q4 * q4 // 16), total // 2))
    of_steps = (step * step - 1) / (12.0 * f)
    scaled = even + (squares - even) * (1.0 + dispersion / 400.0)
    return math.floor(64.0 * (scaled - of_steps) + 0.5)


@lru_cache(None)
def variants(f: int, t: int, total: int, dispersion: int, q4: int) -> np.ndarray:
    """The 64 variants of f pixels from 0 to T with that sum."""
    rows = candidates(f, t, total)
    squares = [int(z) for z in np.sum(rows * rows, axis=1)]
    aim = aimed_squares(f, t, total, dispersion, q4)
    ranks = [4 * i + 2 for i in range(VARIANTS)]
    found = sum(squares[rank] for rank in ranks)
    for _ in range(MOST_ROUNDS):
        has_changed = False
        for i, rank in enumerate(ranks):
            way = 1 if found < aim else -1
            other = rank + way
            while 0 <= other < CANDIDATES and (other in ranks or squares[other] == squares[rank]):
                other += way
            if found == aim or not 0 <= other < CANDIDATES:
                continue
            changed = found + squares[other] - squares[rank]
            if abs(changed - aim) < abs(found - aim):
                ranks[i], found, has_changed = other, changed, True
        if not has_changed:
            break
    return rows[ranks]


def rectangles() -> np.ndarray:
    """Positions that lie in each of the 168 rectangles: shape (168, 16)."""
    row, column = np.divmod(np.arange(16), 4)
    found = set()
    for a, b, top, left in itertools.product(range(1, 5), range(1, 5), range(4), range(4)):
        inside = ((row - top) % 4 < a) & ((column - left) % 4 < b)
        found.add(tuple(inside.tolist()))
    found.remove((True,) * 16)
    return np.array(sorted(found))


@lru_cache(None)
def unevenness_matrix() -> np.ndarray:
    inside = rectangles()
    x = 16 * inside - inside.sum(axis=1, keepdims=True)
    matrix: np.ndarray = x.T @ x
    return matrix


@lru_cache(None)
def arranged(t: int, total: int, dispersion: int, q4: int) -> np.ndarray:
    """The 64 variants of full tiles, their pixels in their places: of version 2."""
    v, q = variants(16, t, total, dispersion, q4).copy(), unevenness_matrix()
    for _ in range(8):
        before = v.copy()
        for i in range(15):
            for j in range(i + 1, 16):
                g = v @ (q[:, i] - q[:, j])
                d = v[:, j] - v[:, i]
                is_better = d * (2 * g + d * (q[i, i] + q[j, j] - 2 * q[i, j])) < 0
                v[is_better, i], v[is_better, j] = v[is_better, j], v[is_better, i]
        if (v == before).all():
            break
    return v


def symmetry(number: int) -> list[int]:
    pi = []
    for r in range(4):
        for c in range(4):
            u, v = (r + (number >> 3 & 3)) % 4, (c + (number >> 5 & 3)) % 4
            u, v = 3 - u if number & 1 else u, 3 - v if number & 2 else v
            pi.append(4 * v + u if number & 4 else 4 * u + v)
    return pi


@lru_cache(None)
def basic_permutations() -> list[list[int]]:
    bits, found = NextBits(0x2545F491), []
    for _ in range(16):
        q = list(range(16))
        for i in range(15, 0, -1):
            j = bits.below(i + 1)
            q[i], q[j] = q[j], q[i]
        found.append(q)
    return found


@lru_cache(None)
def permutation(number: int) -> list[int]:
    q = basic_permutations()[number >> 4]
    return [q[(i + number) % 16] for i in range(16)]


@lru_cache(None)
def level_limits(t: int, level: int) -> list[int]:
    """Random bits from which on the sum of a full tile is larger than S = 0, 1, ..."""
    y = level / 32.0
    r, power, below, sums = y * y / 8.0, 1.0, 0.0, []
    weights = tile_weights(16, t)
    for s in range(min(LARGEST_SUM, 16 * t) + 1):
        below += power * float(weights[s])
        sums.append(below)
        power *= r
    return [math.floor(c / below * 65536 + 0.5) for c in sums[:-1]]


def sum_at_level(t: int, level: int, bits: int) -> int:
    return sum(limit <= bits for limit in level_limits(t, level))


@dataclass(frozen=True)
class PatternKind:
    """What patterns depend on besides f, T and S.

    They are arranged in version 2 with local counts; q4 is 0 elsewhere.
    """

    arranged: bool
    dispersion: int
    q4: int


def full_tile(kind: PatternKind, t: int, total: int, tile_hash: int) -> np.ndarray:
    """Values at the 16 positions of a tile."""
    number = (tile_hash >> 17) % VARIANTS
    if kind.arranged:
        return arranged(t, total, kind.dispersion, kind.q4)[number][symmetry(tile_hash >> 24)]
    return variants(16, t, total, kind.dispersion, 0)[number][permutation(tile_hash >> 24)]


def part_of_tile(f: int, kind: PatternKind, t: int, total: int, tile_hash: int) -> np.ndarray:
    """Values of the f valid pixels of a tile, f from 1 to 15."""
    variant = variants(f, t, total, kind.dispersion, kind.q4)[(tile_hash >> 17) % VARIANTS]
    return variant[(np.arange(f) + (tile_hash >> 24) * f // 256) % f]


def coarse_block(limits: list[int], total: int, tile_hash: int) -> list[int]:
    """Values of the pixels of a coarse block, of which each holds at most its limit."""
    bits = NextBits(tile_hash | 1)
    values = [0] * len(limits)
    for _ in range(total):
        at = bits.take() * len(limits) // WORD
        while values[at] >= limits[at]:
            at = (at + 1) % len(limits)
        values[at] += 1
    return values
