# SPDX-License-Identifier: MIT
"""`h5bragg plugin check` in every situation that keeps HDF5 from using the right plugin."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest
from check_file import make_check_file
from hdf5_hosts import need_program
from input_files import Outcome, assert_one_sentence, run_cli
from plugin_copies import (
    LIBRARY,
    OTHER_FILTER_CLASS,
    VERSION,
    compile_library,
    install,
    install_foreign,
    install_version,
)

import h5bragg
from h5bragg import plugin_check
from h5bragg.plugin_files import CHECK_FILE, architecture

Check = Callable[..., Outcome]


@pytest.fixture
def check(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Check:
    """Runs `h5bragg plugin check` where the environment's variables are those given."""

    def run(*options: object, **variables: str) -> Outcome:
        for name in [name for name in os.environ if name.startswith(("HDF5_", "H5BRAGG_"))]:
            monkeypatch.delenv(name)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        found = run_cli(capsys, "plugin", "check", *options)
        assert "Traceback" not in found.err
        return found

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory of plugins, empty at first."""
    path = tmp_path / "plugins"
    path.mkdir()
    return path


def assert_well(found: Outcome, path: Path) -> None:
    assert (found.status, found.err) == (0, "")
    assert f"  {path.parent}\n    {path.name}: version {VERSION}, " in found.out
    assert "reads chunk formats: 1 and 2, in use" in found.out
    assert "frame of format 1: as it must be\nbuilt-in frame of format 2: as it must" in found.out
    assert found.out.endswith("All is well.\n")


def assert_problem(found: Outcome, sentence: str, fix: str) -> None:
    assert (found.status, found.err) == (1, "")
    assert f"problem: {sentence}" in found.out
    assert f"\n  do this: {fix}" in found.out.split(f"problem: {sentence}")[1]
    assert "All is well" not in found.out


def only_problem(found: Outcome) -> bool:
    return found.out.count("problem: ") == 1


def test_the_builtin_file_holds_golden_chunks(tmp_path: Path) -> None:
    """Its frames are those that tests/data fixes, whatever today's encoder writes."""
    make_check_file(tmp_path / "again.h5")
    with h5py.File(CHECK_FILE) as kept, h5py.File(tmp_path / "again.h5") as again:
        assert list(kept) == list(again) == ["format_1", "format_2"]
        for name, data in kept.items():
            assert dict(data.attrs) == dict(again[name].attrs)
            chunk = data.id.read_direct_chunk((0, 0))
            assert chunk == again[name].id.read_direct_chunk((0, 0))
            assert h5bragg.inspect(chunk[1]).format_version == int(name[-1])
    assert CHECK_FILE.stat().st_size < 20000


def test_all_is_well_where_hdf5_plugin_path_leads_to_the_plugin(check: Check, folder: Path) -> None:
    found = check(HDF5_PLUGIN_PATH=str(folder.parent) + ":" + str(install(folder).parent))
    assert_well(found, folder / LIBRARY.name)
    assert "where HDF5_PLUGIN_PATH says:" in found.out
    assert f"HDF5 {h5py.version.hdf5_version}" in found.out
    found = check("--quiet", HDF5_PLUGIN_PATH=str(folder))
    assert (found.status, found.out, found.err) == (0, "", "")


def test_a_directory_is_checked_before_it_is_used(check: Check, folder: Path) -> None:
    path = install(folder)
    assert_well(check("--directory", folder), path)
    assert_well(check("--directory", folder, HDF5_PLUGIN_PATH="/nonexistent"), path)
    assert_one_sentence(check("--directory", folder / "x"), "x does not exist: give a directory")
    assert_one_sentence(check("--directory", path), "is no directory: give a directory")


@pytest.mark.parametrize("fill", [pytest.param("noise", marks=pytest.mark.slow), "mean"])
def test_frames_are_compared_with_those_of_the_fill(check: Check, folder: Path, fill: str) -> None:
    path = install(folder)
    assert_well(check(HDF5_PLUGIN_PATH=str(folder), H5BRAGG_FILL=fill), path)


def test_other_programs_are_checked(check: Check, folder: Path, python_host: str) -> None:
    path = install(folder)
    found = check("--program", python_host, HDF5_PLUGIN_PATH=str(folder))
    assert_well(found, path)
    assert f"({python_host})" in found.out


def test_h5dump_is_checked(check: Check, folder: Path) -> None:
    h5dump = need_program("h5dump")
    path = install(folder)
    found = check("--program", "h5dump", HDF5_PLUGIN_PATH=str(folder))
    assert_well(found, path)
    assert f"({h5dump})" in found.out
    found = check("--program", h5dump, HDF5_PLUGIN_PATH=f"/nonexistent:{folder}")
    assert "frame of format 1: can't open directory: /nonexistent" in found.out
    assert_problem(found, "/nonexistent, named in HDF5_PLUGIN_PATH", "correct HDF5_PLUGIN_PATH")


@pytest.mark.slow
def test_an_h5dump_that_does_not_tell_where_it_looks(check: Check, folder: Path) -> None:
    """As a statically linked one; this one is a script around the real one."""
    script = folder / "h5dump-static"
    script.write_text(f'#!/bin/sh\nexec {need_program("h5dump")} "$@"\n')
    script.chmod(0o755)
    install(folder)
    found = check("--program", script, HDF5_PLUGIN_PATH=str(folder))
    assert found.status == 0
    assert "looks for plugins in directories that it does not tell" in found.out
    assert "All is well" in found.out
    found = check("--program", script, HDF5_PLUGIN_PATH=str(folder.parent))
    assert_problem(found, "built-in frame of format 1: required filter", "see ")


def test_programs_that_cannot_be_checked_are_one_sentence(check: Check, folder: Path) -> None:
    assert_one_sentence(check("--program", "no_such"), "no_such is not there: give the name")
    assert_one_sentence(check("--program", "ls"), "ls cannot be checked: give h5dump, or a Python")
    script = folder / "python-without-h5py"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')
    script.chmod(0o755)
    found = check("--program", script)
    assert_one_sentence(found, "No module named 'h5py'.*give a Python that has h5py")


def test_no_plugin_where_hdf5_plugin_path_leads(check: Check, folder: Path) -> None:
    found = check(HDF5_PLUGIN_PATH=str(folder))
    assert_problem(
        found,
        f"HDF5 finds no h5bragg plugin, neither the file {LIBRARY.name} nor another, in {folder}",
        f"export HDF5_PLUGIN_PATH={h5bragg.PLUGIN_PATH}, or h5bragg plugin install /",
    )
    assert only_problem(found)
    quiet = check("--quiet", HDF5_PLUGIN_PATH=str(folder))
    assert quiet.out.startswith("problem: HDF5 finds no h5bragg plugin")


def test_all_that_is_wrong_is_said_at_once(check: Check, folder: Path) -> None:
    found = check(HDF5_PLUGIN_PATH=f"/nonexistent:{folder}")
    assert_problem(found, "/nonexistent, named in HDF5_PLUGIN_PATH", "correct HDF5_PLUGIN_PATH")
    assert_problem(found, "HDF5 finds no h5bragg plugin", "export HDF5_PLUGIN_PATH=")


def test_no_plugin_in_the_default_directories(check: Check) -> None:
    found = check()
    assert "in HDF5's default directories" in found.out
    if "in use" in found.out:
        pytest.skip("this machine has a plugin in one of them")
    assert_problem(found, "HDF5 finds no h5bragg plugin", "export HDF5_PLUGIN_PATH=")
    assert only_problem(found)


def test_variables_that_keep_hdf5_from_looking(check: Check, folder: Path) -> None:
    install(folder)
    found = check(HDF5_PLUGIN_PATH="")
    assert_problem(found, "HDF5_PLUGIN_PATH is set but empty", "export HDF5_PLUGIN_PATH=")
    assert only_problem(found)
    found = check(HDF5_PLUGIN_PATH=str(folder), HDF5_PLUGIN_PRELOAD="::")
    assert_problem(found, "HDF5_PLUGIN_PRELOAD is '::'", "unset HDF5_PLUGIN_PRELOAD")
    assert only_problem(found)
    found = check(HDF5_PLUGIN_PATH=str(folder), H5BRAGG_FILL="average")
    assert_problem(found, "H5BRAGG_FILL is 'average', but must be", "unset H5BRAGG_FILL")
    assert only_problem(found)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing", "does not exist"),
        pytest.param("file", "is no directory", marks=pytest.mark.slow),
        pytest.param(
            "~/plugins", "does not exist, as HDF5 does not expand ~", marks=pytest.mark.slow
        ),
    ],
)
def test_a_bad_directory_in_the_path_is_named(
    check: Check, folder: Path, name: str, reason: str
) -> None:
    install(folder)
    (folder.parent / "file").touch()
    bad = name if name.startswith("~") else str(folder.parent / name)
    found = check(HDF5_PLUGIN_PATH=f"{folder}:{bad}")
    sentence = f"{bad}, named in HDF5_PLUGIN_PATH, {reason}"
    assert_problem(found, sentence, "correct HDF5_PLUGIN_PATH")
    assert only_problem(found)
    assert "as it must be" in found.out


def test_a_plugin_for_another_processor(check: Check, folder: Path) -> None:
    path = install_foreign(folder)
    native = architecture(LIBRARY)
    sentence = f"it is for aarch64, this machine is {native}"
    found = check(HDF5_PLUGIN_PATH=str(folder))
    assert f"    {path.name}: {sentence}\n" in found.out
    fix = f"h5bragg plugin install {folder}"
    assert_problem(found, f"{path} cannot be loaded: {sentence}", fix)
    assert only_problem(found)


def test_plugins_for_several_processors_may_stand_side_by_side(check: Check, folder: Path) -> None:
    foreign = install_foreign(folder.parent / "aarch64")
    path = install(folder)
    found = check(HDF5_PLUGIN_PATH=f"{foreign.parent}:{folder}")
    assert_well(found, path)
    assert "it is for aarch64" in found.out


def test_a_library_that_was_cut_short(check: Check, folder: Path) -> None:
    """Loading such a file ends the program, if pages are missing that its header promises."""
    path = install(folder)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    found = check("--directory", folder)
    fix = f"h5bragg plugin install {folder}"
    assert_problem(found, f"{path} cannot be loaded: it is cut short", fix)
    assert re.search(r"problem: .* ended with SIG\w+ when HDF5 looked for the plugin", found.out)


def test_a_library_that_ends_the_program_that_loads_it(check: Check, folder: Path) -> None:
    source = (
        "#include <stdlib.h>\nstatic __attribute__((constructor)) void start(void) { abort(); }"
    )
    path = compile_library(folder / LIBRARY.name, source)
    found = check("--directory", folder)
    fix = f"h5bragg plugin install {folder}"
    assert_problem(found, f"{path} cannot be loaded: the system's loader fails on it", fix)
    assert "ended with SIGABRT when HDF5 looked for the plugin" in found.out


def test_a_library_that_misses_another_one(check: Check, folder: Path) -> None:
    """The sentence is the loader's own."""
    needed = compile_library(folder.parent / "libneeded.so", "int needed(void) { return 1; }")
    path = compile_library(
        folder / "libh5bragg.so",
        "int needed(void); int h5bragg(void) { return needed(); }",
        f"-L{folder.parent}",
        "-lneeded",
    )
    needed.unlink()
    found = check(HDF5_PLUGIN_PATH=str(folder))
    sentence = f"{path} cannot be loaded: libneeded.so: cannot open shared object file"
    assert_problem(found, sentence, f"h5bragg plugin install {folder}")


def test_two_copies_of_different_versions(check: Check, folder: Path) -> None:
    """The first one is used; the older one is to be replaced."""
    older = install_version(folder.parent / "older", "0.0.9")
    path = install(folder)
    for first, second in ((older, path), (path, older)):
        found = check(HDF5_PLUGIN_PATH=f"{first.parent}:{second.parent}")
        names = {older: "0.0.9", path: VERSION}
        sentence = (
            f"{first} is version {names[first]} and {second} is version {names[second]}: "
            "HDF5 uses the first"
        )
        assert_problem(found, sentence, f"h5bragg plugin install {older.parent}")
        assert only_problem(found)
        assert f"version {names[first]}, reads chunk formats: 1 and 2, in use" in found.out
        assert found.out.count("in use") == 1


@pytest.mark.slow
def test_two_copies_of_one_version_are_no_problem(check: Check, folder: Path) -> None:
    first = install(folder.parent / "first")
    install(folder)
    found = check(HDF5_PLUGIN_PATH=f"{first.parent}:{folder}")
    assert_well(found, first)
    assert found.out.count("in use") == 1


def test_a_copy_older_or_newer_than_the_package(check: Check, folder: Path) -> None:
    path = install_version(folder, "0.0.9")
    found = check(HDF5_PLUGIN_PATH=str(folder))
    sentence = f"{path} is version 0.0.9, but this h5bragg is version {VERSION}"
    assert_problem(found, sentence, f"h5bragg plugin install {folder}")
    path = install_version(folder, "9.9.9")
    found = check(HDF5_PLUGIN_PATH=str(folder))
    sentence = f"{path} is version 9.9.9, but this h5bragg is version {VERSION}"
    assert_problem(found, sentence, "pip install --upgrade h5bragg")
    assert only_problem(found)


def test_hdf5_tries_any_library_so_copies_of_any_name_count(check: Check, folder: Path) -> None:
    path = install(folder, "libcopy.so.old")
    assert_well(check(HDF5_PLUGIN_PATH=str(folder)), path)
    backup = install_version(folder, "0.0.9", "libh5bragg.so.bak")
    found = check(HDF5_PLUGIN_PATH=str(folder))
    assert found.status == 1
    assert "is version 0.0.9" in found.out
    assert f"do this: rm {backup}" in found.out


def test_a_name_that_hdf5_does_not_try(check: Check, folder: Path) -> None:
    path = install(folder, "h5bragg.so")
    found = check(HDF5_PLUGIN_PATH=str(folder))
    assert_problem(found, f"HDF5 does not try {path}", f"rename it to {LIBRARY.name}")
    assert only_problem(found)


def test_another_library_with_the_same_filter_number(check: Check, folder: Path) -> None:
    source = OTHER_FILTER_CLASS.format(
        body="return 0;", filter_id=h5bragg.FILTER_ID, name="somebody else's"
    )
    other = compile_library(folder.parent / "libother.so", source)
    install(folder)
    sentence = (
        f"{other} is another library (somebody else's) that has h5bragg's filter number "
        f"{h5bragg.FILTER_ID}"
    )
    found = check(HDF5_PLUGIN_PATH=f"{other.parent}:{folder}")
    assert_problem(found, f"{sentence}, and HDF5 uses it", "take it out of the directory")
    assert "another library, somebody else's, in use" in found.out
    found = check(HDF5_PLUGIN_PATH=f"{folder}:{other.parent}")
    assert_problem(found, sentence, "take it out of the directory")
    assert "HDF5 uses it" not in found.out
    assert "as it must be" in found.out


def test_a_plugin_that_restores_other_pixels(check: Check, folder: Path) -> None:
    body = (
        "void *calloc(size_t, size_t); *capacity = 130 * 150 * 4;"
        "*data = calloc(*capacity, 1); return *capacity;"
    )
    source = OTHER_FILTER_CLASS.format(body=body, filter_id=h5bragg.FILTER_ID, name="H5Z-BRAGG")
    path = compile_library(folder / LIBRARY.name, source)
    found = check(HDF5_PLUGIN_PATH=str(folder))
    sentence = f"{path} is another library (H5Z-BRAGG) that has h5bragg's filter number"
    assert_problem(found, sentence, "take it out of the directory")
    assert "built-in frame of format 2: its pixels are wrong" in found.out


def test_the_packages_own_plugin_is_judged_as_well(
    check: Check, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(folder)
    broken = folder.parent / LIBRARY.name
    broken.write_text("no library")
    monkeypatch.setattr(plugin_check, "LIBRARY_PATH", broken)
    found = check(HDF5_PLUGIN_PATH=str(folder))
    sentence = f"this package's own plugin {broken} cannot be loaded: it is no ELF file"
    assert_problem(found, sentence, "pip install --force-reinstall h5bragg")


@pytest.mark.slow
def test_the_check_works_if_the_packages_own_plugin_is_broken(folder: Path) -> None:
    """Then `import h5bragg` warns, and the command still has to say why."""
    broken = folder / LIBRARY.name
    broken.write_bytes(b"no library, H5Z-BRAGG")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "h5bragg.cli", "plugin", "check"],
        env={**os.environ, "H5BRAGG_LIBRARY": str(broken), "HDF5_PLUGIN_PATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert f"problem: {broken} cannot be loaded: it is no ELF file" in done.stdout
