# SPDX-License-Identifier: MIT
"""Holds the walk and the reading of files against real directories with everything odd in them."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from ipcfast.cli.trial import files
from ipcfast.cli.trial.files import Facts, blocks, facts_of, find_files, library_directory, shown

Skips = list[tuple[str, str]]


@pytest.fixture
def skips() -> Skips:
    return []


@pytest.fixture
def on_skip(skips: Skips) -> Callable[[str, str], None]:
    return lambda path, why: skips.append((path, why))


@pytest.mark.parametrize(
    ("data", "lines"), [(b"", 0), (b"a", 1), (b"a\n", 1), (b"a\nb", 2), (b"\n\n", 2), (b"\x00\xff\n\x80", 2)]
)
def test_facts(data: bytes, lines: int) -> None:
    assert facts_of(data) == Facts(hashlib.sha256(data).hexdigest(), len(data), lines)


def test_finds_everything_but_directories(tmp_path: Path, on_skip: Callable[[str, str], None]) -> None:
    (tmp_path / "b" / "__pycache__").mkdir(parents=True)
    for name in ("z", "a", "b/c", "b/__pycache__/d"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "link").symlink_to("a")
    (tmp_path / "circle").symlink_to(".", target_is_directory=True)
    found = find_files(tmp_path, on_skip=on_skip)
    assert [Path(path).relative_to(tmp_path).as_posix() for path in found] == [
        "a",
        "link",
        "z",
        "b/c",
        "b/__pycache__/d",
    ]


def test_leaves_out_what_is_named_and_nothing_else(
    tmp_path: Path, on_skip: Callable[[str, str], None]
) -> None:
    for name in ("site-packages/x", "inner/site-packages/y"):
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_bytes(b"")
    leave_out = files.packages_beside_library(tmp_path)
    assert leave_out == {tmp_path / "site-packages"}
    found = find_files(tmp_path, leave_out=leave_out, on_skip=on_skip)
    assert found == [str(tmp_path / "inner/site-packages/y")]


def test_a_directory_that_is_missing_raises(tmp_path: Path, on_skip: Callable[[str, str], None]) -> None:
    with pytest.raises(FileNotFoundError):
        find_files(tmp_path / "none", on_skip=on_skip)


def test_a_directory_inside_that_cannot_be_read_is_told(
    tmp_path: Path, as_nobody: None, skips: Skips, on_skip: Callable[[str, str], None]
) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "file").write_bytes(b"")
    locked = tmp_path / "locked"
    locked.mkdir(mode=0)
    assert find_files(tmp_path, on_skip=on_skip) == [str(tmp_path / "open" / "file")]
    assert skips == [(str(locked), "permission denied")]


def test_the_library_has_thousands_of_files(skips: Skips, on_skip: Callable[[str, str], None]) -> None:
    directory = library_directory()
    found = find_files(directory, leave_out=files.packages_beside_library(directory), on_skip=on_skip)
    assert len(found) > 1000
    assert skips == []
    assert str(directory / "abc.py") in found


def test_reads_files_as_messages(tmp_path: Path, skips: Skips, on_skip: Callable[[str, str], None]) -> None:
    contents = {"empty": b"", "text": b"one\ntwo", "binary": bytes(range(256)) * 100}
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
    (block,) = blocks([str(tmp_path / name) for name in contents], on_skip)
    assert [(Path(part.name).name, part.data, part.facts) for part in block] == [
        (name, data, facts_of(data)) for name, data in contents.items()
    ]
    assert skips == []


def test_a_large_file_travels_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_skip: Callable[[str, str], None]
) -> None:
    monkeypatch.setattr(files, "PART_BYTES", 1000)
    for size, parts in ((999, [999]), (1000, [1000]), (1001, [1000, 1]), (3000, [1000] * 3)):
        path = tmp_path / str(size)
        path.write_bytes(os.urandom(size))
        (block,) = blocks([str(path)], on_skip)
        assert [len(part.data) for part in block] == parts
        assert b"".join(part.data for part in block) == path.read_bytes()
        assert len({part.name for part in block}) == len(parts)


def test_blocks_are_small(tmp_path: Path, on_skip: Callable[[str, str], None]) -> None:
    paths = []
    for number in range(files.BLOCK_PARTS + 1):
        path = tmp_path / str(number)
        path.write_bytes(b"x")
        paths.append(str(path))
    assert [len(block) for block in blocks(paths, on_skip)] == [files.BLOCK_PARTS, 1]
    heavy = tmp_path / "heavy"
    heavy.write_bytes(b"." * files.BLOCK_BYTES)
    assert [len(block) for block in blocks([str(heavy), *paths[:2]], on_skip)] == [1, 2]


def test_what_is_no_regular_file_is_skipped_at_once(
    tmp_path: Path, skips: Skips, on_skip: Callable[[str, str], None]
) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "dangling").symlink_to("nowhere")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
    (tmp_path / "fine").write_bytes(b"fine")
    (block,) = blocks(find_files(tmp_path, on_skip=on_skip), on_skip)
    assert [part.data for part in block] == [b"fine"]
    assert {Path(path).name for path, _ in skips} == {"fifo", "dangling", "socket"}
    reasons = {Path(path).name: why for path, why in skips}
    assert reasons["fifo"] == "not a regular file"
    assert reasons["dangling"] == "no such file or directory"


def test_a_file_that_may_not_be_read_is_skipped(
    tmp_path: Path, as_nobody: None, skips: Skips, on_skip: Callable[[str, str], None]
) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    secret.chmod(0)
    assert list(blocks([str(secret)], on_skip)) == []
    assert skips == [(str(secret), "permission denied")]


def test_a_file_that_vanishes_between_walk_and_reading_is_skipped(
    tmp_path: Path, skips: Skips, on_skip: Callable[[str, str], None]
) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).write_bytes(name.encode())
    found = find_files(tmp_path, on_skip=on_skip)
    (tmp_path / "b").unlink()
    (block,) = blocks(found, on_skip)
    assert [part.data for part in block] == [b"a", b"c"]
    assert skips == [(str(tmp_path / "b"), "no such file or directory")]


@pytest.mark.parametrize(
    ("path", "text"),
    [("/a/b c.py", "/a/b c.py"), ("/a/\x1b[2J", r"'/a/\x1b[2J'"), ("/a/\udcff", r"'/a/\udcff'")],
)
def test_names_cannot_write_to_the_terminal(path: str, text: str) -> None:
    assert shown(path) == text
