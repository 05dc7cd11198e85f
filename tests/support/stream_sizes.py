# SPDX-License-Identifier: MIT
"""Bytes of every part of a chunk of version 2 of one sparse frame, by docs/format.md alone."""

from format_numbers import Reader, require
from format_reader import Chunk

FRAME_HEADER = "BbQIII"
STREAMS = ("profile", "mask", "kept flags", "exact levels", "exact values")
WITH_LOCAL_COUNTS = ("scales", "sums")
WITHOUT = ("picked lines", "picked pixels", "heights")


def stream_sizes(data: bytes) -> dict[str, int]:
    """Bytes of each stream with its length, and of all that comes before ("headers")."""
    chunk = Chunk(data)
    mode, nbytes = chunk.reader.numbers("BI")
    require(mode == 1, "The frame is stored whole.")
    body = Reader(chunk.reader.take(nbytes))
    body.numbers(FRAME_HEADER)
    sizes = {"headers": len(data) - nbytes + body.at}
    last = WITH_LOCAL_COUNTS if chunk.parameters.local_counts else WITHOUT
    for name in STREAMS + last:
        start = body.at
        body.take(body.varint())
        sizes[name] = body.at - start
    require(body.done(), "A frame is longer than its contents.")
    return sizes
