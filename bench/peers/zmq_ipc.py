# SPDX-License-Identifier: MIT
"""pyzmq over ipc://, a PAIR at each end."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.contestants import Peer
from bench.processes import TwoProcesses, wire_of_bytes
from ipcfast.cli.trial.wires import Wire

try:
    import zmq  # type: ignore[import-not-found, unused-ignore]
except ImportError:
    zmq = None  # type: ignore[assignment, unused-ignore]


def listen() -> tuple[str, Callable[[], Wire]]:
    """Bind in a directory of our own."""
    directory = tempfile.TemporaryDirectory(prefix="bench-zmq-")
    address = f"ipc://{Path(directory.name) / 'pair'}"
    socket: Any = zmq.Context.instance().socket(zmq.PAIR)
    socket.set_hwm(0)
    socket.bind(address)

    def close() -> None:
        socket.close(linger=0)
        directory.cleanup()

    return address, lambda: wire_of_bytes(socket.send, socket.recv, close)


def connect(address: str) -> Wire:
    """Return the other end."""
    socket: Any = zmq.Context.instance().socket(zmq.PAIR)
    socket.set_hwm(0)
    socket.connect(address)
    return wire_of_bytes(socket.send, socket.recv, lambda: socket.close(linger=0))


NAME = "pyzmq ipc"
PEERS = (
    Peer(
        NAME,
        functools.partial(TwoProcesses, NAME, __name__, listen),
        "" if zmq is not None else "pyzmq is not installed",
    ),
)
