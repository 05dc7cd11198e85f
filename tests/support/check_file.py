# SPDX-License-Identifier: MIT
"""Makes python/h5bragg/plugin_check.h5 of golden chunks: python tests/support/check_file.py"""

import json
from pathlib import Path

import h5py

import h5bragg

ROOT = Path(__file__).resolve().parents[2]
# One of each format version.
CHUNKS = {
    "format_1": "1/encoded_default_sparse_u2.chunk",
    "format_2": "2/encoded_default_u4.chunk",
}


def make_check_file(path: Path) -> None:
    """Write each chunk as a dataset whose attributes are the SHA-256 of what it must restore."""
    # The oldest HDF5 that the plugin serves is to read it.
    with h5py.File(path, "w", libver=("v110", "v110")) as file:
        for name, chunk_name in CHUNKS.items():
            golden = ROOT / "tests" / "data" / chunk_name
            chunk = golden.read_bytes()
            found = h5bragg.inspect(chunk)
            want = json.loads((golden.parent / "hashes.json").read_text())[golden.name]
            data = file.create_dataset(
                name,
                found.shape,
                want["dtype"],
                chunks=found.shape,
                track_times=False,
                **h5bragg.Bragg(found.geometry, found.params),
            )
            data.id.write_direct_chunk((0, 0), chunk)
            data.attrs["noise"] = want["noise"]
            data.attrs["mean"] = want["mean"]


if __name__ == "__main__":
    make_check_file(ROOT / "python" / "h5bragg" / "plugin_check.h5")
