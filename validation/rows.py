# SPDX-License-Identifier: MIT
"""Rows of the table: what is measured, how it is written, and what it should be like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Numbers = Mapping[str, float]
Goal = Literal["larger", "zero", "one", "raw"]


@dataclass(frozen=True)
class Row:
    """One quantity.

    Parameters
    ----------
    key : str
        Its name among the numbers of a data set.
    label : str
        Its name for people.
    form : str
        Format specification.
    goal : {"larger", "zero", "one", "raw"} or None
        What the best value is: as large as can be, 0, 1, or what the raw frames give; None: a row
        that only informs.
    """

    key: str
    label: str
    form: str = ".3f"
    goal: Goal | None = None

    def write(self, numbers: Numbers) -> str:
        """Return the value as text, or a dash.

        Examples
        --------
        >>> Row("a", "size", ".1f").write({"a": 2.34}), Row("b", "none").write({})
        ('2.3', '-')
        """
        return format(numbers[self.key], self.form) if self.key in numbers else "-"

    def fault(self, numbers: Numbers, raw: Numbers) -> float:
        """Return how far a value is from its goal: less is better.

        Examples
        --------
        >>> Row("a", "spots", goal="raw").fault({"a": 90.0}, {"a": 100.0})
        10.0
        """
        value = numbers[self.key]
        goals = {"zero": 0.0, "one": 1.0, "raw": raw.get(self.key, 0.0)}
        return -value if self.goal == "larger" else abs(value - goals[str(self.goal)])


ROWS = (
    Row("ratio", "times smaller than bitshuffle-LZ4", ".2f", "larger"),
    Row("strong_spots", "strong spots", ".0f", "raw"),
    Row("indexed_spots", "indexed spots", ".0f", "raw"),
    Row("observations", "observations compared with the truth", ".0f"),
    Row("bias_all", "bias of all intensities, %", "+.2f", "zero"),
    Row("bias_outer", "bias in the outer shell, %", "+.1f", "zero"),
    Row("bias_from_0", "bias below 5 counts, counts", "+.2f", "zero"),
    Row("bias_from_5", "bias at 5 to 20 counts, counts", "+.2f", "zero"),
    Row("bias_from_20", "bias at 20 to 100 counts, counts", "+.2f", "zero"),
    Row("bias_from_100", "bias at 100 to 500 counts, counts", "+.1f", "zero"),
    Row("bias_from_500", "bias above 500 counts, counts", "+.1f"),
    Row("rms_from_0", "rms error below 5 counts, counts", ".2f"),
    Row("rms_from_20", "rms error at 20 to 100 counts, counts", ".2f"),
    Row("cc_observed_outer", "CC of observations to truth, outer shell", ".3f", "one"),
    Row("r_truth", "R to truth, merged", ".4f", "zero"),
    Row("cc_truth", "CC to truth, merged", ".4f", "one"),
    Row("cc_truth_outer", "CC to truth, merged, outer shell", ".3f", "one"),
    Row("CC1/2 outer", "CC1/2, outer shell", ".3f", "raw"),
    Row("Rmerge", "Rmerge", ".4f", "raw"),
    Row("I/sigma", "I/sigma", ".1f", "raw"),
    Row("background_low", "background found/true, third of least", ".3f", "raw"),
    Row("background_middle", "background found/true, middle third", ".3f", "raw"),
    Row("background_high", "background found/true, third of most", ".3f", "raw"),
    Row("common", "observations common with raw", ".0f"),
    Row("sum_to_raw", "sum of intensities / raw", ".4f", "one"),
    Row("cc_raw", "CC of intensities to raw", ".5f", "one"),
    Row("change_in_sigma", "rms change / sigma of raw", ".3f", "zero"),
)
ROW = {row.key: row for row in ROWS}
