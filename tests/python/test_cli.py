# SPDX-License-Identifier: MIT
"""The command line: the main job, what it prints, and every kind of bad input."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fabio
import h5py
import numpy as np
import pytest
from input_files import Cli, assert_one_sentence, write_cbf, write_data, write_master, write_poni
from numpy.typing import NDArray

import h5bragg
from h5bragg import Geometry, SparsifyParams

SmallFrame = Callable[..., NDArray[np.integer]]


@pytest.fixture
def cbf_paths(tmp_path: Path, small_frame: SmallFrame, small_geometry: Geometry) -> list[Path]:
    folder = tmp_path / "in"
    folder.mkdir()
    return [
        write_cbf(folder / f"{i}.cbf", small_frame("int32", i), small_geometry) for i in range(3)
    ]


@pytest.fixture
def sparse_path(tmp_path: Path, cli: Cli, cbf_paths: list[Path]) -> Path:
    path = tmp_path / "sparse.h5"
    assert cli("compress", *cbf_paths, "-o", path).status == 0
    return path


def test_compress_info_compare_and_densify(
    tmp_path: Path, cli: Cli, cbf_paths: list[Path], sparse_path: Path
) -> None:
    found = cli("info", sparse_path)
    assert (found.status, found.err) == (0, "")
    assert "/entry/data/data: 3 x 160 x 200 int32" in found.out
    assert "H5Z-BRAGG" in found.out
    assert re.search(r"frames +3 sparse, 0 lossless, 0 stored raw", found.out)
    assert "snr_pick 4, error model poisson, polarization 0.98" in found.out
    assert "local counts 4 (step 1.5, " in found.out
    assert "160 x 200 pixels of 100 x 120 um, 1 panel, distance 0.05 m" in found.out
    assert "pixel_mask" not in found.out

    picture = tmp_path / "plot.png"
    page = tmp_path / "report.html"
    found = cli("compare", *cbf_paths, sparse_path, "--plot", picture, "--report", page)
    assert (found.status, found.err) == (0, "")
    for words in (
        "0 differ",
        "0 above their threshold",
        "times smaller than bitshuffle-LZ4",
        "z =",
        "in the raw frames",
        "found again",
        "restored / raw",
        "resolution, A",
    ):
        assert words in found.out
    assert "the background agrees within" in "".join(found.out.splitlines()[-2:])
    assert "against raw frames</title>" in page.read_text(encoding="utf-8")
    assert picture.read_bytes().startswith(b"\x89PNG")

    dense = tmp_path / "dense.h5"
    found = cli("densify", sparse_path, "-o", dense)
    assert (found.status, found.err) == (0, "")
    assert "3 dense frames" in found.out
    with h5py.File(dense) as a, h5py.File(sparse_path) as b:
        np.testing.assert_array_equal(a["entry/data/data"][()], b["entry/data/data"][()])
    found = cli("info", dense)
    assert "/entry/data/data: 3 x 160 x 200 int32\n  filter      bitshuffle" in found.out


def test_compress_says_what_it_did(tmp_path: Path, cli: Cli, cbf_paths: list[Path]) -> None:
    output = tmp_path / "out.h5"
    found = cli("compress", *cbf_paths, "-o", output)
    assert (found.status, found.err) == (0, "")
    assert found.out.startswith(f"{output}: 3 frames, 384 kB -> ")
    assert "times smaller), 3 sparse, 0 lossless" in found.out
    found = cli("compress", *cbf_paths, "-o", output, "--force", "--quiet")
    assert (found.status, found.out, found.err) == (0, "", "")


def test_options_reach_the_chunks(tmp_path: Path, cli: Cli, cbf_paths: list[Path]) -> None:
    output = tmp_path / "out.h5"
    found = cli(
        "compress", *cbf_paths, "-o", output, "--snr-pick", 3, "--error-model", "azimuthal",
        "--radial-bins", 30, "--polarization", "none", "--mask-code", -1, "--mask-code", -2,
        "--seed", 7, "--frames-per-chunk", 2, "--threads", 1, "--local-counts", 4,
        "--local-step", 2, "--local-significance", 2.5, "--coarse-limit", 8,
    )  # fmt: skip
    assert found.status == 0, found.err
    with h5py.File(output) as file:
        data = file["entry/data/data"]
        assert data.chunks[0] == 2
        params = h5bragg.inspect(data.id.read_direct_chunk((0, 0, 0))[1]).params
    assert (params.snr_pick, params.error_model, params.radial_bins) == (3, "azimuthal", 30)
    assert (params.polarization, params.mask_codes, params.seed) == (None, (-1, -2), 7)
    local = (params.local_counts, params.local_step, params.local_significance, params.coarse_limit)
    assert local == (4, 2, 2.5, 8)


def test_without_local_counts_the_threshold_is_2_sigma(
    tmp_path: Path, cli: Cli, cbf_paths: list[Path]
) -> None:
    output = tmp_path / "out.h5"
    assert cli("compress", *cbf_paths, "-o", output, "--local-counts", 0).status == 0
    with h5py.File(output) as file:
        params = h5bragg.inspect(file["entry/data/data"].id.read_direct_chunk((0, 0, 0))[1]).params
    assert (params.local_counts, params.snr_pick) == (0, 2)
    assert "snr_pick 2, error model poisson" in cli("info", output).out
    options = ("--force", "--local-counts", 0, "--snr-pick", 3)
    assert cli("compress", *cbf_paths, "-o", output, *options).status == 0
    assert "snr_pick 3, error model poisson" in cli("info", output).out


def test_preset_fills_in_what_is_not_given(tmp_path: Path, cli: Cli, cbf_paths: list[Path]) -> None:
    output = tmp_path / "out.h5"
    for options, expected in (
        ((), SparsifyParams.preset("light")),
        (("--local-step", 1, "--seed", 3), SparsifyParams.preset("light", local_step=1, seed=3)),
        (("--local-counts", 0), SparsifyParams.preset("light", local_counts=0, snr_pick=2)),
    ):
        arguments = ("-o", output, "--preset", "light", "--force", *options)
        assert cli("compress", *cbf_paths, *arguments).status == 0
        with h5py.File(output) as file:
            chunk = file["entry/data/data"].id.read_direct_chunk((0, 0, 0))[1]
        params = h5bragg.inspect(chunk).params
        for name in ("local_step", "local_significance", "local_counts", "snr_pick", "seed"):
            assert getattr(params, name) == getattr(expected, name), name


def test_geometry_from_a_poni_file_and_from_a_master(
    tmp_path: Path, cli: Cli, small_frame: SmallFrame, small_geometry: Geometry
) -> None:
    frames = np.stack([small_frame("uint16", seed) for seed in range(2)])
    data = write_data(tmp_path / "data.h5", frames)
    poni = write_poni(tmp_path / "a.poni", small_geometry)
    master = write_master(tmp_path / "a_master.h5", [(data, 2)], small_geometry)
    for name, arguments in (
        ("1.h5", (data, "--geometry", poni)),
        ("2.h5", (data, "--geometry", master)),
        ("3.h5", (master,)),
    ):
        output = tmp_path / name
        found = cli("compress", *arguments, "-o", output)
        assert found.status == 0, found.err
        assert cli("compare", data, output).status == 0
        centre = Geometry.from_file(output).beam_center_px
        assert centre == pytest.approx(small_geometry.beam_center_px, abs=1e-3)


def test_compare_finds_what_was_changed(
    cli: Cli, cbf_paths: list[Path], sparse_path: Path, small_frame, small_geometry
) -> None:
    other = small_frame("int32", 0).copy()
    other[other > 60] += 1
    write_cbf(cbf_paths[0], other, small_geometry)
    found = cli("compare", *cbf_paths, sparse_path)
    assert found.status == 1
    assert re.search(r"exact pixels +\d+, [1-9]\d* differ", found.out)


def test_help_and_version(cli: Cli) -> None:
    found = cli("--help")
    assert found.status == 0
    for name in ("compress", "densify", "info", "compare", "config", "plugin", "demo"):
        assert name in found.out
        assert cli(name, "--help").status == 0
    assert h5bragg.__version__ in cli("--version").out


def broken_inputs(folder: Path, frame: NDArray[Any], geometry: Geometry) -> dict[str, Path]:
    """One input of each bad kind."""
    whole = write_cbf(folder / "whole.cbf", frame, geometry)
    inputs = {name: folder / f"{name}.cbf" for name in ("truncated", "empty", "missing", "header")}
    inputs["truncated"].write_bytes(whole.read_bytes()[:-2000])
    inputs["header"].write_bytes(whole.read_bytes()[:300])
    inputs["empty"].touch()
    inputs["float"] = folder / "float.h5"
    with h5py.File(inputs["float"], "w") as file:
        file["entry/data/data"] = np.zeros((2, 160, 200), np.float32)
    inputs["geometry-less"] = write_data(folder / "bare.h5", frame[None].astype(np.uint16))
    inputs["geometry-less tiff"] = folder / "bare.tif"
    fabio.tifimage.TifImage(data=frame.astype(np.uint16)).write(str(inputs["geometry-less tiff"]))
    inputs["text"] = folder / "text.cbf"
    inputs["text"].write_text("this is no image\n" * 100)
    inputs["truncated HDF5"] = folder / "cut.h5"
    inputs["truncated HDF5"].write_bytes(inputs["geometry-less"].read_bytes()[:-500])
    huge = frame[None].astype(np.int64)
    huge[0, 3, 4] = 2**40
    inputs["too wide"] = write_data(folder / "wide.h5", huge)
    inputs["folder"] = folder
    return inputs


BAD_INPUTS = {
    "truncated": "cannot be read as a frame, is it truncated",
    "header": "cannot be read as a frame, is it truncated",
    "empty": "is empty",
    "missing": "does not exist: check the name",
    "float": "holds float32 values, .* convert the frames",
    "geometry-less": "no geometry in the input .*--geometry",
    "geometry-less tiff": "no geometry in the input .*--geometry",
    "text": "cannot be read as a frame",
    "truncated HDF5": "cannot be opened as HDF5, is it truncated",
    "too wide": "do not fit int32",
    "folder": "is a directory",
}


@pytest.mark.parametrize("kind", BAD_INPUTS)
def test_bad_input_is_one_sentence_and_leaves_no_output(
    tmp_path: Path, cli: Cli, small_frame: SmallFrame, small_geometry: Geometry, kind: str
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    out.mkdir()
    inputs = broken_inputs(folder, small_frame("int32"), small_geometry)
    geometry = ["--geometry", folder / "whole.cbf"] if kind in ("float", "too wide") else []
    found = cli("compress", inputs[kind], "-o", out / "out.h5", *geometry)
    assert_one_sentence(found, BAD_INPUTS[kind])
    assert list(out.iterdir()) == []


def test_one_bad_input_among_good_ones_leaves_a_partial_file_alone(
    tmp_path: Path, cli: Cli, cbf_paths: list[Path]
) -> None:
    cbf_paths[2].write_bytes(cbf_paths[2].read_bytes()[:-2000])
    out = tmp_path / "out"
    out.mkdir()
    found = cli("compress", *cbf_paths, "-o", out / "out.h5")
    partial = out / "out.h5.partial"
    kept = f"2 of 3 frames are kept in {partial}: repeat the command with --resume to go on"
    assert_one_sentence(found, rf"2\.cbf cannot be read.*; {kept}")
    assert list(out.iterdir()) == [partial]


def test_frames_that_differ_are_one_sentence(
    tmp_path: Path, cli: Cli, cbf_paths: list[Path], small_frame, small_geometry
) -> None:
    write_cbf(cbf_paths[1], small_frame("int32")[:, :-1], small_geometry)
    found = cli("compress", *cbf_paths, "-o", tmp_path / "out.h5")
    assert_one_sentence(found, r"1\.cbf holds int32 frames of shape \(160, 199\).*separate files")
    assert not (tmp_path / "out.h5").exists()


def test_impossible_outputs_are_one_sentence(
    tmp_path: Path, cli: Cli, cbf_paths: list[Path], sparse_path: Path
) -> None:
    content = sparse_path.read_bytes()
    for output, match in (
        (tmp_path / "none" / "out.h5", "does not exist: create the folder first"),
        (tmp_path, "is a directory"),
        (sparse_path, "exists already: choose another name or add --force"),
        (Path("/proc/out.h5"), "not writable|cannot be written"),
    ):
        assert_one_sentence(cli("compress", *cbf_paths, "-o", output), match)
    found = cli("compress", *cbf_paths, "-o", cbf_paths[1], "--force")
    assert_one_sentence(found, "is an input: choose another name")
    found = cli("densify", sparse_path, "-o", sparse_path, "--force")
    assert_one_sentence(found, "is an input: choose another name")
    assert sparse_path.read_bytes() == content


def test_bad_options_are_one_sentence(tmp_path: Path, cli: Cli, cbf_paths: list[Path]) -> None:
    output = tmp_path / "out.h5"
    for arguments, match in (
        (("--snr-pick", -1), "snr_pick=-1.0 is not usable: give a number"),
        (("--snr-pick", "x"), "not a valid float.*--help"),
        (("--polarization", "x"), "neither a number nor 'none'"),
        (("--error-model", "gauss"), "gauss.*--help"),
        (("--radial-bins", 5000), "radial_bins=5000 is not usable"),
        (("--preset", "heavy"), "heavy.*'default', 'light', 'careful'.*--help"),
        (("--local-counts", 3), "3.*not"),
        (("--local-step", 0.3), "local_step=0.3 is not usable: give a multiple of 0.25"),
        (("--mask-code", 1, "--mask-code", 2, "--mask-code", 3), "3 mask codes"),
        (("--geometry", tmp_path / "no.poni"), "no.poni does not exist"),
        (("--frames-per-chunk", 0), "--frames-per-chunk"),
        (("--nonsense",), "No such option.*--help"),
    ):
        assert_one_sentence(cli("compress", *cbf_paths, "-o", output, *arguments), match)
    assert_one_sentence(cli("compress", "-o", output), "Missing argument")
    assert_one_sentence(cli("compress", *cbf_paths), "Missing option")
    assert_one_sentence(cli("frobnicate"), "No such command")
    assert_one_sentence(cli(), "Missing command.*h5bragg --help")
    assert_one_sentence(cli("plugin"), "Missing command.*h5bragg plugin --help")
    assert not output.exists()


def test_bad_files_of_the_other_commands_are_one_sentence(
    tmp_path: Path, cli: Cli, cbf_paths: list[Path], sparse_path: Path
) -> None:
    missing = tmp_path / "none.h5"
    assert_one_sentence(cli("info", missing), "does not exist")
    assert_one_sentence(cli("info", cbf_paths[0]), "cannot be opened as HDF5")
    assert_one_sentence(cli("densify", missing, "-o", tmp_path / "x.h5"), "does not exist")
    dense = tmp_path / "dense.h5"
    assert cli("densify", sparse_path, "-o", dense, "-q").status == 0
    found = cli("densify", dense, "-o", tmp_path / "x.h5")
    assert_one_sentence(found, "no dataset that h5bragg compressed")
    assert_one_sentence(cli("compare", *cbf_paths, dense), "no dataset that h5bragg compressed")
    assert_one_sentence(cli("compare", cbf_paths[0], sparse_path), "compare the same frames")
    found = cli("compare", *cbf_paths, sparse_path, "--plot", tmp_path / "x.xyz")
    assert_one_sentence(found, "no suffix of a picture")
    found = cli("compare", *cbf_paths, sparse_path, "--plot", tmp_path / "x.png", "--frame", 9)
    assert_one_sentence(found, "frame 9 is not there")
    found = cli("compare", *cbf_paths, sparse_path, "--report", sparse_path)
    assert_one_sentence(found, "no name of a page: end it in .html")


def test_plugin_path_and_install(tmp_path: Path, cli: Cli, sparse_path: Path) -> None:
    assert cli("plugin", "path").out.strip() == h5bragg.PLUGIN_PATH
    found = cli("plugin", "install", tmp_path)
    assert found.status == 0
    library = Path(str(h5bragg.get_config()["library"]))
    installed = tmp_path / library.name
    assert installed.read_bytes() == library.read_bytes()
    assert os.access(installed, os.X_OK)
    assert f"HDF5_PLUGIN_PATH={tmp_path}" in found.out
    script = f"import h5py; print(h5py.File({str(sparse_path)!r})['entry/data/data'][2].max())"
    environment = {**os.environ, "HDF5_PLUGIN_PATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert int(done.stdout) > 20
    assert cli("plugin", "install", tmp_path, "-q").out == ""


def test_plugin_install_names_directories_that_will_not_do(tmp_path: Path, cli: Cli) -> None:
    found = cli("plugin", "install", tmp_path / "none")
    assert_one_sentence(found, "does not exist: create it, or use one of /")
    assert_one_sentence(cli("plugin", "install"), "Name a directory, such as /")
    assert_one_sentence(cli("plugin", "install", "/proc"), "not writable|cannot be written")
    assert_one_sentence(cli("plugin", "install", h5bragg.PLUGIN_PATH), "the plugin itself")


# Shells start background jobs with interrupts ignored.
INTERRUPTIBLE = """
import signal
from h5bragg.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)
main()
"""


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGINT,
        pytest.param(signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param(signal.SIGKILL, marks=pytest.mark.slow),
    ],
)
def test_a_killed_run_leaves_no_output_under_its_name(
    tmp_path: Path, small_frame: SmallFrame, small_geometry: Geometry, number: signal.Signals
) -> None:
    frame = small_frame("uint16")
    many = np.broadcast_to(frame, (4000, *frame.shape))
    data = tmp_path / "many.h5"
    with h5py.File(data, "w") as file:
        file.create_dataset(
            "entry/data/data", data=many, chunks=(1, *frame.shape), compression="lzf"
        )
    poni = write_poni(tmp_path / "a.poni", small_geometry)
    out = tmp_path / "out"
    out.mkdir()
    arguments = ["compress", str(data), "-o", str(out / "out.h5"), "--geometry", str(poni)]
    run = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE, *arguments, "--threads", "1"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not any(path.stat().st_size > 10000 for path in out.iterdir()):
        assert run.poll() is None, run.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    run.send_signal(number)
    stdout, stderr = run.communicate(timeout=60)
    assert not (out / "out.h5").exists()
    if number != signal.SIGKILL:
        assert (run.returncode, stdout) == (130, "")
        kept = f"of 4000 frames are kept in {out / 'out.h5.partial'}: repeat the command"
        sentence = rf"h5bragg: interrupted; [1-9]\d* {kept} with --resume to go on"
        assert re.fullmatch(sentence, stderr.strip())
        assert [path.name for path in out.iterdir()] == ["out.h5.partial"]


@pytest.mark.parametrize(
    "options",
    [
        pytest.param((), marks=pytest.mark.slow),
        pytest.param(("--local-counts", 0), marks=pytest.mark.slow),
        pytest.param(("--local-counts", 0, "--snr-pick", 1), marks=pytest.mark.slow),
        pytest.param(("--local-counts", 0, "--snr-pick", 3), marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_real_frames(tmp_path: Path, cli: Cli, data_path: Path, options: tuple[object]) -> None:
    # In 0009 the outermost rings discard zeros and ones in equal number at 1 sigma.
    paths = [data_path / f"thau_3_2_{number}.cbf.bz2" for number in ("0003", "0009")]
    output = tmp_path / "out.h5"
    found = cli("compress", *paths, "-o", output, *options)
    assert found.status == 0, found.err
    assert "2 sparse, 0 lossless" in found.out
    found = cli("compare", *paths, output)
    assert found.status == 0
    assert "within their statistical error" in found.out


@pytest.mark.parametrize(
    "name",
    [
        "DLS_I03_smargon_0001.cbf.gz",
        pytest.param("dlsnxs2cbf_therm_0001.cbf.gz", marks=pytest.mark.slow),
    ],
)
def test_real_frames_of_few_counts(tmp_path: Path, cli: Cli, data_path: Path, name: str) -> None:
    output = tmp_path / "out.h5"
    assert cli("compress", data_path / name, "-o", output).status == 0
    assert cli("compare", data_path / name, output).status == 0
