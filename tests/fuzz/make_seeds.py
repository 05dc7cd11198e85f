# SPDX-License-Identifier: MIT
"""Make the first inputs of the fuzz targets: python tests/fuzz/make_seeds.py FOLDER.

Each target gets a folder of its own.  Frames are simulated; README.md says what comes of them.
"""

import struct
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

import h5bragg

DTYPES = ("u1", "u2", "u4", "i2", "i4")
# Parameters that lead to streams of different kinds.
SETTINGS: dict[str, dict[str, Any]] = {
    "default": {},
    "careful": {"local_significance": 2.0, "local_step": 1.0},
    "fine": {"local_step": 0.25, "coarse_limit": 0},
    "coarse": {"local_step": 4.0, "coarse_limit": 64, "snr_pick": 6.0},
    "rings": {"local_counts": 0, "snr_pick": 2.0},
    "hybrid": {"error_model": "hybrid", "radial_bins": 20},
    "azimuthal": {"error_model": "azimuthal", "local_counts": 0, "snr_pick": 3.0},
}
MEANS = (0.02, 0.5, 6.0, 40.0)
SHAPE = (36, 44)
SMALL_SHAPE = (20, 28)
Seeds = Iterator[tuple[str, bytes]]


def flat(shape: tuple[int, int]) -> h5bragg.Geometry:
    return h5bragg.Geometry.flat(
        shape=shape,
        pixel_size_m=1e-4,
        distance_m=0.02,
        beam_center_px=(0.4 * shape[0], 0.6 * shape[1]),
        wavelength_m=1e-10,
        rotations_rad=(0.02, -0.03, 0.1),
    )


def two_panels() -> h5bragg.Geometry:
    """Two panels of 16 rows with four rows between them that are on none."""
    panel = flat((16, SHAPE[1])).panels[0]
    lower = replace(panel, slow=(20, 36), origin_m=(panel.origin_m[0], 0.0011, 0.02))
    return h5bragg.Geometry.from_panels(
        [panel, lower], shape=SHAPE, distance_m=0.02, wavelength_m=1e-10
    )


def simulate(shape: tuple[int, ...], mean: float, dtype: str, seed: int) -> NDArray[Any]:
    """Make Poisson background with bright pixels, a gap, and pixels of the second mask code."""
    random = np.random.default_rng(seed)
    made = random.poisson(mean, shape).astype(np.int64)
    bright = random.random(shape) < 0.01
    made[bright] += random.integers(1, 100, np.count_nonzero(bright))
    info = np.iinfo(dtype)
    gap, bad = (-1, -2) if info.min < 0 else (info.max, info.max - 1)
    made[..., 13:16, :] = gap
    made[..., 3, 5:8] = bad
    return np.minimum(made, info.max).astype(dtype)


def chunk_seeds() -> Seeds:
    """Yield one small chunk for each pixel type, kind of parameters and background."""
    for dtype in DTYPES:
        for name, settings in SETTINGS.items():
            params = h5bragg.SparsifyParams(**settings)
            for mean in MEANS:
                frame = simulate(SHAPE, mean, dtype, seed=len(name))
                yield f"{name}_{dtype}_{mean}", h5bragg.encode(frame, flat(SHAPE), params)
    three = simulate((3, *SHAPE), 2, "u2", 1)
    yield "three_frames", h5bragg.encode(three, flat(SHAPE))
    yield "panels", h5bragg.encode(three[0], two_panels())
    for shape in ((20, 400), (400, 20)):
        yield f"shape_{shape[0]}", h5bragg.encode(simulate(shape, 2, "u2", 2), flat(shape))


def words_seeds() -> Seeds:
    """Yield cd_values with a frame to encode, and with the chunk of it to decode (fuzz_words.c)."""
    for dtype in (*DTYPES, ">u2"):
        for name, settings in SETTINGS.items():
            frame = simulate(SMALL_SHAPE, 1.0, dtype.strip(">"), seed=1).astype(dtype)
            with h5py.File("seed", "w", driver="core", backing_store=False) as file:
                bragg = h5bragg.Bragg(flat(SMALL_SHAPE), **settings)
                data = file.create_dataset("data", data=frame, chunks=SMALL_SHAPE, **bragg)
                file.flush()
                words = data.id.get_create_plist().get_filter(0)[2]
                chunk = data.id.read_direct_chunk((0, 0))[1]
            packed = struct.pack("<16I", *words)
            kind = dtype.replace(">", "big_")
            yield f"encode_{name}_{kind}", b"\0\x10" + packed + frame.tobytes()
            yield f"decode_{name}_{kind}", b"\x01\x10" + packed + chunk


def geometry_seeds() -> Seeds:
    """Yield panels that a detector may have, then a flat detector (fuzz_geometry.c)."""
    geometry = two_panels()
    start = struct.pack("<3B2I2fB", 0, 1, 1, *SHAPE, 0.02, 1e-10, 2)
    panels = b"".join(
        struct.pack("<4B", *(n // 2 for n in (*panel.slow, *panel.fast)))
        + b"".join(
            struct.pack("<3f", panel.origin_m[k], panel.slow_m[k], panel.fast_m[k])
            for k in range(3)
        )
        for panel in geometry.panels
    )
    for name, distance_m, rotation in (("near", 0.001, 1.5), ("far", 10.0, 0.0), ("mid", 0.1, 0.3)):
        numbers = (1e-4, 1.2e-4, distance_m, 20.0, 30.0, 1e-10, rotation, 0.1, -2.0)
        yield name, start + panels + struct.pack("<2I9f", 100, 200, *numbers)


def encode_seeds() -> Seeds:
    """Yield parameters, shape, and what pixels to make (fuzz_encode.c)."""
    random = np.random.default_rng(7)
    for kind in range(len(DTYPES)):
        for model in range(3):
            for local in (0, 1):
                for shift in (1, 4, 8):
                    params = (64, 96, 5, model, 0, local, 2, 46, 2, 1, 1, 0)
                    where = (kind, 79, 71, 40, 30, 20)
                    base = bytes((1, 2 * shift, shift)) + random.bytes(4)
                    name = f"{DTYPES[kind]}_{model}_{local}_{shift}"
                    yield name, bytes(params) + bytes(where) + base + random.bytes(200)


SEEDS = {
    "decode": chunk_seeds,
    "inspect": chunk_seeds,
    "levels": chunk_seeds,
    "peaks": chunk_seeds,
    "unpack": chunk_seeds,
    "words": words_seeds,
    "geometry": geometry_seeds,
    "encode": encode_seeds,
}


def main(folder: Path) -> None:
    for target, seeds in SEEDS.items():
        place = folder / target
        place.mkdir(parents=True, exist_ok=True)
        for name, content in seeds():
            (place / name).write_bytes(content)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
