# SPDX-License-Identifier: MIT
"""C programs that know HDF5 and nothing of h5bragg, linked in the ways that programs are."""

from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

import h5py
import numpy as np
import pytest
from hdf5_hosts import make_frames, make_geometry, need_program, run_host

import h5bragg

SOURCE = Path(__file__).resolve().parents[1] / "hosts" / "plugin_host.c"
Done = CompletedProcess[str]
SHAPE = (120, 90)
LINKING = {
    "dynamic": ["-shlib"],
    "static": ["-noshlib"],
    "static with exported symbols": ["-noshlib", "-rdynamic"],
}


@dataclass(frozen=True)
class Host:
    """A compiled plugin_host."""

    program: Path
    hides_hdf5: bool

    def run(self, library: str, *words: object, plugin_path: str = h5bragg.PLUGIN_PATH) -> Done:
        texts = [str(word) for word in words]
        return run_host(self.program, library, *texts, HDF5_PLUGIN_PATH=plugin_path)

    def write(self, path: Path, frame: np.ndarray, words: tuple[int, ...], **how: str) -> Done:
        raw = path.with_suffix(".raw")
        raw.write_bytes(frame.tobytes())
        library = how.pop("library", "-")
        arguments = (path, raw, *frame.shape, h5bragg.FILTER_ID, *words)
        return self.run(library, "write", *arguments, **how)


@pytest.fixture(scope="module", params=LINKING)
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Host:
    h5cc = need_program("h5cc", "libhdf5-dev")
    folder = tmp_path_factory.mktemp("host")
    program = folder / "plugin_host"
    # Not -Wconversion: HDF5's own headers are not clean under it.
    options = (*LINKING[request.param], "-std=c11", "-Wall", "-Wextra", "-Werror")
    done = run_host(h5cc, *options, SOURCE, "-o", program, folder=folder)
    assert done.returncode == 0, done.stderr
    assert ("libhdf5" in run_host("ldd", program).stdout) == (request.param == "dynamic")
    need_program("nm", "binutils")
    shows_hdf5 = "H5Pmodify_filter" in run_host("nm", "-D", "--defined-only", program).stdout
    assert shows_hdf5 == request.param.endswith("exported symbols")
    return Host(program, hides_hdf5=request.param == "static")


@pytest.fixture
def frame() -> np.ndarray:
    return make_frames(1, SHAPE, "u2", seed=3)[0]


def complete_words(frame: np.ndarray, path: Path) -> tuple[int, ...]:
    """The cd_values that HDF5 stores when it can be asked about the dataset."""
    bragg = h5bragg.Bragg(make_geometry(frame.shape))
    with h5py.File(path, "w") as file:
        data = file.create_dataset("data", data=frame, chunks=frame.shape, **bragg)
        words: tuple[int, ...] = data.id.get_create_plist().get_filter_by_id(h5bragg.FILTER_ID)[1]
    assert words != bragg.filter_options
    return words


def read_back(path: Path) -> tuple[int, bytes]:
    with h5py.File(path, "r") as file:
        return file["data"].id.read_direct_chunk((0, 0))


def test_it_reads_through_the_plugin_path(host: Host, frame: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "frame.h5"
    complete_words(frame, path)
    done = host.run("-", "read", path, tmp_path / "out")
    assert (done.returncode, done.stderr) == (0, "")
    expected = h5bragg.decode(h5bragg.encode(frame, make_geometry(SHAPE)))
    np.testing.assert_array_equal(np.fromfile(tmp_path / "out", "u2").reshape(SHAPE), expected)


def test_it_writes_with_complete_words(host: Host, frame: np.ndarray, tmp_path: Path) -> None:
    words = complete_words(frame, tmp_path / "words.h5")
    done = host.write(tmp_path / "frame.h5", frame, words)
    assert (done.returncode, done.stderr) == (0, "")
    assert read_back(tmp_path / "frame.h5") == (0, h5bragg.encode(frame, make_geometry(SHAPE)))


def test_words_are_completed_where_hdf5_can_be_asked(
    host: Host, frame: np.ndarray, tmp_path: Path
) -> None:
    """Where it cannot the write fails and says so."""
    words = h5bragg.Bragg(make_geometry(SHAPE)).filter_options
    done = host.write(tmp_path / "frame.h5", frame, words)
    if host.hides_hdf5:
        assert done.returncode == 5
        assert "h5bragg could not encode" in done.stderr
    else:
        assert (done.returncode, done.stderr) == (0, "")
        expected = h5bragg.encode(frame, make_geometry(SHAPE))
        assert read_back(tmp_path / "frame.h5") == (0, expected)


def test_the_registered_class_reads_and_writes_without_a_plugin_path(
    host: Host, frame: np.ndarray, tmp_path: Path
) -> None:
    nowhere = str(tmp_path)
    library = str(h5bragg.get_config()["library"])
    path = tmp_path / "frame.h5"
    words = complete_words(frame, tmp_path / "words.h5")
    done = host.write(path, frame, words, library=library, plugin_path=nowhere)
    assert (done.returncode, done.stderr) == (0, "")
    chunk = h5bragg.encode(frame, make_geometry(SHAPE))
    assert read_back(path) == (0, chunk)

    out = tmp_path / "out"
    assert host.run("-", "read", path, out, plugin_path=nowhere).returncode == 4
    done = host.run(library, "read", path, out, plugin_path=nowhere)
    assert (done.returncode, done.stderr) == (0, "")
    np.testing.assert_array_equal(np.fromfile(out, "u2").reshape(SHAPE), h5bragg.decode(chunk))
