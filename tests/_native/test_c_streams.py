# SPDX-License-Identifier: MIT
"""Shows that what C code has printed goes out before descriptors are moved."""

from __future__ import annotations

import os
import subprocess
import sys

PROGRAM = """
import ctypes, os
from ipcfast._native.c_streams import flush_standard_output
library = ctypes.CDLL(None)
library.printf(b"kept back, ")
os.write(1, b"first, ")
flush_standard_output()
os.write(1, b"last")
"""


def test_what_printf_keeps_back_goes_out() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    printed = subprocess.check_output([sys.executable, "-c", PROGRAM], env=environment, timeout=60)
    assert printed == b"first, kept back, last"
