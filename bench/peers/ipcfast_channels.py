# SPDX-License-Identifier: MIT
"""The two transports of ipcfast, through the public API: they differ in the address only."""

from __future__ import annotations

import functools
from collections.abc import Callable

import ipcfast
from bench.contestants import Peer
from bench.processes import TwoProcesses
from ipcfast.cli.trial.process import listen_at_free_name
from ipcfast.cli.trial.wires import Wire, channel_wire

CONNECT_SECONDS = 30.0


def listen(scheme: str) -> tuple[str, Callable[[], Wire]]:
    """Return an address to connect to, and what accepts the connection."""
    listener = listen_at_free_name(f"{scheme}://bench")

    def finish() -> Wire:
        with listener:
            return channel_wire(listener.accept(timeout=CONNECT_SECONDS))

    return listener.address, finish


def connect(address: str) -> Wire:
    """Return the other end."""
    return channel_wire(ipcfast.connect(address, timeout=CONNECT_SECONDS))


PEERS = tuple(
    Peer(name, functools.partial(TwoProcesses, name, __name__, functools.partial(listen, scheme)))
    for name, scheme in (("ipcfast ring", "shm"), ("ipcfast local", "local"))
)
