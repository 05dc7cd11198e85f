# SPDX-License-Identifier: MIT
"""One process with many threads, several HDF5 libraries or forked children; many processes."""

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest
from hdf5_hosts import Sample, decode_sample, host_environment, make_frames, make_geometry, run_host
from installed_library import EXAMPLES

import h5bragg

NAME = "entry/data/data"


def test_threads_that_read_through_one_library(make_sample: Callable[..., Sample]) -> None:
    """With read_frames, by plain reads through HDF5, and without HDF5."""
    sample = make_sample("u2", count=12)
    expected = decode_sample(sample)
    with h5py.File(sample.path, "r") as file:
        data = file[sample.name]
        chunks = [data.id.read_direct_chunk((k, 0, 0))[1] for k in range(12)]

        def read(number: int) -> np.ndarray:
            if number % 3 == 0:
                return h5bragg.read_frames(data, threads=2)
            if number % 3 == 1:
                return np.stack([data[k] for k in range(12)])
            return np.stack([h5bragg.decode(chunk) for chunk in chunks])

        with ThreadPoolExecutor(6) as pool:
            for frames in pool.map(read, range(36)):
                np.testing.assert_array_equal(frames, expected)


THREE_LIBRARIES = """
import sys, threading
import h5py, netCDF4, numpy, tables
path, out = sys.argv[1:]
versions = {h5py.version.hdf5_version, netCDF4.__hdf5libversion__, tables.hdf5_version}

def read_h5py():
    with h5py.File(path) as file:
        return file["entry/data/data"][...]

def read_netcdf():
    with netCDF4.Dataset(path) as file:
        variable = file["entry/data"].variables["data"]
        variable.set_auto_maskandscale(False)
        return variable[:]

def read_tables():
    with tables.open_file(path) as file:
        return file.get_node("/entry/data/data")[:]

results, errors = [], []
def work(read):
    try:
        for _ in range(15):
            results.append(numpy.asarray(read()))
    except Exception as error:
        errors.append(repr(error))

threads = [threading.Thread(target=work, args=(read,))
           for read in (read_h5py, read_netcdf, read_tables)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert not errors, errors
assert len(results) == 45
assert all((frames == results[0]).all() for frames in results)
with open("/proc/self/maps") as maps:
    files = {line.split()[-1] for line in maps if "libhdf5-" in line or "libhdf5." in line}
print(len(files), len({line for line in open("/proc/self/maps") if "libh5bragg" in line}) > 0)
numpy.save(out, results[0])
"""


@pytest.mark.slow
def test_threads_that_read_through_three_libraries(
    readers_python: str, make_sample: Callable[..., Sample], tmp_path: Path
) -> None:
    """Each loads the plugin: one copy of it serves all, at the same time."""
    sample = make_sample("u2", count=4)
    out = tmp_path / "out.npy"
    done = run_host(readers_python, "-c", THREE_LIBRARIES, sample.path, out)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "3 True\n"
    np.testing.assert_array_equal(np.load(out), decode_sample(sample))


# Reads as examples/follow.py does, and tells the lengths that it saw and a hash of each frame.
FOLLOWER = """
import hashlib, json, runpy, sys
follow = runpy.run_path(sys.argv[1])
lengths, hashes = [], []
print("ready", flush=True)
with follow["open_growing"](sys.argv[2], timeout_s=60) as file:
    data = file["entry/data/data"]
    for numbers in follow["new_frames"](data, timeout_s=60):
        lengths.append(numbers.stop)
        hashes += [hashlib.sha256(data[number].tobytes()).hexdigest() for number in numbers]
        if numbers.stop == int(sys.argv[3]):
            break
print(json.dumps([lengths, hashes]))
"""


@pytest.mark.slow
def test_processes_that_read_while_a_frame_writer_writes(
    system_python: str, tmp_path: Path
) -> None:
    """Through two HDF5 libraries: what FrameWriter.flush has written is whole when it is seen."""
    path, beside = tmp_path / "scan.h5", tmp_path / "scan.h5.new"
    shape, nframes = (211, 187), 40
    geometry = make_geometry(shape)
    frames = make_frames(nframes, shape, "u2", seed=5)
    readers = [
        subprocess.Popen(
            [python, "-c", FOLLOWER, str(EXAMPLES / "follow.py"), str(path), str(nframes)],
            env=host_environment(),
            stdout=subprocess.PIPE,
            text=True,
        )
        for python in (sys.executable, system_python)
    ]
    for reader in readers:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "ready\n"
    with h5py.File(beside, "w", libver=("v110", "v110")) as file:
        data = file.create_dataset(
            NAME,
            shape=(0, *shape),
            maxshape=(None, *shape),
            dtype="u2",
            chunks=(1, *shape),
            **h5bragg.Bragg(geometry),
        )
        file.swmr_mode = True
        beside.rename(path)
        with h5bragg.FrameWriter(data, geometry, device="cpu", threads=2) as writer:
            for number, frame in enumerate(frames):
                writer.write(frame)
                if number % 4 == 3:
                    writer.flush()
                    time.sleep(0.2)
    decoded = [h5bragg.decode(h5bragg.encode(frame, geometry)) for frame in frames]
    expected = [hashlib.sha256(frame.tobytes()).hexdigest() for frame in decoded]
    for reader in readers:
        lengths, hashes = json.loads(reader.communicate(timeout=120)[0])
        assert reader.returncode == 0
        assert hashes == expected
        assert len(lengths) >= 3


# Children that wait for a lock which a thread of the parent held are ended by their alarm.
FORKS = """
import os, signal, sys, tempfile, threading
import h5py, h5bragg, numpy as np
path = sys.argv[1]
with h5py.File(path) as file:
    expected = file["entry/data/data"][...]
    chunks = [file["entry/data/data"].id.read_direct_chunk((k, 0, 0))[1] for k in range(3)]
shapes = [(64 + 4 * k, 80) for k in range(6)]
geometries = [h5bragg.Geometry.flat(shape=shape, pixel_size_m=1e-4, distance_m=0.1,
                                    beam_center_px=(30, 40), wavelength_m=1e-10)
              for shape in shapes]
frames = [np.random.default_rng(k).poisson(3, shape).astype("u2")
          for k, shape in enumerate(shapes)]

def use_everything():
    # A new file each time: a child has its parent's lock on one that was open at the fork.
    with tempfile.TemporaryDirectory() as folder:
        write_new(os.path.join(folder, "new.h5"))
    with h5py.File(path) as file:
        assert (h5bragg.read_frames(file["entry/data/data"], threads=2) == expected).all()
        assert (file["entry/data/data"][...] == expected).all()
    for chunk, frame in zip(chunks, expected):
        assert (h5bragg.decode(chunk) == frame).all()
    for geometry, frame in zip(geometries, frames):
        h5bragg.decode(h5bragg.encode(frame, geometry))

def write_new(new):
    with h5py.File(new, "w") as file:
        data = file.create_dataset("data", (4, *shapes[0]), "u2", chunks=(1, *shapes[0]),
                                   **h5bragg.Bragg(geometries[0]))
        with h5bragg.FrameWriter(data, geometries[0], device="cpu", threads=2) as writer:
            writer.write(np.stack([frames[0]] * 4))

use_everything()  # what Python itself does once under a lock is done
is_over = threading.Event()
def work():
    while not is_over.is_set():
        use_everything()

threads = [threading.Thread(target=work) for _ in range(2)]
for thread in threads:
    thread.start()
statuses = []
for number in range(int(sys.argv[2])):
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        status = 1
        try:
            use_everything()
            status = 0
        finally:
            os._exit(status)
    statuses.append(os.waitpid(child, 0)[1])
is_over.set()
for thread in threads:
    thread.join()
assert not any(statuses), statuses
"""


def test_children_of_a_process_with_busy_threads(make_sample: Callable[..., Sample]) -> None:
    sample = make_sample("u2")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKS, str(sample.path), "12"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
