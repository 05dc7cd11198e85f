# SPDX-License-Identifier: MIT
"""The partial file of `compress`: whole records are found again, whatever happened to the end."""

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import h5bragg
from h5bragg import Geometry, GeometryError
from h5bragg.output_file import OutputError
from h5bragg.partial_file import open_partial, partial_path

ANGLES = [(0.25 * k, math.nan) for k in range(3)]


def head(**changes: Any) -> dict[str, Any]:
    """As compression_task.task_head makes it."""
    files = [["/in/a.h5", 1000, 5], ["/in/b.h5", 1000, 6]]
    inputs = [
        {"path": name, "datasets": ["/data"], "nframes": 2, "files": [stamp]}
        for name, stamp in zip(("/in/a.h5", "/in/b.h5"), files, strict=True)
    ]
    plain = {
        "version": "1.0.0",
        "frames": 4,
        "shape": [160, 200],
        "dtype": "uint16",
        "frames_per_chunk": 1,
        "parameters": {"snr_pick": 4.0, "mask_codes": None},
        "filter": [0, 1],
        "inputs": inputs,
    }
    return plain | changes


@pytest.fixture
def chunks(
    small_frame: Callable[..., NDArray[np.integer]], small_geometry: Geometry
) -> list[bytes]:
    return [h5bragg.encode(small_frame(seed=seed), small_geometry) for seed in range(3)]


def run(
    output: Path,
    chunks: list[bytes],
    *,
    first: int = 0,
    error: BaseException | None = None,
    **options: Any,
) -> list[bytes]:
    """Keeps chunks of frames from a number on, and ends with an error; returns what was there."""
    with open_partial(output, head(), **options) as partial:
        kept = [partial.read(chunk) for chunk in partial.kept]
        for chunk, angle in zip(chunks, ANGLES[first:], strict=False):
            partial.append(chunk, [angle])
        if error is not None:
            raise error
    return kept


def fail_after(output: Path, chunks: list[bytes]) -> None:
    with pytest.raises(GeometryError, match=r"lost; .*--resume"):
        run(output, chunks, error=GeometryError("lost"))


def look(output: Path) -> list[bytes]:
    """The chunks that a resumed run finds, which leaves them there."""
    found: list[bytes] = []

    def interrupted() -> None:
        with open_partial(output, head(), resume=True) as partial:
            found.extend(partial.read(kept) for kept in partial.kept)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    return found


def test_chunks_are_found_again(tmp_path: Path, chunks: list[bytes]) -> None:
    output = tmp_path / "out.h5"
    fail_after(output, chunks)
    assert list(tmp_path.iterdir()) == [partial_path(output)]
    with open_partial(output, head(), resume=True) as partial:
        assert [partial.read(kept) for kept in partial.kept] == chunks
        assert [kept.start for kept in partial.kept] == [0, 1, 2]
        found = [kept.rotation for kept in partial.kept]
        np.testing.assert_array_equal(found, [[angle] for angle in ANGLES])
        assert partial.nframes == 3
    assert list(tmp_path.iterdir()) == []


def test_at_any_length_the_whole_chunks_are_found(tmp_path: Path, chunks: list[bytes]) -> None:
    """What a kill or a crash leaves is the beginning of the file."""
    output = tmp_path / "out.h5"
    fail_after(output, chunks)
    content = partial_path(output).read_bytes()
    ends = [content.index(chunk) + len(chunk) for chunk in chunks]
    lengths = {length for end in (0, *ends) for length in range(max(0, end - 40), end + 40)}
    lengths |= set(range(0, ends[0], 997))
    for length in sorted(lengths & set(range(len(content) + 1))):
        partial_path(output).write_bytes(content[:length])
        nkept = sum(end <= length for end in ends)
        assert look(output) == chunks[:nkept], length
        assert partial_path(output).exists() == (nkept > 0)
        if nkept:  # what follows the whole chunks is cut off
            assert partial_path(output).read_bytes() == content[: ends[nkept - 1]]


def test_chunks_behind_a_damaged_one_are_not_used(tmp_path: Path, chunks: list[bytes]) -> None:
    output = tmp_path / "out.h5"
    fail_after(output, chunks)
    content = bytearray(partial_path(output).read_bytes())
    places = [content.index(chunks[1]) + k for k in (-30, -10, 3, len(chunks[1]) - 1)]
    for place in places:
        damaged = content.copy()
        damaged[place] ^= 4
        partial_path(output).write_bytes(damaged)
        assert look(output) == chunks[:1]


def test_resumed_runs_add_to_what_is_there(tmp_path: Path, chunks: list[bytes]) -> None:
    output = tmp_path / "out.h5"
    fail_after(output, chunks)
    whole = partial_path(output).read_bytes()
    partial_path(output).write_bytes(whole[: whole.index(chunks[1]) + 20])
    with pytest.raises(KeyboardInterrupt, match="interrupted; 3 of 4 frames are kept in"):
        run(output, chunks[1:], first=1, error=KeyboardInterrupt(), resume=True)
    assert partial_path(output).read_bytes() == whole


def test_frames_are_not_lost_without_force(tmp_path: Path, chunks: list[bytes]) -> None:
    output = tmp_path / "out.h5"
    fail_after(output, chunks)
    content = partial_path(output).read_bytes()
    match = "holds 3 of 4 frames .*: go on with --resume, or begin again with --force"
    with pytest.raises(OutputError, match=match), open_partial(output, head()):
        pass
    assert partial_path(output).read_bytes() == content
    with open_partial(output, head(), force=True) as partial:
        assert (partial.kept, partial.nframes) == ([], 0)


def test_what_differs_is_named(tmp_path: Path, chunks: list[bytes]) -> None:
    output = tmp_path / "out.h5"
    fail_after(output, chunks)
    content = partial_path(output).read_bytes()
    first, second = head()["inputs"]
    for changes, words in (
        ({"version": "1.0.1"}, r"the version of h5bragg was 1\.0\.0 and is 1\.0\.1"),
        ({"parameters": {"snr_pick": 3.0, "mask_codes": None}}, r"snr_pick was 4\.0 and is 3\.0"),
        ({"filter": [0, 2]}, "the geometry differs"),
        ({"dtype": "int32"}, "the pixel type was uint16 and is int32"),
        ({"frames_per_chunk": 2}, "frames a chunk was 1 and is 2"),
        ({"inputs": [first]}, "the number of inputs was 2 and is 1"),
        ({"inputs": [second, first]}, r"input 1 was /in/a\.h5 and is /in/b\.h5"),
        ({"inputs": [first | {"nframes": 3}, second]}, "frames in /in/a.h5 was 2 and is 3"),
        ({"inputs": [first | {"datasets": ["/x"]}, second]}, "what is read of /in/a.h5 was"),
        ({"inputs": [first | {"files": [["/in/a.h5", 999, 5]]}, second]}, "/in/a.h5 has changed"),
        ({"inputs": [first, second | {"files": [["/in/b.h5", 1, 7]]}]}, "/in/b.h5 has changed"),
    ):
        with (
            pytest.raises(OutputError, match=f"cannot be resumed, as .*{words}.*--force"),
            open_partial(output, head(**changes), resume=True),
        ):
            pass
        assert partial_path(output).read_bytes() == content


def test_files_of_which_nothing_is_kept_may_change(tmp_path: Path, chunks: list[bytes]) -> None:
    output = tmp_path / "out.h5"
    fail_after(output, chunks)
    whole = partial_path(output).read_bytes()
    partial_path(output).write_bytes(whole[: whole.index(chunks[2])])
    first, second = head()["inputs"]
    changed = head(inputs=[first, second | {"files": [["/in/b.h5", 2000, 7]]}])
    with open_partial(output, changed, resume=True) as partial:
        assert partial.nframes == 2


def test_only_one_run_at_a_time(tmp_path: Path, chunks: list[bytes]) -> None:
    output = tmp_path / "out.h5"
    with open_partial(output, head()) as partial:
        partial.append(chunks[0], ANGLES[:1])
        for options in ({}, {"force": True}, {"resume": True}):
            with (
                pytest.raises(OutputError, match="in use: another run writes this output"),
                open_partial(output, head(), **options),
            ):
                pass
        assert partial.read_head() == head()


def test_other_files_of_that_name_are_left_alone(tmp_path: Path) -> None:
    output = tmp_path / "out.h5"
    partial_path(output).write_text("precious")
    for options in ({}, {"force": True}, {"resume": True}):
        with (
            pytest.raises(OutputError, match="no unfinished output of h5bragg: move it"),
            open_partial(output, head(), **options),
        ):
            pass
    assert partial_path(output).read_text() == "precious"


def test_a_damaged_head_is_told(tmp_path: Path, chunks: list[bytes]) -> None:
    output = tmp_path / "out.h5"
    fail_after(output, chunks)
    content = bytearray(partial_path(output).read_bytes())
    content[60] ^= 1
    partial_path(output).write_bytes(content)
    with (
        pytest.raises(OutputError, match="is damaged: begin again with --force"),
        open_partial(output, head(), resume=True),
    ):
        pass
    with open_partial(output, head(), force=True) as partial:
        assert partial.nframes == 0


def test_leftovers_of_killed_runs_are_removed(tmp_path: Path) -> None:
    """Those of this output alone."""
    others = [".other.h5.123.tmp", ".out.h5.x.123.tmp", "out.h5.tmp"]
    for name in (*others, ".out.h5.123.tmp"):
        (tmp_path / name).touch()
    with open_partial(tmp_path / "out.h5", head()):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == others


def test_a_disk_that_is_full_from_the_start_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_nothing(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", write_nothing)
    with (
        pytest.raises(OutputError, match="partial cannot be written: No space left on device"),
        open_partial(tmp_path / "out.h5", head()),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_chunk_that_does_not_fit_leaves_those_before_it(
    tmp_path: Path, chunks: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The operating system takes a part of it first."""
    output = tmp_path / "out.h5"
    write = os.pwrite
    left = 5 * len(chunks[0]) // 2

    def write_some(descriptor: int, data: Any, offset: int) -> int:
        nonlocal left
        count = min(left, len(data))
        if not count:
            raise OSError(28, "No space left on device")
        left -= count
        return write(descriptor, data[:count], offset)

    def run_until_full() -> None:
        with open_partial(output, head()) as partial:
            for chunk, angle in zip(chunks, ANGLES, strict=True):
                partial.append(chunk, [angle])

    monkeypatch.setattr(os, "pwrite", write_some)
    with pytest.raises(OSError, match="No space left"):
        run_until_full()
    monkeypatch.undo()
    nbytes = partial_path(output).stat().st_size
    with open_partial(output, head(), resume=True) as partial:
        assert [partial.read(kept) for kept in partial.kept] == chunks[:2]
        assert partial_path(output).stat().st_size == nbytes
