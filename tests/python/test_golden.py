# SPDX-License-Identifier: MIT
"""Chunks of every format version are restored as they were when the version was fixed."""

import hashlib
import json
from pathlib import Path
from typing import Any

import format_reader
import numpy as np
import pytest
from numpy.typing import NDArray

import h5bragg

DATA = Path(__file__).resolve().parents[1] / "data"
GOLDEN = sorted(DATA.glob("*/*.chunk"))


def expected(path: Path) -> dict[str, Any]:
    hashes: dict[str, dict[str, Any]] = json.loads((path.parent / "hashes.json").read_text())
    return hashes[path.name]


def sha256(pixels: NDArray[Any], dtype: str) -> str:
    return hashlib.sha256(np.ascontiguousarray(pixels.astype(dtype)).tobytes()).hexdigest()


def test_every_golden_chunk_has_a_hash() -> None:
    for folder in {path.parent for path in GOLDEN}:
        names = {path.name for path in folder.glob("*.chunk")}
        assert names == set(json.loads((folder / "hashes.json").read_text()))
    assert len(GOLDEN) >= 79


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_golden_chunks_are_restored(path: Path) -> None:
    want, chunk = expected(path), path.read_bytes()
    for fill in ("noise", "mean"):
        pixels = h5bragg.decode(chunk, fill=fill)
        assert list(pixels.shape) == want["shape"]
        assert pixels.dtype == np.dtype(want["dtype"]).newbyteorder("=")
        assert sha256(pixels, want["dtype"]) == want[fill]


@pytest.mark.slow
@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_second_decoder_restores_them_too(path: Path) -> None:
    want, chunk = expected(path), path.read_bytes()
    pixels = np.array(format_reader.decode(chunk)).reshape(want["shape"])
    assert sha256(pixels, want["dtype"]) == want["noise"]
