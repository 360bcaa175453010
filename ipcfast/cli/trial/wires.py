# SPDX-License-Identifier: MIT
"""Who takes part in a trial: each transport as the same few functions, so that all do the same work."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from ipcfast.channels.ipc_channel import IpcChannel
from ipcfast.protocol.codec import codec_named

__all__ = ["LOCAL", "PIPE", "RING", "TITLES", "Wire", "channel_wire", "pipe_wire"]

RING = "ring"
LOCAL = "local"
PIPE = "pipe"
TITLES = {RING: "shared-memory ring", LOCAL: "local socket", PIPE: "multiprocessing.Pipe"}

BATCH_BYTES = 64 << 10


@dataclass(frozen=True)
class Wire:
    """One end of a connection: its own bound methods, so that nothing is forwarded call by call.

    ``send_many`` and ``recv_many`` are None where the transport has no batches.
    """

    send_bytes: Callable[[bytes], None]
    recv_bytes: Callable[[], bytes]
    send_json: Callable[[Any], None]
    recv_json: Callable[[], Any]
    send_many: Callable[[Sequence[bytes]], None] | None
    recv_many: Callable[[], list[bytes]] | None
    close: Callable[[], None]


def channel_wire(channel: IpcChannel, *, timeout: float | None = None) -> Wire:
    """Return the wire of a channel of ipcfast; ``timeout`` in seconds for each receive, None: for ever."""
    waits_for_ever = timeout is None
    return Wire(
        send_bytes=channel.send_bytes,
        recv_bytes=channel.recv_bytes if waits_for_ever else functools.partial(channel.recv_bytes, timeout),
        send_json=channel.send_json,
        recv_json=channel.recv_json if waits_for_ever else functools.partial(channel.recv_json, timeout),
        send_many=channel.send_many,
        recv_many=functools.partial(channel.recv_many, BATCH_BYTES, timeout),
        close=channel.close,
    )


def pipe_wire(connection: Connection) -> Wire:
    """Return the wire of one end of a ``multiprocessing.Pipe``, with the JSON codec that channels use."""
    codec = codec_named("json")

    def send_json(value: Any) -> None:
        connection.send_bytes(codec.encode(value))

    def recv_json() -> Any:
        return codec.decode(connection.recv_bytes())

    return Wire(
        send_bytes=connection.send_bytes,
        recv_bytes=connection.recv_bytes,
        send_json=send_json,
        recv_json=recv_json,
        send_many=None,
        recv_many=None,
        close=connection.close,
    )
