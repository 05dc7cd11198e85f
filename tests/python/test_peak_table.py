# SPDX-License-Identifier: MIT
"""Peak lists in HDF5, read back as CrystFEL does."""

from dataclasses import fields
from pathlib import Path

import h5py
import numpy as np
import pytest

from h5bragg import PeakParams, Peaks
from h5bragg.peak_table import RESULT_PATH, PeakTable


def some_peaks(count: int, seed: int = 0) -> Peaks:
    random = np.random.default_rng(seed)
    return Peaks(**{field.name: random.random(count) * 90 + 1 for field in fields(Peaks)})


def crystfel_peaks(file: h5py.File, line: int) -> list[tuple[float, float, float]]:
    """What CrystFEL's --peaks=cxi reads of event //line: fast, slow, intensity.

    It takes the first nPeaks[line] entries of that row of each array, and adds half a pixel to
    both positions, which it counts from the corner of the first pixel.
    """
    group = file[RESULT_PATH]
    names = ("peakXPosRaw", "peakYPosRaw", "peakTotalIntensity")
    assert all(group[name].dtype == np.float32 for name in names)
    count = int(group["nPeaks"][line])
    x, y, intensity = (group[name][line, :count].astype(float) for name in names)
    return list(zip(x + 0.5, y + 0.5, intensity, strict=True))


@pytest.mark.parametrize("nframes", [1, 63, 64, 65, 150])
def test_rows_are_the_peaks_of_frames(tmp_path: Path, nframes: int) -> None:
    lists = [some_peaks(3 * k % 17, seed=k) for k in range(nframes)]
    with h5py.File(tmp_path / "a.cxi", "w") as file:
        table = PeakTable(file, PeakParams())
        assert all(table.add(peaks) for peaks in lists)
        table.close()
        assert table.npeaks == sum(map(len, lists))
    with h5py.File(tmp_path / "a.cxi") as file:
        for line, peaks in enumerate(lists):
            want = np.column_stack([peaks.fast_px, peaks.slow_px, peaks.intensity])
            found = np.reshape(crystfel_peaks(file, line), (-1, 3))
            np.testing.assert_allclose(found, want, rtol=1e-6)
        group = file[RESULT_PATH]
        assert group["frame"][()].tolist() == list(range(nframes))
        last = max(range(nframes), key=lambda k: len(lists[k]))
        count = len(lists[last])
        np.testing.assert_allclose(group["peakSNR"][last, :count], lists[last].snr, rtol=1e-6)
        np.testing.assert_allclose(
            group["peakResolution"][last, :count], lists[last].resolution_a, rtol=1e-6
        )
        assert group["peakResolution"].attrs["units"] == b"angstrom"
        assert not group["peakTotalIntensity"][0, len(lists[0]) :].any()


def test_frames_with_too_few_peaks_are_listed_and_left_out(tmp_path: Path) -> None:
    counts = [5, 2, 9, 0, 4, 5]
    with h5py.File(tmp_path / "a.cxi", "w") as file:
        table = PeakTable(file, PeakParams(snr_pick=6), min_peaks=5)
        assert [table.add(some_peaks(n)) for n in counts] == [n >= 5 for n in counts]
        table.close()
        group = file[RESULT_PATH]
        assert group["nPeaks"][()].tolist() == [5, 9, 5]
        assert group["frame"][()].tolist() == [0, 2, 5]
        assert group["left_out/frame"][()].tolist() == [1, 3, 4]
        assert group["left_out/nPeaks"][()].tolist() == [2, 0, 4]
        assert dict(group.attrs) == {"snr_pick": 6, "patch": 5, "connected": 2, "min_peaks": 5}
        assert group["peakXPosRaw"].shape == (3, 9)


def test_no_frames_and_no_peaks_are_tables_too(tmp_path: Path) -> None:
    for name, lists in (("none", []), ("empty", [some_peaks(0)] * 2)):
        with h5py.File(tmp_path / f"{name}.cxi", "w") as file:
            table = PeakTable(file, PeakParams())
            for peaks in lists:
                table.add(peaks)
            table.close()
            assert file[RESULT_PATH]["nPeaks"].shape == (len(lists),)
            assert file[RESULT_PATH]["peakXPosRaw"].shape == (len(lists), 1)
