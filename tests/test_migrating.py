# SPDX-License-Identifier: MIT
"""Runs the programs of docs/migrating.md as they stand there, each in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "migrating.md").read_text(encoding="utf-8")
# Programs by the name in their first line.
BLOCKS = dict(re.findall(r"^```python\n(# (\S+\.py)\n.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
PROGRAMS = {name: text for text, name in BLOCKS.items()}
# Some are started by the others.
STARTED_BY_OTHERS = ["child.py"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with all programs in it."""
    for name, text in PROGRAMS.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_every_program_has_a_name() -> None:
    assert PAGE.count("```python") == len(PROGRAMS) > len(STARTED_BY_OTHERS)


@pytest.mark.parametrize("name", sorted(set(PROGRAMS) - set(STARTED_BY_OTHERS)))
def test_a_program_prints_what_stands_beside_the_line(folder: Path, name: str) -> None:
    [due] = re.findall(r"^ *print\(.*\)  # (.+)$", PROGRAMS[name], re.MULTILINE)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "PYTHONIOENCODING": "utf-8",
    }
    done = subprocess.run(
        [sys.executable, name],
        cwd=folder,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # A child's own prints stand there, too, where its standard output is free.
    assert due in done.stdout.splitlines(), done.stderr
