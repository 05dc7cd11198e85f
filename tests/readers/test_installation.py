# SPDX-License-Identifier: MIT
"""What `cmake --install` gives to C and C++ programs and to HDF5."""

import re
from functools import cache
from pathlib import Path

import h5py
import numpy as np
import pytest
from hdf5_hosts import need_program, run_host
from installed_library import EXAMPLES, Installation, configure, run_tool

import h5bragg

WARNINGS = ("-Wall", "-Wextra", "-Wpedantic", "-Werror")


def simulated_frames() -> np.ndarray:
    """What simple_writer.c writes."""
    frames = np.empty((3, 400, 300), "u2")
    for number, frame in enumerate(frames):
        random = number + 1
        for k in range(frame.size):
            random = (random * 1664525 + 1013904223) % 2**32
            frame.flat[k] = (random >> 30) + (random >> 20) % 2
        frame[-number % 40 :: 40, ::40] += 100
    return frames


@cache
def expected_chunks() -> list[bytes]:
    geometry = h5bragg.Geometry.flat(
        shape=(400, 300),
        pixel_size_m=75e-6,
        distance_m=0.1,
        beam_center_px=(201.3, 149.8),
        wavelength_m=1e-10,
    )
    return [h5bragg.encode(frame, geometry) for frame in simulated_frames()]


def check_file(path: Path) -> None:
    """The chunks in a file of simple_writer are those of the frames that it makes."""
    with h5py.File(path, "r") as file:
        for number, chunk in enumerate(expected_chunks()):
            assert file["data"].id.read_direct_chunk((number, 0, 0)) == (0, chunk)


def write_without_plugin_path(program: Path, folder: Path) -> Path:
    path = folder / "simple.h5"
    done = run_host(program, path, HDF5_PLUGIN_PATH=str(folder))
    assert (done.returncode, done.stderr) == (0, "")
    return path


def test_programs_and_hdf5_load_one_library(installation: Installation) -> None:
    plugin = installation.plugin_path / "libh5bragg.so"
    assert [path.name for path in installation.plugin_path.iterdir()] == [plugin.name]
    assert plugin.is_symlink()
    assert plugin.samefile(installation.library)


def test_find_package_builds_a_writer(examples: Path, tmp_path: Path) -> None:
    check_file(write_without_plugin_path(examples / "simple_writer", tmp_path))


def test_the_installed_plugin_reads(
    installation: Installation, examples: Path, system_python: str, tmp_path: Path
) -> None:
    path = write_without_plugin_path(examples / "simple_writer", tmp_path)
    script = "import sys, h5py; print(int(h5py.File(sys.argv[1], 'r')['data'][...].sum()))"
    plugin_path = str(installation.plugin_path)
    done = run_host(system_python, "-c", script, path, HDF5_PLUGIN_PATH=plugin_path)
    with h5py.File(path, "r") as file:
        assert done.stdout == f"{int(file['data'][...].sum())}\n", done.stderr


def test_pkg_config_builds_a_writer(installation: Installation, tmp_path: Path) -> None:
    need_program("h5cc", "libhdf5-dev")
    compiler = need_program("cc", "gcc")
    (libdir,) = installation.pkg_config("--variable=libdir", "h5bragg")
    words = installation.pkg_config("--cflags", "--libs", "h5bragg", "hdf5")
    program = tmp_path / "simple_writer"
    source = EXAMPLES / "simple_writer.c"
    run_tool(compiler, *WARNINGS, source, "-o", program, *words, f"-Wl,-rpath,{libdir}")
    check_file(write_without_plugin_path(program, tmp_path))


def test_pkg_config_names_the_plugin_folder_and_the_version(installation: Installation) -> None:
    (folder,) = installation.pkg_config("--variable=plugindir", "h5bragg")
    assert installation.plugin_path.samefile(folder)
    assert installation.pkg_config("--modversion", "h5bragg") == [h5bragg.__version__]


def test_find_package_refuses_another_version(installation: Installation, tmp_path: Path) -> None:
    lines = ["cmake_minimum_required(VERSION 3.18)", "project(version LANGUAGES NONE)"]
    lines.append("find_package(h5bragg 0.0 REQUIRED)")
    (tmp_path / "CMakeLists.txt").write_text("\n".join(lines))
    prefix = f"-DCMAKE_PREFIX_PATH={installation.prefix}"
    done = run_host(*configure(tmp_path, tmp_path / "build", prefix))
    assert done.returncode != 0
    assert "compatible with requested version" in done.stderr


@pytest.mark.parametrize(("compiler", "standard"), [("g++", "c++11"), ("clang++", "c++20")])
def test_the_headers_are_cpp_as_well(
    installation: Installation, tmp_path: Path, compiler: str, standard: str
) -> None:
    need_program("h5cc", "libhdf5-dev")
    path = need_program(compiler, compiler.replace("clang++", "clang"))
    (libdir,) = installation.pkg_config("--variable=libdir", "h5bragg")
    words = installation.pkg_config("--cflags", "--libs", "h5bragg", "hdf5")
    program = tmp_path / "simple_writer"
    language = (f"-std={standard}", "-x", "c++", EXAMPLES / "simple_writer.c", "-x", "none")
    run_tool(path, *WARNINGS, *language, "-o", program, *words, f"-Wl,-rpath,{libdir}")
    check_file(write_without_plugin_path(program, tmp_path))


def test_the_c_code_of_the_manual_is_that_of_the_examples() -> None:
    """So it compiles and runs, as the examples do."""
    sources = "".join("".join(path.read_text().split()) for path in sorted(EXAMPLES.iterdir()))
    text = (EXAMPLES.parent / "docs" / "writers.md").read_text()
    code = r"^ {4}.*(?:h5bragg_|H5\w+\(|find_package|target_link).*$"
    lines = re.findall(code, text, re.MULTILINE)
    assert len(lines) > 10
    assert [line for line in lines if "".join(line.split()) not in sources] == []
