# SPDX-License-Identifier: MIT
"""Finds files and reads them as messages, with the facts that a worker must find too."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "PART_BYTES",
    "Facts",
    "Part",
    "blocks",
    "facts_of",
    "find_files",
    "library_directory",
    "packages_beside_library",
    "shown",
]

# A larger file travels as several messages: none is too large for a channel's limit or for the memory.
PART_BYTES = 32 << 20
BLOCK_PARTS = 64
BLOCK_BYTES = 8 << 20

OnSkip = Callable[[str, str], None]


@dataclass(frozen=True)
class Facts:
    """What both sides find out about the same bytes."""

    sha256: str
    size: int
    lines: int


@dataclass(frozen=True)
class Part:
    """One message: a file, or a part of a file that is larger than ``PART_BYTES``."""

    name: str
    data: bytes
    facts: Facts


def facts_of(data: bytes) -> Facts:
    """Return the facts of ``data``; a last line without a newline counts as a line."""
    lines = data.count(b"\n") + (not data.endswith(b"\n") and len(data) > 0)
    return Facts(hashlib.sha256(data).hexdigest(), len(data), lines)


def shown(path: str) -> str:
    """Return ``path`` for a terminal: names with control characters or bytes that are no text are escaped."""
    return path if path.isprintable() else ascii(path)


def library_directory() -> Path:
    """Return the directory of the running Python's standard library."""
    return Path(sysconfig.get_paths()["stdlib"])


def packages_beside_library(directory: Path) -> frozenset[Path]:
    """Return the directories inside the standard library's that hold installed packages."""
    return frozenset(
        place for name in ("site-packages", "dist-packages") if (place := directory / name).is_dir()
    )


def find_files(directory: Path, *, leave_out: frozenset[Path] = frozenset(), on_skip: OnSkip) -> list[str]:
    """Return the path of everything under ``directory`` that is not a directory, sorted by directory.

    Links to directories are not followed (they may lead in circles), links to files are. A directory that
    cannot be read is told to ``on_skip(path, reason)``.

    Raises:
        OSError: ``directory`` itself is missing, is no directory, or cannot be read.
    """
    os.scandir(directory).close()

    def tell(error: OSError) -> None:
        on_skip(str(error.filename), reason(error))

    found: list[str] = []
    for place, directories, names in os.walk(directory, onerror=tell):
        kept = []
        for name in sorted(directories):
            path = os.path.join(place, name)
            if Path(path) not in leave_out and not os.path.islink(path):
                kept.append(name)
        directories[:] = kept
        found += [os.path.join(place, name) for name in sorted(names)]
    return found


def blocks(paths: Iterable[str], on_skip: OnSkip) -> Iterator[list[Part]]:
    """Yield the files as blocks of messages, each small enough to stay in memory.

    A path that has vanished, cannot be read, or is no regular file is told to ``on_skip(path, reason)``.
    """
    block: list[Part] = []
    size = 0
    for path in paths:
        try:
            for part in read_parts(path):
                block.append(part)
                size += part.facts.size
                if len(block) >= BLOCK_PARTS or size >= BLOCK_BYTES:
                    yield block
                    block, size = [], 0
        except OSError as error:
            on_skip(path, reason(error))
    if block:
        yield block


def read_parts(path: str) -> Iterator[Part]:
    """Read one file as messages; an empty file is one empty message.

    Raises:
        OSError: It has vanished, cannot be read, or is no regular file.
    """
    # O_NONBLOCK: a FIFO without a writer must not stop the walk. It means nothing for regular files.
    flags = (
        os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    )
    with io.FileIO(os.open(path, flags)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError("not a regular file")
        data = file.read(PART_BYTES)
        yield Part(path, data, facts_of(data))
        number = 1
        while len(data) == PART_BYTES and (data := file.read(PART_BYTES)):
            number += 1
            yield Part(f"{path} (part {number})", data, facts_of(data))


def reason(error: OSError) -> str:
    """Return why the system refused, in few words."""
    return error.strerror.lower() if error.strerror else str(error)
