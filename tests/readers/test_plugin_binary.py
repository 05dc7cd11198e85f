# SPDX-License-Identifier: MIT
"""The plugin is loaded into other people's programs: what it needs and what it shows to them."""

import re
import shutil
import subprocess

import pytest

import h5bragg

LIBRARY = str(h5bragg.get_config()["library"])
ALLOWED_LIBRARIES = re.compile(r"(lib(c|m|dl|pthread)\.so|ld-linux|libc\.musl|ld-musl)")
HDF5_ENTRY_POINTS = {"H5PLget_plugin_info", "H5PLget_plugin_type"}


def run_binutils(program: str, *options: str) -> str:
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is not installed: Debian has it in binutils")
    return subprocess.run(
        [path, *options, LIBRARY], check=True, capture_output=True, text=True
    ).stdout


def test_the_plugin_needs_the_c_library_alone() -> None:
    needed = re.findall(r"\(NEEDED\).*\[(.*)\]", run_binutils("readelf", "-dW"))
    assert needed
    assert [name for name in needed if not ALLOWED_LIBRARIES.match(name)] == []


def test_the_plugin_exports_its_own_names_and_the_two_that_hdf5_wants() -> None:
    symbols = {line.split()[-1] for line in run_binutils("nm", "-D", "--defined-only").splitlines()}
    assert symbols >= HDF5_ENTRY_POINTS
    assert "h5bragg_encode" in symbols
    others = symbols - HDF5_ENTRY_POINTS
    assert {name for name in others if not name.startswith("h5bragg_")} == set()


def test_the_plugin_refers_to_no_hdf5_symbol() -> None:
    undefined = run_binutils("nm", "-D", "--undefined-only")
    assert re.findall(r"\bH5\w+", undefined) == []


def test_every_public_function_of_the_header_is_exported() -> None:
    from pathlib import Path

    header = Path(str(h5bragg.get_config()["include_path"]), "h5bragg.h").read_text()
    declared = set(re.findall(r"^H5BRAGG_API .*?\b(h5bragg_\w+)\(", header, re.MULTILINE))
    exported = run_binutils("nm", "-D", "--defined-only").split()
    assert len(declared) > 10
    assert declared - set(exported) == set()
