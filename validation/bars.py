# SPDX-License-Identifier: MIT
"""What each preset has to reach, and whether it does."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from rows import ROW, ROWS, Numbers
from settings import PEER, RAW

# Relative ones count against the raw frames' value; a background may differ by the scatter between
# repeats of the counting noise.
_BACKGROUND = 0.02


@dataclass(frozen=True)
class Bar:
    """A bound of one quantity.

    Parameters
    ----------
    key : str
        Row that it is about.
    least, most : float or None
        Bounds of the value.
    within : float or None
        Bound of the absolute value.
    of_raw : float or None
        Bound of the relative difference from the raw frames' value.
    """

    key: str
    least: float | None = None
    most: float | None = None
    within: float | None = None
    of_raw: float | None = None

    def describe(self) -> str:
        """Say it in words.

        Examples
        --------
        >>> Bar("strong_spots", of_raw=0.01).describe()
        'within 1 % of raw'
        """
        if self.of_raw is not None:
            return f"within {100 * self.of_raw:g} % of raw"
        if self.within is not None:
            return f"within {self.within:g}"
        return f"at least {self.least:g}" if self.least is not None else f"at most {self.most:g}"

    def holds(self, numbers: Numbers, raw: Numbers) -> bool:
        """Tell whether a data set reaches it.

        Examples
        --------
        >>> Bar("strong_spots", of_raw=0.01).holds({"strong_spots": 98.0}, {"strong_spots": 100.0})
        False
        """
        value = numbers[self.key]
        if self.of_raw is not None:
            return abs(value / raw[self.key] - 1) <= self.of_raw
        if self.within is not None:
            return abs(value) <= self.within
        low = -float("inf") if self.least is None else self.least
        high = float("inf") if self.most is None else self.most
        return low <= value <= high


@dataclass(frozen=True)
class Verdict:
    """One bar, what came out, and whether that will do."""

    setting: str
    row: str
    bar: str
    value: str
    passed: bool


_BACKGROUND_BARS = tuple(
    Bar(f"background_{third}", of_raw=_BACKGROUND) for third in ("low", "middle", "high")
)
# For the plain condition; docs/validation.md says why.
BARS: dict[str, tuple[Bar, ...]] = {
    "default": (
        Bar("ratio", least=8),
        Bar("bias_all", within=1),
        Bar("bias_outer", within=12),
        Bar("cc_truth_outer", least=0.72),
        Bar("r_truth", most=0.070),
        Bar("strong_spots", of_raw=0.01),
        *_BACKGROUND_BARS,
    ),
    "light": (Bar("ratio", least=15),),
    "careful": (
        Bar("ratio", least=4),
        Bar("bias_all", within=0.25),
        Bar("bias_outer", within=8),
        Bar("cc_truth_outer", least=0.745),
        Bar("r_truth", most=0.058),
        Bar("strong_spots", of_raw=0.005),
    ),
}
_BETTER_THAN_PEER = "light"


def verdicts(
    condition: str, found: Mapping[str, Numbers], *, failures: Collection[str] = ()
) -> list[Verdict]:
    """Judge the data sets of one simulation.

    Parameters
    ----------
    condition : str
        The bars are for "plain"; that the light preset is better than the peer holds for all.
    found : mapping
        Numbers by setting.
    failures : collection of str
        Settings that DIALS could not process: no preset may be among them.

    Returns
    -------
    list of Verdict
        Of bars whose quantity was measured.
    """
    raw = found.get(RAW, {})
    judged = [
        Verdict(setting, "processed by DIALS", "yes", "no", passed=False)
        for setting in BARS
        if setting in failures
    ]
    for setting, bars in BARS.items() if condition == "plain" else ():
        numbers = found.get(setting, {})
        for bar in bars:
            if bar.key in numbers and bar.key in raw:
                row, passed = ROW[bar.key], bar.holds(numbers, raw)
                value = row.write(numbers)
                judged.append(Verdict(setting, row.label, bar.describe(), value, passed))
    return [*judged, *_against_peer(found)]


def _against_peer(found: Mapping[str, Numbers]) -> Iterator[Verdict]:
    """Compare every row that has a goal with the peer's."""
    raw = found.get(RAW, {})
    ours, peers = found.get(_BETTER_THAN_PEER, {}), found.get(PEER, {})
    for row in ROWS:
        if row.goal is None or row.key not in ours or row.key not in peers:
            continue
        passed = row.fault(ours, raw) < row.fault(peers, raw)
        bar = f"better than {PEER}'s {row.write(peers)}"
        yield Verdict(_BETTER_THAN_PEER, row.label, bar, row.write(ours), passed)
