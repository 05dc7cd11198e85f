# SPDX-License-Identifier: MIT
"""Text files damaged as disks, editors and forgers do: Hypothesis strategies, and a check."""

import re
from collections.abc import Callable
from pathlib import Path

from hypothesis import strategies as st

from h5bragg import Geometry, GeometryError

_NUMBER = re.compile(rb"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
# What stands in the place of a number: no numbers, impossible ones, and ones that ask for much.
NUMBERS = (
    b"", b"nan", b"inf", b"-inf", b"None", b"words", b"0", b"-1", b"-0.0", b"1e-320", b"1e400",
    b"1e30", b"0x10", b"1_0", b"65535", b"65536", b"4294967296", b"18446744073709551616",
    b"9" * 400, b"9" * 5000, b"1,5", b"\xd9\xa1", b"[1, 2]", b"true", b"{}", b'"', b"%",
)  # fmt: skip

Change = Callable[[bytes], bytes]


def _pick(where: float, count: int) -> int:
    return min(int(where * count), count - 1)


def _flip(where: float, bits: int) -> Change:
    def change(content: bytes) -> bytes:
        if not content:
            return content
        at = _pick(where, len(content))
        return content[:at] + bytes([content[at] ^ bits]) + content[at + 1 :]

    return change


def _splice(where: float, length: int, patch: bytes) -> Change:
    """Put a patch in the place of some bytes; a large length cuts all that follows off."""

    def change(content: bytes) -> bytes:
        at = int(where * len(content))
        return content[:at] + patch + content[at + length :]

    return change


def _lines(where: float, times: int) -> Change:
    """Write a line so many times: 0 removes it."""

    def change(content: bytes) -> bytes:
        lines = content.splitlines(keepends=True)
        if not lines:
            return content
        at = _pick(where, len(lines))
        return b"".join([*lines[:at], *([lines[at]] * times), *lines[at + 1 :]])

    return change


def _swap(where: float, other: float) -> Change:
    def change(content: bytes) -> bytes:
        lines = content.splitlines(keepends=True)
        if lines:
            i, j = _pick(where, len(lines)), _pick(other, len(lines))
            lines[i], lines[j] = lines[j], lines[i]
        return b"".join(lines)

    return change


def _number(where: float, value: bytes) -> Change:
    def change(content: bytes) -> bytes:
        found = list(_NUMBER.finditer(content))
        if not found:
            return content
        place = found[_pick(where, len(found))]
        return content[: place.start()] + value + content[place.end() :]

    return change


_places = st.floats(0, 1, exclude_max=True)
_changes = st.one_of(
    st.builds(_number, _places, st.sampled_from(NUMBERS)),
    st.builds(_flip, _places, st.integers(1, 255)),
    st.builds(_splice, _places, st.integers(0, 30) | st.just(10**9), st.binary(max_size=6)),
    st.builds(_lines, _places, st.sampled_from([0, 2, 3])),
    st.builds(_swap, _places, _places),
)


def damaged(content: bytes) -> st.SearchStrategy[bytes]:
    """The contents of a file after one to four changes."""

    def apply(changes: list[Change]) -> bytes:
        made = content
        for change in changes:
            made = change(made)
        return made

    return st.lists(_changes, min_size=1, max_size=4).map(apply)


def assert_read_or_refused(path: Path, text: str, cut: tuple[int, int], patch: str | bytes) -> None:
    """A geometry file, patched in the place of (start, length), is read or refused in one line."""
    content, (start, length) = text.encode(), cut
    middle = patch if isinstance(patch, bytes) else patch.encode("utf-8", "surrogatepass")
    path.write_bytes(content[:start] + middle + content[start + length :])
    sentence = ""
    try:
        Geometry.from_file(path)
    except GeometryError as error:
        sentence = str(error)
    assert "\n" not in sentence
