# SPDX-License-Identifier: MIT
"""h5bragg config: the cd_values it prints, and geometries that do not fit into them."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from input_files import Cli, assert_one_sentence, run_cli, write_cbf, write_master, write_poni
from numpy.typing import NDArray

import h5bragg
from h5bragg import Bragg, Geometry, SparsifyParams

SmallFrame = Callable[..., NDArray[np.integer]]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    return lambda *arguments: run_cli(capsys, "config", *arguments)


@pytest.fixture
def cbf(tmp_path: Path, small_frame: SmallFrame, small_geometry: Geometry) -> Path:
    return write_cbf(tmp_path / "a.cbf", small_frame("int32"), small_geometry)


def test_json_is_complete(cli: Cli, cbf: Path) -> None:
    found = cli("--geometry", cbf)
    assert (found.status, found.err) == (0, "")
    assert json.loads(found.out) == {
        "filter_id": h5bragg.FILTER_ID,
        "flags": "mandatory",
        "chunk": [1, 160, 200],
        "cd_values": list(Bragg(Geometry.from_file(cbf)).filter_options),
    }


def test_the_three_formats_hold_the_same_words(cli: Cli, cbf: Path) -> None:
    words = json.loads(cli("--geometry", cbf, "--format", "json").out)["cd_values"]
    found = cli("--geometry", cbf, "--format", "h5repack")
    assert found.out == f"UD={h5bragg.FILTER_ID},0,16,{','.join(map(str, words))}\n"
    assert "-l NAME:CHUNK=1x160x200" in found.err
    assert cli("--geometry", cbf, "--format", "h5repack", "--quiet").err == ""
    found = cli("--geometry", cbf, "--format", "c")
    assert "0x" in found.out
    in_c = [
        int(word.strip(), 16) for word in found.out.split("{\n")[1].split("}")[0].split(",")[:-1]
    ]
    assert in_c == words


def test_options_are_those_of_compress(cli: Cli, cbf: Path) -> None:
    geometry = Geometry.from_file(cbf)
    for options, params in (
        (("--preset", "light", "--seed", 3), SparsifyParams.preset("light", seed=3)),
        (("--local-counts", 0), SparsifyParams(local_counts=0, snr_pick=2)),
        (
            ("--snr-pick", 3, "--error-model", "hybrid", "--mask-code", -1),
            SparsifyParams(snr_pick=3, error_model="hybrid", mask_codes=(-1,)),
        ),
    ):
        # The CBF header's polarization, unless an option says otherwise.
        expected = Bragg(geometry, params, polarization=geometry.polarization)
        words = json.loads(cli("--geometry", cbf, *options).out)["cd_values"]
        assert words == list(expected.filter_options)
    words = json.loads(cli("--geometry", cbf, "--polarization", "none").out)["cd_values"]
    assert words == list(Bragg(geometry, polarization=None).filter_options)


def test_flags_and_frames_per_chunk(cli: Cli, cbf: Path) -> None:
    found = json.loads(cli("--geometry", cbf, "--optional", "--frames-per-chunk", 5).out)
    assert (found["flags"], found["chunk"]) == ("optional", [5, 160, 200])
    found = cli("--geometry", cbf, "--optional", "--frames-per-chunk", 5, "--format", "h5repack")
    assert found.out.startswith(f"UD={h5bragg.FILTER_ID},1,16,")
    assert "CHUNK=5x160x200" in found.err
    found = cli("--geometry", cbf, "--optional", "--frames-per-chunk", 5, "--format", "c")
    assert "H5Z_FLAG_OPTIONAL" in found.out
    assert "{5, 160, 200}" in found.out


def test_a_shape_for_a_geometry_file_without_one(
    tmp_path: Path, cli: Cli, small_geometry: Geometry
) -> None:
    poni = write_poni(tmp_path / "a.poni", small_geometry)
    whole = cli("--geometry", poni)
    poni.write_text(poni.read_text().replace(', "max_shape": [160, 200]', ""))
    assert_one_sentence(cli("--geometry", poni), "a.poni: .*shape")
    assert cli("--geometry", poni, "--shape", 160, 200).out == whole.out


def test_output_goes_to_a_file(tmp_path: Path, cli: Cli, cbf: Path) -> None:
    output = tmp_path / "h5bragg.json"
    printed = cli("--geometry", cbf).out
    found = cli("--geometry", cbf, "-o", output)
    assert (found.status, found.out, found.err) == (0, "", "")
    assert output.read_text() == printed
    assert_one_sentence(cli("--geometry", cbf, "-o", output), "exists already.*--force")
    assert cli("--geometry", cbf, "-o", output, "--force").status == 0
    found = cli("--geometry", cbf, "-o", cbf, "--force")
    assert_one_sentence(found, "is an input: choose another name")


def test_a_mask_does_not_fit_but_can_be_left_out(
    tmp_path: Path, cli: Cli, small_geometry: Geometry
) -> None:
    mask = np.zeros(small_geometry.shape, bool)
    mask[80:84] = True
    master = write_master(tmp_path / "a_master.h5", [], small_geometry, mask=mask)
    found = cli("--geometry", master)
    assert_one_sentence(found, "a_master.h5: a pixel mask does not fit.*--ignore-mask.*many-panels")
    bare = write_master(tmp_path / "bare_master.h5", [], small_geometry)
    expected = cli("--geometry", bare, "--shape", 160, 200).out
    assert cli("--geometry", master, "--ignore-mask").out == expected != ""


def test_many_panels_do_not_fit(
    tmp_path: Path, cli: Cli, small_geometry: Geometry, monkeypatch: pytest.MonkeyPatch
) -> None:
    poni = write_poni(tmp_path / "a.poni", small_geometry)
    panel = small_geometry.panels[0]
    halves = [
        h5bragg.Panel(
            slow=(start, start + 80),
            fast=panel.fast,
            origin_m=(0.0, 0.01 * start, 0.05),
            slow_m=panel.slow_m,
            fast_m=panel.fast_m,
        )
        for start in (0, 80)
    ]
    two = Geometry.from_panels(halves, shape=(160, 200), distance_m=0.05, wavelength_m=1e-10)
    monkeypatch.setattr(Geometry, "from_file", lambda *_args, **_options: two)
    found = cli("--geometry", poni)
    assert_one_sentence(found, "2 panels do not fit.*h5bragg.Bragg.*h5bragg_config_registered")


def test_bad_input_is_one_sentence(tmp_path: Path, cli: Cli, cbf: Path) -> None:
    assert_one_sentence(cli("--geometry", tmp_path / "none.poni"), "none.poni does not exist")
    assert_one_sentence(cli(), "Missing option '--geometry'")
    assert_one_sentence(cli("--geometry", cbf, "--format", "yaml"), "yaml.*'json', 'h5repack', 'c'")
    assert_one_sentence(cli("--geometry", cbf, "--snr-pick", -1), "snr_pick=-1.0 is not usable")
    found = cli("--geometry", cbf, "--frames-per-chunk", 70000)
    assert_one_sentence(found, "70000 frames do not fit one chunk: give 1 to 65535")
