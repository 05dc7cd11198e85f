# SPDX-License-Identifier: MIT
"""What users see when a chunk is damaged, cannot be encoded, or the plugin is missing."""

import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from hdf5_hosts import (
    READ_SCRIPT,
    Sample,
    decode_sample,
    make_frames,
    make_geometry,
    need_program,
    read_chunks,
    read_with_python,
    run_host,
)

import h5bragg

WRITE_SCRIPT = """
import sys, h5py, numpy
path, words, frames = sys.argv[1], tuple(map(int, sys.argv[2].split())), numpy.load(sys.argv[3])
with h5py.File(path, "w") as file:
    file.create_dataset("data", data=frames, chunks=(1, *frames.shape[1:]),
                        compression=int(sys.argv[4]), compression_opts=words)
"""


def damage(sample: Sample, change: Callable[[bytearray], bytes | bytearray]) -> None:
    """Replaces the second chunk of a sample."""
    with h5py.File(sample.path, "r+") as file:
        dataset = file[sample.name].id
        chunk = bytearray(dataset.read_direct_chunk((1, 0, 0))[1])
        dataset.write_direct_chunk((1, 0, 0), bytes(change(chunk)))


def flip_middle(chunk: bytearray) -> bytearray:
    chunk[len(chunk) // 2] ^= 0x10
    return chunk


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (flip_middle, "checksum"),
        (lambda chunk: chunk[: len(chunk) // 2], "cut short"),
        (lambda _chunk: b"\x00" * 500, "not an h5bragg chunk"),
        (lambda _chunk: b"h", "h5bragg could not decode a chunk"),
    ],
    ids=["flipped bit", "cut", "zeros", "one byte"],
)
def test_a_damaged_chunk_is_refused_and_others_stay_readable(
    python_host: str,
    make_sample: Callable[..., Sample],
    tmp_path: Path,
    change: Callable[[bytearray], bytes],
    reason: str,
) -> None:
    sample = make_sample()
    good = decode_sample(sample)
    damage(sample, change)
    out = tmp_path / "out.npy"
    whole = run_host(python_host, "-c", READ_SCRIPT, sample.path, sample.name, out)
    assert whole.returncode == 1
    assert reason in whole.stderr
    with h5py.File(sample.path, "r") as file:
        np.testing.assert_array_equal(file[sample.name][0], good[0])
        np.testing.assert_array_equal(file[sample.name][2], good[2])


def test_h5dump_shows_the_reason_of_a_damaged_chunk(make_sample: Callable[..., Sample]) -> None:
    sample = make_sample()
    damage(sample, flip_middle)
    done = run_host(need_program("h5dump"), "--enable-error-stack", "-d", sample.name, sample.path)
    assert "h5bragg could not decode a chunk" in done.stderr


@pytest.mark.parametrize("other", ["u2", "i4"])
def test_a_chunk_of_another_dataset_is_refused(
    make_sample: Callable[..., Sample], other: str
) -> None:
    """Older HDF5 would read past the end of a chunk that is too small."""
    sample = make_sample("u4")
    frame = make_frames(1, sample.frames.shape[1:], other, seed=3)[0]
    foreign = h5bragg.encode(frame, sample.geometry)
    damage(sample, lambda _chunk: foreign)
    with (
        h5py.File(sample.path, "r") as file,
        pytest.raises(OSError, match="it belongs to another dataset"),
    ):
        file[sample.name][1]


def write_with_unknown_geometry(
    interpreter: str, folder: Path, **variables: str
) -> tuple[Path, np.ndarray, str]:
    """Writes in a process that knows a geometry's hash and not the geometry."""
    shape = (64, 48)
    geometry = make_geometry(shape).with_mask(np.eye(*shape, dtype=bool))
    words = h5bragg.Bragg(geometry).filter_options
    frames = make_frames(2, shape, "u2", seed=8)
    np.save(folder / "frames.npy", frames)
    path = folder / "unknown.h5"
    text = " ".join(map(str, words))
    command = [interpreter, "-c", WRITE_SCRIPT, path, text, folder / "frames.npy"]
    done = run_host(*command, str(h5bragg.FILTER_ID), **variables)
    assert done.returncode == 0, done.stderr
    return path, frames, done.stderr


def test_a_failed_encode_stores_the_raw_frame(python_host: str, tmp_path: Path) -> None:
    path, frames, _ = write_with_unknown_geometry(python_host, tmp_path)
    with h5py.File(path, "r") as file:
        assert file["data"].id.read_direct_chunk((0, 0, 0)) == (1, frames[0].tobytes())
        np.testing.assert_array_equal(file["data"][...], frames)


def test_the_diagnostic_tells_of_a_failed_encode(python_host: str, tmp_path: Path) -> None:
    _, _, silent = write_with_unknown_geometry(python_host, tmp_path)
    _, _, loud = write_with_unknown_geometry(python_host, tmp_path, H5BRAGG_DIAGNOSTIC="1")
    assert silent == ""
    lines = loud.splitlines()
    assert len(lines) == 2
    assert lines[0] == lines[1]
    assert lines[0].startswith("h5bragg: h5bragg could not encode a chunk: ")
    assert "not registered in this process" in lines[0]


def test_a_registered_geometry_writes_here_and_reads_anywhere(
    python_host: str, tmp_path: Path
) -> None:
    shape = (164, 148)
    mask = np.zeros(shape, bool)
    mask[10:20, 5:9] = True
    geometry = make_geometry(shape).with_mask(mask)
    frames = make_frames(2, shape, "u2", seed=8)
    path = tmp_path / "registered.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("data", data=frames, chunks=(1, *shape), **h5bragg.Bragg(geometry))
    sample = Sample(path, "data", frames, geometry)
    expected = decode_sample(sample)
    assert [h5bragg.inspect(chunk).sparse_frames for chunk in read_chunks(sample)] == [1, 1]
    np.testing.assert_array_equal(expected[:, mask], frames[:, mask])
    restored = read_with_python(python_host, sample, tmp_path / "out.npy")
    np.testing.assert_array_equal(restored, expected)


def test_without_the_plugin_python_fails_and_the_file_says_what_to_install(
    python_host: str, make_sample: Callable[..., Sample], tmp_path: Path
) -> None:
    """h5py shows HDF5's innermost message alone, but the file carries the filter's name."""
    sample = make_sample()
    nowhere = {"HDF5_PLUGIN_PATH": "/nonexistent"}
    out = tmp_path / "out.npy"
    failed = run_host(python_host, "-c", READ_SCRIPT, sample.path, sample.name, out, **nowhere)
    assert failed.returncode == 1
    assert "OSError" in failed.stderr
    look = READ_SCRIPT.replace(
        "numpy.save(out, file[name][...])", "print(file[name].id.get_create_plist().get_filter(0))"
    )
    named = run_host(python_host, "-c", look, sample.path, sample.name, out, **nowhere)
    assert "pip install h5bragg" in named.stdout


def test_without_the_plugin_h5dump_says_what_to_install(
    make_sample: Callable[..., Sample],
) -> None:
    sample = make_sample()
    command = [need_program("h5dump"), "--enable-error-stack", "-d", sample.name, sample.path]
    done = run_host(*command, HDF5_PLUGIN_PATH="/nonexistent")
    assert done.returncode != 0
    assert "pip install h5bragg" in done.stderr
    properties = run_host(need_program("h5dump"), "-pH", sample.path)
    assert "pip install h5bragg" in properties.stdout


def test_a_failed_read_leaves_nothing_on_standard_error_unless_asked(
    make_sample: Callable[..., Sample], tmp_path: Path
) -> None:
    sample = make_sample()
    damage(sample, flip_middle)
    script = (
        READ_SCRIPT.replace("numpy.save", "try:\n        numpy.save") + "    except OSError: pass"
    )
    command = [sys.executable, "-c", script, sample.path, sample.name, tmp_path / "out.npy"]
    assert run_host(*command).stderr == ""
    assert run_host(*command, H5BRAGG_DIAGNOSTIC="1").stderr.startswith("h5bragg: ")


def test_the_diagnostic_tells_why_h5dump_fails(make_sample: Callable[..., Sample]) -> None:
    """Without options h5dump hides what HDF5 says."""
    sample = make_sample()
    damage(sample, flip_middle)
    command = [need_program("h5dump"), "-d", sample.name, sample.path]
    reason = "h5bragg: h5bragg could not decode a chunk: "
    assert "h5bragg could not" not in run_host(*command).stderr
    assert run_host(*command, H5BRAGG_DIAGNOSTIC="1").stderr.startswith(reason)
