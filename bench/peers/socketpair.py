# SPDX-License-Identifier: MIT
"""A blocking socketpair with a four-byte length before each message: what one writes by hand."""

from __future__ import annotations

import dataclasses
import functools
import socket
import struct
from collections.abc import Callable

from bench.contestants import Peer
from bench.processes import TwoProcesses, wire_of_bytes
from ipcfast.cli.trial.wires import Wire

HEADER = struct.Struct("<I")
# Above this size a second system call costs less than a copy of the body behind its header.
JOINED_BYTES = 32 << 10


def listen() -> tuple[socket.socket, Callable[[], Wire]]:
    """Make a pair; the other process inherits one end."""
    ours, theirs = socket.socketpair()

    def finish() -> Wire:
        theirs.close()
        return connect(ours)

    return theirs, finish


def connect(connection: socket.socket) -> Wire:
    """Return the wire of one end."""
    pack, unpack = HEADER.pack, HEADER.unpack
    sendall, recv_into = connection.sendall, connection.recv_into

    def send(message: bytes) -> None:
        if len(message) <= JOINED_BYTES:
            sendall(pack(len(message)) + message)
        else:
            sendall(pack(len(message)))
            sendall(message)

    def recv() -> bytes:
        return take(unpack(take(HEADER.size))[0])

    def take(size: int) -> bytes:
        data = connection.recv(size, socket.MSG_WAITALL)
        if len(data) == size:
            return data
        if not data:
            raise EOFError
        # MSG_WAITALL may give less when a signal arrives.
        whole = bytearray(size)
        whole[: len(data)] = data
        view = memoryview(whole)[len(data) :]
        while view:
            view = view[recv_into(view) :]
        return bytes(whole)

    return dataclasses.replace(
        wire_of_bytes(send, recv, connection.close),
        send_many=lambda items: sendall(b"".join([pack(len(item)) + item for item in items])),
        recv_many=Splitter(connection).recv_many,
    )


class Splitter:
    """Reads whatever is there and cuts it into messages: the buffered way to receive many small ones."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._rest = b""

    def recv_many(self) -> list[bytes]:
        """Return at least one message."""
        found: list[bytes] = []
        while not found:
            data = self._rest + self._connection.recv(1 << 16)
            start = 0
            while len(data) - start >= HEADER.size:
                end = start + HEADER.size + HEADER.unpack_from(data, start)[0]
                if end > len(data):
                    break
                found.append(data[start + HEADER.size : end])
                start = end
            self._rest = data[start:]
        return found


NAME = "socketpair"
PEERS = (Peer(NAME, functools.partial(TwoProcesses, NAME, __name__, listen)),)
