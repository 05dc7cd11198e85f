# SPDX-License-Identifier: MIT
"""What `cmake --install` gives, and the examples built with it."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from hdf5_hosts import host_environment, need_program

import h5bragg

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
STRICT = "-Wall -Wextra -Wconversion -Werror"


def configure(source: Path, folder: Path, *options: str) -> list[str]:
    """The command that sets a build up; make need not be there if ninja is."""
    generator = ("-G", "Ninja") if shutil.which("ninja") else ()
    cmake = need_program("cmake", "cmake")
    return [cmake, "-S", str(source), "-B", str(folder), *generator, *options]


def run_tool(*command: str | Path, **variables: str) -> str:
    """Runs a program of the build that must succeed; returns what it prints."""
    done = subprocess.run(
        [str(word) for word in command],
        env=host_environment(**variables),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@dataclass(frozen=True)
class Installation:
    """An installation prefix of h5bragg."""

    prefix: Path

    @property
    def library(self) -> Path:
        return self.prefix / "lib" / "libh5bragg.so"

    @property
    def plugin_path(self) -> Path:
        return self.prefix / "lib" / "hdf5" / "plugin"

    def pkg_config(self, *options: str) -> list[str]:
        program = need_program("pkg-config", "pkg-config")
        folder = str(self.prefix / "lib" / "pkgconfig")
        return run_tool(program, *options, PKG_CONFIG_PATH=folder).split()


def build_folder(folder: Path) -> Path:
    """Where the library under test was built, or a new build of it if that is not known."""
    known = Path(str(h5bragg.get_config()["library"])).parent
    if (known / "CMakeCache.txt").is_file():
        return known
    run_tool(*configure(ROOT, folder))
    run_tool("cmake", "--build", folder, "--parallel", str(os.cpu_count()))
    return folder


def install(folder: Path) -> Installation:
    """Installs as packagers do, in a staging folder, which is then used where it is."""
    cmake = need_program("cmake", "cmake")
    build = build_folder(folder / "build")
    stage = folder / "stage"
    run_tool(cmake, "--install", build, "--prefix", "/opt/h5bragg", DESTDIR=str(stage))
    return Installation(stage / "opt" / "h5bragg")


def build_examples(installation: Installation, folder: Path) -> Path:
    """Builds examples/ with find_package(h5bragg); returns the folder of the programs."""
    need_program("h5cc", "libhdf5-dev")
    prefix = f"-DCMAKE_PREFIX_PATH={installation.prefix}"
    run_tool(*configure(EXAMPLES, folder, prefix, f"-DCMAKE_C_FLAGS={STRICT}"))
    run_tool("cmake", "--build", folder)
    return folder
