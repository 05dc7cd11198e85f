# SPDX-License-Identifier: MIT
"""Full disks, read-only folders, inputs that are cut or still being written."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from file_contents import contents, file_hash
from input_files import Cli, Outcome, assert_one_sentence, write_cbf, write_data, write_poni
from numpy.typing import NDArray

import h5bragg
from h5bragg import FrameWriter, Geometry
from h5bragg.hdf5_frames import Hdf5Source

SmallFrame = Callable[..., NDArray[np.integer]]
NFRAMES = 40


@pytest.fixture
def frames(small_frame: SmallFrame) -> NDArray[np.integer]:
    return np.stack([small_frame("uint16", seed % 5) for seed in range(NFRAMES)])


@pytest.fixture
def inputs(tmp_path: Path, frames: NDArray[np.integer], small_geometry: Geometry) -> list[Any]:
    """Arguments of `compress`: a data file and a geometry."""
    folder = tmp_path / "in"
    folder.mkdir()
    data = write_data(folder / "data.h5", frames)
    return [data, "--geometry", write_poni(folder / "a.poni", small_geometry)]


class SmallDisk:
    """A file system in memory whose size can be changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def resize(self, nbytes: int, *options: str) -> None:
        self._mount(",".join(["remount", f"size={nbytes}", *options]))

    def _mount(self, options: str) -> None:
        command = ["mount", "-t", "tmpfs", "-o", options, "none", str(self.folder)]
        if subprocess.run(command, check=False, capture_output=True).returncode != 0:
            pytest.skip("this user may not mount a small file system")

    def __enter__(self) -> "SmallDisk":
        self._mount("size=1m")
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", str(self.folder)], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    with SmallDisk(folder) as disk:
        yield disk


def test_a_full_disk_loses_nothing(
    tmp_path: Path, cli: Cli, inputs: list[Any], small_disk: SmallDisk
) -> None:
    """Wherever the disk gets full: at the head, among the frames, or when the file is closed."""
    expected = tmp_path / "expected.h5"
    assert cli("compress", *inputs, "-o", expected).status == 0
    before = [file_hash(inputs[0]), file_hash(inputs[2])]
    output = small_disk.folder / "scan.h5"
    nkept = []
    for nbytes in range(4096, 3 * expected.stat().st_size, expected.stat().st_size // 7):
        small_disk.resize(nbytes)
        found = cli("compress", *inputs, "-o", output)
        if found.status == 0:
            break
        assert_one_sentence(found, "cannot be written: No space left on device")
        assert not output.exists()
        left = {path.name for path in small_disk.folder.iterdir()}
        assert left <= {"scan.h5.partial"}
        nkept.append(int(found.err.split("; ")[1].split()[0]) if left else 0)
        small_disk.resize(1 << 22)
        assert cli("compress", *inputs, "-o", output, "--resume").status == 0
        assert contents(output) == contents(expected)
        output.unlink()
    assert found.status == 0
    assert nkept == sorted(nkept)
    assert (nkept[0], nkept[-1]) == (0, NFRAMES)
    assert [file_hash(inputs[0]), file_hash(inputs[2])] == before


def limit_file_size() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def test_a_limit_of_the_file_size_loses_nothing(
    tmp_path: Path, cli: Cli, inputs: list[Any]
) -> None:
    """As a full disk, for users who may not mount one."""
    expected, output = tmp_path / "expected.h5", tmp_path / "scan.h5"
    assert cli("compress", *inputs, "-o", expected).status == 0
    command = [sys.executable, "-m", "h5bragg.cli", "compress", *inputs, "-o", output]
    done = subprocess.run(
        [str(word) for word in command],
        preexec_fn=limit_file_size,
        capture_output=True,
        text=True,
        check=False,
    )
    found = Outcome(done.returncode, done.stdout, done.stderr)
    assert_one_sentence(found, r"cannot be written: File too large; [1-9]\d? of 40 frames are kept")
    assert not output.exists()
    assert cli("compress", *inputs, "-o", output, "--resume").status == 0
    assert contents(output) == contents(expected)


@pytest.mark.parametrize("libver", [None, ("v110", "v110")], ids=["any HDF5", "SWMR"])
@pytest.mark.parametrize("per_chunk", [1, 3])
def test_what_a_frame_writer_has_written_survives_a_full_disk(
    frames: NDArray[np.integer],
    small_geometry: Geometry,
    small_disk: SmallDisk,
    libver: tuple[str, str] | None,
    per_chunk: int,
) -> None:
    """The dataset ends behind the last frame that is whole."""
    path = small_disk.folder / "frames.h5"
    small_disk.resize(40_000)
    with h5py.File(path, "w", libver=libver) as file:
        shape = small_geometry.shape
        data = file.create_dataset(
            "data",
            shape=(0, *shape),
            maxshape=(None, *shape),
            dtype="uint16",
            chunks=(per_chunk, *shape),
            **h5bragg.Bragg(small_geometry),
        )
        if libver:
            file.swmr_mode = True
        with (
            pytest.raises(OSError, match="No space left on device"),
            FrameWriter(data, small_geometry, device="cpu", threads=2) as writer,
        ):
            writer.write(frames)
        file.flush()
    with h5py.File(path, "r") as file:
        written = file["data"][()]
        assert 5 < len(written) < NFRAMES
        assert file["data"].id.get_num_chunks() == -(-len(written) // per_chunk)
    for start in range(0, len(written), per_chunk):
        stack = frames[start : start + per_chunk]
        chunk = h5bragg.decode(h5bragg.encode(stack, small_geometry))
        np.testing.assert_array_equal(
            written[start : start + per_chunk], chunk.reshape(stack.shape)
        )


def test_a_read_only_disk_is_told(cli: Cli, inputs: list[Any], small_disk: SmallDisk) -> None:
    before = file_hash(inputs[0])
    small_disk.resize(1 << 20, "ro")
    for options in ((), ("--force",), ("--resume",)):
        found = cli("compress", *inputs, "-o", small_disk.folder / "scan.h5", *options)
        assert_one_sentence(found, "is not writable: choose another folder")
    assert list(small_disk.folder.iterdir()) == []
    assert file_hash(inputs[0]) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_read_only_folder_is_told(tmp_path: Path, cli: Cli, inputs: list[Any]) -> None:
    folder = tmp_path / "out"
    folder.mkdir(mode=0o555)
    found = cli("compress", *inputs, "-o", folder / "scan.h5")
    assert_one_sentence(found, "is not writable: choose another folder")
    assert list(folder.iterdir()) == []


def test_an_input_that_is_cut_is_never_half_compressed(
    tmp_path: Path, cli: Cli, inputs: list[Any], small_frame: SmallFrame, small_geometry: Geometry
) -> None:
    """HDF5 and CBF files, cut at any length."""
    out = tmp_path / "out"
    out.mkdir()
    cbf = write_cbf(tmp_path / "in" / "a.cbf", small_frame("int32"), small_geometry)
    # Behind the pixels of a CBF file come 40 bytes that nobody needs.
    for path, arguments, least in ((inputs[0], inputs, 1), (cbf, [cbf], 50)):
        content = path.read_bytes()
        for nbytes in np.linspace(0, len(content) - least, 12).astype(int):
            path.write_bytes(content[:nbytes])
            found = cli("compress", *arguments, "-o", out / "scan.h5")
            assert_one_sentence(found, "is it truncated|is empty|no geometry in the input")
            assert list(out.iterdir()) == []


def test_an_input_that_is_cut_while_it_is_read(
    tmp_path: Path, cli: Cli, inputs: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    data, output = inputs[0], tmp_path / "scan.h5"
    content, stamp = data.read_bytes(), data.stat()
    read = Hdf5Source.read

    def read_and_cut(self: Hdf5Source, index: int) -> Any:
        if index == 10:
            os.truncate(data, len(content) // 2)
        return read(self, index)

    monkeypatch.setattr(Hdf5Source, "read", read_and_cut)
    found = cli("compress", *inputs, "-o", output, "--threads", 1)
    assert_one_sentence(found, "frame [0-9]+. cannot be read .*; [1-9][0-9]? of 40 frames are kept")
    assert not output.exists()
    monkeypatch.undo()
    data.write_bytes(content)
    os.utime(data, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert cli("compress", *inputs, "-o", output, "--resume").status == 0
    found = cli("compress", *inputs, "-o", tmp_path / "expected.h5")
    assert contents(output) == contents(tmp_path / "expected.h5")


WRITER = """
import sys, h5py, numpy
path, mode = sys.argv[1:]
with h5py.File(path, "w", libver=None if mode == "earliest" else ("v110", "v110")) as file:
    data = file.create_dataset("entry/data/data", (3, 160, 200), "u2", chunks=(1, 160, 200),
                               maxshape=(None, 160, 200))
    data[...] = 1
    file.flush()
    if mode == "swmr":
        file.swmr_mode = True
    print("ready", flush=True)
    while sys.stdin.readline():
        data.resize(len(data) + 1, axis=0)
        data.flush()
"""


@pytest.mark.parametrize("mode", ["earliest", "v110", "swmr"])
def test_an_input_that_is_being_written_is_told(
    tmp_path: Path, cli: Cli, inputs: list[Any], mode: str
) -> None:
    """As a file of its own and as the data file of a master; never a part of it is compressed."""
    growing, master = tmp_path / "growing.h5", tmp_path / "a_master.h5"
    with h5py.File(master, "w") as file:
        file["entry/data/data_000001"] = h5py.ExternalLink(growing.name, "entry/data/data")
    command = [sys.executable, "-c", WRITER, str(growing), mode]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdin is not None
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        for path in (growing, master):
            print(file=writer.stdin, flush=True)
            found = cli("compress", path, *inputs[1:], "-o", tmp_path / "scan.h5")
            assert_one_sentence(found, rf"{growing} is being written: wait .* 'h5clear -s ")
        writer.stdin.close()
    assert writer.returncode == 0
    assert not list(tmp_path.glob("scan*"))
    assert cli("compress", master, *inputs[1:], "-o", tmp_path / "scan.h5").status == 0
