# SPDX-License-Identifier: MIT
"""Whatever is wrong with a chunk, every reader names it and still reads the other frames."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from damaged_chunks import DAMAGES, Damage, damage_chunk
from hdf5_hosts import READ_SCRIPT, Sample, decode_sample, need_program, run_host
from input_files import assert_one_sentence, run_cli
from numpy.typing import NDArray

import h5bragg
from h5bragg.frame_source import InputError
from h5bragg.hdf5_open import open_hdf5
from h5bragg.reader import densify, find_sparse

BAD = 1
GOOD = (0, 2)
EVERY_KIND = pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.name)
# Reads frame by frame and prints what HDF5 says of those that fail.
EACH_FRAME = """
import sys, h5py, numpy
path, name, out = sys.argv[1:]
with h5py.File(path, "r") as file:
    frames = numpy.zeros(file[name].shape, file[name].dtype)
    for number in range(len(frames)):
        try:
            frames[number] = file[name][number]
        except OSError as error:
            print(number, error)
    numpy.save(out, frames)
"""


@pytest.fixture
def damaged(
    make_sample: Callable[..., Sample], damage: Damage
) -> tuple[Sample, NDArray[np.integer]]:
    """Three frames of which the second is damaged, and what they were."""
    sample = make_sample()
    frames = decode_sample(sample)
    with h5py.File(sample.path, "r+") as file:
        damage_chunk(file[sample.name], BAD, damage)
    return sample, frames


@EVERY_KIND
def test_h5py_names_the_damage(
    python_host: str,
    damaged: tuple[Sample, NDArray[np.integer]],
    damage: Damage,
    tmp_path: Path,
) -> None:
    sample, frames = damaged
    out = tmp_path / "out.npy"
    done = run_host(python_host, "-c", EACH_FRAME, sample.path, sample.name, out)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{BAD} ")
    assert damage.words in done.stdout
    assert done.stdout.count("\n") == 1
    frames[BAD] = 0
    np.testing.assert_array_equal(np.load(out), frames)


@EVERY_KIND
def test_h5dump_names_the_damage(
    damaged: tuple[Sample, NDArray[np.integer]], damage: Damage, tmp_path: Path
) -> None:
    sample, frames = damaged
    command = [need_program("h5dump"), "--enable-error-stack", "-d", sample.name]
    rows, columns = frames.shape[1:]

    def dump(number: int, out: Path) -> str:
        where = ["-s", f"{number},0,0", "-c", f"1,{rows},{columns}", "-b", "NATIVE", "-o", out]
        return run_host(*command, *where, sample.path).stderr

    assert damage.words in dump(BAD, tmp_path / "bad")
    for number in GOOD:
        out = tmp_path / str(number)
        assert dump(number, out) == ""
        found = np.fromfile(out, frames.dtype).reshape(rows, columns)
        np.testing.assert_array_equal(found, frames[number])


@EVERY_KIND
def test_read_frames_names_the_damage(
    damaged: tuple[Sample, NDArray[np.integer]], damage: Damage
) -> None:
    sample, frames = damaged
    with h5py.File(sample.path, "r") as file:
        data = file[sample.name]
        with pytest.raises(InputError, match=f"frame {BAD}: .*{damage.words}") as caught:
            h5bragg.read_frames(data)
        assert type(caught.value.__cause__) is damage.error
        np.testing.assert_array_equal(h5bragg.read_frames(data, list(GOOD)), frames[list(GOOD)])


@EVERY_KIND
def test_densify_names_the_damage_and_leaves_no_file(
    damaged: tuple[Sample, NDArray[np.integer]], damage: Damage, tmp_path: Path
) -> None:
    output = tmp_path / "dense.h5"
    with (
        open_hdf5(damaged[0].path) as source,
        pytest.raises(InputError, match=f"frame {BAD}: .*{damage.words}"),
    ):
        densify(source, output)
    assert not output.exists()


@EVERY_KIND
def test_info_verify_names_the_damage(
    capsys: pytest.CaptureFixture[str],
    damaged: tuple[Sample, NDArray[np.integer]],
    damage: Damage,
) -> None:
    found = run_cli(capsys, "info", "--verify", damaged[0].path)
    assert (found.status, found.err) == (1, "")
    summary, frame = found.out.splitlines()
    assert "2 of 3 frames decode, 1 damaged, 0 stored raw" in summary
    assert frame.startswith(f"  frame {BAD}: {damage.error.__name__}: ")
    assert damage.words in frame


@EVERY_KIND
def test_plain_info_ends_with_the_reason(
    capsys: pytest.CaptureFixture[str],
    damaged: tuple[Sample, NDArray[np.integer]],
    damage: Damage,
) -> None:
    """What only decoding shows, `info` does not see."""
    found = run_cli(capsys, "info", damaged[0].path)
    if damage.name == "forged":
        assert found.status == 0
    else:
        assert_one_sentence(found, f"frame {BAD}: .*{damage.words}.*; 'h5bragg info --verify'")


def test_a_chunk_alone_gets_no_more_memory_than_agreed() -> None:
    bomb = next(damage for damage in DAMAGES if damage.name == "bomb").change(bytearray())
    claimed = 16383 * 65535 * 4
    assert h5bragg.inspect(bomb).frames_nbytes == claimed
    for read in (h5bragg.decode, h5bragg.unpack, h5bragg.find_peaks):
        with pytest.raises(h5bragg.errors.ForeignChunkError, match=f"{claimed} bytes, more than"):
            read(bomb, max_nbytes=2**30)


def test_a_raw_chunk_of_the_wrong_size_is_named(make_sample: Callable[..., Sample]) -> None:
    sample = make_sample()
    frames = decode_sample(sample)
    with h5py.File(sample.path, "r+") as file:
        file[sample.name].id.write_direct_chunk((BAD, 0, 0), b"short", filter_mask=1)
    with h5py.File(sample.path, "r") as file:
        with pytest.raises(InputError, match=f"frame {BAD}: the chunk was stored raw, with 5 b"):
            h5bragg.read_frames(file[sample.name])
        np.testing.assert_array_equal(h5bragg.read_frames(file[sample.name], 2), frames[2])


WITHOUT_WORDS = """
import sys, h5py, numpy
path, filter_id, shape, chunk = sys.argv[1], int(sys.argv[2]), (64, 80), sys.argv[3]
words = tuple(map(int, sys.argv[4:]))
with h5py.File(path, "w") as file:
    data = file.create_dataset("data", shape, "u2", chunks=shape, compression=filter_id,
                               compression_opts=words, allow_unknown_filter=True)
    data.id.write_direct_chunk((0, 0), numpy.fromfile(chunk, "u1").tobytes())
"""


@pytest.mark.parametrize("words", [(), (1, 2, 3), (0,) * 16], ids=["none", "three", "zeros"])
def test_without_its_cd_values_a_chunk_is_refused(
    python_host: str, tmp_path: Path, words: tuple[int, ...]
) -> None:
    """Nothing says then whether a chunk fits HDF5's memory, beyond which old HDF5 would read."""
    path, out = tmp_path / "words.h5", tmp_path / "out.npy"
    geometry = h5bragg.Geometry.flat(
        shape=(64, 80),
        pixel_size_m=1e-4,
        distance_m=0.1,
        beam_center_px=(30, 40),
        wavelength_m=1e-10,
    )
    chunk = tmp_path / "chunk"
    chunk.write_bytes(h5bragg.encode(np.ones((64, 80), "u2"), geometry))
    command = ["-c", WITHOUT_WORDS, path, str(h5bragg.FILTER_ID), chunk, *map(str, words)]
    written = run_host(python_host, *command, HDF5_PLUGIN_PATH="/nonexistent")
    assert written.returncode == 0, written.stderr
    failed = run_host(python_host, "-c", READ_SCRIPT, path, "data", out)
    assert failed.returncode == 1
    assert "the dataset's cd_values are damaged, or not those of h5bragg" in failed.stderr
    with h5py.File(path, "r") as file:
        raw = file["data"].id.read_direct_chunk((0, 0))[1]
        assert h5bragg.decode(raw).shape == (64, 80)
        with pytest.raises(InputError, match="cd_values" if len(words) != 16 else "has shape"):
            find_sparse(file)
