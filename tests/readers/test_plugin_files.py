# SPDX-License-Identifier: MIT
"""What a file in a directory of plugins is good for, and `h5bragg plugin install`."""

import os
import sys
from pathlib import Path

import h5py
import pytest
from hdf5_hosts import need_program
from input_files import run_cli
from plugin_copies import LIBRARY, VERSION, compile_library, install, install_version

from h5bragg import plugin_check, plugin_files
from h5bragg.plugin_files import architecture, find_plugins, look_at
from h5bragg.plugin_hosts import searched_by, usual_directories


def test_a_directory_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "plugins"
    folder.mkdir(0)
    user = os.geteuid()
    try:
        if user == 0:
            tmp_path.parent.parent.chmod(0o755)
            tmp_path.parent.chmod(0o755)
            tmp_path.chmod(0o755)
            os.seteuid(65534)
        found = plugin_check.search_directory(folder)
    finally:
        os.seteuid(user)
        folder.chmod(0o755)
    assert found.reason == "cannot be read (Permission denied)"
    assert found.plugins == ()


def elf_head(machine: int, *, bits: int = 64, order: str = "little") -> bytes:
    head = b"\x7fELF" + bytes([bits // 32, 1 if order == "little" else 2]) + bytes(12)
    return head + machine.to_bytes(2, order)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (elf_head(62), "x86-64"),
        (elf_head(183), "aarch64"),
        (elf_head(3, bits=32), "i386 (32 bit)"),
        (elf_head(22, order="big"), "s390x (big-endian)"),
        (elf_head(21), "ppc64"),
        (elf_head(9999), "processor number 9999"),
        (elf_head(62)[:19], None),
        (b"", None),
        (b"MZ" + bytes(100), None),
    ],
)
def test_the_processor_is_read_from_the_header(
    tmp_path: Path, head: bytes, name: str | None
) -> None:
    path = tmp_path / "lib.so"
    path.write_bytes(head)
    assert architecture(path) == name


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is no ELF file, as libraries are"),
        (b"<html>404 not found: H5Z-BRAGG</html>", "it is no ELF file, as libraries are"),
        (None, "it is a link to nothing"),
        (LIBRARY.read_bytes()[:40], "it is cut short"),
        (LIBRARY.read_bytes()[:-1], "it is cut short"),
    ],
    ids=["empty", "text", "link", "header", "last byte"],
)
def test_a_file_that_is_no_whole_library(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    path = tmp_path / LIBRARY.name
    if content is None:
        path.symlink_to("/nonexistent/library.so")
    else:
        path.write_bytes(content)
    (found,) = find_plugins(tmp_path)
    assert (found.path, found.error) == (path, reason)
    assert not found.is_usable


def test_a_loader_error_is_passed_on(tmp_path: Path) -> None:
    path = compile_library(
        tmp_path / "libh5bragg.so", "int nowhere(void); int h5bragg(void) { return nowhere(); }"
    )
    assert "undefined symbol: nowhere" in str(look_at(path).error)


def test_machines_without_elf_files_have_no_processor_to_compare(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugin_files, "native_architecture", lambda: None)
    path = tmp_path / "libh5bragg.so"
    path.write_text("a library of another system" * 100)
    assert "invalid ELF header" in str(look_at(path).error)


@pytest.mark.slow
def test_other_plugins_are_left_out() -> None:
    hdf5plugin = pytest.importorskip("hdf5plugin")
    assert find_plugins(Path(hdf5plugin.PLUGIN_PATH)) == []
    assert not look_at(Path(h5py.h5.__file__)).is_bragg


def test_h5dump_tells_where_it_looks(tmp_path: Path) -> None:
    h5dump = need_program("h5dump")
    environment = {**os.environ, "HDF5_PLUGIN_PATH": f"{tmp_path}:/elsewhere"}
    assert searched_by(h5dump, environment) == [str(tmp_path), "/elsewhere"]
    del environment["HDF5_PLUGIN_PATH"]
    (default,) = searched_by(h5dump, environment) or []
    assert default in usual_directories()
    assert searched_by(sys.executable, environment) is None


def test_installing_says_what_was_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / LIBRARY.name
    for prepare, words in (
        (lambda: None, f"installed, version {VERSION}\n"),
        (lambda: install(tmp_path), f"installed, version {VERSION}\n"),
        (
            lambda: install_version(tmp_path, "0.0.9"),
            f"installed, version {VERSION}, in place of version 0.0.9\n",
        ),
        (
            lambda: target.write_text("no library"),
            f"installed, version {VERSION}, in place of a file that is no good\n",
        ),
    ):
        prepare()
        found = run_cli(capsys, "plugin", "install", tmp_path)
        assert (found.status, found.err) == (0, "")
        assert found.out.startswith(f"{target} {words}")
        assert target.read_bytes() == LIBRARY.read_bytes()
        assert [path.name for path in tmp_path.iterdir()] == [target.name]


def test_usual_directories_are_those_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that exist come first."""
    monkeypatch.setenv("CONDA_PREFIX", str(tmp_path))
    conda = tmp_path / "lib" / "hdf5" / "plugin"
    assert str(conda) in usual_directories()
    conda.mkdir(parents=True)
    exist = [Path(name).is_dir() for name in usual_directories()]
    assert exist == sorted(exist, reverse=True)
    assert exist[usual_directories().index(str(conda))]
    for multiarch, expected, other in (
        ("aarch64-linux-gnu", "/usr/lib/aarch64-linux-gnu/hdf5/serial/plugins", "/usr/lib64"),
        ("", "/usr/lib64/hdf5/plugin", "/usr/lib/aarch64"),
    ):
        monkeypatch.setattr("sysconfig.get_config_var", lambda _name, value=multiarch: value)
        assert expected in usual_directories()
        assert not any(name.startswith(other) for name in usual_directories())
