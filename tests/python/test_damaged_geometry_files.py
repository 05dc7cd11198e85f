# SPDX-License-Identifier: MIT
"""Whatever is in a geometry file, it is read, or refused in one sentence that names the file.

No other exception, no gigabytes on the word of a few bytes, and no hang.
"""

import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from crystfel_files import agipd_1m
from damaged_text import damaged
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from input_files import write_cbf, write_poni
from nexus_files import MODULE, write_module, write_simple

from h5bragg import Geometry, GeometryError

MOST_NBYTES = 500 << 20
IN_CI = bool(os.environ.get("CI"))
SETTINGS = settings(
    max_examples=300 if IN_CI else 60,
    derandomize=IN_CI,
    deadline=timedelta(seconds=20),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
PLACES = settings(SETTINGS, max_examples=100 if IN_CI else 30)
SOURCE = Geometry.flat(
    shape=(30, 44),
    pixel_size_m=(1e-4, 1e-4),
    distance_m=0.1,
    beam_center_px=(12, 20),
    wavelength_m=1e-10,
    rotations_rad=(0.01, 0.02, 0.0),
)
UPRIGHT = Geometry.flat(
    shape=(30, 44),
    pixel_size_m=1e-4,
    distance_m=0.1,
    beam_center_px=(12, 20),
    wavelength_m=1e-10,
)


def contents(name: str, write: Callable[[Path], object]) -> bytes:
    """What a function writes into a file."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        write(path)
        return path.read_bytes()


def write_master(path: Path) -> None:
    with h5py.File(path, "w") as file:
        write_simple(file)
        write_module(file)


PONI = contents("a.poni", lambda path: write_poni(path, SOURCE))
OLD_PONI = b"Detector: Pilatus 1M\nPixelSize1: 1e-4\nPixelSize2: 1e-4\n" + PONI.split(b"}\n")[1]
CBF = contents("a.cbf", lambda path: write_cbf(path, np.zeros(UPRIGHT.shape), UPRIGHT))
MASTER = contents("a.h5", write_master)
STACK = agipd_1m().partition("p0a4/")[0].encode()
CBF_HEADER = CBF[: CBF.index(b"--CIF-BINARY") + 600]
GEOM = b"""\
clen = 80 mm
photon_energy = 9000 eV
res = 10000
bad_lab/min_x = -3
bad_lab/max_x = 3
bad_lab/min_y = -3
bad_lab/max_y = 3
bad_rows/panel = m0
bad_rows/min_ss = 1
bad_rows/max_ss = 3
bad_rows/min_fs = 0
bad_rows/max_fs = 29
m0/min_ss = 0
m0/max_ss = 39
m0/min_fs = 0
m0/max_fs = 29
m0/mask_edge_pixels = 1
m0/fs = -1.0x +0.0y
m0/ss = -1.0y
m0/corner_x = 12.25
m0/corner_y = 20.5
"""


@pytest.fixture(scope="module", autouse=True)
def watch_memory() -> Iterator[None]:
    tracemalloc.start(1)
    yield
    tracemalloc.stop()


def read_or_refuse(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    sentence = f"{path}: "
    try:
        Geometry.from_file(path)
    except GeometryError as error:
        sentence = str(error)
    assert tracemalloc.get_traced_memory()[1] - before < MOST_NBYTES
    assert sentence.startswith(f"{path}: ")
    assert len(sentence.splitlines()) == 1
    assert len(sentence) < len(str(path)) + 700


@pytest.mark.parametrize("content", [PONI, OLD_PONI, CBF_HEADER, GEOM, STACK, MASTER])
def test_what_will_be_damaged_is_good(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "good"
    path.write_bytes(content)
    assert Geometry.from_file(path).panels


@given(damaged(PONI) | damaged(OLD_PONI))
@example(PONI.replace(b"[30, 44]", b"[" + b"9" * 400 + b", 44]").replace(b": 3}", b": 1}"))
@SETTINGS
def test_poni(tmp_path: Path, content: bytes) -> None:
    read_or_refuse(tmp_path / "damaged.poni", content)


@given(damaged(CBF_HEADER))
@SETTINGS
def test_cbf_header(tmp_path: Path, content: bytes) -> None:
    read_or_refuse(tmp_path / "damaged.cbf", content)


@given(damaged(GEOM) | damaged(STACK))
@example(GEOM.replace(b"_ss = 39", b"_ss = 65534").replace(b"_fs = 29", b"_fs = 65534"))
@example(GEOM.replace(b"m0/corner_x", b"m0/dim" + b"9" * 5000 + b" = 1\nm0/corner_x"))
@example(b"bad_rows/min_fs = 1")
@SETTINGS
def test_crystfel_geometry(tmp_path: Path, content: bytes) -> None:
    read_or_refuse(tmp_path / "damaged.geom", content)


def fields_of_master() -> list[str]:
    """Every group, dataset and attribute of the master, as path or path@name."""
    found: list[str] = []

    def visit(name: str, item: Any) -> None:
        found.extend([name, *(f"{name}@{key}" for key in item.attrs)])

    with h5py.File.in_memory(MASTER) as file:
        file.visititems(visit)
    return found


VAST = "a dataset of 2^40 values, of which none is stored"
JUNK: tuple[Any, ...] = (
    None, 0, -1, 1e300, -1e-300, np.nan, np.inf, 2**63, "", "words", b"\xff\xfe", "m", "/", ".",
    MODULE, [], [1.0, 2.0], [0.0, 0.0, 0.0], [np.nan] * 3, [1e300] * 3, [65536, 65536], [-1, -1],
    [2**62, 2**62], [np.inf, 1.0], [[1, 2], [3, 4]], np.zeros((2, 3, 4)), ["a", "b"], True, 1 + 2j,
    h5py.Empty("f8"), h5py.SoftLink("/nowhere"), h5py.SoftLink("/entry"),
    h5py.ExternalLink("no.h5", "/"), VAST,
)  # fmt: skip


def find(file: h5py.File, path: str) -> Any:
    """What is at a path, None where nothing is or where a link goes round in circles."""
    try:
        return file.get(path)
    except RuntimeError:
        return None


def replace_field(file: h5py.File, name: str, value: Any) -> None:
    """Put junk into the place of a field; None removes it."""
    path, _, attribute = name.partition("@")
    field = find(file, path)
    if field is None:
        return
    attributes = dict(field.attrs)
    if attribute:
        field.attrs.pop(attribute, None)
        if value is not None and not isinstance(value, h5py.SoftLink | h5py.ExternalLink):
            field.attrs[attribute] = value
        return
    del file[path]
    if value is VAST:
        file.create_dataset(path, (2**20, 2**20), "u4", chunks=(64, 64))
    elif value is not None:
        file[path] = value
    if isinstance(find(file, path), h5py.Dataset):
        file[path].attrs.update(attributes)


@given(
    st.lists(
        st.tuples(st.sampled_from(fields_of_master()), st.sampled_from(range(len(JUNK)))),
        min_size=1,
        max_size=3,
    )
)
@SETTINGS
def test_nxmx_master(tmp_path: Path, changes: list[tuple[str, int]]) -> None:
    path = tmp_path / "damaged.h5"
    path.write_bytes(MASTER)
    with h5py.File(path, "r+") as file:
        for name, junk in changes:
            replace_field(file, name, JUNK[junk])
    read_or_refuse(path, path.read_bytes())


@given(st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=3) | st.none())
@PLACES
def test_shape_of_the_caller(tmp_path: Path, side: Any) -> None:
    path = tmp_path / "damaged.poni"
    path.write_bytes(OLD_PONI)
    if isinstance(side, int) and 0 < side < 65536:
        assert Geometry.from_file(path, shape=(side, 44)).shape == (side, 44)
    else:
        with pytest.raises(GeometryError, match=r"damaged\.poni: "):
            Geometry.from_file(path, shape=(side, 44))


# Bytes that HDF5 itself takes apart: in a process of its own, with a gigabyte of memory.
READ_MANY = """
import json, resource, sys
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
import h5bragg
for path in sys.argv[1:]:
    try:
        found = repr(h5bragg.Geometry.from_file(path))
    except h5bragg.GeometryError as error:
        found = str(error)
        assert found.startswith(path + ": ") and "\\n" not in found, found
    print(json.dumps([path, found]), flush=True)
"""


def test_flipped_bytes_of_a_master(tmp_path: Path) -> None:
    random = np.random.default_rng(17)
    paths = []
    for number in range(600 if IN_CI else 100):
        content = bytearray(MASTER)
        for at in random.integers(0, len(content), random.integers(1, 5)):
            content[at] ^= random.integers(1, 256)
        if number % 4 == 0:
            del content[random.integers(0, len(content)) :]
        paths.append(tmp_path / f"{number}.h5")
        paths[-1].write_bytes(content)
    command = [sys.executable, "-c", READ_MANY, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    outcomes = [json.loads(line)[1] for line in done.stdout.splitlines()]
    assert len(outcomes) == len(paths)
    assert 0 < sum(found.startswith("<Geometry") for found in outcomes) < len(paths)
