# SPDX-License-Identifier: MIT
"""Print a comparison as a table."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from ..comparison import Comparison
from ..comparison_tables import TextTable, shell_table, spot_table
from ..ring_test import RingTest
from ..spot_comparison import SpotComparison
from ..verdict import judge

_COLORS = {"same": "green", "weak": "yellow", "changed": "yellow", "unknown": "yellow"}


def report(console: Console, comparison: Comparison) -> None:
    """Print sizes, exactness, the test of the rings, spots, background, and the verdict.

    Parameters
    ----------
    console : rich.console.Console
    comparison : Comparison
    """
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_row("frames", str(comparison.frames))
    table.add_row("size", f"{comparison.ratio:.1f} times smaller than raw")
    table.add_row("", f"{comparison.bitshuffle_ratio:.2f} times smaller than bitshuffle-LZ4")
    rows = (
        ("exact pixels", comparison.picked_pixels, comparison.picked_wrong, "differ"),
        ("masked pixels", comparison.masked_pixels, comparison.masked_wrong, "differ"),
        (
            "restored pixels",
            comparison.discarded_pixels,
            comparison.over_threshold,
            "above their threshold",
        ),
    )
    for name, count, wrong, what in rows:
        style = "red" if wrong else "green"
        table.add_row(name, f"{count}, [{style}]{wrong} {what}[/]")
    if comparison.raw_over_threshold:
        lost = comparison.raw_over_threshold
        table.add_row("", f"[red]{lost} raw pixels above the threshold were discarded[/]")
    test = comparison.ring_test()
    if test is None or not len(test.rings):
        table.add_row("rings", "no ring has enough discarded pixels that vary")
    else:
        _add_test(table, test)
    console.print(table, soft_wrap=True)
    if comparison.spots is not None:
        _print_spots(console, comparison.spots)
    if comparison.shells is not None:
        console.print("background, counts a pixel:", highlight=False)
        _print_table(console, shell_table(comparison.shells))
    verdict = judge(comparison)
    color = _COLORS.get(verdict.level, "red")
    console.print(f"[{color}]{verdict.sentence}[/]", soft_wrap=True, highlight=False)
    if verdict.caveat:
        console.print(verdict.caveat, soft_wrap=True, highlight=False)


def _print_spots(console: Console, spots: SpotComparison) -> None:
    """Print what spot_comparison.py explains."""
    console.print(
        f"\nspots: {spots.raw_spots} in the raw frames, {spots.found_again} of them found again; "
        f"{spots.only_restored} in the restored frames alone; correlation {spots.correlation:.5f}",
        soft_wrap=True,
        highlight=False,
    )
    if spots.elsewhere.total.count[0]:
        console.print("places: where the raw frame before has spots", highlight=False)
    _print_table(console, spot_table(spots))
    lattice = spots.lattice
    if lattice.count[0]:
        console.print(
            f"beside spots, {lattice.count[0]:.0f} fixed places: restored - raw = "
            f"{lattice.mean_sigma[0]:.3f} +- {lattice.mean_sigma_error[0]:.3f} sigma; scatter "
            f"{lattice.scatter_sigma[1][0]:.2f} sigma, raw {lattice.scatter_sigma[0][0]:.2f}",
            soft_wrap=True,
            highlight=False,
        )
    console.print()


def _print_table(console: Console, table: TextTable) -> None:
    """Print a table in columns, however wide the terminal is."""
    rows = [table.header, *table.rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *others in rows:
        cells = [first.ljust(widths[0]), *map(str.rjust, others, widths[1:])]
        console.print("  ".join(cells), soft_wrap=True, highlight=False, markup=False)
    console.print()


def _add_test(table: Table, test: RingTest) -> None:
    """Add the test of the rings, which ring_test.py explains."""
    table.add_row(
        "background",
        f"mean {test.mean_ratio:.5f} of raw, variance {test.variance_ratio:.5f} of raw",
    )
    verdict = "[green]within[/]" if test.is_consistent else "[yellow]beyond[/]"
    table.add_row("ring test", f"{len(test.rings)} rings, {verdict} their statistical error")
    for name, chi2, z in (
        ("ring means", test.chi2_mean, test.z_mean),
        ("ring variances", test.chi2_variance, test.z_variance),
    ):
        table.add_row(name, f"mean z^2 {chi2:.2f}, largest |z| {abs(z).max():.1f}")
    table.add_row("", "z = (restored - raw) / sampling error of the restored ring;")
    table.add_row(
        "",
        f"chance gives a mean z^2 of 1, up to {test.limit:.2f}, and |z| up to "
        f"{test.largest_limit:.1f} within 4 sigma",
    )
