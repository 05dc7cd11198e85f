# SPDX-License-Identifier: MIT
"""Every way in which a chunk in a file can be wrong, and what is to be said of it."""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import h5py
import numpy as np
from format_numbers import crc32c

import h5bragg

# docs/format.md: the chunk's start, its parameter words, and the first frame behind one panel.
VERSION_AT, SIZE_AT, CHECKSUM_AT, BODY_AT, SHAPE_AT, NFRAMES_AT, NEXACT_AT = (
    4,
    8,
    16,
    20,
    40,
    46,
    127,
)


def seal(chunk: bytearray) -> bytearray:
    """Make size and checksum right, as whoever forges a chunk would."""
    struct.pack_into("<Q", chunk, SIZE_AT, len(chunk))
    struct.pack_into("<I", chunk, CHECKSUM_AT, crc32c(bytes(chunk[BODY_AT:])))
    return chunk


def flip_a_bit(chunk: bytearray) -> bytearray:
    chunk[len(chunk) // 2] ^= 0x10
    return chunk


def cut_in_half(chunk: bytearray) -> bytearray:
    return chunk[: len(chunk) // 2]


def all_zeros(_chunk: bytearray) -> bytearray:
    return bytearray(500)


def of_the_future(chunk: bytearray) -> bytearray:
    struct.pack_into("<I", chunk, VERSION_AT, 99)
    return chunk


def forge_contents(chunk: bytearray) -> bytearray:
    """Let the first frame have one exact pixel less than its streams hold."""
    count = struct.unpack_from("<I", chunk, NEXACT_AT)[0]
    struct.pack_into("<I", chunk, NEXACT_AT, count - 1)
    return seal(chunk)


def absurd_shape(chunk: bytearray) -> bytearray:
    """Frames of 65535 x 65535 pixels; the smallest type leaves that possible."""
    struct.pack_into("<HH", chunk, SHAPE_AT, 65535, 65535)
    return seal(chunk)


def absurd_count(chunk: bytearray) -> bytearray:
    struct.pack_into("<H", chunk, NFRAMES_AT, 65535)
    return seal(chunk)


def foreign(_chunk: bytearray) -> bytearray:
    return bytearray(encode_zeros((1, 64, 80)))


def bomb(_chunk: bytearray) -> bytearray:
    """A few hundred bytes that claim a frame of just below 4 GiB: the most that the format has."""
    chunk = bytearray(encode_zeros((1, 64, 80)))
    struct.pack_into("<HH", chunk, SHAPE_AT, 16383, 65535)
    return seal(chunk)


@cache
def encode_zeros(shape: tuple[int, int, int]) -> bytes:
    geometry = h5bragg.Geometry.flat(
        shape=shape[1:],
        pixel_size_m=1e-4,
        distance_m=0.1,
        beam_center_px=(30, 40),
        wavelength_m=1e-10,
    )
    return h5bragg.encode(np.zeros(shape, "u4"), geometry)


@dataclass(frozen=True)
class Damage:
    """One way: what it does to a chunk, the error's class, and words of its sentence."""

    name: str
    change: Callable[[bytearray], bytearray]
    error: type[h5bragg.ChunkError]
    words: str


errors = h5bragg.errors
DAMAGES = (
    Damage("flipped bit", flip_a_bit, errors.ChecksumError, "checksum does not match"),
    Damage("cut", cut_in_half, errors.TruncatedChunkError, "cut short"),
    Damage("zeros", all_zeros, errors.NotAChunkError, "not an h5bragg chunk"),
    Damage("version 99", of_the_future, errors.ChunkVersionError, "format version"),
    Damage("forged", forge_contents, errors.CorruptChunkError, "contradict each other"),
    Damage("absurd shape", absurd_shape, errors.CorruptChunkError, "contradict each other"),
    Damage("absurd count", absurd_count, errors.TruncatedChunkError, "cut short"),
    Damage("foreign", foreign, errors.ForeignChunkError, "belongs to another dataset"),
    Damage("bomb", bomb, errors.ForeignChunkError, "belongs to another dataset"),
)


def damage_chunk(dataset: h5py.Dataset, start: int, damage: Damage) -> None:
    """Replace the chunk that begins with frame `start`."""
    offset = (start, *(0,) * (dataset.ndim - 1))
    chunk = bytearray(dataset.id.read_direct_chunk(offset)[1])
    dataset.id.write_direct_chunk(offset, bytes(damage.change(chunk)))
