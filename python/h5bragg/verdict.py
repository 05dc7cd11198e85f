# SPDX-License-Identifier: MIT
"""What a comparison amounts to, in one sentence that follows from its figures.

docs/cli.md ("What the verdict means") states the limits that stand here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from .comparison import Comparison
from .comparison_tables import class_name
from .shells import ShellSums
from .spot_comparison import PairSums, SpotComparison

# An intensity class has changed if its sum differs by more than this, and by more standard errors
# than that.  Classes of few places, or whose sum is lost in noise, are not tested.
RATIO_TOLERANCE = 0.02
RATIO_ERRORS = 3.0
LEAST_PLACES = 10
LEAST_SUM_SIGNIFICANCE = 10.0
# So many spots may be missed, and what chance adds to it.
MISSED_TOLERANCE = 0.02
# A resolution shell has changed if its mean background differs by more.
BACKGROUND_TOLERANCE = 0.01
BACKGROUND_ERRORS = 4.0
# With fewer spots nothing can be said of them.
LEAST_SPOTS = 30
# Classes from this one on are of strong spots: 10 sigma and more.
STRONG = 2

_NO_PLACES = (
    "Spots too weak to be found were not tested: that takes frames that follow one another and "
    "share spots."
)

Level = Literal["same", "weak", "changed", "unknown", "wrong"]


@dataclass(frozen=True)
class Verdict:
    """The outcome of a comparison.

    Parameters
    ----------
    level : {"same", "weak", "changed", "unknown", "wrong"}
        No change was seen; weak spots changed; strong spots or the background changed; there were
        too few spots to tell; the file breaks what the format promises.
    sentence : str
        For people, true to the figures.
    caveat : str
        One more sentence on what could not be seen, or nothing.
    """

    level: Level
    sentence: str
    caveat: str = ""


@dataclass(frozen=True)
class _ClassRatio:
    """Restored over raw of one class that can be tested."""

    index: int
    ratio: float
    error: float

    @property
    def is_changed(self) -> bool:
        change = abs(self.ratio - 1)
        return change > RATIO_TOLERANCE and change > RATIO_ERRORS * self.error


def judge(comparison: Comparison) -> Verdict:
    """Sum a comparison up.

    Parameters
    ----------
    comparison : Comparison
        Of at least one frame.

    Examples
    --------
    >>> from h5bragg.comparison import Comparison
    >>> judge(Comparison(picked_pixels=10, picked_wrong=2)).sentence
    'Do not use this file: 2 pixels that must be exact differ.'
    """
    if not comparison.is_exact:
        return Verdict("wrong", f"Do not use this file: {_broken(comparison)}.")
    spots, shells = comparison.spots, comparison.shells
    if spots is None or shells is None:
        return Verdict("unknown", "Nothing was compared.")
    background = _changed_background(shells)
    if spots.raw_spots < LEAST_SPOTS:
        rest = f"the background changes: {background}" if background else _background(shells)
        return Verdict(
            "changed" if background else "unknown",
            f"Too few spots to judge: {spots.raw_spots} in the raw frames; {rest}.",
        )
    verdict = _judge_spots(spots, shells)
    if background is None:
        return verdict
    if verdict.level == "same":
        sentence = f"The background changes: {background}; {_unchanged(spots)}."
    else:
        sentence = f"{verdict.sentence[:-1]}; the background changes: {background}."
    return Verdict("changed", sentence, verdict.caveat)


def _broken(comparison: Comparison) -> str:
    """Name the promises of the format that are broken."""
    counts = (
        (comparison.picked_wrong, "pixels that must be exact differ"),
        (comparison.masked_wrong, "masked pixels differ"),
        (comparison.over_threshold, "restored pixels are above their threshold"),
        (comparison.raw_over_threshold, "raw pixels above the threshold were discarded"),
    )
    return ", ".join(f"{count} {what}" for count, what in counts if count)


def _judge_spots(spots: SpotComparison, shells: ShellSums) -> Verdict:
    found, places = list(_tested(spots.either)), list(_tested(spots.elsewhere))
    changed = [item for item in found if item.is_changed]
    moved = [item for item in places if item.is_changed]
    again = _again(spots)
    if changed:
        held = ", ".join(
            f"those {_sigma(item.index)} {'hold ' if item is changed[0] else ''}"
            f"{_percent(item.ratio)}{' of their raw intensity' if item is changed[0] else ''}"
            for item in changed
        )
        if any(item.index >= STRONG for item in changed):
            return Verdict("changed", f"Spots change, strong ones as well: {held}; {again}.")
        strong = _agreement([item for item in found if item.index >= STRONG])
        return Verdict("weak", f"Weak spots change: {held}; {again}; of strong spots, {strong}.")
    if moved:
        # Where the frame before has a strong spot, this one may have a weak one.
        worst = max(moved, key=lambda item: abs(item.ratio - 1))
        return Verdict(
            "weak",
            "Weak spots change: places where the frame before has spots "
            f"{_sigma(worst.index)} hold {_percent(worst.ratio)} of their raw intensity; of spots "
            f"that are found, {_agreement(found)}; {again}.",
        )
    missed, allowed = spots.raw_spots - spots.found_again, MISSED_TOLERANCE * spots.raw_spots
    if missed > allowed + 3 * math.sqrt(allowed):
        return Verdict("weak", f"Faint spots are missed: {again}; {_agreement(found)}.")
    return Verdict(
        "same",
        f"Spots and background agree: {_unchanged(spots)}, and {_background(shells)}.",
        " ".join(filter(None, (_caveat([*found, *places]), "" if places else _NO_PLACES))),
    )


def _again(spots: SpotComparison) -> str:
    return f"{_percent(spots.found_again_fraction)} of {spots.raw_spots} spots are found again"


def _unchanged(spots: SpotComparison) -> str:
    return f"{_again(spots)}, {_agreement([*_tested(spots.either), *_tested(spots.elsewhere)])}"


def _tested(pairs: PairSums) -> Iterator[_ClassRatio]:
    """Give the classes with enough in them to be tested."""
    for index, (count, significance) in enumerate(
        zip(pairs.count, pairs.raw_significance, strict=True)
    ):
        if count >= LEAST_PLACES and significance >= LEAST_SUM_SIGNIFICANCE:
            ratio, error = float(pairs.ratio[index]), float(pairs.ratio_error[index])
            yield _ClassRatio(index, ratio, error)


def _agreement(tested: list[_ClassRatio]) -> str:
    """Say how well sums of intensities agree."""
    if not tested:
        return "no class has intensity enough to be tested"
    largest = max(abs(item.ratio - 1) for item in tested)
    return f"sums of intensities agree within {_percent(largest)} in every class"


def _caveat(tested: list[_ClassRatio]) -> str:
    """Say what would not have been seen, if that is more than the tolerance."""
    blind = max((RATIO_ERRORS * item.error for item in tested), default=0.0)
    if blind <= RATIO_TOLERANCE:
        return ""
    return (
        f"Of the least certain class, changes below {_percent(blind)} would not be seen; more "
        "frames would show less."
    )


def _changed_background(shells: ShellSums) -> str | None:
    """Name the shell whose background changed most, if one did."""
    changed = [
        shell
        for shell in shells.shells
        if abs(shell.ratio - 1) > max(BACKGROUND_TOLERANCE, BACKGROUND_ERRORS * shell.ratio_error)
    ]
    if not changed:
        return None
    worst = max(changed, key=lambda shell: abs(shell.ratio - 1))
    unit = "A" if shells.unit == "A" else "pixels from the beam"
    return f"at {worst.inner:.3g} to {worst.outer:.3g} {unit} it is {_percent(worst.ratio)} of raw"


def _background(shells: ShellSums) -> str:
    changes = [abs(shell.ratio - 1) for shell in shells.shells if shell.raw > 0]
    if not changes:
        return "there is no background"
    return f"the background agrees within {_percent(max(changes))} in every resolution shell"


def _sigma(index: int) -> str:
    name = class_name(index).replace(" and", " sigma and")
    of = "" if index == 0 else "of "
    return f"{of}{name}" + ("" if "sigma" in name else " sigma")


def _percent(fraction: float) -> str:
    """Write a fraction in percent.

    Examples
    --------
    >>> _percent(0.99871), _percent(0.99991), _percent(1.0), _percent(0.00012), _percent(0.0)
    ('99.9 %', '99.99 %', '100 %', '0.012 %', '0 %')
    """
    percent = 100 * fraction
    if percent in (0, 100):
        return f"{percent:.0f} %"
    if 99.9 < percent < 100:
        return f"{percent:.2f} %"
    return f"{percent:.1f} %" if percent >= 1 else f"{percent:.2g} %"
