# SPDX-License-Identifier: MIT
"""Arguments out of range, of every public function: an error of h5bragg with one sentence."""

import os
from collections.abc import Callable
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import h5bragg
from h5bragg import H5braggError, SparsifyParams

IN_CI = bool(os.environ.get("CI"))
SETTINGS = settings(max_examples=400 if IN_CI else 60, derandomize=IN_CI, deadline=None)
SHAPE = (24, 36)
GEOMETRY = h5bragg.Geometry.flat(
    shape=SHAPE,
    pixel_size_m=1e-4,
    distance_m=0.05,
    beam_center_px=(10, 20),
    wavelength_m=1e-10,
)
FRAME = np.random.default_rng(1).poisson(2, SHAPE).astype("u2")
CHUNK = h5bragg.encode(FRAME, GEOMETRY)
FIELDS = [field.name for field in fields(SparsifyParams)]
GEOMETRY_FIELDS = (
    "shape", "pixel_size_m", "distance_m", "beam_center_px", "wavelength_m", "rotations_rad",
    "mask", "polarization",
)  # fmt: skip

numbers = st.integers(-(2**70), 2**70) | st.floats() | st.sampled_from([0, 1, 4, 127, 255, 256])
scalars = numbers | st.text(max_size=4) | st.none() | st.booleans() | st.complex_numbers()
junk = scalars | st.lists(scalars, max_size=3) | st.binary(max_size=4)
dtypes = st.sampled_from(
    ["u1", ">u2", "<u4", "i2", ">i4", "i1", "u8", "f4", "c8", "?", "S3", "O", "M8[s]"]
)


def named(function: Callable[[], Any], *others: type[Exception]) -> Any:
    """What a function returns, or the sentence of h5bragg's own error; others are expected too."""
    try:
        return function()
    except H5braggError as error:
        sentence = str(error)
    except others:
        return None
    assert sentence
    assert "\n" not in sentence
    return None


@given(st.dictionaries(st.sampled_from(FIELDS), junk, min_size=1, max_size=3))
@SETTINGS
def test_parameters(given_fields: dict[str, Any]) -> None:
    params = named(lambda: SparsifyParams(**given_fields))
    if params is not None:
        named(lambda: h5bragg.Bragg(GEOMETRY, params))
        chunk = named(lambda: h5bragg.encode(FRAME, GEOMETRY, params))
        assert chunk is None or h5bragg.decode(chunk).shape == SHAPE


@given(st.dictionaries(st.sampled_from(GEOMETRY_FIELDS), junk, min_size=1, max_size=2))
@SETTINGS
def test_geometry(given_fields: dict[str, Any]) -> None:
    good: dict[str, Any] = {
        "shape": SHAPE,
        "pixel_size_m": 1e-4,
        "distance_m": 0.05,
        "beam_center_px": (10, 20),
        "wavelength_m": 1e-10,
    }
    geometry = named(lambda: h5bragg.Geometry.flat(**{**good, **given_fields}))
    if geometry is not None:
        named(lambda: h5bragg.Bragg(geometry))
        named(lambda: h5bragg.encode(FRAME, geometry))


@given(
    dtype=dtypes,
    shape=st.lists(st.sampled_from([0, 1, 2, *SHAPE]), max_size=4) | st.just([1, *SHAPE]),
)
@SETTINGS
def test_frames(dtype: str, shape: list[int]) -> None:
    chunk = named(lambda: h5bragg.encode(np.zeros(shape, dtype), GEOMETRY))
    assert chunk is None or h5bragg.decode(chunk).size == np.prod(shape)


@given(
    dtype=dtypes,
    shape=st.lists(st.sampled_from([0, 1, 2, *SHAPE]), max_size=4) | st.just([*SHAPE]),
)
@SETTINGS
def test_frames_of_background_and_find_peaks(dtype: str, shape: list[int]) -> None:
    frame = np.zeros(shape, dtype)
    named(lambda: h5bragg.background(frame, GEOMETRY))
    named(lambda: h5bragg.find_peaks(frame, GEOMETRY))


@given(st.dictionaries(st.sampled_from(["snr_pick", "patch", "connected"]), junk, min_size=1))
@SETTINGS
def test_parameters_of_find_peaks(given_fields: dict[str, Any]) -> None:
    params = named(lambda: h5bragg.PeakParams(**given_fields))
    if params is not None:
        for source in (FRAME, CHUNK):
            named(partial(h5bragg.find_peaks, source, GEOMETRY, peaks=params))


@given(frame=junk)
@SETTINGS
def test_frame_numbers_of_find_peaks(frame: Any) -> None:
    named(lambda: h5bragg.find_peaks(CHUNK, frame=frame))


@given(
    slow=st.tuples(numbers, numbers) | junk,
    fast=st.tuples(numbers, numbers) | junk,
    vectors=st.tuples(*[st.tuples(numbers, numbers, numbers)] * 3) | st.tuples(junk, junk, junk),
    shape=st.tuples(numbers, numbers) | junk,
)
@SETTINGS
def test_panels(slow: Any, fast: Any, vectors: Any, shape: Any) -> None:
    panel = named(lambda: h5bragg.Panel(slow, fast, *vectors))
    good = GEOMETRY.panels[0]
    named(lambda: h5bragg.Panel(slow, good.fast, good.origin_m, good.slow_m, good.fast_m))
    named(lambda: h5bragg.Panel(good.slow, good.fast, *vectors))
    named(lambda: h5bragg.Geometry.from_panels([good], shape=shape, wavelength_m=1e-10))
    if panel is not None:
        named(lambda: h5bragg.Geometry.from_panels([panel], shape=SHAPE, wavelength_m=1e-10))


@given(chunk=st.binary(max_size=80).map(lambda tail: CHUNK[: len(CHUNK) - len(tail)] + tail) | junk)
@SETTINGS
def test_chunks(chunk: Any) -> None:
    for function in (h5bragg.decode, h5bragg.inspect, h5bragg.unpack, h5bragg.find_peaks):
        assert chunk == CHUNK or named(partial(function, chunk)) is None


@given(fill=junk, frame=junk, max_nbytes=numbers)
@SETTINGS
def test_options_of_decode(fill: Any, frame: Any, max_nbytes: Any) -> None:
    assert named(lambda: h5bragg.decode(CHUNK, fill=fill)) is None
    named(lambda: h5bragg.unpack(CHUNK, frame))
    named(lambda: h5bragg.decode(CHUNK, max_nbytes=max_nbytes))


@given(
    dtype=dtypes,
    shape=st.lists(st.sampled_from([0, 1, *SHAPE]), max_size=3) | st.just(list(SHAPE)),
    order=st.sampled_from("CF"),
    writeable=st.booleans(),
)
@SETTINGS
def test_room_for_decode(dtype: str, shape: list[int], order: str, writeable: bool) -> None:
    out = np.zeros(shape, dtype, order=order)  # type: ignore[call-overload]
    out.flags.writeable = writeable
    found = named(lambda: h5bragg.decode(CHUNK, out=out))
    assert found is None or (found is out and out.dtype == "u2")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path: Path = tmp_path_factory.mktemp("frames") / "frames.h5"
    with h5py.File(path, "w") as file:
        yield file.create_dataset(
            "data",
            data=np.stack([FRAME] * 3),
            chunks=(1, *SHAPE),
            **h5bragg.Bragg(GEOMETRY),
        )


@given(selection=junk, threads=st.integers(-3, 3) | st.none())
@SETTINGS
def test_selections_of_read_frames(dataset: h5py.Dataset, selection: Any, threads: Any) -> None:
    """NumPy's own errors for what selects nothing: those are what users of arrays know."""
    named(
        lambda: h5bragg.read_frames(dataset, selection, threads=threads),
        IndexError,
    )
