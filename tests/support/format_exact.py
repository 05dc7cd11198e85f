# SPDX-License-Identifier: MIT
"""Exact values of docs/format.md, version 2: levels of tiles, then what their pixels store."""

import math

from format_numbers import Stream, limited, require, unzigzag
from format_pixels import Frame, exact_prediction

MOST_DIGITS = 9
LARGEST_LEVEL = 10
WEIGHTS = (3, 1, -1, -3)


class ExactTiles:
    """Kept and blank tiles with valid pixels, and the levels that are known of them."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        everywhere = range(len(frame.tiles.cell))
        self.tiles = [n for n in everywhere if not frame.is_drawn(n) and frame.valid(n)]
        self.members = set(self.tiles)
        self.level: dict[int, int] = {}

    def beside(self, n: int) -> list[int | None]:
        """The exact tiles left, right, above and below; None where there is none."""
        ntx = self.frame.tiles.ntx
        row, column = divmod(n, ntx)
        found = [
            n - 1 if column > 0 else None,
            n + 1 if column < ntx - 1 else None,
            n - ntx,
            n + ntx if row % 4 < 3 else None,
        ]
        return [m if m in self.members else None for m in found]

    def digits(self, n: int) -> int:
        cell = self.frame.cell(n)
        if cell is None:
            return 0
        x = cell.mean if self.frame.counting else cell.sigma
        return min(MOST_DIGITS, max(0, math.floor(16.0 * x)).bit_length())

    def level_context(self, n: int) -> int:
        if self.frame.cell(n) is None:
            return 0
        count = sum(m is not None for m in self.beside(n))
        return 1 + 3 * self.digits(n) + (0 if count <= 1 else 1 if count == 2 else 2)

    def value_contexts(self, n: int) -> list[int]:
        """Contexts of positions 0 to 15."""
        own = self.level[n]
        if own == 0:
            return [0] * 16
        absent = min(self.digits(n), own - 1)
        left, right, above, below = (absent if m is None else self.level[m] for m in self.beside(n))
        x, y = limited(left - right, -4, 4), limited(above - below, -4, 4)
        slopes = [WEIGHTS[p % 4] * x + WEIGHTS[p // 4] * y for p in range(16)]
        return [3 * own - 2 if g <= -4 else 3 * own if g >= 4 else 3 * own - 1 for g in slopes]


def read_exact_by_levels(frame: Frame, levels: Stream, values: Stream, count: int) -> None:
    exact, parameters = ExactTiles(frame), frame.parameters
    smallest = 0 if frame.counting else parameters.smallest
    for n in exact.tiles:
        exact.level[n] = levels.symbol(exact.level_context(n))
        require(exact.level[n] <= LARGEST_LEVEL, "A level does not exist.")
    levels.finish()
    for n in exact.tiles:
        contexts = exact.value_contexts(n)
        prediction = exact_prediction(frame.cell(n), frame)
        for p, i in frame.valid(n):
            count -= 1
            t = values.number(contexts[p])
            value = t if frame.counting else prediction + unzigzag(t)
            require(smallest <= value <= parameters.largest, "An exact value is out of range.")
            frame.values[i] = value
    require(count == 0, "The number of exact pixels is wrong.")
    values.finish()
