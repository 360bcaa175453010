# SPDX-License-Identifier: MIT
"""Runs the command line: ``python -m ipcfast``."""

from __future__ import annotations

import sys

from ipcfast.cli import main

if __name__ == "__main__":
    sys.exit(main())
