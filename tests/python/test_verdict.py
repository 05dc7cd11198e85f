# SPDX-License-Identifier: MIT
"""The verdict follows from the figures, at the limits that docs/cli.md states."""

from dataclasses import replace

import numpy as np
import pytest

from h5bragg.comparison import Comparison
from h5bragg.shells import NBINS, ShellSums
from h5bragg.spot_comparison import NCLASSES, PairSums, SpotComparison
from h5bragg.verdict import judge


def pairs(
    ratios: tuple[float, ...] = (1, 1, 1, 1), *, count: int = 200, error: float = 0.001
) -> PairSums:
    """Sums of so many pairs a class of 100 counts, sigma 10."""
    ratio = np.array(ratios, float)
    raw = np.full(NCLASSES, 100.0 * count)
    difference = raw * (ratio - 1)
    sums = np.zeros((9, NCLASSES))
    sums[0], sums[1], sums[2] = count, raw, raw + difference
    sums[3] = (error * raw) ** 2 + difference**2 / max(count, 1)
    sums[8] = 100.0 * count
    return PairSums(sums)


def comparison(
    *,
    either: PairSums | None = None,
    elsewhere: PairSums | None = None,
    raw_spots: int = 1000,
    found_again: int = 1000,
    background: float = 1.0,
    pixels: float = 1e6,
) -> Comparison:
    spots = SpotComparison(
        raw_spots=raw_spots,
        restored_spots=raw_spots,
        found_again=found_again,
        only_restored=0,
        either=either or pairs(),
        elsewhere=elsewhere or pairs(),
        lattice=PairSums(np.zeros((9, 1))),
        moments=np.zeros(6),
        pairs=np.empty((0, 3), np.float32),
    )
    sums = np.array([np.full(NBINS, pixels)] * 3)
    sums[2, : NBINS // 2] *= background
    shells = ShellSums(1 / np.linspace(0.01, 0.5, NBINS + 1), "A", sums)
    return Comparison(frames=1, spots=spots, shells=shells)


def test_no_change() -> None:
    found = judge(comparison(either=pairs((1.001, 1, 1, 0.9994)), found_again=995))
    assert found.level == "same"
    assert found.sentence == (
        "Spots and background agree: 99.5 % of 1000 spots are found again, sums "
        "of intensities agree within 0.1 % in every class, and the background agrees within 0 % in "
        "every resolution shell."
    )
    assert found.caveat == ""


@pytest.mark.parametrize(
    ("ratio", "error", "level"),
    [(0.981, 0.001, "same"), (0.979, 0.001, "weak"), (1.021, 0.001, "weak"), (0.9, 0.04, "same")],
)
def test_a_class_changes_by_more_than_the_tolerance_and_more_than_chance(
    ratio: float, error: float, level: str
) -> None:
    changed = pairs((ratio, 1, 1, 1), error=error)
    assert judge(comparison(either=changed)).level == level
    assert judge(comparison(elsewhere=changed)).level == level


def test_what_could_not_be_seen_is_said() -> None:
    found = judge(comparison(elsewhere=pairs((0.99, 1, 1, 1), error=0.02)))
    assert found.level == "same"
    assert "agree within 1.0 %" in found.sentence
    assert found.caveat.startswith("Of the least certain class, changes below 6.0 %")


def test_without_a_frame_before_weak_spots_are_not_judged() -> None:
    found = judge(comparison(elsewhere=pairs(count=0)))
    assert found.level == "same"
    assert found.caveat.startswith("Spots too weak to be found were not tested")


def test_weak_and_strong_spots() -> None:
    weak = judge(comparison(either=pairs((0.747, 0.91, 0.989, 1.002)), found_again=977))
    assert weak.level == "weak"
    assert weak.sentence == (
        "Weak spots change: those below 5 sigma hold 74.7 % of their raw intensity, those of 5 to "
        "10 sigma 91.0 %; 97.7 % of 1000 spots are found again; of strong spots, sums of "
        "intensities agree within 1.1 % in every class."
    )
    strong = judge(comparison(either=pairs((1, 1, 1, 0.9))))
    assert strong.level == "changed"
    assert "those of 20 sigma and more hold 90.0 % of" in strong.sentence
    # Where another frame has a strong spot, this one may have a weak one.
    elsewhere = judge(comparison(elsewhere=pairs((1, 1, 1, 0.9))))
    assert elsewhere.level == "weak"
    assert "frame before has spots of 20 sigma and more hold 90.0 %" in elsewhere.sentence


@pytest.mark.parametrize(("missed", "level"), [(30, "same"), (34, "weak")])
def test_missed_spots(missed: int, level: str) -> None:
    # 2 % of 1000, and three times the square root of that
    assert judge(comparison(found_again=1000 - missed)).level == level


@pytest.mark.parametrize(
    ("background", "pixels", "level"),
    [(1.009, 1e6, "same"), (1.011, 1e6, "changed"), (0.98, 1e6, "changed"), (1.02, 100.0, "same")],
)
def test_a_changed_background(background: float, pixels: float, level: str) -> None:
    found = judge(comparison(background=background, pixels=pixels))
    assert found.level == level
    if level == "changed":
        assert found.sentence.startswith("The background changes: at ")
        assert "100 % of 1000 spots are found again" in found.sentence
    both = judge(comparison(background=1.5, either=pairs((0.5, 1, 1, 1))))
    assert both.level == "changed"
    assert "hold 50.0 %" in both.sentence
    assert both.sentence.endswith("150.0 % of raw.")


def test_too_few_spots_are_not_judged() -> None:
    found = judge(comparison(raw_spots=20, found_again=5, either=pairs((0.5, 1, 1, 1))))
    assert found.level == "unknown"
    assert found.sentence.startswith("Too few spots to judge: 20 in the raw frames; the background")
    assert judge(comparison(raw_spots=2, background=2)).level == "changed"
    assert judge(comparison(either=pairs(count=9, error=0.2))).level == "same"
    assert (
        "to be tested"
        in judge(comparison(either=pairs(count=5), elsewhere=pairs(count=5))).sentence
    )


def test_broken_promises_come_first() -> None:
    for name, words in (
        ("picked_wrong", "3 pixels that must be exact differ"),
        ("masked_wrong", "3 masked pixels differ"),
        ("over_threshold", "3 restored pixels are above their threshold"),
        ("raw_over_threshold", "3 raw pixels above the threshold were discarded"),
    ):
        found = judge(replace(comparison(), **{name: 3}))
        assert (found.level, found.sentence) == ("wrong", f"Do not use this file: {words}.")
