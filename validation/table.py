# SPDX-License-Identifier: MIT
"""Write the numbers of all data sets side by side, as Markdown and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bars import Verdict, verdicts
from rows import ROWS, Numbers


@dataclass(frozen=True)
class Outcome:
    """Numbers of all settings on one simulation.

    Parameters
    ----------
    condition : str
        One of `scene.CONDITIONS`.
    seed : int
    found : mapping
        Numbers by setting, in the order of the table's columns.
    failures : mapping
        What DIALS said of settings that it could not process.
    judged : bool
        Hold the presets against their bars, which need the statistics of a whole scan.
    """

    condition: str
    seed: int
    found: Mapping[str, Numbers]
    failures: Mapping[str, str] = field(default_factory=dict)
    judged: bool = True

    @property
    def verdicts(self) -> list[Verdict]:
        """What the presets reach."""
        if not self.judged:
            return []
        return verdicts(self.condition, self.found, failures=self.failures)


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown.

    Examples
    --------
    >>> print(markdown_table(["", "raw"], [["spots", "7"]]))
    |  | raw |
    |---|---|
    | spots | 7 |
    """
    lines = [header, ["---"] * len(header), *rows]
    text = ["| " + " | ".join(line) + " |" for line in lines]
    text[1] = "|" + "---|" * len(header)
    return "\n".join(text)


def side_by_side(outcome: Outcome) -> str:
    """Return the table of one simulation: a row a quantity, a column a setting."""
    rows = [
        [row.label, *(row.write(numbers) for numbers in outcome.found.values())]
        for row in ROWS
        if any(row.key in numbers for numbers in outcome.found.values())
    ]
    return markdown_table(["", *outcome.found], rows)


def judgement(outcome: Outcome) -> str:
    """Return the table of bars of one simulation."""
    rows = [
        [verdict.setting, verdict.row, verdict.bar, verdict.value, _word(verdict)]
        for verdict in outcome.verdicts
    ]
    return markdown_table(["preset", "", "bar", "found", ""], rows)


def report(outcomes: Sequence[Outcome]) -> str:
    """Return everything, in Markdown."""
    parts = []
    for outcome in outcomes:
        parts += [f"## {outcome.condition}, seed {outcome.seed}", side_by_side(outcome)]
        parts += [f"{setting}: {words}" for setting, words in outcome.failures.items()]
        if outcome.verdicts:
            parts.append(judgement(outcome))
    return "\n\n".join(parts) + "\n"


def write_json(path: Path, outcomes: Sequence[Outcome]) -> None:
    """Write the numbers and the verdicts for programs."""
    simulations: list[dict[str, Any]] = [
        {
            "condition": outcome.condition,
            "seed": outcome.seed,
            "found": {setting: dict(numbers) for setting, numbers in outcome.found.items()},
            "failures": dict(outcome.failures),
            "bars": [asdict(verdict) for verdict in outcome.verdicts],
        }
        for outcome in outcomes
    ]
    path.write_text(json.dumps(simulations, indent=1), encoding="utf-8")


def _word(verdict: Verdict) -> str:
    return "pass" if verdict.passed else "**fail**"
