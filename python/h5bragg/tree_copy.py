# SPDX-License-Identifier: MIT
"""Copy an HDF5 file's groups, attributes and small datasets, leaving chosen datasets out."""

from __future__ import annotations

from collections.abc import Callable

import h5py

from .hdf5_links import object_key

Replace = Callable[[h5py.Dataset, h5py.Group, str], bool]

# Object references into the old file mean nothing in the new one.
_REFERENCE_ATTRIBUTES = {"DIMENSION_LIST", "REFERENCE_LIST"}


def copy_tree(source: h5py.Group, target: h5py.Group, replace: Replace) -> None:
    """Copy everything below a group, linked files included, so the copy stands alone.

    Parameters
    ----------
    source : h5py.Group
        Group to copy from.
    target : h5py.Group
        Group of another file to copy into.
    replace : callable
        Called with each dataset, the target group and the name; returns True if it has dealt with
        the dataset, which then is not copied.
    """
    _Copier(replace).copy_group(source, target)


class _Copier:
    """One walk through a file, which remembers where each object went to keep hard links."""

    def __init__(self, replace: Replace) -> None:
        self._replace = replace
        self._copied: dict[tuple[str, int], str] = {}

    def copy_group(self, source: h5py.Group, target: h5py.Group) -> None:
        copy_attributes(source, target)
        for name in source:
            link = source.get(name, getlink=True)
            if isinstance(link, h5py.SoftLink):
                target[name] = h5py.SoftLink(link.path)
                continue
            try:
                item = source[name]
            except (KeyError, OSError, RuntimeError):
                continue  # a link to a file that is not there
            self._copy_item(item, target, name)

    def _copy_item(self, item: h5py.HLObject, target: h5py.Group, name: str) -> None:
        key = object_key(item)
        if key in self._copied:
            target[name] = h5py.SoftLink(self._copied[key])
            return
        self._copied[key] = f"{target.name.rstrip('/')}/{name}"
        if isinstance(item, h5py.Group):
            self.copy_group(item, target.create_group(name))
        elif not isinstance(item, h5py.Dataset) or not self._replace(item, target, name):
            item.file.copy(item, target, name=name)


def copy_attributes(source: h5py.HLObject, target: h5py.HLObject) -> None:
    """Copy attributes in their own types, leaving references out."""
    for name in source.attrs:
        if name in _REFERENCE_ATTRIBUTES:
            continue
        attribute = source.attrs.get_id(name)
        if h5py.check_ref_dtype(attribute.dtype) is None:
            target.attrs.create(name, source.attrs[name], dtype=attribute.dtype)
