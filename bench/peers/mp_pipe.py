# SPDX-License-Identifier: MIT
"""multiprocessing.Pipe: what Python programs use when they use nothing else."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection

from bench.processes import TwoProcesses
from bench.work import Wire


def listen() -> tuple[Connection, Callable[[], Wire]]:
    """Make a pipe; the other process inherits one end."""
    ours, theirs = multiprocessing.Pipe()

    def finish() -> Wire:
        theirs.close()
        return connect(ours)

    return theirs, finish


def connect(connection: Connection) -> Wire:
    """Return the wire of one end: bytes as bytes, objects pickled, as its users do."""
    return Wire(
        send=connection.send_bytes,
        recv=connection.recv_bytes,
        close=connection.close,
        send_object=connection.send,
        recv_object=connection.recv,
    )


NAME = "multiprocessing.Pipe"
MISSING = ""


def start() -> TwoProcesses:
    """Start the other process."""
    return TwoProcesses(NAME, __name__, listen)
