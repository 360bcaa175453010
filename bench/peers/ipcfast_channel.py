# SPDX-License-Identifier: MIT
"""What the two transports of ipcfast have in common as contestants: they differ in the address only."""

from __future__ import annotations

import functools
import os
import secrets
from collections.abc import Callable

import ipcfast
from bench.work import Wire

CONNECT_SECONDS = 30.0
BATCH_BYTES = 64 << 10


def listening(scheme: str) -> tuple[str, Callable[[], Wire]]:
    """Return an address to connect to, and what accepts the connection."""
    address = f"{scheme}://bench-{os.getpid()}-{secrets.token_hex(4)}"
    listener = ipcfast.listen(address)

    def finish() -> Wire:
        with listener:
            return wire_of(listener.accept(timeout=CONNECT_SECONDS))

    return address, finish


def connected(address: str) -> Wire:
    """Return the other end."""
    return wire_of(ipcfast.connect(address, timeout=CONNECT_SECONDS))


def wire_of(channel: ipcfast.IpcChannel) -> Wire:
    """Return the wire of a channel."""
    return Wire(
        send=channel.send_bytes,
        recv=channel.recv_bytes,
        close=channel.close,
        send_many=channel.send_many,
        recv_many=functools.partial(channel.recv_many, BATCH_BYTES),
        send_object=channel.send_json,
        recv_object=channel.recv_json,
    )
