# SPDX-License-Identifier: MIT
"""Run programs of DIALS as a user does: they find the filters in HDF5_PLUGIN_PATH, and no more."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import hdf5plugin

import h5bragg

_EXPORT = Path(__file__).with_name("dials_export.py")


class DialsError(Exception):
    """A step of DIALS failed; the message has the end of what it printed."""


@cache
def dials_python() -> str:
    """Return the Python that runs DIALS, from the first line of its programs."""
    program = shutil.which("dials.import")
    if program is None:
        raise DialsError("DIALS is not installed: Debian has it in the package dials")
    with Path(program).open(encoding="utf-8") as file:
        return file.readline().removeprefix("#!").split()[0]


def run_dials(
    command: list[str], folder: Path, output: Path, *, variables: Mapping[str, str] | None = None
) -> None:
    """Run one program in a folder, its output into a file.

    Parameters
    ----------
    command : list of str
    folder, output : Path
        Working folder, and the file for what the program prints.
    variables : mapping
        Environment variables to add.

    Raises
    ------
    DialsError
        The program failed.
    """
    own = ("PYTHON", "H5BRAGG", "HDF5_")
    environment = {name: text for name, text in os.environ.items() if not name.startswith(own)}
    # Python's own settings are for the venv; the plugin's folders are all that a user would set.
    environment["HDF5_PLUGIN_PATH"] = f"{h5bragg.PLUGIN_PATH}:{hdf5plugin.PLUGIN_PATH}"
    environment["OMP_NUM_THREADS"] = "1"
    environment.update(variables or {})
    with output.open("w", encoding="utf-8") as file:
        done = subprocess.run(
            command, cwd=folder, env=environment, stdout=file, stderr=subprocess.STDOUT, check=False
        )
    if done.returncode:
        last = output.read_text(encoding="utf-8").strip().splitlines()[-5:]
        raise DialsError(f"{command[0]} failed in {folder}; see {output}: {' / '.join(last)}")


def export(action: str, *paths: Path, folder: Path) -> None:
    """Run dials_export.py with the Python of DIALS."""
    command = [dials_python(), str(_EXPORT), action, *map(str, paths)]
    run_dials(command, folder, folder / f"export_{action}.out")
