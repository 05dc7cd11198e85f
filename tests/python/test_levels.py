# SPDX-License-Identifier: MIT
"""Every instruction set gives the same bytes: H5BRAGG_SIMD chooses one for a process."""

import json
import os
import subprocess
import sys
from functools import cache

import pytest

# Frames of every pixel type and every kind of content, encoded in each way; prints a checksum of
# each chunk and of what it restores to.
SCRIPT = """
import hashlib, json, sys
import numpy as np
from h5bragg import Geometry, SparsifyParams, decode, encode

SHAPE = (93, 125)
GEOMETRY = Geometry.flat(
    shape=SHAPE, pixel_size_m=2e-4, distance_m=0.05, beam_center_px=(40.3, 61.1),
    wavelength_m=1e-10,
)
WAYS = [
    {}, {"local_counts": 0, "snr_pick": 2}, {"error_model": "azimuthal", "local_step": 0.5},
    {"error_model": "hybrid", "coarse_limit": 64, "local_significance": 2},
    {"error_model": "azimuthal", "local_counts": 0, "snr_pick": 1, "radial_bins": 7},
]

def frames(dtype):
    random = np.random.default_rng(7)
    limits = np.iinfo(dtype)
    for mean in (0.01, 0.3, 4, 60):
        raw = np.stack([random.poisson(mean, SHAPE) for _ in range(2)])
        raw[:, 30:37, 40:47] += random.poisson(20, (2, 7, 7))
        raw[0, 80, 55:58] = limits.max - 5
        raw[1, 50:56] = limits.max if limits.min == 0 else -2
        yield raw.astype(dtype)
    yield random.integers(limits.min, limits.max, SHAPE, dtype, endpoint=True)
    if limits.max > 255:
        yield (3000 + random.normal(0, 70, SHAPE)).astype(dtype)
    if limits.min:
        yield random.normal(0, 9, SHAPE).round().astype(dtype)

def checksum(data):
    return hashlib.sha256(data).hexdigest()

found = {}
for dtype in ("uint8", "uint16", "uint32", "int16", "int32"):
    for number, raw in enumerate(frames(dtype)):
        for way, options in enumerate(WAYS):
            chunk = encode(raw, GEOMETRY, SparsifyParams(**options))
            parts = [chunk, decode(chunk).tobytes(), decode(chunk, fill="mean").tobytes()]
            found[f"{dtype} frame {number} way {way}"] = [checksum(part) for part in parts]

# Rings by turns bright and dark: macro blocks of a row are coarse in many runs, further out in few.
WIDE = Geometry.flat(
    shape=(45, 605), pixel_size_m=2e-4, distance_m=0.05, beam_center_px=(3.3, 21.1),
    wavelength_m=1e-10,
)
y, x = np.mgrid[:45, :605]
radius = np.hypot(x - 3.3, y - 21.1)
for period in (30, 200):
    mean = np.where(radius // period % 2, 0.02, 2.5)
    for dtype in ("uint16", "int32"):
        raw = np.random.default_rng(3).poisson(mean)[None].astype(dtype)
        chunk = encode(raw, WIDE, SparsifyParams())
        found[f"{dtype} rings of {period}"] = [checksum(chunk), checksum(decode(chunk).tobytes())]
print(json.dumps(found))
"""


@cache
def checksums(level: str | None) -> dict[str, list[str]]:
    environment = {k: v for k, v in os.environ.items() if k != "H5BRAGG_SIMD"}
    if level is not None:
        environment["H5BRAGG_SIMD"] = level
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


# A level that this machine lacks, and a word that is none, leave the choice to the library.
@pytest.mark.parametrize(
    "level",
    [
        pytest.param("scalar", marks=pytest.mark.slow),
        pytest.param("sse4", marks=pytest.mark.slow),
        "avx2+gathers",
        pytest.param("avx2+loads", marks=pytest.mark.slow),
        pytest.param("avx512+gathers", marks=pytest.mark.slow),
        pytest.param("avx512+loads", marks=pytest.mark.slow),
        pytest.param("nonsense", marks=pytest.mark.slow),
    ],
)
def test_every_instruction_set_encodes_and_decodes_to_the_same_bytes(level: str) -> None:
    expected = checksums(None)
    assert len(expected) > 100
    found = checksums(level)
    differing = [name for name in expected if found[name] != expected[name]]
    assert differing == []
