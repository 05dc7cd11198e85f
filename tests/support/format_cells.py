# SPDX-License-Identifier: MIT
"""Profile, threshold, range and distribution of docs/format.md: what is expected in every cell."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from format_numbers import Stream, exp, limited, require, rounded

AZIMUTHAL = 1
LARGEST_NUMBER = 2**30
LARGEST_MOMENT = 2.0**30


@dataclass(frozen=True)
class Parameters:
    """What the parameter words say that the frames depend on."""

    error_model: int
    snr_pick: float
    coarse_limit: int
    local_counts: bool
    q4: int
    codes: list[int]
    smallest: int
    largest: int


@dataclass(frozen=True)
class Ring:
    k: int
    c: int
    pattern: bool
    level: int
    jitter: int
    a: int
    b: int

    @property
    def mean(self) -> float:
        m = (self.k / 1024.0) * (self.k / 1024.0)
        return -m if self.k < 0 else m


def read_profile(
    stream: Stream, steps: list[int], version: int, parameters: Parameters, counting: bool
) -> list[Ring]:
    """`steps` holds those of means and levels, for each ring, where it is of patterns."""
    rings = []
    k = c = 0
    for step in steps:
        kind = stream.symbol(0)
        require(kind <= 1, "A ring is neither of patterns nor general.")
        k += stream.signed(1) * (step if kind == 0 else 1)
        require(abs(k) <= LARGEST_NUMBER, "The mean of a ring is out of range.")
        if parameters.error_model == AZIMUTHAL:
            c += stream.signed(2)
            require(0 <= c <= LARGEST_NUMBER, "The deviation of a ring is out of range.")
        level = jitter = a = b = 0
        if kind == 0:
            require(counting, "A ring of a frame that is not counting is of patterns.")
            level = max(k, 0) + step * stream.signed(3)
            level = level if version == 1 else max(level, 0)
            require(0 <= level <= 5120, "The level of a ring is out of range.")
            if not parameters.local_counts:
                jitter = stream.number(4) * (1 if version == 1 else 64)
                require(jitter <= 40960, "The spread of a ring's levels is out of range.")
        else:
            a, b = stream.signed(5), stream.signed(6)
            require(-65536 <= a <= 65536, "The slope of a ring is out of range.")
            require(-8192 <= b <= 4096, "The curvature of a ring is out of range.")
        rings.append(Ring(k, c, kind == 0, level, jitter, a, b))
    stream.finish()
    return rings


class Cell:
    """What is expected of the tiles of one ring with one class of normalisation."""

    def __init__(self, ring: Ring, k: int, counting: bool, parameters: Parameters) -> None:
        self.ring, self.counting, self.parameters = ring, counting, parameters
        self.g = exp(k / 32)
        self.mean = ring.mean * self.g
        if parameters.error_model == AZIMUTHAL:
            self.d = (ring.c / 1024.0) * (ring.c / 1024.0)
            self.sigma = self.d * self.g
        else:
            self.d = max(ring.k, 0) / 1024.0
            self.sigma = math.sqrt(self.mean) if self.mean > 0 else 0.0
        self.smallest = 0 if counting else parameters.smallest
        self.threshold = self.find_threshold()
        self.low, self.h, self.steps = 0, 1, self.threshold + 1
        self.normal = False
        if ring.pattern:
            self.check_pattern()

    def find_threshold(self) -> int:
        p = self.parameters
        u = self.mean + p.snr_pick * self.sigma
        if p.local_counts and self.counting and p.snr_pick > 1 and self.mean > 0:
            skew = min(self.sigma * self.sigma / self.mean, 2.0)
            u = u + (p.snr_pick * p.snr_pick - 1.0) / 6.0 * skew
        t = limited(math.floor(u), self.smallest, p.largest)
        while t in p.codes and t != p.smallest:
            t -= 1
        return t

    def check_pattern(self) -> None:
        require(self.threshold <= 63, "The threshold of a pattern ring is above 63.")
        self.x = math.floor(self.ring.level * math.sqrt(self.g) * 8.0 + 0.5)
        require(self.x <= 40960, "The level of a cell is out of range.")
        y = self.ring.level / 1024.0
        self.sum_256 = self.variance_256 = rounded(y * y * self.g * 4096.0)

    def set_general(self, normal: bool) -> None:
        """Range and distribution of a cell of a general ring."""
        self.normal = normal
        t, e, sigma = self.threshold, self.mean, self.sigma
        if normal:
            span = math.ceil((self.parameters.snr_pick + 8.0) * sigma) + 1
            h = 1
            while span > 256 * h:
                h *= 2
            n = min(-(-span // h), (t - self.smallest + 1) // h)
            self.low, self.h, self.steps = (t, 1, 1) if n < 1 else (t - n * h + 1, h, n)
        else:
            self.low = limited(math.floor(e - 8.0 * sigma), 0, t)
            self.steps = t - self.low + 1
        first, second = self.moments
        self.sum_256 = rounded(4096.0 * min(first, LARGEST_MOMENT))
        self.variance_256 = rounded(4096.0 * min(second, LARGEST_MOMENT))

    @cached_property
    def values(self) -> list[float]:
        return [self.low + j * self.h + 0.5 * (self.h - 1) for j in range(self.steps)]

    def exponents(self) -> tuple[float, float]:
        """L and Q, the factors of y and y^2 in the exponent."""
        m, e, sigma = self.ring.mean, self.mean, self.sigma
        s = max(self.d, 0.5)
        if not self.normal and m > 0:
            s = max(s, math.sqrt(m))
        q = (self.ring.b / 1024.0) / (s * s)
        linear = (self.ring.a / 1024.0) / s - 2.0 * q * m
        if self.normal:
            v = sigma * sigma if sigma > 0.25 else 0.0625
            linear += e / v
            q -= 0.5 / v
        return linear, q

    @cached_property
    def weights(self) -> list[float]:
        linear, quadratic = self.exponents()
        e, values = self.mean, self.values
        start = limited(math.trunc((e - self.low) / self.h), 0, self.steps - 1)
        weights = [0.0] * self.steps
        weights[start] = 1.0
        for way, end in ((1, self.steps - 1), (-1, 0)):
            step = float(way * self.h)
            q = exp(step * (linear + quadratic * (2.0 * values[start] + step)))
            growth = exp(2.0 * quadratic * step * step)
            for j in range(start, end, way):
                factor = q
                if not self.normal and way > 0:
                    factor = q * (max(e, 0.0) / (values[j] + 1.0))
                elif not self.normal:
                    factor = q * (values[j] / e) if e > 0 else 0.0
                weights[j + way] = weights[j] * factor
                q = q * growth
        if self.h == 1:
            codes = self.parameters.codes
            weights = [0.0 if self.low + j in codes else w for j, w in enumerate(weights)]
        return weights

    @cached_property
    def total(self) -> float:
        total = 0.0
        for w in self.weights:
            total += w
        return total

    @property
    def usable(self) -> bool:
        return 0 < self.total < 1e300

    @cached_property
    def moments(self) -> tuple[float, float]:
        """M and W: mean and variance of value - low."""
        if not self.usable:
            return float(self.threshold - self.low), 0.0
        first = second = 0.0
        for w, n in zip(self.weights, self.values, strict=True):
            x = n - self.low
            first += w * x
            second += w * (x * x)
        mean = first / self.total
        return mean, max(second / self.total - mean * mean, 0.0)

    @cached_property
    def limits(self) -> np.ndarray:
        """Random bits from which on the step is above j = 0, 1, ..."""
        below, limits = 0.0, []
        for w in self.weights[:-1]:
            below += w
            limits.append(rounded(below / self.total * 65536.0))
        return np.array(limits, dtype=np.int64)

    @cached_property
    def probability_above(self) -> float:
        """Q, the Poisson probability of a value above the threshold."""
        w = below = exp(-self.mean)
        for n in range(1, self.threshold + 1):
            w = w * self.mean / n
            below += w
        return 1.0 - below

    @cached_property
    def noise_free(self) -> int:
        """The value of a drawn pixel where noise is left out."""
        if self.ring.pattern:
            y = self.ring.level / 1024.0
            value = min(rounded(y * y * self.g), self.threshold)
        else:
            value = self.low + rounded(self.moments[0])
        while value in self.parameters.codes:
            value += 1
        return value


def find_cells(
    keys: set[tuple[int, int]], rings: list[Ring], counting: bool, parameters: Parameters
) -> dict[tuple[int, int], Cell]:
    """The cells of a frame by (ring, class)."""
    cells = {key: Cell(rings[key[0]], key[1], counting, parameters) for key in keys}
    normal = {key[0] for key, cell in cells.items() if not counting or cell.threshold >= 256}
    for key, cell in cells.items():
        if not cell.ring.pattern:
            cell.set_general(key[0] in normal)
    return cells
