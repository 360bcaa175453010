# SPDX-License-Identifier: MIT
"""Clients and servers that are plain sockets: the handshake's bytes as anybody might send them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager

from ipcfast.transports.acceptor import Acceptor
from tests.peers import HANG

__all__ = ["answer", "frame", "is_hung_up", "plain"]


def frame(kind: int, body: bytes) -> bytes:
    return b"\xf1\x9c\x01" + bytes([kind, 0, 0]) + b"\xff\xff" + len(body).to_bytes(8, "little") + body


@contextmanager
def plain(acceptor: Acceptor) -> Iterator[socket.socket]:
    with closing(socket.socket(socket.AF_UNIX)) as client:
        client.settimeout(HANG)
        client.connect(acceptor.path)
        yield client


def answer(client: socket.socket) -> tuple[int, bytes]:
    """The kind and body of the next own frame."""
    data = b""
    while len(data) < 16 or len(data) < 16 + int.from_bytes(data[8:16], "little"):
        more = client.recv(4096)
        assert more, "the server hung up"
        data += more
    assert data[:3] == b"\xf1\x9c\x01"
    return data[3], data[16:]


def is_hung_up(client: socket.socket) -> bool:
    """Whether the end comes, be it behind a goodbye."""
    try:
        while client.recv(4096):
            pass
    except ConnectionResetError:
        pass
    except TimeoutError:
        return False
    return True
