# SPDX-License-Identifier: MIT
"""Hooks of pytest: where ``IPCFAST_TESTS_COMPLETE`` is set, as in CI, a test that is skipped fails.

So nothing is left out unseen. A developer without Qt or node runs the others, and reads at the end which
were left out.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import TypeVar

import pytest

__all__ = ["pytest_make_collect_report", "pytest_runtest_makereport"]

VARIABLE = "IPCFAST_TESTS_COMPLETE"

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


def failed_if_skipped(report: Report) -> Report:
    if os.environ.get(VARIABLE) and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid}: {reason} ({VARIABLE} is set: everything has to run)"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """For a test, or what it needs."""
    return failed_if_skipped((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """For a whole module, such as one that needs Qt."""
    return failed_if_skipped((yield))
