# SPDX-License-Identifier: MIT
"""Copies of the plugin, good and bad ones, and other libraries that HDF5 meets in their place."""

import shutil
import subprocess
from pathlib import Path

import pytest

import h5bragg

LIBRARY = Path(str(h5bragg.get_config()["library"]))
VERSION = str(h5bragg.get_config()["version"])
MACHINE_AT = 18
AARCH64 = (183).to_bytes(2, "little")
OTHER_FILTER_CLASS = """
#include <stddef.h>
#include <stdint.h>
static size_t filter(unsigned flags, size_t n, const unsigned *words, size_t nbytes,
                     size_t *capacity, void **data) {{ {body} }}
static const struct {{
    int version, id; unsigned encodes, decodes; const char *name;
    void *can_apply, *set_local; size_t (*filter)(unsigned, size_t, const unsigned *, size_t,
                                                  size_t *, void **);
}} cls = {{1, {filter_id}, 1, 1, "{name}", 0, 0, filter}};
int H5PLget_plugin_type(void) {{ return 0; }}
const void *H5PLget_plugin_info(void) {{ return &cls; }}
"""


def install(folder: Path, name: str = LIBRARY.name) -> Path:
    folder.mkdir(exist_ok=True)
    return Path(shutil.copy(LIBRARY, folder / name))


def install_version(folder: Path, version: str, name: str = LIBRARY.name) -> Path:
    """A working copy that says it is of another version."""
    path = install(folder, name)
    content, old = path.read_bytes(), VERSION.encode() + b"\0"
    assert content.count(old) == 1
    assert len(version) == len(VERSION)
    path.write_bytes(content.replace(old, version.encode() + b"\0"))
    return path


def install_foreign(folder: Path, name: str = LIBRARY.name) -> Path:
    """A copy whose header says that it is for another processor."""
    path = install(folder, name)
    content = bytearray(path.read_bytes())
    content[MACHINE_AT : MACHINE_AT + 2] = AARCH64
    path.write_bytes(content)
    return path


def compile_library(path: Path, source: str, *options: str) -> Path:
    gcc = shutil.which("gcc")
    if gcc is None:
        pytest.skip("gcc is not installed")
    text = path.with_suffix(".c")
    text.write_text(source)
    subprocess.run([gcc, "-shared", "-fPIC", str(text), "-o", str(path), *options], check=True)
    text.unlink()
    return path
