# SPDX-License-Identifier: MIT
"""A second decoder, written from docs/format.md alone: slow, plain, without the C library."""

import math
from collections import Counter

import numpy as np
from format_cells import Parameters, find_cells, read_profile
from format_drawing import Drawing
from format_exact import read_exact_by_levels
from format_geometry import Corrections, Tiles, read_geometry
from format_numbers import Reader, Stream, crc32c, require, signed
from format_patterns import PatternKind
from format_pixels import (
    Frame,
    read_exact,
    read_kept,
    read_picked,
    read_picked_serially,
    read_rectangles,
    read_runs,
)
from format_sums import Sums

MAGIC = bytes.fromhex("89425247")
TYPES = {0: "u1", 1: "<u2", 2: "<u4", 3: "<i2", 4: "<i4"}
COARSE_LIMITS = [0, 8, 24, 64]
FILLS = ("noise", "mean")


def mask_codes(words: tuple[int, ...], type_number: int, smallest: int, largest: int) -> list[int]:
    """Values of masked pixels; code number 1 is the first."""
    if words[0] >> 4 & 1:
        return [-1, -2, smallest] if smallest < 0 else [largest, largest - 1]
    codes = []
    for c in (signed(words[3] >> 16 & 0xFF, 8), signed(words[3] >> 24, 8)):
        if c > 0:
            require(words[2] >> 24 == 1 + type_number, "A mask code is of another pixel type.")
            codes.append(largest + 1 - c)
        elif c < 0:
            codes.append(smallest if c == -128 else c)
    require(all(smallest <= c <= largest for c in codes), "A mask code is out of range.")
    return codes


class Chunk:
    def __init__(self, data: bytes) -> None:
        reader = Reader(data)
        magic, version, size, crc = reader.numbers("4sIQI")
        require(magic == MAGIC, "This is no chunk.")
        require(version in (1, 2), "The version of the chunk is unknown.")
        self.version = version
        require(size == len(data), "The size of the chunk is wrong.")
        require(crc == crc32c(data[20:]), "The checksum of the chunk is wrong.")
        self.words = reader.numbers("7I")
        self.read_parameters()
        self.read_geometry(reader)
        self.sparse_frames = 0
        self.reader = reader

    def read_parameters(self) -> None:
        w = self.words
        require(w[0] >> 24 == 0xB5, "The parameter words are no parameter words.")
        require(w[0] >> 16 & 0xFF == 1, "The layout of the parameter words is unknown.")
        require(w[0] & 3 <= 2, "The error model is unknown.")
        require(w[1] & 0xFFFF, "snr_pick is 0.")
        require(w[2] >> 16 & 15 in (0, 4), "Local counts are neither on nor off.")
        require(w[6] >> 16, "The chunk holds no frame.")
        self.ny, self.nx = w[5] & 0xFFFF, w[5] >> 16
        require(self.ny and self.nx, "A frame has no pixels.")
        require(w[6] & 0xFF in TYPES, "The pixel type is unknown.")
        self.dtype = np.dtype(TYPES[w[6] & 0xFF])
        smallest, largest = int(np.iinfo(self.dtype).min), int(np.iinfo(self.dtype).max)
        self.parameters = Parameters(
            error_model=w[0] & 3,
            snr_pick=(w[1] & 0xFFFF) / 512.0,
            coarse_limit=COARSE_LIMITS[w[0] >> 6 & 3],
            local_counts=w[2] >> 16 & 15 == 4,
            q4=1 + (w[2] >> 20 & 15),
            codes=mask_codes(w, w[6] & 0xFF, smallest, largest),
            smallest=smallest,
            largest=largest,
        )

    def read_geometry(self, reader: Reader) -> None:
        w = self.words
        geometry = read_geometry(reader, self.ny, self.nx)
        polarization = signed(w[3] & 0xFFFF, 16) / 32767.0
        corrections = Corrections(polarization if w[0] >> 3 & 1 else None, bool(w[0] >> 2 & 1))
        (nbins,) = reader.numbers("I")
        require(1 <= nbins <= 4096, "The number of rings is not from 1 to 4096.")
        self.tiles = Tiles(geometry, (self.ny, self.nx), w[2] & 0xFFFF, corrections)
        require(nbins == self.tiles.nbins, "The number of rings does not suit the geometry.")

    def frames(self, fill: str) -> list[np.ndarray]:
        found = [self.frame(fill) for _ in range(self.words[6] >> 16)]
        require(self.reader.done(), "The chunk is longer than its frames.")
        return found

    def frame(self, fill: str) -> np.ndarray:
        mode, nbytes = self.reader.numbers("BI")
        require(mode <= 1, "The mode of a frame is unknown.")
        body = Reader(self.reader.take(nbytes))
        if mode == 1:
            return self.sparse(body, fill)
        require(nbytes == self.ny * self.nx * self.dtype.itemsize, "A frame has a wrong size.")
        return np.frombuffer(body.data, self.dtype).reshape(self.ny, self.nx)

    def sparse(self, body: Reader, fill: str) -> np.ndarray:
        flags, dispersion, seed, npicked, nexact, nmasked = body.numbers("BbQIII")
        require(flags <= 1, "A flag of a frame is unknown.")
        require(-64 <= dispersion <= 64, "The dispersion of a frame is out of range.")
        frame = self.stored_pixels(body, bool(flags & 1), npicked, nexact)
        require(nmasked == np.count_nonzero(frame.mask), "The number of masked pixels is wrong.")
        sums = None
        if self.parameters.local_counts:
            sums = Sums(frame, seed, self.version)
            sums.read_scales(Stream(body, self.version, "scales", 3))
            sums.read_sums(Stream(body, self.version, "sums", 21, 32))
        require(body.done(), "A frame is longer than its contents.")
        arranged = self.version > 1 and sums is not None
        q4 = self.parameters.q4 if arranged else 0
        drawing = Drawing(frame, seed, PatternKind(arranged, dispersion, q4))
        if fill == "mean":
            drawing.noise_free()
        elif sums is None:
            drawing.by_rings()
        else:
            drawing.by_sums(sums)
        return frame.values.astype(self.dtype).reshape(self.ny, self.nx)

    def stored_pixels(self, body: Reader, counting: bool, npicked: int, nexact: int) -> Frame:
        local_counts = self.parameters.local_counts
        frame = Frame(self.tiles, self.parameters, counting)
        profile = Stream(body, self.version, "profile", 7)
        steps = self.steps_of_rings()
        rings = read_profile(profile, steps, self.version, self.parameters, counting)
        keys = {key for key in self.tiles.cell if key is not None}
        frame.cells = find_cells(keys, rings, counting, self.parameters)
        if self.version == 1:
            read_runs(frame, Stream(body, 1, "mask", 3))
        else:
            read_rectangles(frame, Stream(body, self.version, "mask", 8))
        read_kept(frame, Stream(body, self.version, "kept flags", 32, 32))
        if self.version == 1:
            read_exact(frame, Stream(body, 1, "exact values", 15), nexact)
        else:
            levels = Stream(body, self.version, "exact levels", 31, 32)
            values = Stream(body, self.version, "exact values", 31, 32)
            read_exact_by_levels(frame, levels, values, nexact)
        if local_counts:
            require(npicked == 0, "Pixels are picked although local counts are on.")
        elif self.version == 1:
            read_picked_serially(frame, Stream(body, 1, "picked pixels", 20), npicked)
        else:
            lines = Stream(body, self.version, "picked lines", 32, 32)
            pixels = Stream(body, self.version, "picked pixels", 4, 32)
            heights = Stream(body, self.version, "heights", 28, 32)
            read_picked(frame, lines, pixels, heights, npicked)
        return frame

    def steps_of_rings(self) -> list[int]:
        """Step of means and levels, for each ring, where it is of patterns."""
        if self.version == 1:
            return [1] * self.tiles.nbins
        ntiles = Counter(key[0] for key in self.tiles.cell if key is not None)
        counts = [max(1, ntiles[ring]) for ring in range(self.tiles.nbins)]
        return [max(1, math.isqrt(16384 // n)) for n in counts]


def decode(data: bytes, *, fill: str = "noise") -> list[np.ndarray]:
    """Frames of a chunk, with noise or with its mean where pixels were not stored.

    Raises ValueError for what a reader must refuse.
    """
    require(fill in FILLS, f"The fill is not one of {FILLS}.")
    return Chunk(bytes(data)).frames(fill)
