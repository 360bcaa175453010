# SPDX-License-Identifier: MIT
"""Holds what the command line catches: every failure of a trial is one class."""

from __future__ import annotations

import pytest

from ipcfast.cli.trial import failures


@pytest.mark.parametrize("name", failures.__all__)
def test_every_failure_can_be_caught_as_one_and_says_its_line(name: str) -> None:
    kind = getattr(failures, name)
    with pytest.raises(failures.TrialFailed, match=r"^what happened$"):
        raise kind("what happened")
