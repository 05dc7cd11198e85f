# SPDX-License-Identifier: MIT
"""The page: it stands alone, says the verdict first, and is written whole or not at all."""

import base64
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from input_files import write_data
from numpy.typing import NDArray

from h5bragg import Geometry
from h5bragg.comparison import Comparer
from h5bragg.comparison_report import ReportInput, check_report_path, report_page, write_report
from h5bragg.frames import open_frames
from h5bragg.hdf5_open import open_hdf5
from h5bragg.output_file import OutputError
from h5bragg.reader import find_sparse
from h5bragg.verdict import judge
from h5bragg.writer import compress

VOID = {"meta", "img"}


class Structure(HTMLParser):
    """Checks that elements nest, and collects their names and what they refer to."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.references: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.references += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def given(
    tmp_path_factory: pytest.TempPathFactory,
    small_frame: Callable[..., NDArray[np.integer]],
    small_geometry: Geometry,
) -> ReportInput:
    folder = tmp_path_factory.mktemp("report")
    frames = np.stack([small_frame("uint16", seed) for seed in range(3)])
    raw_path = write_data(folder / "raw.h5", frames)
    with open_frames([raw_path]) as raw:
        compress(raw, folder / "out.h5", geometry=small_geometry, frames_per_chunk=2)
        with open_hdf5(folder / "out.h5") as file:
            comparer = Comparer(raw, find_sparse(file)[0])
            return ReportInput(
                comparison=comparer.run(threads=2),
                pair=comparer.pair(1),
                spots=comparer.spots(comparer.pair(1)),
                frame=1,
                name="<b>&out.h5",
            )


@pytest.fixture(scope="module")
def page(given: ReportInput) -> str:
    return report_page(given)


def test_the_page_stands_alone(page: str) -> None:
    structure = Structure()
    structure.feed(page)
    assert structure.open == []
    assert {"table", "img", "style", "h1"} <= structure.seen
    assert not structure.seen & {"script", "link", "iframe"}
    pictures = [r.removeprefix("data:image/png;base64,") for r in structure.references]
    assert len(pictures) == 3
    for picture in pictures:
        assert base64.b64decode(picture, validate=True).startswith(b"\x89PNG")
    text = re.sub(r"base64,[^\"]*", "", page)
    assert "http" not in text
    assert "url(" not in text
    assert len(text) < 12_000


def test_the_verdict_comes_first_and_names_are_escaped(page: str, given: ReportInput) -> None:
    head, _, rest = judge(given.comparison).sentence.partition(":")
    assert (
        0
        < page.index(f"<b>{head}:</b> {rest}")
        < page.index("<table")
        < page.index("How to read this")
    )
    assert "<title>&lt;b&gt;&amp;out.h5 against raw frames</title>" in page
    assert "3 frames of 160 x 200 pixels, uint16; stored with snr_pick 4, local counts" in page
    assert "prefers-color-scheme: dark" in page


def test_the_page_is_written_whole_or_not_at_all(tmp_path: Path, given: ReportInput) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    write_report(path, given)
    assert path.read_text(encoding="utf-8").endswith("</html>\n")
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(OutputError, match="does not exist: create the folder first"):
        write_report(tmp_path / "none" / "report.html", given)


def test_names_that_are_none_of_a_page_are_refused_beforehand(tmp_path: Path) -> None:
    check_report_path(tmp_path / "a.HTM")
    with pytest.raises(OutputError, match=r"out\.h5 is no name of a page: end it in \.html"):
        check_report_path(tmp_path / "out.h5")
    with pytest.raises(OutputError, match="does not exist: create the folder first"):
        check_report_path(tmp_path / "none" / "a.html")
