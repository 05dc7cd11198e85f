# SPDX-License-Identifier: MIT
"""Run by the Python that has DIALS: turn its reflection tables into files that NumPy reads.

python3 dials_export.py mask TRUTH.npz MASK.pickle      the stop_mask as DIALS wants it
python3 dials_export.py tables FOLDER                   FOLDER/*.refl into FOLDER/*.npz
python3 dials_export.py stills FOLDER                   a folder of dials.stills_process likewise
"""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
from dials.array_family import flex
from dxtbx.model.experiment_list import ExperimentListFactory
from scitbx.array_family import flex as scitbx_flex


def write_mask(truth: Path, output: Path) -> None:
    """Write the pixels that DIALS may use."""
    usable = ~np.load(truth)["stop_mask"]
    with output.open("wb") as file:
        pickle.dump((scitbx_flex.bool(usable),), file, protocol=2)


def export_tables(folder: Path) -> None:
    """Write what the strong, integrated and scaled reflections of one data set tell."""
    strong = flex.reflection_table.from_file(str(folder / "strong.refl"))
    indexed = flex.reflection_table.from_file(str(folder / "indexed.refl"))
    numbers = {
        "strong_spots": len(strong),
        "indexed_spots": indexed.get_flags(indexed.flags.indexed).count(True),
    }
    (folder / "spots.json").write_text(json.dumps(numbers))
    integrated = flex.reflection_table.from_file(str(folder / "integrated.refl"))
    np.savez(folder / "integrated.npz", **_integrated(integrated))
    if (folder / "scaled.refl").exists():
        scaled = flex.reflection_table.from_file(str(folder / "scaled.refl"))
        np.savez(folder / "scaled.npz", **_scaled(scaled))


def _integrated(table: Any) -> dict[str, Any]:
    """Return whole reflections, summed, that no masked pixel touches."""
    usable = table.get_flags(table.flags.integrated_sum)
    usable &= ~table.get_flags(table.flags.foreground_includes_bad_pixels)
    usable &= table["partiality"] > 0.99
    table = table.select(usable)
    return _columns(table)


def _columns(table: Any) -> dict[str, Any]:
    fast, slow, frame = (part.as_numpy_array() for part in table["xyzcal.px"].parts())
    return {
        "fast_px": fast,
        "slow_px": slow,
        "frame": frame,
        "intensity": table["intensity.sum.value"].as_numpy_array(),
        "variance": table["intensity.sum.variance"].as_numpy_array(),
        "background": table["background.mean"].as_numpy_array(),
        "spacing_a": table["d"].as_numpy_array(),
    }


def _scaled(table: Any) -> dict[str, Any]:
    """Return scaled intensities that DIALS would merge."""
    usable = ~table.get_flags(table.flags.bad_for_scaling, all=False)
    usable &= (table["inverse_scale_factor"] > 0) & (table["partiality"] > 0.4)
    table = table.select(usable)
    factor = table["inverse_scale_factor"].as_numpy_array()
    return {
        "hkl": np.array(list(table["miller_index"]), int).reshape(-1, 3),
        "intensity": table["intensity.scale.value"].as_numpy_array() / factor,
        "variance": table["intensity.scale.variance"].as_numpy_array() / factor**2,
    }


def export_stills(folder: Path) -> None:
    """Write reflections and cell of the one still that a folder holds."""
    models = sorted(folder.glob("*_integrated.expt"))
    found = [ExperimentListFactory.from_json_file(str(m), check_format=False) for m in models]
    lattices = [(m, e) for m, experiments in zip(models, found) for e in experiments]  # noqa: B905
    if not lattices:
        return
    path, experiment = lattices[0]
    table = flex.reflection_table.from_file(str(path.with_suffix(".refl")))
    cell = experiment.crystal.get_unit_cell().parameters()
    np.savez(folder / "integrated.npz", cell=cell, **_columns(table.select(table["id"] == 0)))


def main() -> None:
    """Do what the command line says."""
    action, *paths = sys.argv[1:]
    actions = {"mask": write_mask, "tables": export_tables, "stills": export_stills}
    actions[action](*map(Path, paths))


if __name__ == "__main__":
    main()
