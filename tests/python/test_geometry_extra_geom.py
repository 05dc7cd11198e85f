# SPDX-License-Identifier: MIT
"""CrystFEL geometry files against EXtra-geom, the reader of European XFEL."""

from pathlib import Path

import numpy as np
import pytest
from crystfel_files import DETECTORS, agipd_1m
from pixel_positions import pixel_positions_m, worst_px

from h5bragg import Geometry

pytest.importorskip("extra_geom")
from cfel_fmt.geometry import load_crystfel_geometry
from extra_geom import AGIPD_1MGeometry
from extra_geom.base import GeometryFragment

# CrystFEL's lab frame in ours: half a turn about the beam.
HALF_TURN = (-1.0, -1.0, 1.0)


def without_units(text: str) -> str:
    """The same geometry in the bare numbers of older CrystFEL, which EXtra-geom reads."""
    return text.replace("95.3 mm", "0.0953").replace("4570 eV", "4570")


def oracle_panel_m(fields: dict[str, float]) -> np.ndarray:
    """Pixel centres of a panel by EXtra-geom: (slow, fast, 3) in our lab frame."""
    fragment = GeometryFragment.from_panel_dict(fields)
    slow, fast = np.indices((fragment.ss_pixels, fragment.fs_pixels))[..., None] + 0.5
    local = fragment.corner_pos + slow * fragment.ss_vec + fast * fragment.fs_vec
    # EXtra-geom leaves clen, the distance of the whole detector, to others.
    return (local + np.array([0.0, 0.0, fields["clen"]])) * HALF_TURN


@pytest.mark.parametrize("name", list(DETECTORS))
def test_every_pixel_lies_where_extra_geom_has_it(tmp_path: Path, name: str) -> None:
    path, plain = tmp_path / "detector.geom", tmp_path / "plain.geom"
    path.write_text(DETECTORS[name]())
    plain.write_text(without_units(DETECTORS[name]()))
    positions = pixel_positions_m(Geometry.from_file(path))
    oracle = load_crystfel_geometry(str(plain)).detector["panels"]
    assert len(oracle) == len(Geometry.from_file(path).panels)
    for fields in oracle.values():
        modules = [place for place in fields["dim_structure"] if isinstance(place, int)]
        start = sum(modules) * 512 + fields["orig_min_ss"]
        rows = slice(start, start + fields["h"])
        columns = slice(fields["orig_min_fs"], fields["orig_max_fs"] + 1)
        expected = oracle_panel_m(fields)
        assert worst_px(positions[rows, columns], expected, 1 / fields["res"]) < 1e-6


def test_agipd_is_that_of_extra_geom(tmp_path: Path) -> None:
    path = tmp_path / "agipd.geom"
    path.write_text(agipd_1m())
    oracle = AGIPD_1MGeometry.from_crystfel_geom(str(path)).get_pixel_positions()
    positions = pixel_positions_m(Geometry.from_file(path)).reshape(oracle.shape)
    assert worst_px(positions, (oracle + np.array([0, 0, 0.1187])) * HALF_TURN, 2e-4) < 1e-6
