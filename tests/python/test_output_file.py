# SPDX-License-Identifier: MIT
"""An output file appears whole or not at all."""

from pathlib import Path

import h5py
import pytest

from h5bragg.output_file import OutputError, output_hdf5, output_path


def test_the_name_appears_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with output_hdf5(path) as file:
        file["x"] = 1
        assert not path.exists()
    with h5py.File(path) as file:
        assert file["x"][()] == 1
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_failure_leaves_nothing_and_keeps_what_was_there(
    tmp_path: Path, failure: type[BaseException]
) -> None:
    path = tmp_path / "a.h5"
    with pytest.raises(failure), output_hdf5(path):
        raise failure
    assert list(tmp_path.iterdir()) == []
    path.write_text("precious")
    with pytest.raises(failure), output_hdf5(path, force=True):
        raise failure
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == "precious"


def test_existing_files_need_force(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(OutputError, match=r"exists already.*--force"), output_path(path):
        pass
    assert path.read_text() == "old"
    with output_path(path, force=True) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"


def test_inputs_are_never_replaced(tmp_path: Path) -> None:
    source = tmp_path / "in.h5"
    source.write_text("data")
    link = tmp_path / "link.h5"
    link.hardlink_to(source)
    for path in (source, link):
        with (
            pytest.raises(OutputError, match="is an input"),
            output_path(path, force=True, inputs=[source]),
        ):
            pass
    assert source.read_text() == "data"


def test_a_file_written_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"

    def write_both() -> None:
        with output_path(path) as temporary:
            temporary.write_text("mine")
            path.write_text("somebody else's")

    with pytest.raises(OutputError, match="exists already"):
        write_both()
    assert path.read_text() == "somebody else's"
    assert list(tmp_path.iterdir()) == [path]


def test_impossible_places_are_named(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match="does not exist: create the folder"),
        output_path(tmp_path / "none" / "a.h5"),
    ):
        pass
    with (
        pytest.raises(OutputError, match="is a directory: give a file name"),
        output_path(tmp_path),
    ):
        pass


def test_read_only_folder_is_named() -> None:
    # Not even the superuser creates files here.
    with pytest.raises(OutputError, match=r"not writable|cannot be written"):
        write("x", Path("/proc/h5bragg_test"))


def write(text: str, path: Path) -> None:
    with output_path(path) as temporary, temporary.open("w") as file:
        file.write(text)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    def fill_the_disk() -> None:
        with output_path(tmp_path / "a.txt") as temporary:
            temporary.unlink()
            temporary.symlink_to("/dev/full")
            temporary.write_text("x")

    with pytest.raises(OutputError, match="cannot be written: No space left on device"):
        fill_the_disk()
    assert list(tmp_path.iterdir()) == []
