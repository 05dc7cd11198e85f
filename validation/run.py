# SPDX-License-Identifier: MIT
"""Simulate, compress at several settings, process with DIALS, and compare with the truth.

    python validation/run.py -w WORK                    everything on the plain condition
    python validation/run.py -w WORK --short            a few frames, no merging: minutes

What is finished stays in WORK and is not done again, unless what it was made from changes.
docs/validation.md says what the rows of the table mean.
"""

from __future__ import annotations

import argparse
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from cache import files_digest, frames_digest, kept_folder
from dials_host import DialsError, dials_python, export
from figures import draw_figures
from process import merging_statistics, process
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from scene import CONDITIONS, Scene
from settings import PEER, PEER_PREFIX, RAW, REPEAT, SettingError, make_frames, parse_setting
from simulate import RAW_NAME, TRUTH_NAME, simulate
from table import Outcome, report, write_json
from truth import Numbers, against_raw, integrated_against_truth, scaled_against_truth

from h5bragg.errors import H5braggError

_SETTINGS = ("default", "light", "careful", PEER)
_FRAMES, _SHORT_FRAMES = 120, 8
_REPEAT_SHIFT = 1000  # of the noise seed
_SIMULATION = ("scene", "ewald", "reflections", "photons", "simulate", "dense_file")
_MASK_NAME = "usable.pickle"  # beam stop and arm are not
_HERE = Path(__file__).parent
_SHORT_HELP = f"{_SHORT_FRAMES} frames; spot finding, indexing and integration only"
_SEEDS_HELP = "of crystal and noise, a simulation each; default: 11"
_SETTINGS_HELP = (
    f"PRESET[:field=value,...], {PEER_PREFIX}SIGMA (pyFAI + FabIO), {REPEAT} (raw frames with "
    f"other counting noise); raw is always there; default: {' '.join(_SETTINGS)}"
)


@dataclass(frozen=True)
class DataSet:
    """What one setting makes of a simulation.

    Parameters
    ----------
    nbytes : int
        Size.
    dials : Path
        Folder of what DIALS makes of it.
    failure : str
        What DIALS says if it cannot process it.
    """

    nbytes: int
    dials: Path
    failure: str = ""


class Run:
    """One call of the command: its work folder, its options and its progress."""

    def __init__(self, options: argparse.Namespace, progress: Progress) -> None:
        self.work: Path = options.work
        self.short: bool = options.short
        self.jobs: int = options.jobs
        self.nframes: int = options.frames or (_SHORT_FRAMES if self.short else _FRAMES)
        self.settings = list(dict.fromkeys((RAW, *options.settings)))
        self.progress = progress

    def outcome(self, condition: str, seed: int) -> Outcome:
        """Return the numbers of all settings on one simulation."""
        name = f"{condition}-{seed}"
        scene = Scene(nframes=self.nframes, seed=seed, noise_seed=seed, **CONDITIONS[condition])
        source = self._simulated(scene, name)

        def processed(setting: str) -> DataSet:
            return self._processed(setting, scene, source, name)

        with ThreadPoolExecutor(self.jobs) as pool:
            sets = dict(zip(self.settings, pool.map(processed, self.settings), strict=True))
        if sets[RAW].failure:
            raise DialsError(sets[RAW].failure)
        found = {setting: self._numbers(data, sets[RAW], source) for setting, data in sets.items()}
        failures = {setting: data.failure for setting, data in sets.items() if data.failure}
        return Outcome(condition, seed, found, failures, judged=not self.short)

    def _simulated(self, scene: Scene, name: str) -> Path:
        """Return the folder of a simulation, made if it is not there."""
        sources = files_digest(*(_HERE / f"{module}.py" for module in _SIMULATION))
        folder = kept_folder(
            self.work / name / f"frames-{scene.noise_seed}", scene=scene.as_dict(), sources=sources
        )
        if not (folder / RAW_NAME).exists():
            task = self.progress.add_task(f"{name}: simulate {scene.nframes} frames", total=1.0)
            simulate(scene, folder, progress=lambda part: self.progress.advance(task, part))
            self.progress.remove_task(task)
            self._say(f"{name}: simulated")
        if not (folder / _MASK_NAME).exists():
            truth, mask = folder / TRUTH_NAME, folder / _MASK_NAME
            export("mask", truth.resolve(), mask.resolve(), folder=folder)
        return folder

    def _processed(self, setting: str, scene: Scene, source: Path, name: str) -> DataSet:
        """Make the frames of one setting, and let DIALS process them."""
        if setting == REPEAT:
            other = replace(scene, noise_seed=scene.noise_seed + _REPEAT_SHIFT)
            source = self._simulated(other, name)
        task = self.progress.add_task(f"{name}: {setting}", total=1 + 4 + 2 * (not self.short))
        folder = self.work / name / setting.replace(":", "_").replace(",", "_").replace("=", "-")
        frames, nbytes = make_frames(setting, source, scene, folder / "frames")
        self.progress.advance(task)

        def finished(step: str, seconds: float) -> None:
            self.progress.advance(task)
            self._say(f"{name}: {setting}: {step}, {seconds:.0f} s")

        digest = frames_digest(frames)
        dials = kept_folder(folder / "dials", frames=digest, short=self.short)
        failure = ""
        try:
            process(frames, source / _MASK_NAME, dials, merge=not self.short, finished=finished)
        except DialsError as error:
            failure = str(error)
            self._say(f"{name}: {setting}: {failure}")
        self.progress.remove_task(task)
        return DataSet(nbytes, dials, failure)

    def _numbers(self, data: DataSet, raw: DataSet, source: Path) -> Numbers:
        """Return all numbers of one data set."""
        numbers: Numbers = {"ratio": raw.nbytes / data.nbytes}
        if data.failure:
            return numbers
        truth = dict(np.load(source / TRUTH_NAME))
        integrated = dict(np.load(data.dials / "integrated.npz"))
        spots = json.loads((data.dials / "spots.json").read_text(encoding="utf-8"))
        numbers |= {name: float(value) for name, value in spots.items()}
        numbers |= integrated_against_truth(integrated, truth)
        if not self.short:
            log = (data.dials / "scale.out").read_text(encoding="utf-8")
            numbers |= merging_statistics(log)
            numbers |= scaled_against_truth(dict(np.load(data.dials / "scaled.npz")), truth)
        if data is not raw:
            numbers |= against_raw(integrated, dict(np.load(raw.dials / "integrated.npz")))
        return numbers

    def _say(self, words: str) -> None:
        self.progress.console.print(words, highlight=False)


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; settings that cannot be are refused before any work."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("-w", "--work", type=Path, required=True, metavar="WORK", help="folder for everything")
    add("--short", action="store_true", help=_SHORT_HELP)
    conditions = {"nargs": "+", "choices": CONDITIONS, "metavar": "CONDITION"}
    named = ", ".join(CONDITIONS)
    add("--conditions", **conditions, default=["plain"], help=f"of {named}; default: plain")
    add("--seeds", nargs="+", type=int, default=[11], help=_SEEDS_HELP)
    add("--settings", nargs="+", default=list(_SETTINGS), help=_SETTINGS_HELP)
    add("--frames", type=int, help=f"number of frames; default: {_FRAMES}")
    add("--jobs", type=int, default=1, help="data sets processed at a time; default: 1")
    options = parser.parse_args(arguments)
    for setting in options.settings:
        if setting in (RAW, REPEAT) or setting.startswith(PEER_PREFIX):
            continue
        try:
            parse_setting(setting)
        except (SettingError, H5braggError) as error:
            parser.error(str(error))
    return options


def main() -> int:
    """Run the command; exit status 1 if a preset misses a bar, 2 if DIALS cannot run."""
    options = parse_arguments()
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    outcomes = []
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        run = Run(options, progress)
        try:
            dials_python()
            for condition in options.conditions:
                for seed in options.seeds:
                    outcomes.append(run.outcome(condition, seed))
        except (DialsError, FileExistsError) as error:
            progress.console.print(f"validation: {error}", highlight=False)
            return 2
    text = report(outcomes)
    (options.work / "table.md").write_text(text, encoding="utf-8")
    write_json(options.work / "results.json", outcomes)
    pictures = draw_figures(options.work, outcomes)
    print(text)
    print("Written:", *(options.work / name for name in ("table.md", "results.json")), *pictures)
    failed = [verdict for outcome in outcomes for verdict in outcome.verdicts if not verdict.passed]
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
