# SPDX-License-Identifier: MIT
"""Keeps every test out of the user's own runtime directory, and skips honest."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.completeness import pytest_make_collect_report, pytest_runtest_makereport

__all__ = ["private_runtime_directory", "pytest_make_collect_report", "pytest_runtest_makereport"]


@pytest.fixture(autouse=True)
def private_runtime_directory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A runtime directory of the test's own, with a short path: pytest's are too long for sockets."""
    with tempfile.TemporaryDirectory(prefix="ipcf-") as place:
        directory = Path(place) / "run"
        monkeypatch.setenv("IPCFAST_RUNTIME_DIR", str(directory))
        yield directory
