# SPDX-License-Identifier: MIT
"""Builds for other machines decode and encode as this one does; emulators run them."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import h5bragg

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = sorted((ROOT / "tests" / "data").glob("*/*.chunk"))


@dataclass(frozen=True)
class Machine:
    """A compiler for another machine, and the program that runs what it makes."""

    name: str
    compiler: str
    package: str
    emulator: tuple[str, ...]
    byte_order: str = "<"


@dataclass(frozen=True)
class Build:
    """The codec, built for a machine."""

    machine: Machine
    folder: Path

    def run_codec(self, *arguments: str | Path) -> None:
        tool = self.folder / "tests" / "c" / "codec_tool"
        run(*self.machine.emulator, tool, *arguments)


def i686_emulator() -> tuple[str, ...]:
    """Let an x86-64 itself run it, as most can; an emulator takes minutes for floating point."""
    loader = ("/usr/i686-linux-gnu/lib/ld-linux.so.2", "--library-path", "/usr/i686-linux-gnu/lib")
    try:
        subprocess.run([loader[0], "--version"], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ("qemu-i386", "-L", "/usr/i686-linux-gnu")
    return loader


MACHINES = [
    Machine(
        "aarch64",
        "aarch64-linux-gnu-gcc",
        "gcc-aarch64-linux-gnu",
        ("qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"),
    ),
    Machine(
        "s390x",
        "s390x-linux-gnu-gcc",
        "gcc-s390x-linux-gnu",
        ("qemu-s390x", "-L", "/usr/s390x-linux-gnu"),
        byte_order=">",
    ),
    Machine(
        "i686",
        "i686-linux-gnu-gcc",
        "gcc-i686-linux-gnu",
        i686_emulator(),
    ),
    Machine("musl", "musl-gcc", "musl-tools", ()),
]


def run(*command: str | Path) -> None:
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


@pytest.fixture(scope="module", params=MACHINES, ids=lambda machine: machine.name)
def build(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Compiles library and tests without a warning."""
    machine: Machine = request.param
    needed = {machine.compiler: machine.package, "cmake": "cmake", "ninja": "ninja-build"}
    if machine.emulator:
        needed[machine.emulator[0]] = "qemu-user"
    for program, package in needed.items():
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: Debian has it in {package}")
    folder = tmp_path_factory.mktemp(machine.name)
    options = {
        "CMAKE_SYSTEM_NAME": "Linux",
        "CMAKE_SYSTEM_PROCESSOR": machine.name,
        "CMAKE_C_COMPILER": machine.compiler,
        "CMAKE_CROSSCOMPILING_EMULATOR": ";".join(machine.emulator),
        "H5BRAGG_BUILD_TESTS": "ON",
        "H5BRAGG_WERROR": "ON",
    }
    words = [f"-D{name}={value}" for name, value in options.items()]
    run("cmake", "-S", ROOT, "-B", folder, "-G", "Ninja", *words)
    run("cmake", "--build", folder)
    return Build(machine, folder)


@pytest.mark.slow
def test_golden_chunks_are_restored(build: Build, tmp_path: Path) -> None:
    """`test_golden.py` compares this machine's frames with the hashes."""
    out = tmp_path / "frames"
    for path in GOLDEN:
        chunk = path.read_bytes()
        for fill in ("noise", "mean"):
            build.run_codec(fill, path, out)
            expected = h5bragg.decode(chunk, fill=fill)
            native = expected.dtype.newbyteorder(build.machine.byte_order)
            frames = np.fromfile(out, native).reshape(expected.shape)
            np.testing.assert_array_equal(frames, expected, err_msg=f"{path}, {fill}")


@pytest.mark.slow
def test_frames_are_encoded_into_the_same_bytes(build: Build, tmp_path: Path) -> None:
    """Frames, geometries and parameters are those of the golden chunks."""
    source, out = tmp_path / "frames", tmp_path / "chunk"
    for path in GOLDEN:
        info = h5bragg.inspect(path.read_bytes())
        frames = h5bragg.decode(path.read_bytes())
        if info.file_big_endian:
            continue  # the codec is told of the file's byte order by the filter alone
        frames.astype(info.dtype.newbyteorder(build.machine.byte_order)).tofile(source)
        build.run_codec("encode", source, out, path)
        assert out.read_bytes() == h5bragg.encode(frames, info.geometry, info.params), path


@pytest.mark.slow
def test_the_c_tests_pass(build: Build) -> None:
    run("ctest", "--test-dir", build.folder, "--output-on-failure")
