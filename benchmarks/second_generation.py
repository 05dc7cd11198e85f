# SPDX-License-Identifier: MIT
"""Table of what is lost when a restored frame is encoded again, once or several times.

That happens without anybody asking for it: a chunk is a whole frame, so a program that writes a
frame in strips has each strip but the last decoded and encoded again with the next ones. The last
row of each block writes frames so, in four strips, beginning with zeros. Frames are those of
rate_distortion.py. Printed are stored bits a pixel; of the pixels that the first generation does
not store exactly, mean and variance about the mean of their ring, over the raw ones; the rms error
of the counts of 4 x 4 pixels over their standard deviation, kept ones included; the part of the
pixels that the first generation stores exactly and that still hold their raw value; and intensity
recovered and rms error of spots, as in rate_distortion.py.

    python benchmarks/second_generation.py [--background 0.3 1 3 10] [--frames 4]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from rate_distortion import CLASSES, GEOMETRY, SIDE, Frames, Scene, integrate, simulate

import h5bragg
from h5bragg.ring_test import RingMoments, RingTest

SHOWN = (1, 2, 3, 5)
NSTRIPS = 4
TILE = 4
WAYS = {
    "default": h5bragg.SparsifyParams(polarization=None, solid_angle=False),
    "2 sigma, no local": h5bragg.SparsifyParams(
        snr_pick=2, local_counts=0, polarization=None, solid_angle=False
    ),
}


def encode(frames: Frames, params: h5bragg.SparsifyParams) -> list[bytes]:
    return [h5bragg.encode(frame, GEOMETRY, params) for frame in frames]


def decode(chunks: list[bytes]) -> Frames:
    return np.stack([h5bragg.decode(chunk) for chunk in chunks])


def generations(
    frames: Frames, params: h5bragg.SparsifyParams
) -> Iterator[tuple[str, list[bytes]]]:
    """Yield the chunks of every generation that is shown, and of frames written in strips."""
    chunks: list[bytes] = []
    for k in range(1, max(SHOWN) + 1):
        chunks = encode(decode(chunks) if chunks else frames, params)
        if k in SHOWN:
            yield str(k), chunks
    so_far = np.zeros_like(frames)
    for k in range(NSTRIPS):
        strip = slice(k * SIDE // NSTRIPS, (k + 1) * SIDE // NSTRIPS)
        so_far[:, strip] = frames[:, strip]
        chunks = encode(so_far, params)
        so_far = decode(chunks)
    yield f"{NSTRIPS} strips", chunks


def exact_pixels(chunks: list[bytes]) -> NDArray[np.bool_]:
    """Return which pixels chunks store exactly: shape (frame, slow, fast)."""
    exact = np.zeros((len(chunks), SIDE * SIDE), bool)
    for k, chunk in enumerate(chunks):
        sparse = h5bragg.unpack(chunk)
        exact[k, sparse.index] = True
        exact[k] |= sparse.is_lossless
    return exact.reshape(-1, SIDE, SIDE)


def tile_counts(frames: Frames) -> NDArray[np.float64]:
    ntiles = SIDE // TILE
    shape = (len(frames), ntiles, TILE, ntiles, TILE)
    return frames.reshape(shape).sum(axis=(2, 4), dtype=float)


def ring_ratios(raw: Frames, restored: Frames, where: NDArray[np.bool_]) -> tuple[float, float]:
    """Mean and variance of the rings, restored over raw, all rings together."""
    ring, _ = GEOMETRY.ring_map(WAYS["default"])
    rings = np.broadcast_to(ring, raw.shape)[where]
    nbins = int(ring.max()) + 1
    moments = [RingMoments.of(rings, frames[where], nbins) for frames in (raw, restored)]
    test = RingTest.of(*moments)
    return test.mean_ratio, test.variance_ratio


def row(
    name: str, chunks: list[bytes], scene: Scene, background: float, first: NDArray[np.bool_]
) -> str:
    raw, restored = scene.frames, decode(chunks)
    text = f"{name:>10s} {8 * sum(map(len, chunks)) / raw.size:8.4f}"
    if first.all():
        text += f" {'-':>8s} {'-':>8s}"
    else:
        mean, variance = ring_ratios(raw, restored, ~first)
        text += f" {mean:8.4f} {variance:8.4f}"
    error = tile_counts(restored) - tile_counts(raw)
    text += f" {np.sqrt(np.mean(error**2) / (TILE**2 * background)):9.3f}"
    text += f" {np.mean(restored[first] == raw[first]):8.4f}" if first.any() else f" {'-':>8s}"
    raw_sums, sums = integrate(raw, scene), integrate(restored, scene)
    for k in range(len(CLASSES)):
        spots = scene.kind == k
        true = scene.photons[spots]
        rms = np.sqrt(np.mean((sums[spots] - true) ** 2) / np.mean((raw_sums[spots] - true) ** 2))
        text += f"  {sums[spots].mean() / true.mean():6.3f} {rms:5.2f}"
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--background", type=float, nargs="*", default=[0.3, 1, 3, 10])
    parser.add_argument("--frames", type=int, default=4)
    options = parser.parse_args()
    heads = "".join(f"  {f'{low}-{high}':>12s}" for low, high in CLASSES)
    for background in options.background:
        scene = simulate(background, options.frames, seed=1)
        for way, params in WAYS.items():
            print(f"\nbackground {background:g} counts, {way}")
            print(f"{'generation':>10s}  bits/px     mean variance  4x4 rms    exact{heads}")
            first = None
            for name, chunks in generations(scene.frames, params):
                first = exact_pixels(chunks) if first is None else first
                print(row(name, chunks, scene, background, first), flush=True)


if __name__ == "__main__":
    main()
