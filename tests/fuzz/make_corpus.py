# SPDX-License-Identifier: MIT
"""Keep of all inputs those that reach code which no other does: README.md says when to run this.

    python tests/fuzz/make_corpus.py BUILD [FOUND]

BUILD is a build folder with the targets, FOUND a folder with what long runs found, one folder a
target (that of ctest if left out).  Writes tests/fuzz/corpus; what is there counts as input, too.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from make_seeds import main as make_seeds

HERE = Path(__file__).resolve().parent
CORPUS = HERE / "corpus"
GOLDEN = sorted((HERE.parent / "data").glob("*/*.chunk"))
# Folders of the corpus, and the targets that read them.
FOLDERS = {
    "chunks": ("decode", "unpack", "levels", "peaks", "inspect"),
    "encode": ("encode",),
    "geometry": ("geometry",),
    "words": ("words",),
}
MOST_NBYTES = 3000  # of an input: larger ones are slow, and small ones reach as much
# What counts is which edges of the code are reached, not how often or with which operands.
OPTIONS = ("-use_counters=0", "-use_cmp=0", "-detect_leaks=0", "-rss_limit_mb=4096", "-timeout=120")


def copy_small(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for path in source.glob("*"):
        if path.stat().st_size <= MOST_NBYTES:
            shutil.copy(path, target)


def is_numbered(path: Path) -> bool:
    """Whether libFuzzer named an input, by its SHA-1; those of faults have names, and stay."""
    return re.fullmatch("[0-9a-f]{40}", path.name) is not None


def minimise(folder: str, build: Path, found: Path, work: Path) -> None:
    """Merge all inputs of a folder's targets into what the golden chunks do not reach."""
    kept, golden = work / "kept", set()
    kept.mkdir()
    if folder == "chunks":
        for path in GOLDEN:
            golden.add(kept / f"{path.parent.name}_{path.name}")
            shutil.copy(path, kept / f"{path.parent.name}_{path.name}")
    for target in FOLDERS[folder]:
        inputs = work / target
        copy_small(CORPUS / folder, inputs)
        copy_small(work / "seeds" / target, inputs)
        copy_small(found / target, inputs)
        program = build / "tests" / "fuzz" / f"fuzz_{target}"
        command = [program, "-set_cover_merge=1", *OPTIONS, kept, inputs]
        subprocess.run(command, check=True, capture_output=True)
    for path in (CORPUS / folder).glob("*"):
        if is_numbered(path):
            path.unlink()
    (CORPUS / folder).mkdir(parents=True, exist_ok=True)
    for path in set(kept.iterdir()) - golden:
        shutil.copy(path, CORPUS / folder)


def main(build: Path, found: Path) -> None:
    for folder in FOLDERS:
        with tempfile.TemporaryDirectory() as work:
            make_seeds(Path(work) / "seeds")
            minimise(folder, build, found, Path(work))
        sizes = [path.stat().st_size for path in (CORPUS / folder).iterdir()]
        print(f"{folder}: {len(sizes)} files, {sum(sizes)} bytes")  # noqa: T201


if __name__ == "__main__":
    folders = [Path(word) for word in sys.argv[1:]]
    main(folders[0], folders[1] if folders[1:] else folders[0] / "tests" / "fuzz" / "found")
