# SPDX-License-Identifier: MIT
"""Input frames of HDF5 files: Eiger and NXmx masters, data files, virtual datasets."""

from __future__ import annotations

import re
from bisect import bisect_right
from itertools import accumulate
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from .experiment import Experiment
from .frame_source import Frame, InputError, as_stored, stored_dtype
from .geometry.nexus_fields import child_groups, find_dataset
from .geometry.stack_shape import flat_shape
from .hdf5_links import external_files, missing_file
from .hdf5_open import open_hdf5
from .raw_chunks import RawChunks
from .rotation_axis import RotationAxis, find_rotation
from .virtual_chunks import VirtualChunks

# A frame, frames, and frames of modules.
_RANKS = (2, 3, 4)
_NUMBERED = re.compile(r"data_\d+$")


class Hdf5Source:
    """Frames of one HDF5 file: one dataset, or the data_000001, data_000002, ... of a master.

    Parameters
    ----------
    path : Path
    dataset : str or None
        Path of the dataset in the file; None searches the places where NeXus and Eiger files
        keep their frames.

    Raises
    ------
    InputError
        The file cannot be read, is being written, has no frames, or lacks a linked file or a
        compression filter.
    """

    def __init__(self, path: Path, dataset: str | None = None) -> None:
        self.path = path
        self.file = open_hdf5(path)
        try:
            self.datasets = self._find_datasets(dataset)
            self._check_alike()
        except BaseException:
            self.file.close()
            raise
        self.stack_shape = _stack_shape(self.datasets[0])
        self.shape = flat_shape(self.stack_shape)
        self.dtype = stored_dtype(self.datasets[0].dtype, f"{path} ({self.datasets[0].name})")
        self._raw = [RawChunks.of(data) or VirtualChunks.of(data) for data in self.datasets]
        self._ends = list(accumulate(_count(data) for data in self.datasets))
        self.nframes = self._ends[-1]
        self.rotation: RotationAxis | None = find_rotation(self.file, self.nframes)

    @property
    def files(self) -> tuple[Path, ...]:
        """The file and those that its frames are linked from."""
        return (self.path, *external_files(self.datasets))

    @property
    def dataset_names(self) -> tuple[str, ...]:
        """Names of the datasets, each in the file that it is in."""
        return tuple(str(data.name) for data in self.datasets)

    @property
    def experiment(self) -> Experiment:
        """Nothing: the metadata of an HDF5 file is copied as it is (nxmx_file.py)."""
        return Experiment()

    @property
    def pixel_mask(self) -> NDArray[np.uint32] | None:
        """Bits of the detector's pixel_mask, shape (slow, fast); None without one."""
        for entry in child_groups(self.file, "NXentry", "entry"):
            for instrument in child_groups(entry, "NXinstrument", "instrument"):
                for detector in child_groups(instrument, "NXdetector", "detector"):
                    found = find_dataset(detector, "pixel_mask", "detectorSpecific/pixel_mask")
                    if found is not None and found.shape == self.stack_shape:
                        mask: NDArray[np.uint32] = found[()].astype(np.uint32)
                        return mask.reshape(self.shape)
        return None

    def locate(self, index: int) -> tuple[h5py.Dataset, int]:
        """Return the dataset that holds a frame, and the frame's number in it."""
        which, local = self._place(index)
        return self.datasets[which], local

    def _place(self, index: int) -> tuple[int, int]:
        which = bisect_right(self._ends, index)
        return which, index - (self._ends[which - 1] if which else 0)

    def read(self, index: int) -> Frame:
        """Read one frame.

        Parameters
        ----------
        index : int
            From 0 to nframes - 1.

        Raises
        ------
        InputError
            The frame is damaged, or a value does not fit the stored type.
        """
        which, local = self._place(index)
        data, raw = self.datasets[which], self._raw[which]
        where = f"{self.path} ({data.name}, frame {local})"
        try:
            pixels = raw.read(local) if raw else None
            if pixels is None:
                pixels = data[()] if data.ndim == 2 else data[local]
        except (OSError, RuntimeError, ValueError) as error:
            raise InputError(f"{where} cannot be read ({_first_line(error)})") from error
        angle, width = self.rotation.frame(index) if self.rotation else (None, None)
        return Frame(as_stored(pixels.reshape(self.shape), self.dtype, where), angle, width)

    def close(self) -> None:
        """Close the file and those that its frames are linked from."""
        for raw in self._raw:
            if isinstance(raw, VirtualChunks):
                raw.close()
        for data in self.datasets:
            if data:  # False once its file is closed
                data.file.close()
        self.file.close()

    def _find_datasets(self, name: str | None) -> list[h5py.Dataset]:
        """Return the datasets that hold the frames, in order."""
        if name is not None:
            found = find_dataset(self.file, name)
            if found is None:
                raise InputError(f"{self.path} has no dataset {name}: name one that it has")
            return [found]
        for entry in child_groups(self.file, "NXentry", "entry"):
            groups = list(child_groups(entry, "NXdata", "data"))
            for instrument in child_groups(entry, "NXinstrument", "instrument"):
                groups += child_groups(instrument, "NXdetector", "detector")
            for group in groups:
                datasets = self._frames_in_group(group)
                if datasets:
                    return datasets
        return [self._only_stack()]

    def _frames_in_group(self, group: h5py.Group) -> list[h5py.Dataset]:
        """Return `data`, or all of data_000001, data_000002, ..., of a group; else nothing."""
        data = find_dataset(group, "data")
        if data is not None and data.ndim in _RANKS:
            return [data]
        names = sorted(name for name in group if _NUMBERED.match(name))
        for name in names:
            if find_dataset(group, name) is None:
                link = group.get(name, getlink=True)
                target = getattr(link, "filename", "another place")
                if (self.path.parent / target).is_file():
                    open_hdf5(self.path.parent / target).close()  # its error says more
                raise InputError(
                    f"{self.path} links {group.name}/{name} to {target}, which is missing or "
                    "unreadable: put the data files beside the master"
                )
        return [group[name] for name in names]

    def _only_stack(self) -> h5py.Dataset:
        """Return the file's one integer dataset that can be frames."""
        stacks: list[str] = []

        def visit(name: str, item: h5py.HLObject) -> None:
            if isinstance(item, h5py.Dataset) and item.ndim in _RANKS and min(item.shape) > 0:
                stacks.append(name)

        self.file.visititems(visit)
        cubes = [name for name in stacks if self.file[name].ndim > 2] or stacks
        if len(cubes) == 1:
            return self.file[cubes[0]]
        if not cubes:
            raise InputError(f"{self.path} holds no frames: give a file with a 3-D dataset")
        raise InputError(
            f"{self.path} holds {len(cubes)} datasets that may be frames "
            f"({', '.join(cubes[:4])}): choose one with --dataset"
        )

    def _check_alike(self) -> None:
        """Check that every dataset can be read and that all have one frame shape and type."""
        first = self.datasets[0]
        for data in self.datasets:
            where = f"{self.path} ({data.name})"
            if data.ndim not in _RANKS or not data.size:
                raise InputError(
                    f"{where} has shape {data.shape}: (frame, slow, fast) is needed, or "
                    "(frame, module, slow, fast)"
                )
            if (_stack_shape(data), data.dtype) != (_stack_shape(first), first.dtype):
                raise InputError(
                    f"{where} differs from {first.name} in frame shape or pixel type: "
                    "compress them to separate files"
                )
            missing = missing_file(data)
            if missing is not None:
                raise InputError(
                    f"{where} is a virtual dataset of {missing}, which is missing: put the data "
                    "files beside the master"
                )
            _check_filters(data, where)


def _count(data: h5py.Dataset) -> int:
    return 1 if data.ndim == 2 else int(data.shape[0])


def _stack_shape(data: h5py.Dataset) -> tuple[int, ...]:
    """Return the shape of the data of one frame: (slow, fast), or (module, slow, fast)."""
    shape: tuple[int, ...] = data.shape
    return shape if data.ndim == 2 else shape[1:]


def _check_filters(data: h5py.Dataset, where: str) -> None:
    """Refuse a dataset whose compression filter this process cannot load."""
    plist: Any = data.id.get_create_plist()
    for i in range(plist.get_nfilters()):
        number, _, _, name = plist.get_filter(i)
        if not h5py.h5z.filter_avail(number):
            label = name.decode("utf-8", "replace").split("\0")[0]
            raise InputError(
                f"{where} is compressed by HDF5 filter {number} ({label}), which is not "
                "installed: point HDF5_PLUGIN_PATH to its plugin"
            )


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
