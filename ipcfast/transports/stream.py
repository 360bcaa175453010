# SPDX-License-Identifier: MIT
"""Makes stream transports: messages that move through a local socket or a named pipe."""

from __future__ import annotations

from typing import TypedDict

from ipcfast._native.stream_channel import StreamChannel
from ipcfast.transports.contract import Options

__all__ = ["Limits", "connect_stream", "limits", "stream_pair"]


class Limits(TypedDict):
    """The options that every native channel takes under the same names."""

    message_limit: int
    read_ahead_limit: int
    spin_us: int


def limits(options: Options) -> Limits:
    """Return the part of the options that every native channel takes."""
    return {
        "message_limit": options.message_limit,
        "read_ahead_limit": options.read_ahead_limit,
        "spin_us": options.spin_us,
    }


def connect_stream(path: str, options: Options) -> StreamChannel | None:
    """Connect at once; None when the server's backlog is full.

    Raises:
        AddressNotFound: Nobody listens at ``path``.
        PermissionDenied: The server belongs to another user.
        IoError: The system refused.
    """
    return StreamChannel.connect(path, framing=options.framing, **limits(options))


def stream_pair(options: Options) -> tuple[StreamChannel, StreamChannel]:
    """Return both ends of a connection within this process."""
    return StreamChannel.pair(framing=options.framing, **limits(options))
