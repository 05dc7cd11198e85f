# SPDX-License-Identifier: MIT
"""The layers of the C sources and of the Python package: what may know what."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
C_SOURCES = ROOT / "filter" / "src"
PACKAGE = ROOT / "python" / "h5bragg"

# Python layers from the ground up; a module not named here belongs to the tools between.
PYTHON_LEVELS = {
    "errors": 0,
    "_clib": 1,
    "params": 2,
    "pixels": 2,
    "geometry": 2,
    "chunk_bytes": 2,
    "codec": 3,
    "peaks": 3,
    "stages": 3,
    "threads": 1,
    "rings": 3,
    "filter": 3,
    "opencl": 3,
    "__init__": 4,
    "__main__": 5,
    "cli": 5,
}
TOOL_LEVEL = 4


def knows_hdf5(name: str) -> bool:
    return name.startswith(("h5z_", "hdf5_symbols"))


def includes(path: Path) -> set[str]:
    """Names of the project's headers that a C file includes."""
    return set(re.findall(r'^\s*#\s*include "([^"]+)"', path.read_text(), re.MULTILINE))


def reachable_headers(path: Path) -> set[str]:
    """Headers that a C file includes, directly or through others."""
    found: set[str] = set()
    waiting = includes(path)
    while waiting:
        name = waiting.pop()
        found.add(name)
        if (C_SOURCES / name).exists():
            waiting |= includes(C_SOURCES / name) - found
    return found


C_FILES = sorted([*C_SOURCES.glob("*.c"), *C_SOURCES.glob("*.h")])
PYTHON_FILES = sorted(PACKAGE.rglob("*.py"))


def test_there_are_sources_to_check() -> None:
    assert len(C_FILES) > 20
    assert len(PYTHON_FILES) > 10


@pytest.mark.parametrize("path", C_FILES, ids=lambda path: path.name)
def test_only_the_filter_knows_hdf5(path: Path) -> None:
    assert not re.search(r"#\s*include\s*[<\"]hdf5\.h", path.read_text())
    if not knows_hdf5(path.name):
        assert {name for name in includes(path) if knows_hdf5(name)} == set()
        assert not re.search(r"\bH5[A-Z]", re.sub(r"\bH5(BRAGG|Z)\w*", "", code_of(path)))


@pytest.mark.parametrize("path", C_FILES, ids=lambda path: path.name)
def test_only_the_filter_includes_encode_or_decode(path: Path) -> None:
    users = {"encode.h": ("encode", "h5z_"), "decode.h": ("decode", "h5z_")}
    for header, allowed in users.items():
        if header in includes(path):
            assert path.name.startswith(allowed)


def test_encode_and_decode_do_not_know_each_other() -> None:
    assert "decode.h" not in reachable_headers(C_SOURCES / "encode.c")
    assert "encode.h" not in reachable_headers(C_SOURCES / "decode.c")


@pytest.mark.parametrize("path", C_FILES, ids=lambda path: path.name)
def test_no_header_includes_itself_in_a_circle(path: Path) -> None:
    assert path.name not in reachable_headers(path) or path.suffix == ".c"


@pytest.mark.parametrize("path", C_FILES, ids=lambda path: path.name)
def test_the_codec_neither_prints_nor_reads_the_environment(path: Path) -> None:
    if not knows_hdf5(path.name):
        forbidden = r"\b(printf|fprintf|puts|getenv|time|clock|rand|srand)\s*\("
        # One file asks which instructions it may use: that changes the speed, never a result
        # (test_levels.py).
        expected = ["getenv"] if path.name == "cpu_level.c" else []
        assert re.findall(forbidden, code_of(path)) == expected


def code_of(path: Path) -> str:
    """A C file without comments and strings."""
    text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
    return re.sub(r'"(\\.|[^"\\])*"', '""', text)


def module_of(path: Path) -> str:
    """Name of the package's direct child that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def level_of(module: str) -> int:
    return PYTHON_LEVELS.get(module, TOOL_LEVEL)


def imported_modules(path: Path) -> list[str]:
    """Every import as an absolute name."""
    package = ("h5bragg", *path.relative_to(PACKAGE).parent.parts)
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else ()
            stem = ".".join([*base, *([node.module] if node.module else [])])
            names += [f"{stem}.{alias.name}" for alias in node.names]
    return names


def imported_children(path: Path) -> set[str]:
    """The package's direct children that a file imports from; names of __init__ itself aside."""
    children = {path.stem if path.is_file() else path.name for path in PACKAGE.iterdir()}
    own = {name.split(".")[1] for name in imported_modules(path) if name.startswith("h5bragg.")}
    return own & children


@pytest.mark.parametrize("path", PYTHON_FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down_the_layers(path: Path) -> None:
    level = level_of(module_of(path))
    above = {name for name in imported_children(path) if level_of(name) > level}
    assert above == set()


@pytest.mark.parametrize("path", PYTHON_FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_foreign_libraries_stay_where_they_belong(path: Path) -> None:
    homes = {"pyopencl": "opencl", "cffi": "_clib", "click": "cli", "rich": "cli"}
    roots = {name.split(".")[0] for name in imported_modules(path)}
    strays = {root for root in roots & set(homes) if module_of(path) != homes[root]}
    assert strays == set()
    if level_of(module_of(path)) < 3:
        assert "pyFAI" not in roots


def test_import_works_without_pyopencl() -> None:
    script = "import sys; sys.modules['pyopencl'] = None; import h5bragg; print(h5bragg.FILTER_ID)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) > 32767
