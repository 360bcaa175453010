# SPDX-License-Identifier: MIT
"""What both sides of TCP need: making a connection one of ours, and pairs within the process."""

from __future__ import annotations

import contextlib
import os
import socket
import sys

from ipcfast._native.stream_channel import StreamChannel
from ipcfast.errors import IoError
from ipcfast.transports.contract import Options
from ipcfast.transports.stream import limits

__all__ = ["adopted", "prepare", "tcp_pair"]

# A peer whose machine has gone is noticed after about two minutes of silence. Not so while something that
# was sent is unacknowledged: then nothing is asked, and the system repeats it for as long as it sees fit
# (Linux: a quarter of an hour). TCP_USER_TIMEOUT would shorten that, but also end peers that do not read.
KEEPALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPALIVE": 60, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 6}


def prepare(connection: socket.socket) -> None:
    """Make a connection as all of ours are: non-blocking, without delay, kept alive."""
    connection.setblocking(False)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEPALIVE.items():
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def adopted(connection: socket.socket, options: Options, *, sniff: bool = False) -> StreamChannel:
    """Hand a connection over to the core; it is closed when that fails."""
    handle = connection.detach()
    try:
        return StreamChannel.adopt(handle, framing=options.framing, sniff=sniff, **limits(options))
    except BaseException:
        socket.close(handle) if sys.platform == "win32" else os.close(handle)
        raise


def tcp_pair(options: Options) -> tuple[StreamChannel, StreamChannel]:
    """Return both ends of a connection within this process.

    Raises:
        IoError: The system refused.
    """
    with contextlib.ExitStack() as made:
        try:
            listening = made.enter_context(socket.socket())
            listening.bind(("127.0.0.1", 0))
            listening.listen(1)
            client = made.enter_context(socket.create_connection(listening.getsockname()))
            while True:
                server, who = listening.accept()
                made.enter_context(server)
                if who == client.getsockname():  # else a stranger was faster
                    break
            prepare(server)
            prepare(client)
        except OSError as error:
            raise IoError(
                f"a TCP connection within this process: {error.strerror}", errno=error.errno
            ) from error
        one = adopted(server, options)
        try:
            return one, adopted(client, options)
        except BaseException:
            one.close()
            raise
