# SPDX-License-Identifier: MIT
"""Table of bytes against what is left of weak spots, beside pyFAI and FabIO on the same frames.

Frames of flat Poisson background hold spots of known intensity (Gaussian, 1 pixel wide, photon by
photon). Each spot is integrated in a 7 x 7 box, with the background of a frame around it from 11 x
11 to 15 x 15, in the raw and in the restored frames. Printed are stored bits a pixel, times smaller
than bitshuffle-LZ4, and for spots of 4-12, 12-40 and 40-150 photons the intensity recovered (1 =
what was put in) and the rms error relative to the raw frame's. Last comes a background in which a
sector of 30 degrees is shadowed to 0.4: its restored over its raw mean.

    python benchmarks/rate_distortion.py [--background 0.05 0.3 1 3 10 50] [--frames 4] [--no-peer]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import hdf5plugin
import numpy as np
from filter_call import bitshuffle_lz4
from numpy.typing import NDArray
from peer_pyfai import sparsify_and_densify

import h5bragg
from h5bragg.params import PRESETS

SIDE, PITCH, MARGIN = 2048, 24, 16
CLASSES = ((4, 12), (12, 40), (40, 150))
GEOMETRY = h5bragg.Geometry.flat(
    shape=(SIDE, SIDE),
    pixel_size_m=75e-6,
    distance_m=0.2,
    beam_center_px=(SIDE / 2, SIDE / 2),
    wavelength_m=1e-10,
)
Frames = NDArray[np.integer]
Codec = Callable[[Frames], tuple[Frames, int]]


@dataclass(frozen=True)
class Scene:
    """Frames and the spots in them, as arrays over the spots."""

    frames: Frames
    frame: NDArray[np.intp]
    slow: NDArray[np.float64]
    fast: NDArray[np.float64]
    photons: NDArray[np.float64]
    kind: NDArray[np.intp]


def simulate(background: float, nframes: int, seed: int) -> Scene:
    """Put one spot, or none, into every cell of a grid."""
    random = np.random.default_rng(seed)
    grid = np.arange(MARGIN, SIDE - MARGIN, PITCH) + PITCH / 2
    frame, slow, fast = (a.ravel() for a in np.meshgrid(range(nframes), grid, grid, indexing="ij"))
    slow, fast = (a + random.uniform(-4, 4, a.shape) for a in (slow, fast))
    kind = random.integers(-1, len(CLASSES), slow.shape)
    low, high = (np.array([pair[k] for pair in CLASSES])[kind] for k in (0, 1))
    photons = np.where(kind < 0, 0, np.exp(random.uniform(np.log(low), np.log(high))))
    frames = random.poisson(background, (nframes, SIDE, SIDE)).astype(np.uint32)
    which = np.repeat(np.arange(len(slow)), random.poisson(photons))
    at = [np.floor(a[which] + random.normal(size=len(which))).astype(int) for a in (slow, fast)]
    np.add.at(frames, (frame[which], *at), 1)
    return Scene(frames, frame, slow, fast, photons, kind)


def box_sums(frames: Frames, scene: Scene, half: int) -> NDArray[np.float64]:
    """Sum a box of 2 half + 1 pixels around every spot."""
    total = np.zeros((len(frames), SIDE + 1, SIDE + 1))
    total[:, 1:, 1:] = frames.cumsum(1, dtype=float).cumsum(2)
    i, j = (np.floor(a).astype(int) for a in (scene.slow, scene.fast))
    top, bottom, left, right = i - half, i + half + 1, j - half, j + half + 1
    k = scene.frame
    return (
        total[k, bottom, right]
        - total[k, top, right]
        - total[k, bottom, left]
        + total[k, top, left]
    )


def integrate(frames: Frames, scene: Scene) -> NDArray[np.float64]:
    """Integrate every spot above its local background."""
    around = (box_sums(frames, scene, 7) - box_sums(frames, scene, 5)) / (15**2 - 11**2)
    return box_sums(frames, scene, 3) - 7**2 * around


def our_codec(**options: float) -> Codec:
    params = h5bragg.SparsifyParams(polarization=None, solid_angle=False, **options)

    def run(frames: Frames) -> tuple[Frames, int]:
        chunks = [h5bragg.encode(frame, GEOMETRY, params) for frame in frames]
        return np.stack([h5bragg.decode(chunk) for chunk in chunks]), sum(map(len, chunks))

    return run


def peer_codec(cutoff_pick: float) -> Codec:
    return lambda frames: sparsify_and_densify(frames, GEOMETRY, cutoff_pick)


def lossless(frames: Frames) -> tuple[Frames, int]:
    encode = bitshuffle_lz4(frames.itemsize)
    return frames, sum(encode.apply(0, frame.view(np.uint8).ravel()).nbytes for frame in frames)


def shadow_ratio(codec: Codec, background: float, seed: int) -> float:
    """Mean of a shadowed sector, restored over raw, away from its edges."""
    y, x = np.ogrid[:SIDE, :SIDE]
    angle = np.degrees(np.arctan2(y + 0.5 - SIDE / 2, x + 0.5 - SIDE / 2))
    mean = np.where(np.abs(angle - 40) < 15, 0.4 * background, background)
    raw = np.random.default_rng(seed).poisson(mean).astype(np.uint32)
    restored, _ = codec(raw[np.newaxis])
    inside = (np.abs(angle - 40) < 12) & (np.hypot(y - SIDE / 2, x - SIDE / 2) > 60)
    return float(restored[0][inside].mean() / raw[inside].mean())


def row(name: str, codec: Codec, scene: Scene, background: float, peer_nbytes: int) -> str:
    restored, nbytes = codec(scene.frames)
    raw_sums, sums = integrate(scene.frames, scene), integrate(restored, scene)
    text = f"{name:22s} {8 * nbytes / scene.frames.size:8.4f} {peer_nbytes / nbytes:8.2f}"
    for k in range(len(CLASSES)):
        spots = scene.kind == k
        true = scene.photons[spots]
        recovered = sums[spots].mean() / true.mean()
        rms = np.sqrt(np.mean((sums[spots] - true) ** 2) / np.mean((raw_sums[spots] - true) ** 2))
        text += f"  {recovered:6.3f} {rms:5.2f}"
    return text + f"  {shadow_ratio(codec, background, 1):6.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--background", type=float, nargs="*", default=[0.05, 0.3, 1, 3, 10, 50])
    parser.add_argument("--frames", type=int, default=2)
    parser.add_argument("--no-peer", action="store_true", help="without pyFAI and FabIO")
    options = parser.parse_args()
    codecs: dict[str, Codec] = {"bitshuffle-LZ4 (raw)": lossless}
    if not options.no_peer:
        codecs |= {f"pyFAI + FabIO, {k} sigma": peer_codec(k) for k in (1, 3)}
    codecs |= {f"{k} sigma, no local": our_codec(snr_pick=k, local_counts=0) for k in (1, 2, 3)}
    codecs |= {
        "h5bragg (default)": our_codec(),
        "light": our_codec(**PRESETS["light"]),
        "careful": our_codec(**PRESETS["careful"]),
        "local step 3": our_codec(local_step=3),
    }
    hdf5plugin.get_config()  # bitshuffle is used through its plugin file
    for background in options.background:
        scene = simulate(background, options.frames, seed=1)
        _, peer_nbytes = lossless(scene.frames)
        print(f"\nbackground {background} counts            recovered and rms of spots of photons")
        heads = "".join(f"  {f'{low}-{high}':>12s}" for low, high in CLASSES)
        print(f"{'':22s} bits/px  x bslz4{heads}  shadow")
        for name, codec in codecs.items():
            print(row(name, codec, scene, background, peer_nbytes), flush=True)


if __name__ == "__main__":
    main()
