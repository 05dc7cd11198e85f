# SPDX-License-Identifier: MIT
"""Peak lists in HDF5, as CXI files have them and CrystFEL reads them with ``--peaks=cxi``."""

from __future__ import annotations

from dataclasses import asdict

import h5py
import numpy as np
from numpy.typing import NDArray

from .peaks import NO_PEAKS, PeakParams, Peaks

RESULT_PATH = "/entry_1/result_1"
# Positions in the file are numbers of pixels: that of the centre of the first one is 0.
_CENTRE_PX = 0.5
_ROWS_AT_ONCE = 64
_CHUNK = (_ROWS_AT_ONCE, 64)
_UNITS = {"peakResolution": "angstrom", "peakRadius": "m", "peakXPosRaw": "pixel",
          "peakYPosRaw": "pixel"}  # fmt: skip


def _columns(peaks: Peaks) -> dict[str, NDArray[np.floating]]:
    """Return what is written of a frame's peaks, by the names in the file."""
    return {
        "peakXPosRaw": peaks.fast_px - _CENTRE_PX,
        "peakYPosRaw": peaks.slow_px - _CENTRE_PX,
        "peakTotalIntensity": peaks.intensity,
        "peakSigma": peaks.sigma,
        "peakSNR": peaks.snr,
        "peakResolution": peaks.resolution_a,
        "peakRadius": peaks.radius_m,
        "peakMaximumValue": peaks.maximum.astype(float),
        "peakNPixels": peaks.npixels.astype(float),
    }


class PeakTable:
    """Peak lists of frames on their way into a file: datasets in ``/entry_1/result_1``.

    ``nPeaks`` has the number of peaks of every frame.  The others, ``peakXPosRaw`` (fast),
    ``peakYPosRaw`` (slow), ``peakTotalIntensity``, ``peakSigma``, ``peakSNR``, ``peakResolution``,
    ``peakRadius``, ``peakMaximumValue`` and ``peakNPixels``, have a row a frame, zeros behind the
    last peak, float32.  ``frame`` has the number of each frame in the input, and the group
    ``left_out`` has ``frame`` and ``nPeaks`` of frames with fewer than `min_peaks` peaks.

    Parameters
    ----------
    file : h5py.File
        The output.
    wanted : PeakParams
        What is a peak; written as attributes.
    min_peaks : int
        Frames with fewer peaks are left out.

    Examples
    --------
    >>> import h5bragg, h5py, numpy as np
    >>> geometry = h5bragg.Geometry.flat(shape=(64, 80), pixel_size_m=1e-4, distance_m=0.1,
    ...                                  beam_center_px=(30, 40), wavelength_m=1e-10)
    >>> peaks = h5bragg.find_peaks(np.zeros((64, 80), "uint16"), geometry)
    >>> with h5py.File("peaks.cxi", "w", driver="core", backing_store=False) as file:
    ...     table = PeakTable(file, h5bragg.PeakParams())
    ...     _ = table.add(peaks)
    ...     table.close()
    ...     file["entry_1/result_1/nPeaks"][()]
    array([0], dtype=int32)
    """

    def __init__(self, file: h5py.File, wanted: PeakParams, *, min_peaks: int = 0) -> None:
        self.min_peaks = min_peaks
        self.nframes = self.nhits = self.npeaks = 0
        self.richest, self._most = 0, 0
        self._hits: list[int] = []
        self._counts: list[int] = []
        self._left_out: list[tuple[int, int]] = []
        self._waiting: list[Peaks] = []
        self._nwritten = self._width = 0
        if RESULT_PATH in file:  # what the input had found
            del file[RESULT_PATH]
        self._group = file.create_group(RESULT_PATH)
        self._group.attrs.update({**asdict(wanted), "min_peaks": min_peaks})

    @property
    def hits(self) -> NDArray[np.intp]:
        """Numbers of the frames that are in the table."""
        return np.array(self._hits, np.intp)

    def add(self, peaks: Peaks) -> bool:
        """Add the peaks of the next frame; return whether it is a hit."""
        number = self.nframes
        self.nframes += 1
        if len(peaks) > self._most:
            self.richest, self._most = number, len(peaks)
        if len(peaks) < self.min_peaks:
            self._left_out.append((number, len(peaks)))
            return False
        self._hits.append(number)
        self._counts.append(len(peaks))
        self._waiting.append(peaks)
        self.nhits += 1
        self.npeaks += len(peaks)
        if len(self._waiting) == _ROWS_AT_ONCE:
            self._write_rows()
        return True

    def close(self) -> None:
        """Write what is left."""
        self._write_rows()
        self._group["nPeaks"] = np.array(self._counts, np.int32)
        self._group["frame"] = np.array(self._hits, np.int64)
        left_out = self._group.create_group("left_out")
        table = np.array(self._left_out, np.int64).reshape(-1, 2)
        left_out["frame"] = table[:, 0]
        left_out["nPeaks"] = table[:, 1].astype(np.int32)

    def _write_rows(self) -> None:
        """Write the rows that wait; the datasets grow as far as they must."""
        end = self._nwritten + len(self._waiting)
        self._width = max(self._width, 1, *map(len, self._waiting))
        empty = np.zeros((len(self._waiting), self._width), np.float32)
        rows = {name: empty.copy() for name in _columns(NO_PEAKS)}
        for row, peaks in enumerate(self._waiting):
            for name, values in _columns(peaks).items():
                rows[name][row, : len(peaks)] = values
        for name, values in rows.items():
            data = self._dataset(name)
            data.resize((end, self._width))
            data[self._nwritten : end] = values
        self._nwritten, self._waiting = end, []

    def _dataset(self, name: str) -> h5py.Dataset:
        if name in self._group:
            return self._group[name]
        data = self._group.create_dataset(
            name, shape=(0, 1), dtype="float32", maxshape=(None, None), chunks=_CHUNK,
            compression="gzip", shuffle=True,
        )  # fmt: skip
        if name in _UNITS:
            data.attrs["units"] = np.bytes_(_UNITS[name])
        return data
