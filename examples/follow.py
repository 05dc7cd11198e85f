# SPDX-License-Identifier: MIT
"""Look at frames while they are written: follow.py FILE.

The reader of a file that detector_writer writes.  It needs h5py, and HDF5_PLUGIN_PATH or
`import h5bragg` to find the filter.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import h5py


def open_growing(path: str, timeout_s: float = 10.0) -> h5py.File:
    """Open a file that another process writes, as soon as it is ready for readers."""
    end = time.monotonic() + timeout_s
    while True:
        try:
            return h5py.File(path, "r", swmr=True)
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.01)


def new_frames(data: h5py.Dataset, timeout_s: float = 10.0) -> Iterator[range]:
    """Yield the numbers of frames as they arrive, until none has come for a while."""
    seen = 0
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        data.refresh()
        if data.shape[0] > seen:
            yield range(seen, data.shape[0])
            seen = data.shape[0]
            end = time.monotonic() + timeout_s
        time.sleep(0.01)


def main() -> None:
    """Print a line for each frame."""
    with open_growing(sys.argv[1]) as file:
        data = file["entry/data/data"]
        for numbers in new_frames(data):
            for number in numbers:
                frame = data[number]
                counts = frame[frame < 65535]
                print(f"frame {number}: {counts.sum()} counts, at most {counts.max()} in a pixel")


if __name__ == "__main__":
    main()
