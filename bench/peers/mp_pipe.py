# SPDX-License-Identifier: MIT
"""multiprocessing.Pipe: what Python programs use when they use nothing else."""

from __future__ import annotations

import dataclasses
import functools
import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection

from bench.contestants import Peer
from bench.processes import TwoProcesses
from ipcfast.cli.trial.wires import Wire, pipe_wire


def listen() -> tuple[Connection, Callable[[], Wire]]:
    """Make a pipe; the other process inherits one end."""
    ours, theirs = multiprocessing.Pipe()

    def finish() -> Wire:
        theirs.close()
        return connect(ours)

    return theirs, finish


def connect(connection: Connection) -> Wire:
    """Return the wire of one end: bytes as bytes, but objects pickled, as its users do."""
    return dataclasses.replace(pipe_wire(connection), send_json=connection.send, recv_json=connection.recv)


NAME = "multiprocessing.Pipe"
PEERS = (Peer(NAME, functools.partial(TwoProcesses, NAME, __name__, listen)),)
