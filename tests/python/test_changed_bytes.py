# SPDX-License-Identifier: MIT
"""Single bytes of chunks of real frames change: `tests/c/test_changed_bytes.c` has small chunks."""

import numpy as np
import pytest
from real_frames import RealFrame

import h5bragg
from h5bragg import ChunkError

NHEADER = 20  # bytes that the checksum does not cover: docs/format.md, "Chunk"
NRANDOM = 1000


def is_detected(chunk: bytearray) -> bool:
    """Whether a chunk is refused; decoding, which takes longer, only if nothing else finds it."""
    for read in (h5bragg.inspect, h5bragg.decode):
        try:
            read(chunk)
        except ChunkError:
            return True
    return False


@pytest.mark.slow
@pytest.mark.parametrize("name", ["thaumatin", "fine_slice", "eiger"])
@pytest.mark.parametrize("local_counts", [0, 4])
def test_every_changed_byte_is_detected(
    request: pytest.FixtureRequest, name: str, local_counts: int
) -> None:
    frame: RealFrame = request.getfixturevalue(name)
    params = h5bragg.SparsifyParams(local_counts=local_counts)
    chunk = bytearray(h5bragg.encode(frame.pixels, frame.geometry, params))
    random = np.random.default_rng(3)
    changes = [(at, flip) for at in range(NHEADER) for flip in range(1, 256)]
    changes += zip(
        random.integers(NHEADER, len(chunk), NRANDOM).tolist(),
        random.integers(1, 256, NRANDOM).tolist(),
        strict=True,
    )
    for at, flip in changes:
        chunk[at] ^= flip
        assert is_detected(chunk), (at, flip)
        chunk[at] ^= flip
    assert not is_detected(chunk)
