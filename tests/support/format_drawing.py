# SPDX-License-Identifier: MIT
"""Noise of docs/format.md: values of the pixels that are not stored."""

import numpy as np
from format_cells import Cell
from format_numbers import SEED, WORD, NextBits, hashed, limited, require
from format_patterns import PatternKind, coarse_block, full_tile, part_of_tile, sum_at_level
from format_pixels import Frame
from format_sums import Sums

GENERAL_SEED = 0x5DEECE66D
MOST_CHANGES = 64


def draw_general(cell: Cell, place: int, seed: int) -> int:
    if not cell.usable:
        return cell.threshold
    pair = hashed(seed ^ GENERAL_SEED, place // 2)
    bits = pair >> 16 if place % 2 else pair & 0xFFFF
    value = cell.low + cell.h * int(np.count_nonzero(cell.limits <= bits))
    if cell.h > 1:
        value += hashed((SEED - 1 - seed) ^ GENERAL_SEED, place) * cell.h // WORD
        while value in cell.parameters.codes:
            value += 1
    return value


class Correction:
    """Values of a general tile on their way to their sum."""

    def __init__(self, cell: Cell, values: list[int]) -> None:
        self.cell, self.values = cell, values
        self.sum = sum(value - cell.low for value in values)

    def change(self, at: int, by: int) -> None:
        value = self.values[at] + by
        inside = self.cell.low <= value <= self.cell.threshold
        if inside and value not in self.cell.parameters.codes:
            self.values[at] = value
            self.sum += by

    def share(self, wanted: int) -> None:
        """Add the same to every pixel, as far as its range reaches."""
        each = abs(wanted - self.sum) // len(self.values)
        each = each if wanted > self.sum else -each
        for at, value in enumerate(self.values):
            self.change(at, limited(each, self.cell.low - value, self.cell.threshold - value))

    def holder(self, count: int) -> int:
        """The pixel that holds this count."""
        for at, value in enumerate(self.values):
            count -= value - self.cell.low
            if count < 0:
                return at
        raise AssertionError

    def reach(self, wanted: int, bits: NextBits) -> None:
        if self.cell.normal:
            for _ in range(4):
                self.share(wanted)
        for _ in range(MOST_CHANGES * min(abs(wanted - self.sum), 4096)):
            if self.sum == wanted:
                break
            if self.sum < wanted:
                self.change(bits.below(len(self.values)), 1)
            else:
                self.change(self.holder(bits.below(self.sum)), -1)


class Drawing:
    """Fills the drawn tiles of a frame."""

    def __init__(self, frame: Frame, seed: int, patterns: PatternKind) -> None:
        self.frame, self.seed, self.patterns = frame, seed, patterns

    def drawn_tiles(self) -> list[int]:
        return [n for n in range(len(self.frame.kept)) if self.frame.is_drawn(n)]

    def noise_free(self) -> None:
        for n in self.drawn_tiles():
            for _, i in self.frame.valid(n):
                if i not in self.frame.picked:
                    self.frame.values[i] = self.frame.cell(n).noise_free

    def by_rings(self) -> None:
        """Noise without local counts."""
        for n in self.drawn_tiles():
            cell = self.frame.cell(n)
            if cell.ring.pattern:
                self.put(n, self.pattern_by_level(n, cell))
            else:
                self.put(n, [draw_general(cell, 16 * n + p, self.seed) for p in range(16)])

    def put(self, n: int, values: np.ndarray | list[int]) -> None:
        for p, i in self.frame.valid(n):
            if i not in self.frame.picked:
                self.frame.values[i] = values[p]

    def pattern_by_level(self, n: int, cell: Cell) -> np.ndarray:
        tile_hash, other = hashed(self.seed, n), hashed(SEED - 1 - self.seed, n)
        is_odd = sum(divmod(n, self.frame.tiles.ntx)) % 2
        x = cell.x + cell.ring.jitter if is_odd else cell.x - cell.ring.jitter
        level = (limited(x, 0, 40960) + other % 256) >> 8
        total = sum_at_level(cell.threshold, level, tile_hash % 65536)
        return full_tile(self.patterns, cell.threshold, total, tile_hash)

    def by_sums(self, sums: Sums) -> None:
        """Noise with local counts."""
        for at, total in sums.of_block.items():
            self.draw_coarse(sums.macros[at].tiles[0], sums.macros[at].open, total)
        for n, total in sums.of_tile.items():
            cell, valid = self.frame.cell(n), self.frame.valid(n)
            if cell.ring.pattern:
                self.pattern_by_sum(n, cell, total)
                continue
            drawn = [draw_general(cell, 16 * n + p, self.seed) for p, _ in valid]
            correction = Correction(cell, drawn)
            correction.reach(total, NextBits(hashed(self.seed, n) | 1))
            self.frame.values[[i for _, i in valid]] = correction.values

    def pattern_by_sum(self, n: int, cell: Cell, total: int) -> None:
        valid, tile_hash = self.frame.valid(n), hashed(self.seed, n)
        if len(valid) == 16:
            self.put(n, full_tile(self.patterns, cell.threshold, total, tile_hash))
            return
        values = part_of_tile(len(valid), self.patterns, cell.threshold, total, tile_hash)
        self.frame.values[[i for _, i in valid]] = values

    def draw_coarse(self, first: int, tiles: list[int], total: int) -> None:
        pixels, limits = [], []
        for n in tiles:
            pixels += [i for _, i in self.frame.valid(n)]
            limits += [self.frame.cell(n).threshold] * len(self.frame.valid(n))
        require(total <= sum(limits), "A sum is larger than its pixels can hold.")
        self.frame.values[pixels] = coarse_block(limits, total, hashed(self.seed, first))
