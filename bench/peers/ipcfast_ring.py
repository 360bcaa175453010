# SPDX-License-Identifier: MIT
"""The shared-memory ring of ipcfast, through the public API."""

from __future__ import annotations

from collections.abc import Callable

from bench.peers.ipcfast_channel import connected, listening
from bench.processes import TwoProcesses
from bench.work import Wire


def listen() -> tuple[str, Callable[[], Wire]]:
    """Listen at a name of our own."""
    return listening("shm")


def connect(address: str) -> Wire:
    """Return the other end."""
    return connected(address)


NAME = "ipcfast ring"
MISSING = ""


def start() -> TwoProcesses:
    """Start the other process."""
    return TwoProcesses(NAME, __name__, listen)
