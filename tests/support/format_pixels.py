# SPDX-License-Identifier: MIT
"""Mask, kept flags, exact values and picked pixels of docs/format.md: the stored pixels."""

import math
from bisect import bisect_right

import numpy as np
from format_cells import Cell, Parameters
from format_geometry import Tiles
from format_numbers import Stream, limited, require, rounded, unzigzag

EXACT_BOUNDS = [4, 8, 14, 20, 28, 40, 56, 80, 120, 180, 260, 400, 600, 1000]


class Frame:
    """A sparse frame on its way to being dense; pixels lie in scan order."""

    def __init__(self, tiles: Tiles, parameters: Parameters, counting: bool) -> None:
        self.tiles, self.parameters, self.counting = tiles, parameters, counting
        self.npixels = tiles.ny * tiles.nx
        self.values = np.zeros(self.npixels, dtype=np.int64)
        self.mask = np.zeros(self.npixels, dtype=np.int64)
        self.kept = [False] * len(tiles.cell)
        self.picked: set[int] = set()
        self.cells: dict[tuple[int, int], Cell] = {}

    def cell(self, n: int) -> Cell | None:
        key = self.tiles.cell[n]
        return None if key is None else self.cells[key]

    def is_drawn(self, n: int) -> bool:
        return self.tiles.cell[n] is not None and not self.kept[n]

    def valid(self, n: int) -> list[tuple[int, int]]:
        """(position, pixel index) of the tile's valid pixels."""
        return [(p, i) for p, i in self.tiles.pixels[n] if not self.mask[i]]


def set_masked(frame: Frame) -> None:
    masked = frame.mask > 0
    frame.values[masked] = np.array([0, *frame.parameters.codes])[frame.mask[masked]]


def read_rectangles(frame: Frame, stream: Stream) -> None:
    """Rectangles of version 2."""
    mask = frame.mask.reshape(-1, frame.tiles.nx)  # not a copy
    ny, nx = mask.shape
    at = 0
    for _ in range(stream.number(0)):
        at += stream.number(0)
        code = stream.symbol(1)
        require(1 <= code <= len(frame.parameters.codes), "A mask code does not exist.")
        width, height = stream.number(2 * code) + 1, stream.number(2 * code + 1) + 1
        row, column = divmod(at, nx)
        inside = row + height <= ny and column + width <= nx
        require(inside, "A rectangle of the mask leaves the frame.")
        covered = mask[row : row + height, column : column + width]
        require(not covered.any(), "Rectangles of the mask overlap.")
        covered[...] = code
        at += width
    stream.finish()
    set_masked(frame)


def read_runs(frame: Frame, stream: Stream) -> None:
    """Runs of version 1."""
    codes, nx = frame.parameters.codes, frame.tiles.nx
    changed, passing = np.full(frame.npixels, -1), np.full(frame.npixels, -1)
    at = 0
    for _ in range(stream.number(0)):
        at += stream.number(0)
        length = stream.number(1) + 1
        symbol = stream.symbol(2)
        number, is_one_row = symbol & 3, symbol >= 4
        require(at + length <= frame.npixels, "A run of the mask leaves the frame.")
        require(symbol < 8 and number <= len(codes), "A mask code does not exist.")
        rows_of_run = (at + length - 1) // nx - at // nx + 1
        require(not is_one_row or rows_of_run == 1, "A run of one row leaves its row.")
        (passing if is_one_row else changed)[at : at + length] = number
        at += length
    stream.finish()
    rows = changed.reshape(-1, nx)
    above = np.zeros(nx, dtype=np.int64)
    for row, (found, passes) in enumerate(zip(rows, passing.reshape(-1, nx), strict=True)):
        above = np.where(found >= 0, found, above)
        frame.mask[row * nx : (row + 1) * nx] = np.where(passes >= 0, passes, above)
    set_masked(frame)


def read_kept(frame: Frame, stream: Stream) -> None:
    tiles = frame.tiles
    quads = -(-tiles.ntx // 4)
    above = [0] * (quads + 2)  # one quad outside of the frame on either side
    for row in range(tiles.nty):
        found = [0] * (quads + 2)
        for quad in range(quads):
            beside = above[quad] >> 3 | above[quad + 2] & 1
            flags = stream.symbol(2 * above[quad + 1] + beside)
            require(flags <= 15, "A kept flag does not exist.")
            found[quad + 1] = flags
            for t in range(4):
                if flags >> t & 1:
                    column = 4 * quad + t
                    require(column < tiles.ntx, "A kept tile lies beyond the edge.")
                    n = row * tiles.ntx + column
                    require(tiles.cell[n] is not None, "A blank tile is kept.")
                    frame.kept[n] = True
        above = found
    stream.finish()


def exact_default(cell: Cell | None, counting: bool) -> int:
    """What a neighbour counts that stores nothing exact."""
    if cell is None:
        return 0
    expected = cell.mean if counting else cell.sigma
    return 0 if expected < 0 else min(2040, math.floor(8.0 * expected))


def exact_prediction(cell: Cell | None, frame: Frame) -> int:
    if frame.counting or cell is None:
        return 0
    parameters = frame.parameters
    return limited(rounded(cell.mean), parameters.smallest, parameters.largest)


def exact_context(stored: np.ndarray, row: int, column: int, default: int) -> int:
    """`stored` counts the neighbours, -1 where one stores nothing."""

    def counts(up: int, back: int) -> int:
        if row < up or column < back:
            return default
        found = int(stored[row - up, column - back])
        return default if found < 0 else found

    return bisect_right(EXACT_BOUNDS, 2 * counts(0, 1) + 2 * counts(1, 0) + counts(1, 1))


# Order of the pixels of an exact tile.
DIAGONALS = (0, 1, 4, 2, 5, 8, 3, 6, 9, 12, 7, 10, 13, 11, 14, 15)


def read_exact(frame: Frame, stream: Stream, count: int) -> None:
    tiles, parameters = frame.tiles, frame.parameters
    smallest = 0 if frame.counting else parameters.smallest
    stored = np.full((tiles.ny, tiles.nx), -1)
    for n in range(len(tiles.cell)):
        if frame.is_drawn(n):
            continue
        cell = frame.cell(n)
        default = exact_default(cell, frame.counting)
        prediction = exact_prediction(cell, frame)
        places = dict(frame.valid(n))
        for i in (places[p] for p in DIAGONALS if p in places):
            count -= 1
            row, column = divmod(i, tiles.nx)
            t = stream.number(exact_context(stored, row, column, default))
            stored[row, column] = 8 * min(t, 255)
            value = t if frame.counting else prediction + unzigzag(t)
            require(smallest <= value <= parameters.largest, "An exact value is out of range.")
            frame.values[i] = value
    require(count == 0, "The number of exact pixels is wrong.")
    stream.finish()


def chance_level(cell: Cell) -> int:
    """How seldom the background exceeds the threshold of a cell."""
    if not cell.ring.pattern:
        return 10
    return sum(cell.probability_above < 2.0**-j for j in range(1, 10))


def gap_context(frame: Frame, place: int, height_before: int) -> int:
    """Version 1: context of the number of places to the next pixel."""
    if height_before >= 4:
        return 11
    n = place // 16
    cell = frame.cell(n) if n < len(frame.tiles.cell) else None
    return 10 if cell is None else chance_level(cell)


def background_level(cell: Cell, steps: float, most: int) -> int:
    if cell.mean < 0:
        return 0
    return min(most, math.floor(steps * cell.mean / (cell.threshold + 2)))


def pick(frame: Frame, place: int, height: int) -> None:
    """Put a picked pixel in its place."""
    n = place // 16
    require(n < len(frame.tiles.cell), "A picked pixel lies beyond the last tile.")
    index = dict(frame.valid(n)).get(place % 16)
    require(index is not None, "A picked pixel is masked or not in the frame.")
    require(frame.is_drawn(n), "A picked pixel lies in a tile that is not drawn.")
    value = frame.cell(n).threshold + 1 + height
    require(value <= frame.parameters.largest, "A picked pixel is out of range.")
    frame.values[index] = value
    frame.picked.add(index)


def read_picked_serially(frame: Frame, stream: Stream, count: int) -> None:
    """Picked pixels of version 1."""
    place, height = -1, 0
    for _ in range(count):
        place += 1 + stream.number(gap_context(frame, place + 1, height))
        n = place // 16
        require(n < len(frame.tiles.cell), "A picked pixel lies beyond the last tile.")
        require(frame.is_drawn(n), "A picked pixel lies in a tile that is not drawn.")
        height = stream.number(12 + background_level(frame.cell(n), 8.0, 7))
        pick(frame, place, height)
    stream.finish()


def picked_lines_context(frame: Frame, n: int, above: int) -> int:
    """`above` is the symbol of the tile above."""
    if not (frame.is_drawn(n) and frame.valid(n)):
        return 31
    level = chance_level(frame.cell(n))
    return 30 if level == 10 else 3 * level + (above.bit_count() + 1) // 2


def read_picked_lines(frame: Frame, stream: Stream) -> list[int]:
    """Bits of the lines of every tile that hold picked pixels."""
    ntx, found = frame.tiles.ntx, []
    for n in range(len(frame.tiles.cell)):
        context = picked_lines_context(frame, n, found[n - ntx] if n >= ntx else 0)
        found.append(stream.symbol(context))
        require(found[n] <= (0 if context == 31 else 15), "Picked lines are where none can be.")
    stream.finish()
    return found


def read_picked_bits(lines: list[int], stream: Stream) -> list[list[int]]:
    """Bits of the picked pixels of the four lines of every tile."""
    found = []
    for symbol in lines:
        bits = [0, 0, 0, 0]
        for i in range(4):
            if symbol >> i & 1:
                bits[i] = 1 + stream.symbol(symbol.bit_count() - 1)
                require(bits[i] <= 15, "A line has more than four pixels.")
        found.append(bits)
    stream.finish()
    return found


def read_picked(frame: Frame, lines: Stream, pixels: Stream, heights: Stream, count: int) -> None:
    """Picked pixels of version 2."""
    for n, bits in enumerate(read_picked_bits(read_picked_lines(frame, lines), pixels)):
        nlines = sum(b > 0 for b in bits)
        for i, b in enumerate(bits):
            for p in (p for p in range(4) if b >> p & 1):
                context = 7 * background_level(frame.cell(n), 4.0, 3) + nlines + b.bit_count() - 2
                pick(frame, 16 * n + 4 * i + p, heights.number(context))
    heights.finish()
    require(len(frame.picked) == count, "The number of picked pixels is wrong.")
