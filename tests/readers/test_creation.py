# SPDX-License-Identifier: MIT
"""A dataset that the filter cannot serve is refused at its creation, with what to change."""

import json
from pathlib import Path

import pytest
from hdf5_hosts import make_geometry, run_host

import h5bragg

NY, NX = 60, 50
CREATE_SCRIPT = """
import json, sys, h5py, numpy
path, options = sys.argv[1], json.loads(sys.argv[2])
shape, chunks = options.pop("shape"), options.pop("chunks")
words = tuple(options.pop("words"))
dtype = options.pop("dtype")
dtype = numpy.dtype([("a", "i4")]) if dtype == "compound" else numpy.dtype(dtype)
with h5py.File(path, "w") as file:
    file.create_dataset("data", tuple(shape), dtype, chunks=tuple(chunks),
                        compression=int(sys.argv[3]), compression_opts=words, **options)
"""


def create(interpreter: str, folder: Path, **options: object) -> tuple[int, str]:
    """Creates a dataset in another process; returns its exit status and standard error."""
    words = h5bragg.Bragg(make_geometry((NY, NX))).filter_options
    defaults = {"shape": (4, NY, NX), "chunks": (1, NY, NX), "dtype": "u4", "words": words}
    text = json.dumps(defaults | options)
    script = [interpreter, "-c", CREATE_SCRIPT, folder / "new.h5", text, str(h5bragg.FILTER_ID)]
    done = run_host(*script)
    return done.returncode, done.stderr


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "i2", "i4", ">u2", ">i4"])
def test_integer_types_are_accepted(python_host: str, tmp_path: Path, dtype: str) -> None:
    assert create(python_host, tmp_path, dtype=dtype) == (0, "")


@pytest.mark.parametrize(
    ("dtype", "name", "instead"),
    [
        ("f4", "float32", "int32"),
        ("f8", "float64", "int32"),
        ("i8", "int64", "int32"),
        ("u8", "uint64", "uint32"),
        ("i1", "int8", "int16"),
        ("?", "non-integer", "uint32"),
        ("S8", "non-integer", "uint32"),
        ("c8", "non-integer", "uint32"),
        ("compound", "non-integer", "uint32"),
    ],
)
def test_other_types_are_refused(
    python_host: str, tmp_path: Path, dtype: str, name: str, instead: str
) -> None:
    status, message = create(python_host, tmp_path, dtype=dtype)
    assert status == 1
    assert f"h5bragg cannot store {name} pixels: convert them to {instead}, or any of" in message


@pytest.mark.parametrize(
    ("shape", "chunks"),
    [
        ((4, NY, NX), (1, NY, NX)),
        ((4, NY, NX), (4, NY, NX)),
        ((NY, NX), (NY, NX)),
        ((3, 4, NY, NX), (1, 2, NY, NX)),
        ((4, 3, NY // 3, NX), (1, 3, NY // 3, NX)),
        ((4, 3, NY // 3, NX), (2, 3, NY // 3, NX)),
        ((4, 1, NY, NX), (1, 1, NY, NX)),
        ((4, 2, 3, NY // 6, NX), (1, 2, 3, NY // 6, NX)),
    ],
)
def test_chunks_of_whole_frames_and_stacks_are_accepted(
    python_host: str, tmp_path: Path, shape: tuple[int, ...], chunks: tuple[int, ...]
) -> None:
    assert create(python_host, tmp_path, shape=shape, chunks=chunks) == (0, "")


@pytest.mark.parametrize(
    ("shape", "chunks", "wanted"),
    [
        ((4, NY, NX), (1, 20, NX), "(1, 60, 50), not (1, 20, 50)"),
        ((4, NX, NY), (1, NX, NY), "(1, 60, 50), not (1, 50, 60)"),
        ((4, 2 * NY, NX), (1, 2 * NY, NX), "(1, 60, 50), not (1, 120, 50)"),
        ((NY, NX), (NY, 10), "(60, 50), not (60, 10)"),
        ((2, 3, NY, NX), (1, 1, NY, 5), "(1, 1, 60, 50) or with all"),
        ((NY * NX,), (NY * NX,), "(1, 60, 50), not (3000,)"),
        ((70000, NY, NX), (70000, NY, NX), "(1, 60, 50), not (70000, 60, 50)"),
        ((6, NY, NX), (3, NY // 3, NX), "(1, 60, 50), not (3, 20, 50)"),
        ((4, 3, 20, NX), (1, 1, 20, NX), "(1, 1, 60, 50) or with all modules of a stack in a"),
        ((4, 6, 20, NX), (1, 6, 20, NX), "(1, 1, 60, 50) or with all modules of a stack in a"),
        ((70000, 3, 20, NX), (70000, 3, 20, NX), "(1, 1, 60, 50) or with all modules of a stack"),
    ],
)
def test_other_chunks_are_refused(
    python_host: str, tmp_path: Path, shape: tuple[int, ...], chunks: tuple[int, ...], wanted: str
) -> None:
    status, message = create(python_host, tmp_path, shape=shape, chunks=chunks)
    assert status == 1
    assert "60 rows of 50 pixels" in message
    assert f"create the dataset with chunks={wanted}" in message


def test_a_filter_before_h5bragg_is_refused(python_host: str, tmp_path: Path) -> None:
    """Shuffled bytes have the size of a frame, and would be sparsified as if they were pixels."""
    status, message = create(python_host, tmp_path, shuffle=True)
    assert status == 1
    assert "h5bragg must be the first filter of a dataset, but filter 2 stands before it" in message


def test_a_checksum_after_h5bragg_is_accepted(python_host: str, tmp_path: Path) -> None:
    assert create(python_host, tmp_path, fletcher32=True) == (0, "")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "h5bragg needs its 16 cd_values, not 0"),
        ((1, 2, 3), "h5bragg needs its 16 cd_values, not 3"),
        (tuple(range(17)), "h5bragg needs its 16 cd_values, not 17"),
        ((0,) * 16, "h5bragg cannot use the dataset's cd_values"),
    ],
)
def test_foreign_words_are_refused(
    python_host: str, tmp_path: Path, words: tuple[int, ...], sentence: str
) -> None:
    status, message = create(python_host, tmp_path, words=words)
    assert status == 1
    assert sentence in message


def test_creation_in_this_process_raises(tmp_path: Path) -> None:
    import h5py

    geometry = make_geometry((NY, NX))
    wanted = r"create the dataset with chunks=\(1, 60, 50\), not \(1, 60, 25\)"
    with h5py.File(tmp_path / "new.h5", "w") as file, pytest.raises(ValueError, match=wanted):
        file.create_dataset(
            "data", (3, NY, NX), "u4", chunks=(1, NY, NX // 2), **h5bragg.Bragg(geometry)
        )
