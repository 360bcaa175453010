# SPDX-License-Identifier: MIT
"""Shows the server's side of TCP by itself: letting clients in, proving, and an acceptor on top of it."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Iterator

import pytest

from ipcfast._native.stream_channel import StreamChannel
from ipcfast.errors import (
    AddressInUse,
    AddressNotFound,
    ChannelTimeout,
    FrameError,
    IoError,
    PermissionDenied,
)
from ipcfast.transports import acceptor
from ipcfast.transports.acceptor import Acceptor
from ipcfast.transports.address import parse_address
from ipcfast.transports.contract import Options
from ipcfast.transports.secret import ClientProof
from ipcfast.transports.tcp_listener import Proving, TcpListener
from tests.peers import HANG, Background, open_descriptors, until

SECRET = b"a secret"
HERE = parse_address("tcp://127.0.0.1:0")


@pytest.fixture
def listener() -> Iterator[TcpListener]:
    made = TcpListener(HERE, Options(secret=SECRET))
    yield made
    made.close()


def client_of(path: str) -> socket.socket:
    host, _, port = path.rpartition(":")
    client = socket.create_connection((host, int(port)))
    client.settimeout(HANG)
    return client


def let_in(listener: TcpListener) -> Proving:
    found: list[Proving] = []

    def is_there() -> bool:
        client = listener.try_accept()
        if client is not None:
            assert isinstance(client, Proving)
            found.append(client)
        return bool(found)

    until(is_there)
    return found[0]


def advance(proving: Proving) -> StreamChannel:
    found: list[StreamChannel] = []

    def is_done() -> bool:
        connection = proving.advance()
        if connection is not None:
            found.append(connection)
        return bool(found)

    until(is_done)
    return found[0]


def test_nobody_waits() -> None:
    listening = TcpListener(HERE, Options())
    assert listening.try_accept() is None
    with client_of(listening.path):
        until(lambda: isinstance(listening.try_accept(), StreamChannel))
    assert not listening.closed
    listening.close()
    listening.close()
    assert listening.closed


def test_a_client_proves_itself_byte_by_byte(listener: TcpListener) -> None:
    with client_of(listener.path) as client:
        proving = let_in(listener)
        assert proving.who == "{}:{}".format(*client.getsockname())
        proof = ClientProof(SECRET)
        for byte in proof.begin():
            assert proving.advance() is None
            client.send(bytes([byte]))
        proving_done = Background(advance, proving)
        client.sendall(proof.feed(client.recv(40, socket.MSG_WAITALL)))
        proof.feed(client.recv(33, socket.MSG_WAITALL))
        connection = proving_done.result()
        client.sendall(b"\xf1\x9c\x01\x02\0\0\xff\xff" + (3).to_bytes(8, "little") + b"abc")
        assert connection.recv_bytes(HANG) == b"abc"
        connection.close()


def test_a_client_that_ends_or_says_something_else(listener: TcpListener) -> None:
    with client_of(listener.path) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: somewhere or other\r\n\r\n")
        proving = let_in(listener)
        with pytest.raises(FrameError):
            advance(proving)
        proving.close()
    client_of(listener.path).close()
    proving = let_in(listener)
    with pytest.raises(IoError, match="before it had proved itself"):
        advance(proving)
    proving.close()
    with client_of(listener.path) as client:
        client.sendall(ClientProof(SECRET).begin() + bytes(32))
        proving = let_in(listener)
        with pytest.raises(PermissionDenied):
            advance(proving)
        assert client.recv(73, socket.MSG_WAITALL)[40:] == bytes(33)
        proving.close()


def test_addresses_that_cannot_be_had() -> None:
    taken = TcpListener(HERE, Options())
    with pytest.raises(AddressInUse):
        TcpListener(parse_address(f"tcp://{taken.path}"), Options())
    taken.close()
    with pytest.raises(AddressNotFound, match="not known"):
        TcpListener(parse_address("tcp://no-such-host.invalid:0"), Options())
    with pytest.raises(AddressNotFound):
        TcpListener(parse_address("tcp://192.0.2.1:0"), Options(secret=SECRET))
    with pytest.raises(ValueError, match="secret"):
        TcpListener(parse_address("tcp://192.0.2.1:0"), Options())


def test_a_forked_child_forgets_it() -> None:
    listening = TcpListener(HERE, Options())
    if (child := os.fork()) == 0:
        listening.abandon()
        os._exit(0 if listening.closed else 1)
    assert os.waitpid(child, 0)[1] == 0
    with client_of(listening.path):
        until(lambda: listening.try_accept() is not None)
    listening.close()


def test_a_silent_client_does_not_hold_up_the_others(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(acceptor, "HANDSHAKE_SECONDS", 0.2)
    before = open_descriptors()
    accepting = Acceptor(HERE, Options(secret=SECRET))
    started = time.monotonic()
    with client_of(accepting.path) as silent, caplog.at_level(logging.WARNING):
        with pytest.raises(ChannelTimeout):
            accepting.accept(1.0)
        assert silent.recv(1) == b""  # dropped
    assert time.monotonic() - started >= 1.0
    assert "no proof of the shared secret" in caplog.text
    assert "127.0.0.1:" in caplog.text
    accepting.close()
    assert open_descriptors() == before
