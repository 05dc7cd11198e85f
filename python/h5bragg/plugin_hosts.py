# SPDX-License-Identifier: MIT
"""Programs that read the built-in frames through HDF5, and where their HDF5 looks for plugins."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py

from .errors import H5braggError
from .frame_source import InputError
from .plugin_files import CHECK_FILE

_READER = Path(__file__).with_name("plugin_reader.py")
_FEDORA = "/usr/lib64/hdf5/plugin"
_HDF5_DEFAULT = "/usr/local/hdf5/lib/plugin"  # the wheels of h5py have it as well
# Asks a dynamic HDF5 library; prints JSON.
_ASK_LIBRARY = """\
import ctypes, json, sys
hdf5 = ctypes.CDLL(sys.argv[1])
hdf5.H5PLget.restype = ctypes.c_ssize_t
count, text = ctypes.c_uint(), ctypes.create_string_buffer(4096)
hdf5.H5open()
hdf5.H5PLsize(ctypes.byref(count))
found = []
for index in range(count.value):
    hdf5.H5PLget(index, text, ctypes.c_size_t(len(text)))
    found.append(text.value.decode("utf-8", "surrogateescape"))
print(json.dumps(found))
"""


@dataclass(frozen=True, kw_only=True)
class HostRead:
    """What a program made of the built-in frames.

    Parameters
    ----------
    program : str
        The program and its HDF5, in words.
    directories : sequence of str or None
        Where its HDF5 looks for plugins; None if that cannot be found out.
    frames : mapping of str to dict
        For each dataset the SHA-256 of its pixels ("sha256") or why there are none ("error").
    loaded : sequence of str or None
        Files that were loaded meanwhile; None if the program does not tell.
    crash : str or None
        The signal that ended it.
    """

    program: str
    directories: Sequence[str] | None
    frames: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    loaded: Sequence[str] | None = None
    crash: str | None = None


def read_with(program: str | None, environment: Mapping[str, str]) -> HostRead:
    """Let a program read the built-in frames.

    Parameters
    ----------
    program : str or None
        h5dump, or a Python that has h5py, by name or path; None is this Python.
    environment : mapping of str to str

    Raises
    ------
    InputError
        There is no such program, or it is of another kind.
    """
    found = shutil.which(program or sys.executable)
    if found is None:
        raise InputError(f"{program} is not there: give the name or the path of a program")
    name = Path(found).name
    if name.startswith("h5dump"):
        return _read_with_h5dump(found, environment)
    if "python" in name or program is None:
        return _read_with_python(found, environment)
    raise InputError(
        f"{program} cannot be checked: give h5dump, or a Python that has h5py, such as "
        "/usr/bin/python3 or dials.python"
    )


def searched_by(program: str, environment: Mapping[str, str]) -> list[str] | None:
    """Return where the HDF5 of a program looks for plugins, by asking the library that it links.

    Parameters
    ----------
    program : str
        Path of the program.
    environment : mapping of str to str

    Returns
    -------
    list of str or None
        None if the program links no HDF5 library that can be asked.
    """
    linked = _run(["ldd", program], environment) if shutil.which("ldd") else None
    library = re.search(r"libhdf5[^/\s]* => (\S+)", linked.stdout) if linked else None
    if library is None:
        return None
    done = _run([sys.executable, "-I", "-S", "-c", _ASK_LIBRARY, library[1]], environment)
    if done.returncode:
        return None
    found: list[str] = json.loads(done.stdout)
    return found


def usual_directories() -> list[str]:
    """Return where HDF5 programs of this machine look without being told, best first.

    Examples
    --------
    >>> "/usr/local/hdf5/lib/plugin" in usual_directories()
    True
    """
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HDF5_PLUGIN")}
    h5dump = shutil.which("h5dump")
    found = (searched_by(h5dump, environment) or []) if h5dump else []
    multiarch = sysconfig.get_config_var("MULTIARCH")
    # Debian's, or Fedora's.
    found.append(f"/usr/lib/{multiarch}/hdf5/serial/plugins" if multiarch else _FEDORA)
    if conda := os.environ.get("CONDA_PREFIX"):
        found.append(f"{conda}/lib/hdf5/plugin")
    found.append(_HDF5_DEFAULT)
    return sorted(dict.fromkeys(found), key=lambda name: not Path(name).is_dir())


def _read_with_python(python: str, environment: Mapping[str, str]) -> HostRead:
    source = _READER.read_text(encoding="utf-8")
    done = _run([python, "-c", source, str(CHECK_FILE)], environment)
    if done.returncode > 0 or not done.stdout:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise InputError(f"{python} cannot read HDF5 files ({last}): give a Python that has h5py")
    found: dict[str, Any] = {}
    for line in done.stdout.splitlines():
        found |= json.loads(line)
    if found.get("modules"):
        raise H5braggError(f"{python} imported {found['modules']} by itself: nothing is shown")
    return HostRead(
        program=f"h5py {found['h5py']} with HDF5 {found['hdf5']} ({python})",
        directories=found["directories"],
        frames=found.get("frames", {}),
        loaded=found.get("loaded"),
        crash=signal.Signals(-done.returncode).name if done.returncode else None,
    )


def _read_with_h5dump(h5dump: str, environment: Mapping[str, str]) -> HostRead:
    version = _run([h5dump, "--version"], environment).stdout.strip()
    frames: dict[str, dict[str, str]] = {}
    crash = None
    with h5py.File(CHECK_FILE, "r") as file, tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "pixels"
        for name in file:
            command = [h5dump, "--enable-error-stack", "-d", name, "-b", "LE", "-o", str(out)]
            done = _run([*command, str(CHECK_FILE)], environment)
            if done.returncode < 0:
                crash = signal.Signals(-done.returncode).name
                break
            if done.returncode == 0:
                frames[name] = {"sha256": hashlib.sha256(out.read_bytes()).hexdigest()}
            else:
                frames[name] = {"error": _innermost(done.stderr)}
    return HostRead(
        program=f"{version} ({h5dump})",
        directories=searched_by(h5dump, environment),
        frames=frames,
        crash=crash,
    )


def _innermost(error_stack: str) -> str:
    """Return the cause at the bottom of a printed HDF5 error stack; h5dump adds one of its own."""
    causes = re.findall(r"#(\d+): .*?\(\): (.*)", error_stack)
    if causes:
        return str(max(causes, key=lambda cause: int(cause[0]))[1])
    return " ".join(error_stack.split())[:200] or "no message"


def _run(
    command: Sequence[str], environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=dict(environment), capture_output=True, text=True, check=False
    )
