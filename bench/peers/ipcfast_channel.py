# SPDX-License-Identifier: MIT
"""What the two transports of ipcfast have in common as contestants: they differ in the address only."""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Callable

import ipcfast
from bench.work import Wire

CONNECT_SECONDS = 30.0
BATCH_BYTES = 64 << 10


def listening(scheme: str) -> tuple[str, Callable[[], Wire]]:
    """Return an address to connect to, and what accepts the connection."""
    listener = listen_at_free_name(scheme)

    def finish() -> Wire:
        with listener:
            return wire_of(listener.accept(timeout=CONNECT_SECONDS))

    return listener.address, finish


def listen_at_free_name(scheme: str) -> ipcfast.Listener:
    """Listen at the first name that is free: each leaves an empty lock file, so there shall be few."""
    for number in itertools.count():
        with contextlib.suppress(ipcfast.AddressInUse):
            return ipcfast.listen(f"{scheme}://bench-{number}")
    raise AssertionError("not reached: the numbers do not end")


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
