# SPDX-License-Identifier: MIT
"""The C library behind the package: found, complete, and speaking in whole sentences."""

import os
import re
import subprocess
import sys
from pathlib import Path

import h5py
import pytest

import h5bragg
from h5bragg import _clib


def run_python(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_library_exports_every_function_of_the_header() -> None:
    headers = sorted(_clib.HEADER_PATH.parent.glob("h5bragg*.h"))
    assert len(headers) == 2
    text = "".join(path.read_text(encoding="utf-8") for path in headers)
    names = re.findall(r"^H5BRAGG_API [\w *]*?(h5bragg_\w+)\(", text, re.MULTILINE)
    assert len(names) > 10
    assert all(_clib.ffi.cast("void *", getattr(_clib.library(), name)) for name in names)


def test_constants_are_those_of_the_header_as_c_reads_it() -> None:
    assert h5bragg.FILTER_ID == _clib.library().H5BRAGG_FILTER_ID
    assert _clib.FORMAT_VERSION == _clib.library().H5BRAGG_FORMAT_VERSION
    assert _clib.CONFIG_NWORDS == _clib.library().H5BRAGG_CONFIG_NWORDS == 16


def test_filter_id_lies_in_the_private_range() -> None:
    assert 32768 <= h5bragg.FILTER_ID <= 65535


def test_every_status_has_its_own_sentence() -> None:
    sentences = [_clib.status_text(status) for status in _clib.STATUS.values()]
    assert len(set(sentences)) == len(sentences)
    assert all(sentence and "\n" not in sentence for sentence in sentences)
    assert _clib.status_text(9999)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("H5BRAGG_BAD_PARAMETER", h5bragg.ParameterError),
        ("H5BRAGG_BAD_GEOMETRY", h5bragg.GeometryError),
        ("H5BRAGG_TRUNCATED", h5bragg.ChunkError),
        ("H5BRAGG_NO_MEMORY", MemoryError),
        ("H5BRAGG_BUFFER_TOO_SMALL", h5bragg.H5braggError),
    ],
)
def test_status_becomes_the_error_of_its_kind(status: str, error: type[Exception]) -> None:
    sentence = re.escape(_clib.status_text(_clib.STATUS[status]))
    with pytest.raises(error, match=f"^this call: {sentence}$"):
        _clib.check(_clib.STATUS[status], "this call")


def test_success_raises_nothing() -> None:
    _clib.check(_clib.STATUS["H5BRAGG_OK"], "this call")


def test_plugin_folder_holds_the_library_alone() -> None:
    """HDF5 opens every library it finds there."""
    assert [path.name for path in Path(h5bragg.PLUGIN_PATH).iterdir()] == [_clib.LIBRARY_PATH.name]


def test_config_names_files_that_exist() -> None:
    config = h5bragg.get_config()
    assert set(config) == {
        "version", "format_version", "filter_id", "plugin_path", "library", "include_path",
    }  # fmt: skip
    assert re.fullmatch(r"\d+\.\d+\.\d+", str(config["version"]))
    assert Path(str(config["library"])).is_file()
    assert (Path(str(config["include_path"])) / "h5bragg.h").is_file()


def test_package_and_library_have_one_version() -> None:
    if h5bragg.__version__ == "0+source":
        pytest.skip("the package runs from its source tree and is not installed")
    assert h5bragg.__version__ == _clib.version()


def test_import_makes_the_filter_available() -> None:
    assert h5py.h5z.filter_avail(h5bragg.FILTER_ID)
    assert h5bragg.register() is True


def test_register_puts_the_folder_on_the_path_once_and_again_by_force() -> None:
    def count() -> int:
        path = [h5py.h5pl.get(i) for i in range(h5py.h5pl.size())]
        return path.count(h5bragg.PLUGIN_PATH.encode())

    before = count()
    h5bragg.register()
    assert count() == before == 1
    h5bragg.register(force=True)
    assert h5py.h5pl.get(0) == h5bragg.PLUGIN_PATH.encode()
    h5py.h5pl.remove(0)


def test_import_needs_no_optional_or_heavy_package() -> None:
    code = (
        "import sys\n"
        "for name in ('pyopencl', 'pyFAI', 'fabio', 'matplotlib', 'nxmx', 'scipy', 'rich'):\n"
        "    sys.modules[name] = None\n"
        "import h5bragg\n"
        "print(h5bragg.SparsifyParams(snr_pick=3).snr_pick)"
    )
    done = run_python(code)
    assert (done.stdout, done.stderr) == ("3.0\n", "")


def test_missing_library_is_one_clear_sentence() -> None:
    code = (
        "import h5bragg\n"
        "try:\n"
        "    h5bragg.inspect(b'anything')\n"
        "except h5bragg.H5braggError as error:\n"
        "    print(error)"
    )
    done = run_python(code, H5BRAGG_LIBRARY="/nowhere/libh5bragg.so")
    assert done.returncode == 0
    assert re.fullmatch(r"the h5bragg library /nowhere/\S+ cannot be loaded .*\n", done.stdout)
    assert "RuntimeWarning: HDF5 cannot load the h5bragg filter from /nowhere" in done.stderr


def test_forbidden_plugins_warn_at_import() -> None:
    done = run_python("import h5bragg", HDF5_PLUGIN_PRELOAD="::")
    assert done.returncode == 0
    assert "HDF5_PLUGIN_PRELOAD" in done.stderr
