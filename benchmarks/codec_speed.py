# SPDX-License-Identifier: MIT
"""Time encode and decode against bitshuffle-LZ4 and memcpy of the same frames.

Both codecs are called as HDF5 calls them, through the callback of their plugin, on one core.
Runs are interleaved, medians are printed; only the ratios mean anything on another machine.

    python benchmarks/codec_speed.py [--frame FILE.cbf ...] [--snr-pick 1 2 3] [--rounds 15]
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

import fabio
import h5py
import hdf5plugin
import numpy as np
from filter_call import DECODE, FilterCall
from numpy.typing import NDArray

import h5bragg

BITSHUFFLE_ID = 32008
Timed = Callable[[], float]


def simulated(mean: float, seed: int) -> tuple[NDArray[np.uint32], h5bragg.Geometry]:
    """Simulate 4 Mpixel: radial background of a given mean, spots, module gaps."""
    shape = (2167, 2070)
    geometry = h5bragg.Geometry.flat(
        shape=shape,
        pixel_size_m=75e-6,
        distance_m=0.2,
        beam_center_px=(1100.5, 1034.2),
        wavelength_m=1e-10,
    )
    random = np.random.default_rng(seed)
    y, x = np.ogrid[: shape[0], : shape[1]]
    radius = np.hypot(y + 0.5 - 1100.5, x + 0.5 - 1034.2)
    profile = np.exp(-radius / 500) + 0.4 * np.exp(-(((radius - 600) / 150) ** 2))
    frame = random.poisson(mean * profile / profile.mean()).astype(np.uint32)
    for _ in range(3000):
        i, j = random.integers(5, 2000, 2)
        frame[i : i + 3, j : j + 3] += random.poisson(random.exponential(30), (3, 3)).astype("u4")
    frame[512:551] = frame[1063:1102] = frame[1614:1653] = 2**32 - 1
    frame[:, 1030:1040] = 2**32 - 1
    return frame, geometry


def bitshuffle_lz4(itemsize: int) -> FilterCall:
    """Bitshuffle-LZ4 of hdf5plugin, with the cd_values that its set_local would write."""
    plugin = next(Path(hdf5plugin.PLUGIN_PATH).glob("libh5bshuf.*"))
    return FilterCall(plugin, (0, 4, itemsize, 0, 2))


def bragg(frame: NDArray[np.integer], geometry: h5bragg.Geometry, snr_pick: float) -> FilterCall:
    """Our filter, with the cd_values that HDF5 stores for such a dataset."""
    with h5py.File("x", "w", driver="core", backing_store=False) as file:
        options = h5bragg.Bragg(geometry, snr_pick=snr_pick)
        data = file.create_dataset(
            "x", (1, *frame.shape), frame.dtype, chunks=(1, *frame.shape), **options
        )
        words = data.id.get_create_plist().get_filter(0)[2]
    return FilterCall(Path(h5bragg.get_config()["library"]), words)


def timed_filter(call: FilterCall, flags: int, data: NDArray[np.uint8]) -> Timed:
    def run() -> float:
        size, buffer = call.prepare(data)
        start = time.perf_counter()
        _, result = call.run(flags, size, buffer)
        elapsed = time.perf_counter() - start
        call.release(result)
        return elapsed

    return run


def timed_copy(data: NDArray[np.uint8]) -> Timed:
    target = np.zeros_like(data)

    def run() -> float:
        start = time.perf_counter()
        np.copyto(target, data)
        return time.perf_counter() - start

    return run


def medians(runs: dict[str, Timed], rounds: int) -> dict[str, float]:
    """Milliseconds, median over interleaved rounds after one that does not count."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for k in range(rounds + 1):
        for name, run in runs.items():
            elapsed = run()
            if k:
                times[name].append(1e3 * elapsed)
    return {name: float(np.median(values)) for name, values in times.items()}


def measure(
    name: str, frame: NDArray[np.integer], geometry: h5bragg.Geometry, snr_pick: float, rounds: int
) -> None:
    raw = np.ascontiguousarray(frame).view(np.uint8).ravel()
    peer, ours = bitshuffle_lz4(frame.itemsize), bragg(frame, geometry, snr_pick)
    peer_bytes, our_bytes = peer.apply(0, raw), ours.apply(0, raw)
    t = medians(
        {
            "memcpy": timed_copy(raw),
            "peer encode": timed_filter(peer, 0, raw),
            "our encode": timed_filter(ours, 0, raw),
            "peer decode": timed_filter(peer, DECODE, peer_bytes),
            "our decode": timed_filter(ours, DECODE, our_bytes),
        },
        rounds,
    )
    print(
        f"{name:24.24s} {snr_pick:4.1f} {len(raw) / len(our_bytes):8.1f} "
        f"{len(peer_bytes) / len(our_bytes):9.2f} {t['memcpy']:8.2f} "
        f"{t['peer encode']:8.2f} {t['our encode']:8.2f} {t['peer encode'] / t['our encode']:7.2f} "
        f"{t['peer decode']:8.2f} {t['our decode']:8.2f} {t['peer decode'] / t['our decode']:7.2f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--frame", type=Path, nargs="*", default=[], help="frames with geometry")
    parser.add_argument("--snr-pick", type=float, nargs="*", default=[1, 2, 3])
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    cases = {f"simulated, mean {m}": simulated(m, 1) for m in (0.2, 1.1)}
    for path in options.frame:
        geometry = h5bragg.Geometry.from_file(path)
        cases[path.name] = np.ascontiguousarray(fabio.open(str(path)).data), geometry
    print(
        "                                 times smaller    memcpy"
        "      encode (ms)             decode (ms)\n"
        "frame                     snr       raw     bslz4     (ms)"
        "    bslz4  h5bragg  ratio    bslz4  h5bragg  ratio"
    )
    for name, (frame, geometry) in cases.items():
        for snr_pick in options.snr_pick:
            measure(name, frame, geometry, snr_pick, options.rounds)


if __name__ == "__main__":
    main()
