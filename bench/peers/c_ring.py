# SPDX-License-Identifier: MIT
"""The limit of the ring: the same loops in C over csrc's ring_channel."""

from __future__ import annotations

from bench.limit import CLoop, missing

NAME = "C ring"
MISSING = missing()


def start() -> CLoop:
    """Start both processes."""
    return CLoop(NAME, "ring")
