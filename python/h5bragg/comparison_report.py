# SPDX-License-Identifier: MIT
"""A comparison as one HTML page that needs no other file and no network."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from .comparison import Comparison, FramePair
from .comparison_plot import draw_comparison
from .comparison_tables import TextTable, shell_table, spot_table
from .output_file import OutputError, output_path
from .params import SparsifyParams
from .spot_comparison import SpotComparison, SpotFrame
from .spot_plot import draw_examples, draw_spots
from .verdict import Verdict, judge

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PAGE = Template("""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
:root { color-scheme: light dark; --text: #202020; --faint: #606060; --page: #ffffff;
  --card: #f4f5f7; --line: #d0d4da; --same: #1a7f37; --weak: #9a6700; --changed: #bc4c00;
  --unknown: #57606a; --wrong: #cf222e; }
@media (prefers-color-scheme: dark) { :root { --text: #e6e6e6; --faint: #a0a6ad; --page: #15181c;
  --card: #21262c; --line: #3a4149; --same: #3fb950; --weak: #d29922; --changed: #f0883e;
  --unknown: #a0a6ad; --wrong: #ff7b72; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--text); background: var(--page);
  max-width: 74rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.35rem; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: 1.8rem 0 .4rem; }
p { margin: .4rem 0; }
.faint { color: var(--faint); }
.verdict { border-left: .4rem solid var(--$level); background: var(--card); padding: .7rem 1rem;
  margin: 1rem 0; border-radius: .3rem; font-size: 1.1rem; }
.verdict b { color: var(--$level); }
.numbers { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .7rem; }
.numbers div { background: var(--card); border-radius: .3rem; padding: .5rem .8rem; }
.numbers b { display: block; font-size: 1.4rem; }
.numbers span { color: var(--faint); font-size: .85rem; }
.tables { display: flex; flex-wrap: wrap; gap: 0 2rem; align-items: flex-start; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .85rem; }
th, td { padding: .18rem .4rem; text-align: right; border-bottom: 1px solid var(--line);
  white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
img { width: 100%; height: auto; border-radius: .3rem; background: #ffffff; }
</style>
</head>
<body>
<h1>$title</h1>
<p class="faint">$about</p>
<div class="verdict"><b>$head</b> $rest
<span class="faint">$caveat</span></div>
<div class="numbers">$numbers</div>
$body
</body>
</html>
""")


@dataclass(frozen=True, kw_only=True)
class ReportInput:
    """What a report is made of.

    Parameters
    ----------
    comparison : Comparison
        Of at least one frame.
    pair : FramePair
        The frame to show.
    spots : SpotFrame
        Its spots.
    frame : int
        Its number.
    name : str
        Of the sparse file.
    """

    comparison: Comparison
    pair: FramePair
    spots: SpotFrame
    frame: int
    name: str


def check_report_path(path: Path) -> None:
    """Refuse, before the long work, a name that is none of a page.

    Raises
    ------
    OutputError

    Examples
    --------
    >>> check_report_path(Path("report.html"))
    """
    if path.suffix.lower() not in (".html", ".htm"):
        raise OutputError(f"{path} is no name of a page: end it in .html")
    if not path.absolute().parent.is_dir():
        raise OutputError(f"{path.parent} does not exist: create the folder first")


def write_report(path: Path, given: ReportInput) -> None:
    """Write a comparison as an HTML page with its pictures in it.

    Parameters
    ----------
    path : Path
        File to write; replaced if it exists.
    given : ReportInput

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    page = report_page(given)
    with output_path(path, force=True) as temporary:
        temporary.write_text(page, encoding="utf-8")


def report_page(given: ReportInput) -> str:
    """Return the page; the verdict first, then figures, pictures and tables."""
    comparison, verdict = given.comparison, judge(given.comparison)
    head, colon, rest = verdict.sentence.partition(":")
    parts = [
        *_spot_parts(comparison),
        *_frame_parts(given),
        *_pixel_parts(comparison),
        _READING,
    ]
    return _PAGE.substitute(
        title=escape(f"{given.name} against raw frames"),
        about=escape(_about(given)),
        level=verdict.level,
        head=escape(head + colon),
        rest=escape(rest),
        caveat=escape(verdict.caveat),
        numbers="".join(
            f"<div><b>{escape(value)}</b><span>{escape(what)}</span></div>"
            for value, what in _numbers(comparison, verdict)
        ),
        body="\n".join(parts),
    )


def _about(given: ReportInput) -> str:
    """Say what was compared and how it was stored."""
    raw = given.pair.raw
    frames = given.comparison.frames
    return (
        f"{frames} frame{'' if frames == 1 else 's'} of {raw.shape[0]} x {raw.shape[1]} pixels, "
        f"{raw.dtype}; stored with {_parameters(given.pair.info.params)}."
    )


def _parameters(params: SparsifyParams) -> str:
    if not params.local_counts:
        return f"snr_pick {params.snr_pick:.3g}, no local counts"
    return (
        f"snr_pick {params.snr_pick:.3g}, local counts with step {params.local_step:g} and "
        f"significance {params.local_significance:.3g}"
    )


def _numbers(comparison: Comparison, verdict: Verdict) -> list[tuple[str, str]]:
    """Give the handful of figures to see first."""
    wrong = comparison.picked_wrong + comparison.masked_wrong + comparison.over_threshold
    numbers = [
        (f"{comparison.ratio:.3g} \N{MULTIPLICATION SIGN}", "smaller than raw"),
        (
            f"{comparison.bitshuffle_ratio:.3g} \N{MULTIPLICATION SIGN}",
            "smaller than bitshuffle-LZ4",
        ),
    ]
    spots = comparison.spots
    if spots is not None and spots.raw_spots and verdict.level != "wrong":
        total = spots.either.total
        numbers += [
            (
                f"{spots.found_again} of {spots.raw_spots}",
                f"spots found again; {spots.only_restored} new",
            ),
            (f"{total.ratio[0]:.4f}", "intensity of all spots, restored / raw"),
        ]
    numbers.append((str(wrong), "wrong pixels among those that must be right"))
    return numbers


def _spot_parts(comparison: Comparison) -> list[str]:
    spots, shells = comparison.spots, comparison.shells
    if spots is None or shells is None:
        return []
    return [
        "<h2>Spots and background</h2>",
        _image(
            draw_spots(spots, shells), "Intensities, their ratios, and background by resolution"
        ),
        '<div class="tables"><div>',
        "<h2>Intensities by class</h2>",
        _table(spot_table(spots), _groups(spots)),
        "</div><div>",
        "<h2>Background, counts a pixel</h2>",
        _table(shell_table(shells)),
        "</div></div>",
        f'<p class="faint">{escape(_lattice(spots))}</p>',
    ]


def _groups(spots: SpotComparison) -> list[tuple[str, int]]:
    """Name the groups of columns of the spot table, and their widths."""
    groups = [("", 1), ("spots found in either frame", 3)]
    if spots.elsewhere.total.count[0]:
        groups.append(("where the raw frame before has spots", 3))
    return groups


def _lattice(spots: SpotComparison) -> str:
    lattice = spots.lattice
    text = f"Correlation of the intensities of spots: {spots.correlation:.5f}."
    if lattice.count[0]:
        raw, restored = (float(scatter[0]) for scatter in lattice.scatter_sigma)
        text += (
            f" At {lattice.count[0]:.0f} fixed places beside spots restored less raw is "
            f"{lattice.mean_sigma[0]:.3f} \N{PLUS-MINUS SIGN} {lattice.mean_sigma_error[0]:.3f} "
            f"sigma; they scatter by {restored:.2f} sigma, raw by {raw:.2f}."
        )
    return text


def _frame_parts(given: ReportInput) -> list[str]:
    figure = draw_comparison(
        given.pair, moments=given.comparison.moments, title=f"Frame {given.frame}"
    )
    parts = ["<h2>One frame, and the rings of all</h2>", _image(figure, "Raw and restored frame")]
    if len(given.spots.either[0]):
        parts += [
            f"<h2>Spots of frame {given.frame}, from the weakest up</h2>",
            _image(draw_examples(given.spots), "Enlarged spots, raw and restored"),
        ]
    return parts


def _pixel_parts(comparison: Comparison) -> list[str]:
    rows: list[tuple[str, ...]] = [
        ("stored exactly", str(comparison.picked_pixels), f"{comparison.picked_wrong} differ"),
        ("masked", str(comparison.masked_pixels), f"{comparison.masked_wrong} differ"),
        (
            "restored as noise",
            str(comparison.discarded_pixels),
            f"{comparison.over_threshold} above their threshold",
        ),
    ]
    parts = ["<h2>Single pixels</h2>", _table(TextTable(("pixels", "number", "wrong"), rows))]
    test = comparison.ring_test()
    if test is not None and len(test.rings):
        verdict = "within" if test.is_consistent else "beyond"
        parts.append(
            f"<p>Mean and variance of {len(test.rings)} rings of noise are {verdict} their "
            f"statistical error: all together {test.mean_ratio:.5f} and {test.variance_ratio:.5f} "
            "of raw.</p>"
        )
    return parts


_READING = """\
<h2>How to read this</h2>
<p class="faint">Spots are found, and boxes of 5 x 5 pixels integrated, in raw and restored frames
by the same simple method. Intensities are classed by intensity over its counting error, sigma;
&ldquo;restored / raw&rdquo; is the ratio of sums, its standard error in units of the last digit
in brackets; rms/sigma is the root mean square difference in units of sigma. A spot found in a raw
frame is one that noise happened to help. So the fair test of weak spots is the other one: places
where the raw frame before has a spot, whose noise knows nothing of this frame's. The verdict
applies the limits that are stated in docs/cli.md. It does not replace a comparison of your own
processing.</p>"""


def _table(table: TextTable, groups: list[tuple[str, int]] | None = None) -> str:
    def row(cells: tuple[str, ...], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    head = row(table.header, "th")
    if groups:
        top = "".join(f'<th colspan="{width}">{escape(name)}</th>' for name, width in groups)
        head = f"<tr>{top}</tr>" + head
    body = "".join(row(cells, "td") for cells in table.rows)
    return f"<table><thead>{head}</thead><tbody>{body}</tbody></table>"


def _image(figure: Figure, description: str) -> str:
    """Return a picture as an element that holds it."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f'<img alt="{escape(description)}" src="data:image/png;base64,{data}">'
