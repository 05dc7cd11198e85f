# SPDX-License-Identifier: MIT
"""Time encode and decode against bitshuffle-LZ4, memcpy, pyFAI and FabIO on the same frames.

Codecs are called as HDF5 calls them, through the callback of their plugin, on one core. The second
table has, of the same run, the times beside memcpy, pyFAI's sparsify (OpenCL on that one core; at
the same sigma, or at 1 sigma beside local counts), FabIO's densify with noise of what that gives,
and reads of whole frames through h5py from a file in memory. What pyFAI needs to store a frame and
FabIO to read it is not counted. Runs are interleaved, medians are printed; a ratio is how many
times faster h5bragg is, and only ratios mean anything on another machine.

Cases are the defaults (4 sigma, with local counts) and 1, 2 and 3 sigma without local counts.

    python benchmarks/codec_speed.py [--mean 0.2 1.1] [--frame FILE.cbf ...] [--snr-pick 1 2 3]
        [--rounds 15] [--no-peer] [--simd scalar|sse4|avx2|avx512|avx512+gathers ...]
"""

from __future__ import annotations

import argparse
import importlib.util
import os
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import fabio
import numpy as np
from filter_call import DECODE, Parameters, bitshuffle_lz4, bragg
from h5py_read import reads
from numpy.typing import NDArray
from peer_pyfai import timed_peer
from simulated_frame import simulated
from timing import Timed, medians, timed_copy, timed_filter

import h5bragg

# What a kernel asks of the processor, as Linux calls it.
CPU_FLAG = {"scalar": "", "sse4": "sse4_1", "avx2": "avx2", "avx512": "avx512_bitalg"}
LOOK_UPS = ("+loads", "+gathers")  # for avx2 and avx512, see docs/architecture.md
SIMD = (*CPU_FLAG, *(level + how for level in ("avx2", "avx512") for how in LOOK_UPS))
PEERS = ("sparsify", "densify")
HEADS = (
    f"{'':38s} {'times smaller':>18s} {'memcpy':>8s} {'encode (ms)':>25s} {'decode (ms)':>25s}\n"
    f"{'frame                case':38s} {'raw':>8s} {'bslz4':>9s} {'(ms)':>8s}"
    f"{'bslz4':>9s} {'h5bragg':>8s} {'ratio':>7s}{'bslz4':>9s} {'h5bragg':>8s} {'ratio':>7s}",
    f"{'':38s} {'memcpys':>15s} {'encode (ms)':>17s} {'decode (ms)':>17s} "
    f"{'h5py read (ms)':>25s}\n"
    f"{'frame                case':38s} {'encode':>7s} {'decode':>7s} {'pyFAI':>9s} {'ratio':>7s}"
    f"{'FabIO':>10s} {'ratio':>7s}{'bslz4':>10s} {'h5bragg':>8s} {'ratio':>7s}",
)


@dataclass(frozen=True)
class Case:
    """A frame and a way to encode it."""

    name: str
    frame: NDArray[np.integer]
    geometry: h5bragg.Geometry
    parameters: Parameters = field(default_factory=dict)

    @property
    def peer_sigma(self) -> float:
        """Threshold for pyFAI: the same, or its own best quality beside local counts."""
        return 1.0 if self.parameters.get("local_counts", 4) else self.parameters["snr_pick"]


@dataclass(frozen=True)
class Result:
    """Sizes in bytes and times in milliseconds; those of peers that were left out are NaN."""

    name: str
    raw_nbytes: int
    our_nbytes: int
    peer_nbytes: int
    ms: dict[str, float]

    def rows(self) -> tuple[str, str]:
        """Lay the result out as a row of each table."""
        t = self.ms
        encode, decode = t["our encode"], t["our decode"]
        first = (
            f"{self.name:38s} {self.raw_nbytes / self.our_nbytes:8.1f} "
            f"{self.peer_nbytes / self.our_nbytes:9.2f} {t['memcpy']:8.2f} "
            f"{t['peer encode']:8.2f} {encode:8.2f} {t['peer encode'] / encode:7.2f} "
            f"{t['peer decode']:8.2f} {decode:8.2f} {t['peer decode'] / decode:7.2f}"
        )
        second = (
            f"{self.name:38s} {encode / t['memcpy']:7.2f} {decode / t['memcpy']:7.2f} "
            f"{t['sparsify']:9.1f} {t['sparsify'] / encode:7.1f} "
            f"{t['densify']:9.1f} {t['densify'] / decode:7.1f} "
            f"{t['peer read']:9.2f} {t['our read']:8.2f} {t['peer read'] / t['our read']:7.2f}"
        )
        return first, second


def measure(case: Case, rounds: int, *, with_peer: bool) -> Result:
    raw = np.ascontiguousarray(case.frame).view(np.uint8).ravel()
    peer = bitshuffle_lz4(case.frame.itemsize)
    ours = bragg(case.frame, case.geometry, case.parameters)
    peer_bytes, our_bytes = peer.apply(0, raw), ours.apply(0, raw)
    runs: dict[str, Timed] = {
        "memcpy": timed_copy(raw),
        "peer encode": timed_filter(peer, 0, raw),
        "our encode": timed_filter(ours, 0, raw),
        "peer decode": timed_filter(peer, DECODE, peer_bytes),
        "our decode": timed_filter(ours, DECODE, our_bytes),
    }
    with ExitStack() as stack:
        runs |= stack.enter_context(reads(case.frame, case.geometry, case.parameters))
        if with_peer:
            runs |= stack.enter_context(timed_peer(case.frame, case.geometry, case.peer_sigma))
        ms = dict.fromkeys(PEERS, np.nan) | medians(runs, rounds, slow=PEERS)
    return Result(case.name, len(raw), len(our_bytes), len(peer_bytes), ms)


def use_simd(parser: argparse.ArgumentParser, level: str) -> None:
    """Ask for kernels of one instruction set; the library looks when it first encodes."""
    info = Path("/proc/cpuinfo")
    if info.is_file() and CPU_FLAG[level.partition("+")[0]] not in info.read_text():
        parser.error(f"this machine has no {level}")
    os.environ["H5BRAGG_SIMD"] = level


def cases(means: list[float], frames: list[Path], snr_pick: list[float]) -> list[Case]:
    inputs = {f"simulated, mean {m:g}": simulated(m, 1) for m in means}
    for path in frames:
        geometry = h5bragg.Geometry.from_file(path)
        inputs[path.name] = np.ascontiguousarray(fabio.open(str(path)).data), geometry
    ways: dict[str, Parameters] = {
        f"{k:g} sigma, no local": {"snr_pick": k, "local_counts": 0} for k in snr_pick
    }
    ways["4 sigma, local"] = {}  # the defaults
    return [
        Case(f"{name:20.20s} {way}", frame, geometry, parameters)
        for name, (frame, geometry) in inputs.items()
        for way, parameters in ways.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument(
        "--mean", type=float, nargs="*", default=[0.2, 1.1], help="counts a pixel, simulated"
    )
    parser.add_argument("--frame", type=Path, nargs="*", default=[], help="frames with geometry")
    parser.add_argument(
        "--snr-pick", type=float, nargs="*", default=[1, 2, 3], help="without local counts"
    )
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--no-peer", action="store_true", help="without pyFAI and FabIO")
    parser.add_argument("--simd", choices=SIMD, help="instruction set of h5bragg")
    options = parser.parse_args()
    if options.simd:
        use_simd(parser, options.simd)
    if hasattr(os, "sched_setaffinity"):  # before PoCL starts, which counts the cores it may use
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with_peer = not options.no_peer and all(map(importlib.util.find_spec, ("pyFAI", "pyopencl")))
    print(HEADS[0])
    second_table = []
    for case in cases(options.mean, options.frame, options.snr_pick):
        first, second = measure(case, options.rounds, with_peer=with_peer).rows()
        print(first, flush=True)
        second_table.append(second)
    print(f"\n{HEADS[1]}", *second_table, sep="\n")


if __name__ == "__main__":
    main()
