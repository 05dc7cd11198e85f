# SPDX-License-Identifier: MIT
"""Hosts other than one dynamic HDF5 in the process: none that can be seen, and two at once."""

import ctypes
import ctypes.util
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from hdf5_hosts import Sample, decode_sample, make_frames, make_geometry

import h5bragg

DECODE = 0x0100
SYSTEM_HDF5 = "libhdf5_serial.so.103"
WORDS = ctypes.c_uint32 * 16


class FilterClass(ctypes.Structure):
    """H5Z_class2_t."""

    _fields_ = (
        ("version", ctypes.c_int),
        ("id", ctypes.c_int),
        ("encoder_present", ctypes.c_uint),
        ("decoder_present", ctypes.c_uint),
        ("name", ctypes.c_char_p),
        ("can_apply", ctypes.CFUNCTYPE(ctypes.c_int, *3 * [ctypes.c_int64])),
        ("set_local", ctypes.CFUNCTYPE(ctypes.c_int, *3 * [ctypes.c_int64])),
        (
            "filter",
            ctypes.CFUNCTYPE(
                ctypes.c_size_t,
                ctypes.c_uint,
                ctypes.c_size_t,
                ctypes.POINTER(ctypes.c_uint32),
                ctypes.c_size_t,
                ctypes.POINTER(ctypes.c_size_t),
                ctypes.POINTER(ctypes.c_void_p),
            ),
        ),
    )


def plugin_class() -> FilterClass:
    """The plugin's filter class, taken as HDF5 does."""
    library = ctypes.CDLL(h5bragg.get_config()["library"])
    library.H5PLget_plugin_info.restype = ctypes.POINTER(FilterClass)
    assert library.H5PLget_plugin_type() == 0
    filter_class: FilterClass = library.H5PLget_plugin_info().contents
    return filter_class


class CBuffer:
    """A malloc'ed buffer that the filter may replace."""

    def __init__(self, data: bytes) -> None:
        self.libc = ctypes.CDLL(None)
        self.libc.malloc.restype = ctypes.c_void_p
        self.libc.malloc.argtypes = [ctypes.c_size_t]
        self.libc.free.argtypes = [ctypes.c_void_p]
        self.pointer = ctypes.c_void_p(self.libc.malloc(len(data)))
        self.capacity = ctypes.c_size_t(len(data))
        ctypes.memmove(self.pointer, data, len(data))

    def content(self, nbytes: int) -> bytes:
        return ctypes.string_at(self.pointer, nbytes)

    def __del__(self) -> None:
        self.libc.free(self.pointer)


def test_the_class_is_one_that_every_hdf5_takes() -> None:
    filter_class = plugin_class()
    assert filter_class.version == 1
    assert filter_class.id == h5bragg.FILTER_ID
    assert filter_class.name.startswith(b"H5Z-BRAGG")
    assert b"pip install h5bragg" in filter_class.name


def test_a_host_that_hides_its_hdf5_reads_and_writes_with_complete_words(
    make_sample: Callable[..., Sample],
) -> None:
    """As in a statically linked program: here ctypes calls, which is no HDF5 library."""
    sample = make_sample("u2")
    with h5py.File(sample.path, "r") as file:
        plist = file[sample.name].id.get_create_plist()
        words = WORDS(*plist.get_filter_by_id(h5bragg.FILTER_ID)[1])
    filter_class = plugin_class()
    assert filter_class.can_apply(1, 2, 3) == 1
    assert filter_class.set_local(1, 2, 3) == 0

    raw = sample.frames[0].tobytes()
    buffer = CBuffer(raw)
    parts = (buffer.capacity, buffer.pointer)
    nbytes = filter_class.filter(0, 16, words, len(raw), *map(ctypes.byref, parts))
    assert buffer.content(nbytes) == h5bragg.encode(sample.frames[0], sample.geometry)
    nbytes = filter_class.filter(DECODE, 16, words, nbytes, *map(ctypes.byref, parts))
    assert buffer.content(nbytes) == decode_sample(sample)[0].tobytes()
    assert buffer.capacity.value == len(raw)


@pytest.mark.parametrize("flags", [0, DECODE])
def test_a_failed_call_leaves_the_buffer_as_it_was(
    flags: int, capfd: pytest.CaptureFixture[str]
) -> None:
    """And says why on standard error, as there is no error stack to put it on."""
    data = b"neither a chunk nor a frame"
    buffer = CBuffer(data)
    before = buffer.pointer.value
    parts = (buffer.capacity, buffer.pointer)
    words = WORDS(*h5bragg.Bragg(make_geometry((20, 30))).filter_options)
    nbytes = plugin_class().filter(flags, 16, words, len(data), *map(ctypes.byref, parts))
    assert nbytes == 0
    assert buffer.pointer.value == before
    assert buffer.capacity.value == len(data)
    assert buffer.content(len(data)) == data
    assert "h5bragg: h5bragg could not" in capfd.readouterr().err


class SystemHdf5:
    """Debian's HDF5 beside the one inside h5py, in the same process."""

    def __init__(self) -> None:
        try:
            self.library = ctypes.CDLL(SYSTEM_HDF5)
        except OSError:
            pytest.skip(f"{SYSTEM_HDF5} is not installed: Debian has it in libhdf5-103-1")
        self.call("H5open")
        self.call("H5Eset_auto2", 0, None, None)
        self.call("H5PLprepend", h5bragg.PLUGIN_PATH.encode())

    def call(self, name: str, *arguments: object) -> int:
        function = getattr(self.library, name)
        function.restype = ctypes.c_int64
        plain = [ctypes.c_int64(x) if isinstance(x, int) else x for x in arguments]
        result: int = function(*plain)
        return result

    def identifier(self, name: str) -> int:
        return ctypes.c_int64.in_dll(self.library, name).value

    def version(self) -> tuple[int, ...]:
        numbers = [ctypes.c_uint() for _ in range(3)]
        self.call("H5get_libversion", *map(ctypes.byref, numbers))
        return tuple(number.value for number in numbers)

    def write(self, path: Path, frame: np.ndarray, chunk: tuple[int, ...]) -> int:
        """Creates a dataset of one uint16 frame and writes it; returns the dataset or -1."""
        words = WORDS(*h5bragg.Bragg(make_geometry(frame.shape)).filter_options)
        size = (ctypes.c_uint64 * 2)(*frame.shape)
        dcpl = self.call("H5Pcreate", self.identifier("H5P_CLS_DATASET_CREATE_ID_g"))
        self.call("H5Pset_chunk", dcpl, 2, (ctypes.c_uint64 * 2)(*chunk))
        self.call("H5Pset_filter", dcpl, h5bragg.FILTER_ID, 0, 16, words)
        space = self.call("H5Screate_simple", 2, size, None)
        file = self.call("H5Fcreate", str(path).encode(), 2, 0, 0)
        uint16 = self.identifier("H5T_STD_U16LE_g")
        dataset = self.call("H5Dcreate2", file, b"data", uint16, space, 0, dcpl, 0)
        if dataset >= 0:
            native = self.identifier("H5T_NATIVE_UINT16_g")
            assert self.call("H5Dwrite", dataset, native, 0, 0, 0, frame.ctypes) == 0
            self.call("H5Dclose", dataset)
        self.call("H5Fclose", file)
        return dataset


def test_two_hdf5_libraries_in_one_process_are_told_apart(tmp_path: Path) -> None:
    system = SystemHdf5()
    assert system.version() != h5py.h5.get_libversion()
    shape = (70, 90)
    frame = make_frames(1, shape, "u2", seed=5)[0]
    assert system.write(tmp_path / "good.h5", frame, shape) >= 0
    assert system.write(tmp_path / "bad.h5", frame, (70, 45)) < 0
    with h5py.File(tmp_path / "good.h5", "r") as file:
        stored = file["data"].id.read_direct_chunk((0, 0))
        assert stored == (0, h5bragg.encode(frame, make_geometry(shape)))
