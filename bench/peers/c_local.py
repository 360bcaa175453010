# SPDX-License-Identifier: MIT
"""The limit of the local socket: the same loops in C over csrc's stream_channel."""

from __future__ import annotations

from bench.limit import CLoop, missing

NAME = "C local"
MISSING = missing()


def start() -> CLoop:
    """Start both processes."""
    return CLoop(NAME, "stream")
