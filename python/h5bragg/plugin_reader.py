# SPDX-License-Identifier: MIT
"""Read the built-in frames as a program that knows nothing of h5bragg; run by plugin_hosts.py.

Runs as ``python -c`` with h5py alone.  Argument: plugin_check.h5.  Prints two lines of JSON: first
versions and the directories that HDF5 searches, as a bad plugin may end the process; then for each
dataset the SHA-256 of its little-endian pixels or HDF5's error, and the files that were loaded.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import h5py


def mapped_files() -> set[str]:
    """Return the files that are mapped into this process, as Linux tells it."""
    maps = Path("/proc/self/maps")
    lines = (line.split(maxsplit=5) for line in maps.read_text(encoding="utf-8").splitlines())
    return {words[5] for words in lines if len(words) == 6 and words[5].startswith("/")}


def read(data: h5py.Dataset) -> dict[str, str]:
    """Return the hash of a dataset's pixels, or why they cannot be read."""
    try:
        pixels = data[...]
    except (OSError, RuntimeError) as error:
        return {"error": " ".join(str(error).split())}
    pixels = pixels.astype(pixels.dtype.newbyteorder("<"))
    return {"sha256": hashlib.sha256(pixels.tobytes()).hexdigest()}


def main() -> None:
    """Read all datasets and print what was found."""
    paths = (h5py.h5pl.get(i) for i in range(h5py.h5pl.size()))
    say(
        {
            "h5py": h5py.version.version,
            "hdf5": h5py.version.hdf5_version,
            "directories": [path.decode("utf-8", "surrogateescape") for path in paths],
        }
    )
    before = mapped_files()
    with h5py.File(sys.argv[1], "r") as file:
        frames = {name: read(file[name]) for name in file}
    say(
        {
            "frames": frames,
            "loaded": sorted(mapped_files() - before),
            "modules": sorted(name for name in sys.modules if "h5bragg" in name),
        }
    )


def say(found: dict[str, Any]) -> None:
    """Print one line of JSON at once."""
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
