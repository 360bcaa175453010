# SPDX-License-Identifier: MIT
"""Holds the rules that a reader would otherwise watch: names, lengths, licences, platform questions."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("ipcfast", "csrc", "tests", "bench", "examples", "docs", ".ci", ".github")
SOURCES = {".py", ".pyx", ".pxd", ".pyi", ".c", ".h", ".js"}
TEXTS = {*SOURCES, ".md", ".toml", ".yml", ".in", ""}
MADE = {"build", "corpus", "__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis"}

VAGUE = {"common", "core", "helper", "helpers", "manager", "misc", "stuff", "util", "utils"}
# In two pieces, so that this file passes its own test.
HOME = re.compile("/" + r"(?:home|root|Users)/\w")
GUARD = re.compile(r"#ifndef IPCF_\w+_H\n#define IPCF_\w+_H\n")
CONDITION = re.compile(r"^[ \t]*#[ \t]*(?:if|ifdef|ifndef|elif)\b.*$", re.MULTILINE)
PLATFORM = re.compile(
    r"\b(?:_WIN32|_WIN64|__linux__|__APPLE__|__unix__|_MSC_VER|__GNUC__|__clang__|__x86_64__|__aarch64__|_M_\w+"
    r"|__GLIBC__|IPCF_(?:WINDOWS|POSIX|LINUX|MACOS))\b"
)
C_FUNCTION = re.compile(r"^\{\n(.*?)^\}", re.MULTILINE | re.DOTALL)


def texts(*suffixes: str) -> Iterator[Path]:
    """Every text file of the tree that somebody wrote; corpora and build products are neither."""
    wanted = set(suffixes) or TEXTS
    yield from sorted(path for path in ROOT.iterdir() if path.is_file() and path.suffix in wanted)
    for top in FOLDERS:
        for folder, folders, names in os.walk(ROOT / top):
            folders[:] = sorted(set(folders) - MADE)
            yield from (Path(folder, name) for name in sorted(names) if Path(name).suffix in wanted)


def named(paths: Iterator[Path]) -> list[str]:
    return [path.relative_to(ROOT).as_posix() for path in paths]


def test_the_walk_sees_every_folder() -> None:
    seen = {path.relative_to(ROOT).parts[0] for path in texts()}
    assert {"ipcfast", "csrc", "tests", ".ci", ".github", "pyproject.toml", "Makefile"} <= seen


def test_no_path_of_somebodys_machine() -> None:
    assert named(path for path in texts() if HOME.search(path.read_text(encoding="utf-8"))) == []


def test_no_vague_name_in_the_package() -> None:
    names = [path for path in (ROOT / "ipcfast").rglob("*") if "__pycache__" not in path.parts]
    assert named(path for path in names if path.name.partition(".")[0] in VAGUE) == []


def test_no_file_is_long() -> None:
    long = {}
    for path in texts(".py", ".c", ".h", ".pyx", ".pxd"):
        limit = 600 if "tests" in path.parts else 250 if path.suffix == ".pyx" else 400
        lines = path.read_text(encoding="utf-8").count("\n")
        if lines > limit:
            long[path.relative_to(ROOT).as_posix()] = lines
    assert long == {}


def test_every_package_is_listed_for_the_wheel() -> None:
    listed = re.search(
        r"^packages = \[(.*?)\]", (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    assert listed is not None
    folders = [path.parent.relative_to(ROOT) for path in (ROOT / "ipcfast").rglob("__init__.py")]
    assert re.findall(r'"(.+?)"', listed[1]) == sorted(".".join(folder.parts) for folder in folders)


def test_no_c_function_is_long() -> None:
    long = {}
    for path in sorted((ROOT / "csrc" / "ipcf").rglob("*.c")):
        lengths = [body.count("\n") for body in C_FUNCTION.findall(path.read_text(encoding="utf-8"))]
        if max(lengths, default=0) > 40:
            long[path.name] = max(lengths)
    assert long == {}


def test_every_source_names_its_licence_in_its_first_line() -> None:
    first_lines = {
        path: path.read_text(encoding="utf-8").partition("\n")[0]
        for path in texts(*SOURCES - {".pyi"})
        if path.stat().st_size
    }
    bare = (path for path, line in first_lines.items() if "SPDX-License-Identifier: MIT" not in line)
    assert named(bare) == []


def test_only_two_headers_ask_for_the_platform() -> None:
    asking = {
        path.name
        for path in (ROOT / "csrc" / "ipcf").rglob("*.[ch]")
        for condition in CONDITION.findall(GUARD.sub("", path.read_text(encoding="utf-8")))
        if PLATFORM.search(condition)
    }
    assert asking <= {"platform.h", "atomic.h"}


def test_the_core_does_not_know_python() -> None:
    assert (
        named(
            path
            for path in texts(".c", ".h")
            if '"Python.h"' in path.read_text() or "<Python.h" in path.read_text()
        )
        == []
    )


def test_shared_c_files_do_not_reach_into_a_platform() -> None:
    include = re.compile(r'#include [<"](?:ipcf/)?(?:posix|win32)/|#include <(?:sys/|unistd|windows|poll)')
    common = [*(ROOT / "csrc" / "ipcf").glob("*.c")]
    assert named(path for path in common if include.search(path.read_text(encoding="utf-8"))) == []
