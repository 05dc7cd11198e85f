# SPDX-License-Identifier: MIT
"""What a program that knows nothing of h5bragg does with its files; run by the demonstration.

Runs as ``python -c`` with h5py, NumPy and HDF5_PLUGIN_PATH alone.  Arguments: a file with frames
under the h5bragg filter, and one with the raw frames under bitshuffle-LZ4, both as
/entry/data/data.  Prints JSON.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

ROUNDS = 3


def read(data: h5py.Dataset, index: int, out: NDArray[Any]) -> float:
    """Read one frame and return the seconds it took."""
    start = time.perf_counter()
    data.read_direct(out, np.s_[index])
    return time.perf_counter() - start


def main() -> None:
    """Read both files in turn, and say how long it took and what the sparse frames are."""
    with h5py.File(sys.argv[1], "r") as sparse_file, h5py.File(sys.argv[2], "r") as raw_file:
        sparse, raw = sparse_file["entry/data/data"], raw_file["entry/data/data"]
        out = np.empty(sparse.shape[1:], sparse.dtype)
        ratios, digests = [], []
        for _ in range(ROUNDS):
            digest = hashlib.sha256()
            for index in range(len(raw)):
                seconds = read(raw, index, out)
                ratios.append(seconds / read(sparse, index, out))
                digest.update(out.tobytes())
            digests.append(digest.hexdigest())
    result = {
        "digests": digests,
        "read_speed": float(np.median(ratios)),
        "modules": sorted(name for name in sys.modules if "h5bragg" in name),
        "hdf5": h5py.version.hdf5_version,
    }
    sys.stdout.write(json.dumps(result))


if __name__ == "__main__":
    main()
