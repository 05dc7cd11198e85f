# SPDX-License-Identifier: MIT
"""Real stills: dials.stills_process on raw frames and on the same frames compressed.

    python validation/stills.py -w WORK FRAME.cbf.bz2 ...

Each frame is a data set of its own, so that one which does not index leaves the others alone.
Needed are frames of thaumatin, as its cell is given to DIALS.
"""

from __future__ import annotations

import argparse
import bz2
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
from cache import files_digest, kept_folder
from dials_host import DialsError, export, run_dials
from rich.console import Console
from settings import RAW, parse_setting
from table import markdown_table
from truth import Table, against_raw

from h5bragg import SparsifyParams, get_config
from h5bragg.frames import open_frames
from h5bragg.geometry import Geometry
from h5bragg.writer import compress

_OPTIONS = (
    "mp.nproc=1",
    "indexing.known_symmetry.space_group=P41212",
    "indexing.known_symmetry.unit_cell=58,58,150,90,90,90",
    "spotfinder.filter.min_spot_size=3",
)
_LEAST_SUM = 0.98  # of raw: what the default preset has to reach
# A module that dials.stills_process imports and nothing needs.
_SHIM = "xfel_mono_sim_ext.py"
_FINISHED = "finished"


def raw_frame(source: Path, folder: Path) -> Path:
    """Return the frame as a file that DIALS opens: CBF, without bzip2 around it."""
    if source.suffix != ".bz2":
        return source.resolve()
    output = folder / source.stem
    output.write_bytes(bz2.decompress(source.read_bytes()))
    return output.resolve()


def compressed_frame(source: Path, folder: Path, params: SparsifyParams) -> Path:
    """Compress one frame into a file of its own."""
    output = folder / f"{source.name.split('.')[0]}.h5"
    with open_frames([source]) as frames:
        geometry = Geometry.from_file(source, shape=frames.shape)
        compress(frames, output, geometry=geometry, params=params, force=True)
    return output.resolve()


def process_still(frame: Path, folder: Path) -> None:
    """Let DIALS index and integrate one still; integrated.npz is missing if it does not index."""
    shims = folder / "shims"
    shims.mkdir(exist_ok=True)
    (shims / _SHIM).touch()
    log = folder / "stills_process.out"
    command = ["dials.stills_process", str(frame), *_OPTIONS]
    run_dials(command, folder, log, variables={"PYTHONPATH": str(shims.resolve())})
    export("stills", folder.resolve(), folder=folder)


def still(source: Path, setting: str, work: Path) -> Table | None:
    """Return what DIALS integrates of one frame at one setting, or None if it does not index.

    Finished frames are kept.
    """
    params = None if setting == RAW else parse_setting(setting)
    folder = kept_folder(
        work / setting.replace(":", "_") / source.name.split(".")[0],
        frame=files_digest(source),
        params=asdict(params) if params else None,
        library=files_digest(Path(str(get_config()["library"]))) if params else None,
    )
    if not (folder / _FINISHED).exists():
        frame = compressed_frame(source, folder, params) if params else raw_frame(source, folder)
        process_still(frame, folder)
        (folder / _FINISHED).touch()
    table = folder / "integrated.npz"
    return dict(np.load(table)) if table.exists() else None


def compare(name: str, raw: Table | None, found: Table | None) -> tuple[list[str], bool]:
    """Return the row of one frame, and whether compression did no harm to it."""
    if raw is None or found is None:
        passed = raw is None
        which = "not raw" if passed and found else "neither" if passed else "raw only"
        return [name, f"indexes: {which}", *["-"] * 5, _word(passed)], passed
    numbers = against_raw(found, raw)
    passed = numbers["sum_to_raw"] >= _LEAST_SUM
    cells = [f"{table['cell'][0]:.2f}, {table['cell'][2]:.2f}" for table in (raw, found)]
    counts = f"{len(raw['intensity'])} / {len(found['intensity'])}"
    sums = [f"{numbers['common']:.0f}", f"{numbers['cc_raw']:.4f}", f"{numbers['sum_to_raw']:.3f}"]
    return [name, counts, *cells, *sums, _word(passed)], passed


def _word(passed: bool) -> str:
    return "pass" if passed else "**fail**"


def main() -> int:
    """Run the command; exit status 1 if a frame fails, 2 if DIALS cannot run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("frames", nargs="+", type=Path, help="CBF files, also under bzip2")
    parser.add_argument("-w", "--work", type=Path, required=True, help="folder for everything")
    parser.add_argument("--setting", default="default", help="PRESET[:field=value,...]")
    options = parser.parse_args()
    console = Console(stderr=True)
    rows, good = [], True
    try:
        for source in options.frames:
            tables = []
            for setting in (RAW, options.setting):
                with console.status(f"{source.name}: {setting}"):
                    tables.append(still(source, setting, options.work))
                console.print(f"{source.name}: {setting}", highlight=False)
            row, passed = compare(source.name, *tables)
            rows.append(row)
            good &= passed
    except DialsError as error:
        console.print(f"validation: {error}", highlight=False)
        return 2
    header = [
        "frame",
        "reflections raw / compressed",
        "a, c raw",
        "a, c compressed",
        "common",
        "CC",
    ]
    header += ["sum / raw", ""]
    text = markdown_table(header, rows)
    (options.work / "stills.md").write_text(text + "\n", encoding="utf-8")
    print(text)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
