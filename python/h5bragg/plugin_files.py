# SPDX-License-Identifier: MIT
"""HDF5 plugins in a directory: which are copies of h5bragg, and what each is good for."""

from __future__ import annotations

import base64
import json
import mmap
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import h5py

from ._clib import FILTER_ID

# Golden frames of each format version, see tests/support/check_file.py.
CHECK_FILE = Path(__file__).with_name("plugin_check.h5")

_PROBE = Path(__file__).with_name("plugin_probe.py")
_FILTER_NAME = b"H5Z-BRAGG"
_ENTRY_POINT = b"H5PLget_plugin_info"
_ELF_HEAD_NBYTES = 20
# Offset of the section headers, size of one and their number, in the byte order of this machine.
_ELF64_HEAD = struct.Struct("=40xQ10xHH2x")
_MACHINES = {
    3: "i386",
    20: "ppc",
    21: "ppc64",
    22: "s390x",
    40: "arm",
    62: "x86-64",
    183: "aarch64",
    243: "riscv",
    258: "loongarch",
}


@dataclass(frozen=True, kw_only=True)
class PluginFile:
    """A file that is, or means to be, an HDF5 filter plugin.

    Parameters
    ----------
    path : Path
    is_bragg : bool
        It is a copy of h5bragg by its name or its contents, if perhaps a damaged one.
    is_tried : bool
        Whether HDF5 tries files of this name: lib*.so*.
    architecture : str or None
        What processor it is for; None if it is no ELF file.
    error : str or None
        Why it cannot be loaded on this machine.
    filter_id : int or None
    filter_name : str or None
        What the filter calls itself.
    version : str or None
        "major.minor.patch" of h5bragg.
    formats : sequence of int
        Versions of the chunk format that it reads.
    """

    path: Path
    is_bragg: bool
    is_tried: bool = True
    architecture: str | None = None
    error: str | None = None
    filter_id: int | None = None
    filter_name: str | None = None
    version: str | None = None
    formats: Sequence[int] = ()

    @property
    def is_foreign(self) -> bool:
        """Whether it is for another kind of machine."""
        return self.architecture not in (None, native_architecture())

    @property
    def is_usable(self) -> bool:
        """Whether HDF5 would take it for h5bragg's filter."""
        return self.is_tried and self.error is None and self.filter_id == FILTER_ID


def architecture(path: Path) -> str | None:
    """Return what processor an ELF file is for; None for any other file.

    Examples
    --------
    >>> architecture(Path(__file__)) is None
    True
    """
    with path.open("rb") as file:
        head = file.read(_ELF_HEAD_NBYTES)
    if len(head) < _ELF_HEAD_NBYTES or not head.startswith(b"\x7fELF"):
        return None
    is_big_endian, is_32_bit = head[5] == 2, head[4] == 1
    machine = int.from_bytes(head[18:20], "big" if is_big_endian else "little")
    name = _MACHINES.get(machine, f"processor number {machine}")
    return name + " (32 bit)" * is_32_bit + " (big-endian)" * is_big_endian


@cache
def native_architecture() -> str | None:
    """Return what processor this process runs on; None where programs are no ELF files."""
    return architecture(Path(sys.executable).resolve())


def find_plugins(directory: Path) -> list[PluginFile]:
    """Return the copies of h5bragg in a directory, and other plugins with its filter number.

    They come in the order in which HDF5 tries them.

    Raises
    ------
    OSError
        The directory cannot be read.
    """
    # Not sorted: HDF5 takes them as the file system gives them, and so does scandir.
    with os.scandir(directory) as entries:
        paths = [Path(entry.path) for entry in entries if ".so" in entry.name]
    found = (look_at(path) for path in paths if not path.is_dir())
    return [plugin for plugin in found if plugin.is_bragg or plugin.filter_id == FILTER_ID]


def look_at(path: Path) -> PluginFile:
    """Find out what one file is, whatever it is; a damaged library does no harm.

    Parameters
    ----------
    path : Path
        The file, which may be a link to nothing.
    """
    is_bragg = "bragg" in path.name
    is_tried = path.name.startswith("lib") and ".so" in path.name
    try:
        is_bragg = is_bragg or _contains(path, _FILTER_NAME)
        if not is_bragg and not _contains(path, _ENTRY_POINT):
            return PluginFile(path=path, is_bragg=False, is_tried=is_tried)
        machine = architecture(path)
    except OSError as error:
        reason = "it is a link to nothing" if path.is_symlink() else str(error.strerror)
        return PluginFile(path=path, is_bragg=is_bragg, is_tried=is_tried, error=reason)
    native = native_architecture()
    found: dict[str, Any]
    if native is not None and machine is None:
        found = {"error": "it is no ELF file, as libraries are"}
    elif machine != native:
        found = {"error": f"it is for {machine}, this machine is {native}"}
    elif machine is not None and _is_cut_short(path):
        found = {"error": "it is cut short"}
    else:
        found = _probe(path)
        is_bragg = is_bragg and ("error" in found or "version" in found)
    return PluginFile(
        path=path, is_bragg=is_bragg, is_tried=is_tried, architecture=machine, **found
    )


def _is_cut_short(path: Path) -> bool:
    """Whether the table at the end of an ELF file of 64 bits is missing."""
    with path.open("rb") as file:
        head = file.read(_ELF64_HEAD.size)
    if head[4] == 1:
        return False  # of 32 bits
    if len(head) < _ELF64_HEAD.size:
        return True
    offset, entry_nbytes, count = _ELF64_HEAD.unpack(head)
    return bool(offset + entry_nbytes * count > path.stat().st_size)


def _contains(path: Path, text: bytes) -> bool:
    if not path.stat().st_size:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(text) >= 0


@cache
def _chunks() -> str:
    """Return the built-in chunks, as plugin_probe.py wants them."""
    chunks = {}
    with h5py.File(CHECK_FILE, "r") as file:
        for name, data in file.items():
            chunk = data.id.read_direct_chunk((0,) * data.ndim)[1]
            chunks[name.removeprefix("format_")] = base64.b64encode(chunk).decode()
    return json.dumps(chunks)


def _probe(path: Path) -> dict[str, Any]:
    """Load a library in a process of its own and return what is known of it then."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", _PROBE, path.absolute()],
        input=_chunks(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode < 0:
        number = signal.Signals(-done.returncode).name
        return {"error": f"the system's loader fails on it ({number})"}
    if done.returncode > 0:
        return {"error": (done.stderr.strip().splitlines() or ["no message"])[-1]}
    found: dict[str, Any] = json.loads(done.stdout)
    return found
