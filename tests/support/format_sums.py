# SPDX-License-Identifier: MIT
"""Scales and sums of docs/format.md: the counts of every open tile and coarse block."""

import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from format_numbers import Stream, hashed, require
from format_patterns import LARGEST_SUM
from format_pixels import Frame

ROOTS = [1.0, 1.189207115002721, 1.4142135623730951, 1.681792830507429]
SUM_BOUNDS = [16, 23, 32, 45, 64, 91, 128, 181, 256, 362, 512, 724, 1024, 1448, 2048]


@dataclass(frozen=True)
class Macro:
    """A macro block: its tiles, those that are open, and whether it is coarse."""

    tiles: list[int]
    open: list[int]
    coarse: bool


@dataclass(frozen=True)
class Prediction:
    """What is known of a sum before it is read."""

    largest: int
    step: int
    base: int
    context: int
    tile_hash: int

    def interval(self, j: int) -> tuple[int, int]:
        first = self.base + j * self.step
        return max(first, 0), min(first + self.step - 1, self.largest)

    def restored(self, j: int) -> int:
        lo, hi = self.interval(j)
        require(0 <= lo <= hi <= self.largest, "A sum is out of range.")
        return lo + (hi - lo + (self.tile_hash >> 16 & 1)) // 2


class Sums:
    """The restored sums of a frame; coarse blocks go by (macro row, macro column)."""

    def __init__(self, frame: Frame, seed: int, version: int) -> None:
        self.frame, self.seed, self.version = frame, seed, version
        tiles = frame.tiles
        self.rows, self.columns = -(-tiles.nty // 4), -(-tiles.ntx // 4)
        self.macros = {
            (row, column): self.macro(row, column)
            for row in range(self.rows)
            for column in range(self.columns)
        }
        self.factors: dict[tuple[int, int], int] = {}
        self.of_tile: dict[int, int] = {}
        self.of_block: dict[tuple[int, int], int] = {}

    def macro(self, row: int, column: int) -> Macro:
        frame, tiles = self.frame, self.frame.tiles
        inside = [
            r * tiles.ntx + c
            for r in range(4 * row, min(4 * row + 4, tiles.nty))
            for c in range(4 * column, min(4 * column + 4, tiles.ntx))
        ]
        cells = [cell for cell in map(frame.cell, inside) if cell is not None]
        limit = frame.parameters.coarse_limit
        coarse = (
            limit > 0
            and len(cells) > 0
            and all(cell.ring.pattern for cell in cells)
            and 16 * sum(cell.sum_256 for cell in cells) < 256 * limit * len(cells)
        )
        found = [n for n in inside if frame.is_drawn(n) and frame.valid(n)]
        return Macro(inside, found, coarse)

    def read_scales(self, stream: Stream) -> None:
        z: dict[tuple[int, int], int] = {}
        for (row, column), macro in self.macros.items():
            if not macro.open:
                continue
            context = (z.get((row, column - 1), 0) != 0) + (z.get((row - 1, column), 0) != 0)
            found = stream.signed(context)
            require(-16 <= found <= 16, "A scale is out of range.")
            z[row, column] = found
            self.factors[row, column] = scale_factor(found)
        stream.finish()

    def order(self) -> Iterator[tuple[tuple[int, int], int | None]]:
        """Macro block and tile (None: the whole block) of every sum."""
        tiles = self.frame.tiles
        for row in range(tiles.nty):
            blocks = [(row // 4, column) for column in range(self.columns)]
            if row % 4 == 0:
                for at in blocks:
                    if self.macros[at].coarse and self.macros[at].open:
                        yield at, None
            for at in blocks:
                if not self.macros[at].coarse:
                    for n in self.macros[at].open:
                        if n // tiles.ntx == row:
                            yield at, n

    def predict(self, at: tuple[int, int], tile: int | None) -> Prediction:
        macro, factor = self.macros[at], self.factors[at]
        members = macro.open if tile is None else [tile]
        e1 = v1 = largest = 0
        for n in members:
            cell, f = self.frame.cell(n), len(self.frame.valid(n))
            e1 += cell.sum_256 * f // 16
            v1 += cell.variance_256 * f // 16
            largest += f * (cell.threshold - cell.low)
        e2, v2 = e1 * factor // 65536, v1 * factor // 65536
        q4 = self.frame.parameters.q4
        if self.version > 1 and tile is None:
            q4 = min(q4, 4)
        step = math.floor(math.sqrt((v2 * q4 * q4 // 16) / 256.0))
        if tile is None or cell.ring.pattern:
            largest = min(largest, LARGEST_SUM * (16 if tile is None else 1))
            step = min(step, e2 // 512)
        step = max(min(step, 2**30), 1)
        tile_hash = hashed(self.seed, macro.tiles[0] if tile is None else tile)
        dither = tile_hash % 65536 * step // 65536
        base = (e2 + 128) // 256 - dither
        return Prediction(largest, step, base, sum_context(step, v2), tile_hash)

    def read_sums(self, stream: Stream) -> None:
        for at, tile in self.order():
            prediction = self.predict(at, tile)
            found = prediction.restored(stream.signed(prediction.context))
            if tile is None:
                self.of_block[at] = found
            else:
                self.of_tile[tile] = found
        stream.finish()


def scale_factor(z: int) -> int:
    return math.floor(65536.0 * ROOTS[z % 4] * 2.0 ** (z // 4) + 0.5)


def sum_context(step: int, v2: int) -> int:
    if step == 1:
        return bisect_right(SUM_BOUNDS, v2)
    if step == 2:
        return 16 + (v2 >= 1448)
    if step == 3:
        return 18
    return 19 if step < 8 else 20
