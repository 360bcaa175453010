# SPDX-License-Identifier: MIT
"""Shows that ``python -m ipcfast`` is the command line."""

from __future__ import annotations

import subprocess
import sys


def test_module_runs_the_command_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ipcfast", "--help"], capture_output=True, text=True, timeout=60, check=True
    )
    assert "usage: ipcfast" in done.stdout


def test_module_gives_the_exit_status() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ipcfast", "no-such-command"], capture_output=True, timeout=60
    )
    assert done.returncode == 2
