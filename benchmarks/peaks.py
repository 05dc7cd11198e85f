# SPDX-License-Identifier: MIT
"""How fast peaks are found: in frames, in chunks, within the encoder, and by pyFAI.

    python benchmarks/peaks.py [--frame FRAME.cbf] [--rounds 15] [--no-peer]

One core.  Everything is measured in turn in the same run; times are the shortest of all rounds, as
what else the machine does only makes them longer.  pyFAI's finder runs on PoCL, one thread, set up
beforehand; its kernel that looks for peaks suits GPUs and not PoCL, so its sparsify, which finds
the background and picks pixels but no peaks, is timed as well.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Before any library makes threads: PoCL's and NumPy's are one then.
os.environ.setdefault("POCL_MAX_PTHREAD_COUNT", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import fabio
import numpy as np
from numpy.typing import NDArray
from simulated_frame import simulated
from timing import timed_call

import h5bragg
from h5bragg import Geometry, PeakParams, SparsifyParams, find_peaks
from h5bragg.stages import Stages

_PEER_ROUNDS = 1
_MODES = {
    "local counts": SparsifyParams(),
    "without": SparsifyParams(local_counts=0, snr_pick=2),
}


def shortest(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Milliseconds of each call, the least of interleaved rounds after one that does not count."""
    runs = {name: timed_call(call) for name, call in calls.items()}
    times: dict[str, list[float]] = {name: [] for name in calls}
    for k in range(rounds + 1):
        for name, run in runs.items():
            elapsed = run()
            if k:
                times[name].append(1e3 * elapsed)
    return {name: min(values) for name, values in times.items()}


def calls_of(
    frame: NDArray[np.integer], geometry: Geometry, params: SparsifyParams
) -> dict[str, Callable[[], Any]]:
    chunk = h5bragg.encode(frame, geometry, params)
    plain = Stages.of(geometry, params, frame.dtype)
    with_peaks = Stages.of(geometry, params, frame.dtype, peaks=PeakParams())
    return {
        "frame": lambda: find_peaks(frame, geometry, params),
        "chunk": lambda: find_peaks(chunk),
        "decode": lambda: h5bragg.decode(chunk),
        "encode": lambda: plain.encode([frame]),
        "encode with peaks": lambda: with_peaks.encode([frame]),
    }


def report(
    name: str,
    frame: NDArray[np.integer],
    geometry: Geometry,
    rounds: int,
    *,
    with_peer: bool,
) -> None:
    print(f"\n{name}: {frame.shape[0]} x {frame.shape[1]} {frame.dtype}")
    peer: dict[str, float] = {}
    if with_peer:
        from peer_pyfai import PeerPeaks

        finder = PeerPeaks(frame, geometry)
        peer = shortest(
            {
                "pyFAI's peak finder": lambda: finder.find(frame, PeakParams()),
                "pyFAI's sparsify": lambda: finder.sparsify(frame, PeakParams()),
            },
            _PEER_ROUNDS,
        )
        npeaks = len(finder.find(frame, PeakParams()))
        print(f"  pyFAI: {npeaks} peaks; ms: "
              + ", ".join(f"{what} {ms:.0f}" for what, ms in peer.items()))  # fmt: skip
    for mode, params in _MODES.items():
        times = shortest(calls_of(frame, geometry, params), rounds)
        npeaks = len(find_peaks(frame, geometry, params))
        print(f"  {mode}: {npeaks} peaks; ms: "
              + ", ".join(f"{what} {ms:.2f}" for what, ms in times.items()))  # fmt: skip
        ratios = {
            "chunk faster than frame": times["frame"] / times["chunk"],
            "chunk faster than decoding and frame": (times["decode"] + times["frame"])
            / times["chunk"],
            "encoding with peaks longer by": times["encode with peaks"] / times["encode"] - 1,
        }
        for what, ms in peer.items():
            ratios[f"frame faster than {what}"] = ms / times["frame"]
        for what, ratio in ratios.items():
            print(f"    {what}: {ratio:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--frame", type=Path, action="append", default=[])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--no-peer", action="store_true")
    options = parser.parse_args()
    for path in options.frame:
        pixels = fabio.open(str(path)).data
        report(
            path.name,
            pixels,
            Geometry.from_file(path),
            options.rounds,
            with_peer=not options.no_peer,
        )
    if not options.frame:
        for mean in (0.1, 3.0):
            frame, geometry = simulated(mean, seed=1)
            report(
                f"simulated, {mean:g} counts a pixel", frame, geometry, options.rounds,
                with_peer=not options.no_peer,
            )  # fmt: skip


if __name__ == "__main__":
    main()
