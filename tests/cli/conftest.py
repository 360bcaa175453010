# SPDX-License-Identifier: MIT
"""What the tests of the command line share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

NOBODY = 65534


@pytest.fixture
def as_nobody(tmp_path: Path) -> Iterator[None]:
    """Let the test run without root's right to read everything; ``tmp_path`` becomes nobody's."""
    if os.geteuid() != 0:
        yield
        return
    parents = [tmp_path, *tmp_path.parents]
    modes = [(parent, parent.stat().st_mode) for parent in parents if parent.stat().st_uid == 0]
    for parent, mode in modes:
        parent.chmod(mode | 0o011)
    os.chown(tmp_path, NOBODY, -1)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        for parent, mode in modes:
            parent.chmod(mode)


@pytest.fixture
def odd_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the modules of tests/cli/workers importable, for this process and the workers it starts."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "workers"))
