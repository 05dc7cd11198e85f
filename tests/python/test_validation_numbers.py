# SPDX-License-Identifier: MIT
"""Parts of validation/ that need no DIALS: the simulated truth, comparison with it, bars."""

import doctest
import importlib
import itertools
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy")

import bars
import run
import table
import truth
from cache import kept_folder
from photons import place_photons
from reflections import Crystal, draw_photons, make_crystal, observe, unique_indices
from scene import CONDITIONS, SHAPE, Scene
from settings import SettingError, parse_setting

from h5bragg import ParameterError, SparsifyParams

MODULES = ("bars", "process", "reflections", "rows", "settings", "table", "truth")


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name: str) -> None:
    found = doctest.testmod(importlib.import_module(name))
    assert found.failed == 0


def test_equivalent_reflections_have_one_unique_index() -> None:
    signs = list(itertools.product((1, -1), repeat=3))
    equivalents = [np.array(hkl) * sign for hkl in ((3, 2, 5), (2, 3, 5)) for sign in signs]
    assert np.unique(unique_indices(np.array(equivalents)), axis=0).tolist() == [[3, 2, 5]]


@pytest.fixture(scope="module")
def crystal() -> Crystal:
    return make_crystal(Scene())


def test_crystal_has_no_extinct_reflection_and_changes_with_the_seed(crystal: Crystal) -> None:
    hkl = crystal.unique_hkl
    along_c = hkl[(hkl[:, 0] == 0) & (hkl[:, 1] == 0), 2]
    along_a = hkl[(hkl[:, 1] == 0) & (hkl[:, 2] == 0), 0]
    assert len(along_c) > 3
    assert len(along_a) > 10
    assert (along_c % 4 == 0).all()
    assert (along_a % 2 == 0).all()
    other = make_crystal(Scene(seed=6))
    np.testing.assert_array_equal(other.unique_hkl, hkl)
    assert not np.array_equal(other.intensity, crystal.intensity)


def test_photons_land_where_the_truth_says_and_as_many(crystal: Crystal) -> None:
    scene = Scene(nframes=4)
    observations = observe(crystal, scene)
    photons = draw_photons(observations, np.random.default_rng(1))
    bragg = place_photons(crystal, observations, photons, scene)
    frame = np.degrees(observations.angle_rad) / scene.width_deg
    # Strong, in the middle of the scan, away from the stop and the edges.
    slow, fast = observations.slow_px, observations.fast_px
    inside = (slow > 20) & (slow < SHAPE[0] - 20) & (fast > 20) & (fast < SHAPE[1] - 20)
    strong = np.flatnonzero((photons > 500) & inside & (abs(frame - 2) < 0.7))
    strong = [i for i in strong if scene.transmission[int(slow[i]), int(fast[i])] == 1]
    assert len(strong) > 20
    shares, offsets = [], []
    for i in strong:
        top, left = int(slow[i]) - 6, int(fast[i]) - 6
        image = bragg[:, top : top + 13, left : left + 13].sum(axis=0, dtype=float)
        rows, columns = np.mgrid[top : top + 13, left : left + 13] + 0.5
        shares.append(image.sum() / photons[i])
        offsets.append([np.average(rows, weights=image) - slow[i],
                        np.average(columns, weights=image) - fast[i]])  # fmt: skip
    # Four sigma of mosaicity are recorded on either side; neighbours may add a little.
    assert np.median(shares) == pytest.approx(1, abs=0.02)
    # Parallax moves spots outwards by less than the sensor's thickness, six pixels.
    assert np.abs(np.median(offsets, axis=0)).max() < 1


@pytest.fixture(scope="module")
def plain_background() -> np.ndarray:
    return Scene().background


@pytest.mark.parametrize("condition", sorted(CONDITIONS.keys() - {"plain"}))
def test_conditions_change_the_background(condition: str, plain_background: np.ndarray) -> None:
    ratio = Scene(**CONDITIONS[condition]).background / plain_background
    limits = {"aniso": (0.65, 1), "ice": (1, 5), "high": (10, 10), "low": (0.1, 0.1)}
    low, high = limits[condition]
    assert ratio.min() == pytest.approx(low, rel=0.01)
    assert ratio.max() >= 0.99 * high


def observed(counts: np.ndarray, spacing: np.ndarray) -> dict[str, np.ndarray]:
    place = np.arange(len(counts), dtype=float)
    names = {"slow_px": 20 * (place // 40), "fast_px": 20 * (place % 40), "frame": place % 7}
    extra = {"spacing_a": spacing, "variance": counts + 1, "background": np.ones(len(counts))}
    return {**names, **extra, "intensity": counts}


def test_bias_is_relative_to_the_truth_in_all_and_in_the_outer_shell() -> None:
    random = np.random.default_rng(1)
    counts = random.exponential(100, 1600)
    spacing = np.linspace(1.6, 8, 1600)
    known = observed(counts, spacing)
    names = ("slow_px", "fast_px", "frame")
    facts = {f"observed_{name}": known[name] for name in names}
    facts |= {"observed_counts": counts, "background": np.ones((800, 800))}
    found = truth.integrated_against_truth(known, facts)
    assert (found["bias_all"], found["bias_outer"], found["observations"]) == (0, 0, 1600)
    assert found["background_low"] == 1

    outer = truth.outer_shell(spacing, 8)
    weaker = {**known, "intensity": np.where(outer, 0.8 * counts, counts)}
    found = truth.integrated_against_truth(weaker, facts)
    assert found["bias_outer"] == pytest.approx(-20)
    assert found["bias_all"] == pytest.approx(-20 * counts[outer].sum() / counts.sum())

    change = truth.against_raw(weaker, known)
    assert change["common"] == 1600
    assert change["sum_to_raw"] == pytest.approx(1 + found["bias_all"] / 100)


def test_merged_intensities_are_compared_on_the_scale_of_strong_ones() -> None:
    unique = np.array([[h, 1, m] for h in range(1, 20) for m in range(1, 30)])
    known = np.random.default_rng(2).exponential(1, len(unique))
    facts = {"unique_hkl": unique, "unique_intensity": known,
             "unique_spacing_a": np.linspace(1.6, 9, len(unique))}  # fmt: skip
    # Two observations each, in two settings, on another scale; the less precise one is far off.
    scaled = {
        "hkl": np.concatenate([unique, unique[:, [1, 0, 2]] * [-1, 1, 1]]),
        "intensity": np.concatenate([7 * known, 7 * known + 1e3]),
        "variance": np.concatenate([np.ones(len(unique)), np.full(len(unique), 1e12)]),
    }
    numbers = truth.scaled_against_truth(scaled, facts)
    assert numbers["r_truth"] < 1e-6
    assert numbers["cc_truth_outer"] == pytest.approx(1)
    merged = truth.merge({name: values[:1] for name, values in scaled.items()}, unique)
    assert np.isfinite(merged).sum() == 1


def test_presets_are_judged_on_what_was_measured() -> None:
    raw = {"ratio": 1.0, "strong_spots": 1000.0, "bias_all": -0.1}
    found = {
        "raw": raw,
        "default": {"ratio": 8.5, "strong_spots": 985.0, "bias_all": -0.9},
        "light": {"ratio": 14.0, "strong_spots": 1000.0, "bias_all": -2.0},
        "pyfai-1": {"ratio": 2.3, "strong_spots": 900.0, "bias_all": -1.0},
    }
    judged = {(v.setting, v.row): v.passed for v in bars.verdicts("plain", found)}
    assert judged["default", "times smaller than bitshuffle-LZ4"]
    assert judged["default", "bias of all intensities, %"]
    assert not judged["default", "strong spots"]
    assert not any("R to truth" in row for _, row in judged)
    against_peer = [v for v in bars.verdicts("ice", found) if v.setting == "light"]
    assert [v.passed for v in against_peer] == [True, True, False]
    assert {v.setting for v in bars.verdicts("ice", found)} == {"light"}


def test_preset_that_dials_cannot_process_fails_and_has_dashes() -> None:
    found = {"raw": {"ratio": 1.0, "bias_all": 0.0}, "light": {"ratio": 20.0}}
    outcome = table.Outcome("ice", 1, found, {"light": "dials.index failed"})
    assert [(v.setting, v.passed) for v in outcome.verdicts] == [("light", False)]
    text = table.report([outcome])
    assert "| bias of all intensities, % | +0.00 | - |" in text
    assert "light: dials.index failed" in text
    assert table.Outcome("ice", 1, found, {"light": "failed"}, judged=False).verdicts == []


def test_table_has_a_column_a_setting_and_a_dash_where_nothing_was_measured() -> None:
    outcome = table.Outcome("plain", 1, {"raw": {"ratio": 1.0}, "light": {"r_truth": 0.05}})
    text = table.side_by_side(outcome)
    assert "|  | raw | light |" in text
    assert "| times smaller than bitshuffle-LZ4 | 1.00 | - |" in text
    assert "| R to truth, merged | - | 0.0500 |" in text


def test_settings_are_presets_with_changes() -> None:
    assert parse_setting("careful") == SparsifyParams.preset("careful")
    made = parse_setting("light:local_step=3,error_model=azimuthal")
    assert made == SparsifyParams.preset("light", local_step=3, error_model="azimuthal")
    for bad in ("light:local_step", "light:local_stop=3"):
        with pytest.raises(SettingError, match="is no setting"):
            parse_setting(bad)
    with pytest.raises(ParameterError, match="heavy"):
        parse_setting("heavy")
    with pytest.raises(SystemExit):
        run.parse_arguments(["-w", "work", "--settings", "heavy"])


def test_folder_is_kept_until_what_it_was_made_from_changes(tmp_path: Path) -> None:
    folder = kept_folder(tmp_path / "a", seed=1)
    (folder / "result").touch()
    assert (kept_folder(tmp_path / "a", seed=1) / "result").exists()
    assert not (kept_folder(tmp_path / "a", seed=2) / "result").exists()
    (tmp_path / "thesis").touch()
    with pytest.raises(FileExistsError, match="not made by this program"):
        kept_folder(tmp_path, seed=1)
    assert (tmp_path / "thesis").exists()
