# SPDX-License-Identifier: MIT
"""Shows that descriptors sent along with a handshake neither stay with a listener nor break anything."""

from __future__ import annotations

import errno
import os
import resource
import socket
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from ipcfast.errors import ChannelTimeout, IoError
from ipcfast.transports.acceptor import Acceptor
from ipcfast.transports.address import parse_address
from ipcfast.transports.contract import Options
from ipcfast.transports.handshake import STREAM, Hello, encode
from ipcfast.transports.open import open_connection
from tests.peers import HANG, Background, open_descriptors

ADDRESS = parse_address("local://descriptors")
OWN = Options()
BODY = encode(Hello(STREAM, "json", pid=1))
HELLO, WELCOME = (
    b"\xf1\x9c\x01" + bytes([kind, 0, 0]) + b"\xff\xff" + len(BODY).to_bytes(8, "little") + BODY
    for kind in (0xF1, 0xF2)
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="counts in /proc")


@pytest.fixture
def acceptor() -> Iterator[Acceptor]:
    with closing(Acceptor(ADDRESS, OWN)) as made:
        yield made


@contextmanager
def plain(acceptor: Acceptor) -> Iterator[socket.socket]:
    with closing(socket.socket(socket.AF_UNIX)) as client:
        client.settimeout(HANG)
        client.connect(acceptor.path)
        yield client


def serve_one(acceptor: Acceptor) -> None:
    client = Background(open_connection, ADDRESS, OWN, HANG)
    for opened in (acceptor.accept(HANG), client.result()):
        opened.transport.close()


@pytest.mark.parametrize("count", [1, 16, 17, 200])
@pytest.mark.parametrize("size", [1, 20])
def test_a_listener_survives_any_number_and_holds_none(acceptor: Acceptor, count: int, size: int) -> None:
    with plain(acceptor) as client:
        with pytest.raises(ChannelTimeout):
            acceptor.accept(0)
        before = open_descriptors()
        socket.send_fds(client, [HELLO[:size]], [client.fileno()] * count)
        with pytest.raises(ChannelTimeout):
            acceptor.accept(0)
        assert open_descriptors() == before  # while the handshake is under way
        socket.send_fds(client, [HELLO[size:]], [client.fileno()] * count)
        acceptor.accept(HANG).transport.close()
        serve_one(acceptor)


def test_a_client_without_room_for_descriptors_says_so() -> None:
    """What came with them is lost, and no answer will follow it."""
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
    with closing(socket.socket(socket.AF_UNIX)) as listening:
        listening.settimeout(HANG)
        listening.bind(ADDRESS.path_to_listen())
        listening.listen()

        def serve() -> None:
            connection, _ = listening.accept()
            with closing(connection):
                connection.settimeout(HANG)
                connection.recv(len(HELLO), socket.MSG_WAITALL)
                lowest = os.dup(0)
                os.close(lowest)
                resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, allowed[1]))
                socket.send_fds(connection, [WELCOME], [0] * 6)
                connection.recv(1)  # until the client gives up

        server = Background(serve)
        try:
            with pytest.raises(IoError) as caught:
                open_connection(parse_address("shm://descriptors"), OWN, HANG)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, allowed)
        assert caught.value.errno == errno.EMFILE
        server.result()
