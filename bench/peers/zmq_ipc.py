# SPDX-License-Identifier: MIT
"""pyzmq over ipc://, a PAIR at each end."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.processes import TwoProcesses
from bench.work import Wire

try:
    import zmq  # type: ignore[import-not-found, unused-ignore]
except ImportError:
    zmq = None


def listen() -> tuple[str, Callable[[], Wire]]:
    """Bind in a directory of our own."""
    directory = tempfile.TemporaryDirectory(prefix="bench-zmq-")
    address = f"ipc://{Path(directory.name) / 'pair'}"
    socket = zmq.Context.instance().socket(zmq.PAIR)
    socket.set_hwm(0)
    socket.bind(address)

    def close() -> None:
        socket.close(linger=0)
        directory.cleanup()

    return address, lambda: wire_of(socket, close)


def connect(address: str) -> Wire:
    """Return the other end."""
    socket = zmq.Context.instance().socket(zmq.PAIR)
    socket.set_hwm(0)
    socket.connect(address)
    return wire_of(socket, lambda: socket.close(linger=0))


def wire_of(socket: Any, close: Callable[[], None]) -> Wire:
    """Return the wire of one end."""
    return Wire(
        send=socket.send,
        recv=socket.recv,
        close=close,
        send_object=socket.send_json,
        recv_object=socket.recv_json,
    )


NAME = "pyzmq ipc"
MISSING = "" if zmq is not None else "pyzmq is not installed"


def start() -> TwoProcesses:
    """Start the other process."""
    return TwoProcesses(NAME, __name__, listen)
