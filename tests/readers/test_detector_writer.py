# SPDX-License-Identifier: MIT
"""examples/detector_writer.c: what it writes, read while it writes and afterwards; how it fails."""

import hashlib
import json
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
from hdf5_hosts import host_environment, need_program, run_host
from installed_library import EXAMPLES

import h5bragg

SHAPE = (1132, 1036)
NAME = "entry/data/data"

# Reads as examples/follow.py does, and tells what it saw: the length of the dataset, each time it
# had grown, and a hash of each frame read right then.  The first frames that a process decodes take
# longest, so it reads another file first, and says so.
FOLLOWER = """
import hashlib, json, runpy, sys, h5py
path, nframes = sys.argv[2], int(sys.argv[3])
with h5py.File(sys.argv[4], "r") as file:
    file["entry/data/data"][:8]
print("ready", flush=True)
follow = runpy.run_path(sys.argv[1])
lengths, hashes = [], []
with follow["open_growing"](path, timeout_s=60) as file:
    data = file["entry/data/data"]
    for numbers in follow["new_frames"](data, timeout_s=60):
        lengths.append(numbers.stop)
        hashes += [hashlib.sha256(data[number].tobytes()).hexdigest() for number in numbers]
        if numbers.stop == nframes:
            break
print(json.dumps([lengths, hashes]))
"""


@pytest.fixture(scope="module")
def writer(examples: Path) -> str:
    return str(examples / "detector_writer")


@pytest.fixture(scope="module")
def finished(writer: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of 30 frames that one thread has encoded."""
    path = tmp_path_factory.mktemp("finished") / "scan.h5"
    done = run_host(writer, "-o", path, "-n", "30")
    assert (done.returncode, done.stderr) == (0, "")
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    return path


@pytest.fixture(scope="module")
def frames(finished: Path) -> np.ndarray:
    return read_frames(finished)


def start(*command: str | Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [str(word) for word in command],
        env=host_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def read_frames(path: Path, *, swmr: bool = False) -> np.ndarray:
    with h5py.File(path, "r", swmr=swmr) as file:
        frames: np.ndarray = file[NAME][...]
    return frames


def read_chunks(path: Path) -> list[bytes]:
    with h5py.File(path, "r") as file:
        data = file[NAME]
        return [data.id.read_direct_chunk((k, 0, 0))[1] for k in range(len(data))]


@pytest.mark.slow
def test_frames_are_read_while_they_are_written(
    writer: str, finished: Path, system_python: str, tmp_path: Path
) -> None:
    """By two HDF5 libraries at once: every frame whole, in order, as in the finished file."""
    path = tmp_path / "scan.h5"
    nframes = 25
    script = ("-c", FOLLOWER, EXAMPLES / "follow.py", path, str(nframes), finished)
    readers = [start(python, *script) for python in (sys.executable, system_python)]
    for reader in readers:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "ready\n"
    done = run_host(writer, "-o", path, "-n", str(nframes), "-t", "2", "--rate", "5")
    assert (done.returncode, done.stderr) == (0, "")
    outputs = [reader.communicate(timeout=120) for reader in readers]
    written = read_frames(path)
    assert written.shape == (nframes, *SHAPE)
    expected = [hashlib.sha256(frame.tobytes()).hexdigest() for frame in written]
    assert len(set(expected)) == nframes
    for output, errors in outputs:
        assert errors == ""
        lengths, hashes = json.loads(output)
        assert hashes == expected
        assert lengths == sorted(lengths)
        assert len(lengths) >= 5


def test_the_example_reader_prints_each_frame(finished: Path, frames: np.ndarray) -> None:
    reader = start(sys.executable, "-u", EXAMPLES / "follow.py", finished)
    assert reader.stdout is not None
    lines = [reader.stdout.readline() for _ in range(3)]
    reader.kill()
    reader.communicate()
    for number, line in enumerate(lines):
        counts = frames[number][frames[number] < 65535]
        expected = f"frame {number}: {counts.sum()} counts, at most {counts.max()} in a pixel\n"
        assert line == expected


def test_more_threads_write_the_same_chunks(writer: str, finished: Path, tmp_path: Path) -> None:
    path = tmp_path / "scan.h5"
    done = run_host(writer, "--panels", "-o", path, "-n", "30", "-t", "3")
    assert (done.returncode, done.stderr) == (0, "")
    chunks = read_chunks(path)
    assert chunks == read_chunks(finished)
    assert len(set(chunks)) == 30


def plane() -> h5bragg.Geometry:
    return h5bragg.Geometry.flat(
        shape=SHAPE,
        pixel_size_m=75e-6,
        distance_m=0.15,
        beam_center_px=(566, 518),
        wavelength_m=1e-10,
    )


def test_a_flat_detector_describes_itself(writer: str, tmp_path: Path) -> None:
    """In the chunks, which are those of the filter, and in the file."""
    path = tmp_path / "scan.h5"
    assert run_host(writer, "--flat", "-o", path, "-n", "2").returncode == 0
    chunk = read_chunks(path)[0]
    with h5py.File(path, "r") as file:
        words = file[NAME].id.get_create_plist().get_filter_by_id(h5bragg.FILTER_ID)[1]
    empty = np.zeros(SHAPE, "u2")
    with h5py.File(tmp_path / "words.h5", "w") as file:
        file.create_dataset(
            "data", data=empty, chunks=SHAPE, compression=h5bragg.FILTER_ID, compression_opts=words
        )
        filtered = file["data"].id.read_direct_chunk((0, 0))[1]
    for one in (filtered, h5bragg.encode(empty, plane())):
        assert h5bragg.inspect(one).geometry == h5bragg.inspect(chunk).geometry
    geometry = h5bragg.Geometry.from_file(path)
    assert geometry.shape == SHAPE
    assert geometry.distance_m == pytest.approx(0.15)
    assert geometry.wavelength_m == pytest.approx(1e-10)


def test_the_panels_of_the_barrel_are_those_of_the_rings(
    finished: Path, frames: np.ndarray
) -> None:
    """The simulated background depends on the scattering angle, which a plane gets wrong."""
    barrel = h5bragg.inspect(read_chunks(finished)[0]).geometry
    assert len(barrel.panels) == 8
    params = h5bragg.SparsifyParams(error_model="azimuthal", radial_bins=64)
    barrel_sigma, plane_sigma = (
        h5bragg.background(frames[0], geometry, params).std.sum() for geometry in (barrel, plane())
    )
    assert barrel_sigma < plane_sigma


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ((), "give the file to write with -o FILE"),
        (("-o", "a.h5", "b.h5"), "give the file to write with -o FILE"),
        (("-o", "a.h5", "-n", "0"), "-n must be a number from 1"),
        (("-o", "a.h5", "-t", "two"), "-t must be a number from 1 to 256, not 'two'"),
        (("-o", "a.h5", "--rate", "-1"), "--rate must be a number from 0"),
        (("-o", "a.h5", "--fast"), "unrecognized option '--fast'"),
    ],
)
def test_a_bad_argument_is_named(
    writer: str, tmp_path: Path, options: tuple[str, ...], reason: str
) -> None:
    done = run_host(writer, *options, folder=tmp_path)
    assert done.returncode == 2
    assert reason in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_left_alone(writer: str, tmp_path: Path) -> None:
    path = tmp_path / "scan.h5"
    path.write_text("precious")
    done = run_host(writer, "-o", path)
    assert (done.returncode, done.stderr) == (1, f"detector_writer: {path}: File exists\n")
    assert path.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_folder_is_told(writer: str, tmp_path: Path) -> None:
    path = tmp_path / "none" / "scan.h5"
    done = run_host(writer, "-o", path)
    assert done.returncode == 1
    assert done.stderr == f"detector_writer: {path}: No such file or directory\n"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 700 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=700k", "none", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("this user may not mount a small file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_leaves_a_valid_file(writer: str, small_disk: Path, frames: np.ndarray) -> None:
    path = small_disk / "scan.h5"
    done = run_host(writer, "-o", path, "-n", "60", "-t", "2")
    assert done.returncode == 1
    reason = "a frame cannot be written: No space left on device"
    assert done.stderr == f"detector_writer: {reason}\n"
    written = read_frames(path)
    assert 5 < len(written) < 20
    np.testing.assert_array_equal(written, frames[: len(written)])


def limit_file_size() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (700_000, 700_000))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def test_frames_before_a_write_error_are_readable(
    writer: str, frames: np.ndarray, tmp_path: Path
) -> None:
    """Here the file cannot even be closed; it is as after a crash: readable with swmr=True."""
    path = tmp_path / "scan.h5"
    command = [writer, "-o", str(path), "-n", "60", "-t", "2"]
    done = subprocess.run(
        command, preexec_fn=limit_file_size, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr == "detector_writer: a frame cannot be written: File too large\n"
    written = read_frames(path, swmr=True)
    assert 5 < len(written) < 20
    np.testing.assert_array_equal(written, frames[: len(written)])


def wait_for_frames(path: Path, nframes: int) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            with h5py.File(path, "r", swmr=True) as file:
                if len(file[NAME]) >= nframes:
                    return
        except OSError:
            pass
        time.sleep(0.05)
    raise TimeoutError(f"{path} has no {nframes} frames")


def test_an_interrupted_series_ends_with_a_closed_file(writer: str, tmp_path: Path) -> None:
    path = tmp_path / "scan.h5"
    process = start(writer, "-o", path, "-n", "100000", "--rate", "10")
    wait_for_frames(path, 2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert 2 <= len(read_chunks(path)) < 100000


def test_a_killed_writer_leaves_what_it_has_published(
    writer: str, frames: np.ndarray, tmp_path: Path
) -> None:
    """With swmr=True at once; otherwise when h5clear has removed the mark of its writer."""
    path = tmp_path / "scan.h5"
    process = start(writer, "-o", path, "-n", "100000", "--rate", "10")
    wait_for_frames(path, 5)
    process.kill()
    process.communicate(timeout=60)
    written = read_frames(path, swmr=True)
    assert len(written) >= 5
    np.testing.assert_array_equal(written, frames[: len(written)])
    done = run_host(need_program("h5clear"), "-s", "--increment=0", path)
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(read_frames(path), written)


@pytest.mark.slow
def test_a_writer_killed_at_random_moments(writer: str, frames: np.ndarray, tmp_path: Path) -> None:
    """As fast as it can, so that most kills come in the middle of a write."""
    random = np.random.default_rng(22)
    lengths: list[int] = []
    for number in range(16):
        path = tmp_path / f"{number}.h5"
        began = time.monotonic()
        process = start(writer, "-o", path, "-n", "100000", "-t", "2")
        if number == 0:  # how long a writer takes to write, on this machine and now
            wait_for_frames(path, 5)
            run_s = 2 * (time.monotonic() - began)
        else:
            time.sleep(random.uniform(0, run_s))
        process.kill()
        process.communicate(timeout=60)
        if not path.exists():
            continue  # it has its name once readers can open it
        written = read_frames(path, swmr=True)
        lengths.append(len(written))
        nknown = min(len(written), len(frames))
        np.testing.assert_array_equal(written[:nknown], frames[:nknown])
        assert (written.max(axis=(1, 2)) > 0).all()  # of none, where it was killed that early
        path.unlink()
    assert sum(lengths) >= 5
