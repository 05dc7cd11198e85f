# SPDX-License-Identifier: MIT
"""h5bragg peaks: from every kind of input, and what it refuses."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from input_files import Cli, assert_one_sentence, write_cbf, write_data, write_master, write_poni
from numpy.typing import NDArray

import h5bragg
from h5bragg import Geometry, PeakParams, Peaks, SparsifyParams, find_peaks, peak_plot
from h5bragg.peak_scan import PeakView
from h5bragg.peak_table import RESULT_PATH

SmallFrame = Callable[..., NDArray[np.integer]]
# Frames whose numbers of peaks differ.
NSPOTS = (30, 4, 60, 0)


@pytest.fixture
def stack(small_frame: SmallFrame) -> NDArray[np.int32]:
    """Frames with so many spots of 3 x 3 pixels."""
    random = np.random.default_rng(8)
    frames = np.stack([small_frame("int32", k) for k in range(len(NSPOTS))])
    for frame, nspots in zip(frames, NSPOTS, strict=True):
        for slow, fast in random.integers(4, (150, 190), (nspots, 2)):
            spot = frame[slow : slow + 3, fast : fast + 3]
            spot += np.where(spot >= 0, random.poisson([[9, 30, 9], [30, 90, 30], [9, 30, 9]]), 0)
    return frames


@pytest.fixture
def cbf_paths(tmp_path: Path, stack: NDArray[np.int32], small_geometry: Geometry) -> list[Path]:
    return [
        write_cbf(tmp_path / f"{k}.cbf", frame, small_geometry) for k, frame in enumerate(stack)
    ]


def assert_lists(path: Path, lists: list[Peaks]) -> None:
    """The file holds these peaks, one row a frame."""
    with h5py.File(path) as file:
        group = file[RESULT_PATH]
        assert group["nPeaks"][()].tolist() == [len(peaks) for peaks in lists]
        for row, peaks in enumerate(lists):
            for name, want in (
                ("peakXPosRaw", peaks.fast_px - 0.5),
                ("peakYPosRaw", peaks.slow_px - 0.5),
                ("peakTotalIntensity", peaks.intensity),
                ("peakSigma", peaks.sigma),
                ("peakSNR", peaks.snr),
                ("peakResolution", peaks.resolution_a),
            ):
                # Geometries do not come back to the last bit from a file.
                np.testing.assert_allclose(group[name][row, : len(peaks)], want, rtol=2e-6)


def lists_of(
    paths: list[Path], stack: NDArray[Any], wanted: PeakParams | None = None
) -> list[Peaks]:
    geometry = Geometry.from_file(paths[0])
    return [find_peaks(frame, geometry, peaks=wanted) for frame in stack]


@pytest.mark.parametrize("per_chunk", [1, 3])
def test_frames_and_compressed_frames_have_one_list(
    tmp_path: Path, cli: Cli, cbf_paths: list[Path], stack: NDArray[np.int32], per_chunk: int
) -> None:
    want = lists_of(cbf_paths, stack)
    total = sum(map(len, want))
    sparse = tmp_path / "sparse.h5"
    done = cli("compress", *cbf_paths, "-o", sparse, "--frames-per-chunk", per_chunk)
    assert done.status == 0
    for inputs, name in ((cbf_paths, "a.cxi"), ([sparse], "b.cxi")):
        found = cli("peaks", *inputs, "-o", tmp_path / name)
        assert (found.status, found.err) == (0, "")
        assert found.out == f"{tmp_path / name}: 4 frames, {total} peaks\n"
        assert_lists(tmp_path / name, want)


def test_hits_are_kept_and_other_frames_listed(
    tmp_path: Path, cli: Cli, cbf_paths: list[Path], stack: NDArray[np.int32]
) -> None:
    want = lists_of(cbf_paths, stack)
    hits = [0, 2]
    least = min(len(want[k]) for k in hits)
    assert max(len(want[k]) for k in (1, 3)) < least
    sparse, out = tmp_path / "sparse.h5", tmp_path / "hits.cxi"
    assert cli("compress", *cbf_paths, "-o", sparse).status == 0
    found = cli("peaks", sparse, "-o", out, "--min-peaks", least)
    total = sum(len(want[k]) for k in hits)
    assert found.out == (
        f"{out}: 4 frames, 2 with at least {least} peaks ({total} peaks), 2 left out\n"
    )
    assert_lists(out, [want[k] for k in hits])
    with h5py.File(out) as file, h5py.File(sparse) as images:
        group = file[RESULT_PATH]
        assert group["frame"][()].tolist() == hits
        assert group["left_out/frame"][()].tolist() == [1, 3]
        assert group["left_out/nPeaks"][()].tolist() == [len(want[1]), len(want[3])]
        shown = file["entry_1/data_1/data"]
        np.testing.assert_array_equal(shown[()], images["entry/data/data"][hits])


def test_frames_of_many_hdf5_files_are_shown_beside_their_peaks(
    tmp_path: Path, cli: Cli, stack: NDArray[np.int32], small_geometry: Geometry
) -> None:
    poni = write_poni(tmp_path / "d.poni", small_geometry)
    folder = tmp_path / "data"
    folder.mkdir()
    paths = [write_data(folder / f"{k}.h5", stack[2 * k : 2 * k + 2]) for k in range(2)]
    out = tmp_path / "peaks.cxi"
    found = cli("peaks", *paths, "-o", out, "--geometry", poni)
    assert (found.status, found.err) == (0, "")
    geometry = Geometry.from_file(poni)
    assert_lists(out, [find_peaks(frame, geometry) for frame in stack])
    with h5py.File(out) as file:
        np.testing.assert_array_equal(file["entry_1/data_1/data"][()], stack)
        assert [Path(name.decode()).name for name in file[RESULT_PATH]["input/file"]] == [
            "0.h5", "1.h5",
        ]  # fmt: skip
        assert file[RESULT_PATH]["input/nframes"][()].tolist() == [2, 2]


def test_stacks_of_modules(tmp_path: Path, cli: Cli, small_geometry: Geometry) -> None:
    frames = np.zeros((2, 160, 200), np.uint16)
    frames[:, 100:103, 50:53] = [[5, 20, 5], [20, 90, 20], [5, 20, 5]]
    poni = write_poni(tmp_path / "d.poni", small_geometry)
    path = write_data(tmp_path / "modules.h5", frames.reshape(2, 4, 40, 200))
    out = tmp_path / "peaks.cxi"
    found = cli("peaks", path, "-o", out, "--geometry", poni)
    assert (found.status, found.err) == (0, "")
    with h5py.File(out) as file:
        assert file["entry_1/data_1/data"].shape == (2, 4, 40, 200)
        assert file[RESULT_PATH]["peakYPosRaw"][:, 0].round(1).tolist() == [101, 101]
        assert file[RESULT_PATH]["peakXPosRaw"][:, 0].round(1).tolist() == [51, 51]


def test_pixels_of_the_pixel_mask_are_no_peaks(
    tmp_path: Path, cli: Cli, stack: NDArray[np.int32], small_geometry: Geometry
) -> None:
    mask = np.zeros(stack.shape[1:], np.uint32)
    mask[:80] = 8
    data = write_data(tmp_path / "data.h5", stack.astype("uint32"))
    master = write_master(tmp_path / "master.h5", [(data, 4)], small_geometry, mask=mask)
    sparse = tmp_path / "sparse.h5"
    assert cli("compress", master, "-o", sparse).status == 0
    for source in (master, sparse):
        out = tmp_path / f"{source.stem}.cxi"
        assert cli("peaks", source, "-o", out).status == 0
        with h5py.File(out) as file:
            group = file[RESULT_PATH]
            rows = [group["peakYPosRaw"][k, :n] for k, n in enumerate(group["nPeaks"][()].tolist())]
        assert min(row.min() for row in rows if len(row)) > 78
    with h5py.File(tmp_path / "master.cxi") as a, h5py.File(tmp_path / "sparse.cxi") as b:
        for name in ("nPeaks", "peakXPosRaw", "peakTotalIntensity"):
            np.testing.assert_array_equal(a[RESULT_PATH][name], b[RESULT_PATH][name])


def test_options_say_what_is_a_peak(
    tmp_path: Path, cli: Cli, cbf_paths: list[Path], stack: NDArray[np.int32]
) -> None:
    out = tmp_path / "peaks.cxi"
    options = ("--peak-snr", 3, "--peak-patch", 3, "--peak-connected", 1)
    assert cli("peaks", cbf_paths[0], "-o", out, *options).status == 0
    geometry = Geometry.from_file(cbf_paths[0])
    wanted = PeakParams(snr_pick=3, patch=3, connected=1)
    params = SparsifyParams(snr_pick=3, polarization=geometry.polarization)
    assert_lists(out, [find_peaks(stack[0], geometry, params, peaks=wanted)])
    with h5py.File(out) as file:
        assert dict(file[RESULT_PATH].attrs) == {
            "snr_pick": 3, "patch": 3, "connected": 1, "min_peaks": 0,
        }  # fmt: skip


def test_frames_that_hdf5_stored_raw_have_peaks(
    tmp_path: Path, cli: Cli, cbf_paths: list[Path], stack: NDArray[np.int32]
) -> None:
    sparse = tmp_path / "sparse.h5"
    assert cli("compress", *cbf_paths, "-o", sparse).status == 0
    with h5py.File(sparse, "a") as file:
        data = file["entry/data/data"]
        data.id.write_direct_chunk((2, 0, 0), stack[2].astype("<i4").tobytes(), filter_mask=1)
    assert cli("peaks", sparse, "-o", tmp_path / "a.cxi").status == 0
    assert_lists(tmp_path / "a.cxi", lists_of(cbf_paths, stack))


def test_frames_that_were_never_written_have_no_peaks(
    tmp_path: Path, cli: Cli, stack: NDArray[np.int32], small_geometry: Geometry
) -> None:
    path = tmp_path / "half.h5"
    with h5py.File(path, "w") as file:
        data = file.create_dataset(
            "entry/data/data", stack.shape, "int32", chunks=(1, *stack.shape[1:]),
            **h5bragg.Bragg(small_geometry),
        )  # fmt: skip
        data[0] = stack[0]
    assert cli("peaks", path, "-o", tmp_path / "a.cxi").status == 0
    with h5py.File(tmp_path / "a.cxi") as file:
        first = len(find_peaks(stack[0], small_geometry))
        assert file[RESULT_PATH]["nPeaks"][()].tolist() == [first, 0, 0, 0]


def test_bad_input_is_one_sentence(
    tmp_path: Path, cli: Cli, cbf_paths: list[Path], stack: NDArray[np.int32]
) -> None:
    out, sparse = tmp_path / "a.cxi", tmp_path / "sparse.h5"
    assert cli("compress", *cbf_paths, "-o", sparse).status == 0
    bare = write_data(tmp_path / "bare.h5", stack)
    for arguments, match in (
        ((tmp_path / "no.h5",), "no.h5 does not exist"),
        ((bare,), "no geometry in the input .* --geometry"),
        ((sparse, "--peak-snr", 3), "peaks of 3 sigma where 4 sigma are stored.*ask for"),
        ((sparse, "--peak-patch", 4), "patch=4 is not usable: give 3 or 5"),
        ((sparse, "--min-peaks", -1), "min-peaks"),
    ):
        assert_one_sentence(cli("peaks", *arguments, "-o", out), match)
        assert not out.exists()
    assert_one_sentence(cli("peaks", sparse, "-o", sparse, "--force"), "is an input")
    out.write_bytes(b"mine")
    assert_one_sentence(cli("peaks", sparse, "-o", out), "exists already")
    assert out.read_bytes() == b"mine"


def test_a_damaged_chunk_is_named(tmp_path: Path, cli: Cli, cbf_paths: list[Path]) -> None:
    sparse = tmp_path / "sparse.h5"
    assert cli("compress", *cbf_paths, "-o", sparse).status == 0
    with h5py.File(sparse, "a") as file:
        data = file["entry/data/data"]
        _, chunk = data.id.read_direct_chunk((1, 0, 0))
        data.id.write_direct_chunk((1, 0, 0), chunk[:-1] + bytes([chunk[-1] ^ 1]))
    found = cli("peaks", sparse, "-o", tmp_path / "a.cxi")
    assert_one_sentence(found, r"sparse\.h5 \(/entry/data/data\), frame 1: .*checksum")


@pytest.mark.parametrize("per_chunk", [1, 3])
def test_compress_puts_peaks_beside_the_images(
    tmp_path: Path, cli: Cli, cbf_paths: list[Path], stack: NDArray[np.int32], per_chunk: int
) -> None:
    want = lists_of(cbf_paths, stack)
    plain, out = tmp_path / "plain.h5", tmp_path / "peaks.h5"
    chunks = ("--frames-per-chunk", per_chunk)
    assert cli("compress", *cbf_paths, "-o", plain, *chunks).status == 0
    found = cli("compress", *cbf_paths, "-o", out, "--peaks", *chunks)
    assert (found.status, found.err) == (0, "")
    assert f", {sum(map(len, want))} peaks\n" in found.out
    assert_lists(out, want)
    with h5py.File(plain) as a, h5py.File(out) as b:
        names = [file["entry/data/data"].id for file in (a, b)]
        for k in range(names[0].get_num_chunks()):
            offset = (k * per_chunk, 0, 0)
            assert names[0].read_direct_chunk(offset) == names[1].read_direct_chunk(offset)


def test_compress_keeps_hits_and_their_angles(
    tmp_path: Path, cli: Cli, stack: NDArray[np.int32], small_geometry: Geometry
) -> None:
    paths = [
        write_cbf(tmp_path / f"{k}.cbf", frame, small_geometry, angle=0.5 * k)
        for k, frame in enumerate(stack)
    ]
    want, out, hits = lists_of(paths, stack), tmp_path / "hits.h5", [0, 2]
    found = cli("compress", *paths, "-o", out, "--min-peaks", min(len(want[k]) for k in hits))
    assert (found.status, found.err) == (0, "")
    total = sum(len(want[k]) for k in hits)
    assert re.search(rf": 2 frames, .*, {total} peaks; 2 frames left out$", found.out.strip())
    assert_lists(out, [want[k] for k in hits])
    with h5py.File(out) as file:
        assert file[RESULT_PATH]["left_out/frame"][()].tolist() == [1, 3]
        data = file["entry/data/data"]
        for row, k in enumerate(hits):
            chunk = data.id.read_direct_chunk((row, 0, 0))[1]
            assert chunk == h5bragg.encode(stack[k], Geometry.from_file(paths[0]))
        assert data.shape[0] == 2
        np.testing.assert_allclose(file["entry/sample/transformations/omega"], [0, 1])
    assert cli("info", out).status == 0


def test_hits_of_an_hdf5_scan_keep_its_angles(
    tmp_path: Path, cli: Cli, stack: NDArray[np.int32], small_geometry: Geometry
) -> None:
    data = write_data(tmp_path / "data.h5", stack.astype("uint32"))
    master = write_master(tmp_path / "master.h5", [(data, 4)], small_geometry, start=10)
    out = tmp_path / "hits.h5"
    assert cli("compress", master, "-o", out, "--min-peaks", 20).status == 0
    with h5py.File(out) as file:
        assert file["entry/data/data"].shape[0] == 2
        np.testing.assert_allclose(file["entry/sample/goniometer/omega"], [10, 10.2])
        np.testing.assert_allclose(file["entry/sample/goniometer/omega_end"], [10.1, 10.3])


def test_a_resumed_run_has_the_peaks_of_an_undisturbed_one(
    tmp_path: Path, cli: Cli, cbf_paths: list[Path]
) -> None:
    whole, out = tmp_path / "whole.h5", tmp_path / "out.h5"
    least = ("--min-peaks", 20)
    assert cli("compress", *cbf_paths, "-o", whole, *least).status == 0
    broken = cbf_paths[3].read_bytes()
    cbf_paths[3].write_bytes(broken[:2000])
    found = cli("compress", *cbf_paths, "-o", out, *least)
    assert found.status == 2
    assert "--resume" in found.err
    cbf_paths[3].write_bytes(broken)
    assert cli("compress", *cbf_paths, "-o", out, *least, "--resume").status == 0
    with h5py.File(whole) as a, h5py.File(out) as b:
        for name in ("nPeaks", "frame", "left_out/frame", "left_out/nPeaks", "peakSNR"):
            np.testing.assert_array_equal(a[RESULT_PATH][name], b[RESULT_PATH][name])
        np.testing.assert_array_equal(a["entry/data/data"], b["entry/data/data"])


def test_compress_refuses_what_does_not_go_together(
    tmp_path: Path, cli: Cli, cbf_paths: list[Path]
) -> None:
    out = tmp_path / "out.h5"
    for options, match in (
        (("--min-peaks", 5, "--frames-per-chunk", 2), "encode frames one by one"),
        (("--peak-snr", 5), "--peak-snr says what is a peak: add --peaks"),
        (("--peaks", "--peak-snr", 3), "peaks of 3 sigma where 4 sigma are stored"),
        (("--min-peaks", 5000), r"no frame has 5000 peaks: lower --min-peaks.*--resume"),
    ):
        assert_one_sentence(cli("compress", *cbf_paths, "-o", out, *options), match)
        assert not out.exists()


def test_peaks_that_the_input_had_are_replaced(
    tmp_path: Path, cli: Cli, stack: NDArray[np.int32], small_geometry: Geometry
) -> None:
    data = write_data(tmp_path / "data.h5", stack.astype("uint32"))
    master = write_master(tmp_path / "master.h5", [(data, 4)], small_geometry)
    with h5py.File(master, "a") as file:
        file[f"{RESULT_PATH}/nPeaks"] = [7, 7, 7, 7]
    out = tmp_path / "out.h5"
    assert cli("compress", master, "-o", out, "--peaks").status == 0
    with h5py.File(out) as file:
        assert file[RESULT_PATH]["nPeaks"][()].tolist() != [7, 7, 7, 7]


def test_plot_draws_the_frame_with_most_peaks(
    tmp_path: Path, cli: Cli, cbf_paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []
    real = peak_plot.draw_peaks

    def draw(view: PeakView, *, title: str) -> Any:
        figure = real(view, title=title)
        drawn.append((title, len(view.peaks), figure))
        return figure

    monkeypatch.setattr(peak_plot, "draw_peaks", draw)
    sparse, picture = tmp_path / "sparse.h5", tmp_path / "peaks.png"
    assert cli("compress", *cbf_paths, "-o", sparse).status == 0
    found = cli("peaks", sparse, "-o", tmp_path / "a.cxi", "--plot", picture)
    assert (found.status, found.err) == (0, "")
    assert picture.read_bytes().startswith(b"\x89PNG")
    title, count, figure = drawn[0]
    with h5py.File(tmp_path / "a.cxi") as file:
        assert title == "sparse.h5, frame 2"
        assert count == max(file[RESULT_PATH]["nPeaks"])
    whole, part, profile = figure.axes
    assert whole.get_title(loc="left") == f"{count} peaks"
    assert len(whole.lines[0].get_xdata()) == count
    assert 0 < len(part.lines[0].get_xdata()) < count
    assert len(part.texts) == len(part.lines[0].get_xdata())
    # Every peak's largest pixel is above the line of its ring.
    high, background, maxima = profile.lines
    line = np.interp(maxima.get_xdata(), high.get_xdata(), high.get_ydata())
    assert (maxima.get_ydata() > 0.9 * line).all()
    assert (high.get_ydata() > background.get_ydata()).all()


def test_plot_alone_writes_no_list_and_takes_any_frame(
    tmp_path: Path, cli: Cli, cbf_paths: list[Path]
) -> None:
    for name, frame in (("a.png", ()), ("b.svg", ("--frame", 3))):
        found = cli("peaks", *cbf_paths, "--plot", tmp_path / name, *frame)
        assert (found.status, found.out, found.err) == (0, "", "")
        assert (tmp_path / name).stat().st_size > 10_000
    assert_one_sentence(
        cli("peaks", *cbf_paths, "--plot", tmp_path / "c.png", "--frame", 4), "from 0 to 3"
    )
    assert_one_sentence(cli("peaks", *cbf_paths, "--plot", tmp_path / "c.xyz"), "no suffix of a")
    assert_one_sentence(cli("peaks", *cbf_paths), "give -o OUT.cxi, or --plot")
    assert not (tmp_path / "c.png").exists()
