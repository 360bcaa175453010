# SPDX-License-Identifier: MIT
"""Shows that warnings that others can cause are limited, and that none goes by uncounted."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest

from ipcfast.transports import sparse_log
from ipcfast.transports.sparse_log import SparseLog


def test_warnings_are_limited_and_counted(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(sparse_log, "time", SimpleNamespace(monotonic=lambda: now))
    warnings = SparseLog(logging.getLogger(__name__), "local://here")
    for second in (0.0, 0.5, 0.9, 1.0, 3.0):
        now = 100.0 + second
        warnings.warn(f"at {second:g}")
    assert caplog.messages == [
        "local://here: at 0",
        "local://here: 2 more warnings were left out",
        "local://here: at 1",
        "local://here: at 3",
    ]
    warnings.warn("at once")
    warnings.tell_left_out()
    warnings.tell_left_out()
    assert caplog.messages[4:] == ["local://here: 1 more warnings were left out"]
