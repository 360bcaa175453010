# SPDX-License-Identifier: MIT
"""Shows the server's side of TCP by itself: letting clients in, proving, and an acceptor on top of it."""

from __future__ import annotations

import errno
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress

import pytest

from ipcfast._native.stream_channel import StreamChannel
from ipcfast.errors import (
    AddressInUse,
    AddressNotFound,
    ChannelClosed,
    ChannelTimeout,
    FrameError,
    IoError,
    PermissionDenied,
)
from ipcfast.transports import acceptor, tcp_listener
from ipcfast.transports.acceptor import Acceptor
from ipcfast.transports.address import parse_address
from ipcfast.transports.contract import Opened, Options
from ipcfast.transports.handshake import RING, STREAM, Hello, decode, decode_refusal, encode
from ipcfast.transports.open import open_connection
from ipcfast.transports.ring import LAYOUT_VERSION
from ipcfast.transports.secret import ClientProof
from ipcfast.transports.tcp_listener import Proving, TcpListener
from ipcfast.transports.tcp_names import Candidate
from tests.peers import HANG, Background, open_descriptors, until
from tests.transports.plain import answer, frame, is_hung_up

SECRET = b"a secret of some length"
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
    return let_in_with_address(listener)[0]


def let_in_with_address(listener: TcpListener) -> tuple[Proving, str]:
    found: list[tuple[Proving, str]] = []

    def is_there() -> bool:
        client = listener.try_accept()
        if client is not None:
            proving, who = client
            assert isinstance(proving, Proving)
            found.append((proving, who))
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
        until(lambda: isinstance((listening.try_accept() or [None])[0], StreamChannel))
    assert not listening.closed
    listening.close()
    listening.close()
    assert listening.closed


def test_a_client_proves_itself_byte_by_byte(listener: TcpListener) -> None:
    with client_of(listener.path) as client:
        proving, who = let_in_with_address(listener)
        assert who == "{}:{}".format(*client.getsockname())
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


def test_a_short_secret_is_none() -> None:
    with pytest.raises(ValueError, match="at least 16"):
        Options(secret=SECRET[:15])
    assert "secret" not in repr(Options(secret=SECRET))


# ---- names with several addresses


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> list[Candidate]:
    """What the host of tcp://host:1 stands for."""
    found: list[Candidate] = []
    monkeypatch.setattr(tcp_listener, "candidates_of", lambda host, port, passive: found)
    return found


HOST = parse_address("tcp://host:1")
FREE = Candidate(socket.AF_INET, ("127.0.0.1", 0))


def test_an_address_that_is_not_here_is_passed_over(hosts: list[Candidate]) -> None:
    elsewhere = Candidate(socket.AF_INET, ("192.0.2.1", 0))
    no_family = Candidate(250, ("127.0.0.1", 0))
    hosts += [elsewhere, no_family, FREE]
    with closing(TcpListener(HOST, Options(secret=SECRET))) as listening:
        assert listening.path.startswith("127.0.0.1:")
    hosts[:] = [elsewhere]
    with pytest.raises(AddressNotFound, match="cannot listen at tcp://host:1"):
        TcpListener(HOST, Options(secret=SECRET))
    hosts[:] = [no_family]
    with pytest.raises(IoError, match="cannot listen at tcp://host:1") as caught:
        TcpListener(HOST, Options())
    assert caught.value.errno == errno.EAFNOSUPPORT


def test_a_server_at_the_first_address_is_not_evaded(hosts: list[Candidate]) -> None:
    """Clients would find that one, or this one, as it happens."""
    hosts.append(FREE)
    with closing(TcpListener(HOST, Options())) as taken:
        port = int(taken.path.rpartition(":")[2])
        hosts[:] = [Candidate(socket.AF_INET, ("127.0.0.1", port)), FREE]
        with pytest.raises(AddressInUse, match="tcp://host:1") as caught:
            TcpListener(HOST, Options())
        assert caught.value.errno == errno.EADDRINUSE


def test_a_port_that_the_system_reserves(monkeypatch: pytest.MonkeyPatch, hosts: list[Candidate]) -> None:
    class Reserved(socket.socket):
        def bind(self, _: object) -> None:
            raise PermissionError(errno.EACCES, "Permission denied")

    before = open_descriptors()
    hosts += [FREE, FREE]
    monkeypatch.setattr(tcp_listener.socket, "socket", Reserved)
    with pytest.raises(PermissionDenied, match="cannot listen at tcp://host:1: Permission denied"):
        TcpListener(HOST, Options())
    assert open_descriptors() == before


def test_one_address_for_others_among_many_needs_a_secret(hosts: list[Candidate]) -> None:
    hosts += [FREE, Candidate(socket.AF_INET, ("192.0.2.1", 0))]
    with pytest.raises(ValueError, match="secret"):
        TcpListener(HOST, Options())


def test_a_host_that_is_no_name() -> None:
    with pytest.raises(AddressNotFound, match="not known"):
        TcpListener(parse_address("tcp://[fe80::1%nosuch]:0"), Options(secret=SECRET))


# ---- processes and acceptors


def test_a_forked_child_forgets_it() -> None:
    listening = TcpListener(HERE, Options())
    if (child := os.fork()) == 0:
        listening.abandon()
        os._exit(0 if listening.closed else 1)
    assert os.waitpid(child, 0)[1] == 0
    with client_of(listening.path):
        until(lambda: listening.try_accept() is not None)
    listening.close()


def test_a_client_that_is_silent_is_dropped_in_the_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(acceptor, "HANDSHAKE_SECONDS", 0.2)
    with closing(Acceptor(HERE, Options(secret=SECRET))) as accepting:
        with client_of(accepting.path) as silent, caplog.at_level(logging.WARNING):
            waiting = Background(accepting.accept)
            assert silent.recv(1) == b""
            who = "{}:{}".format(*silent.getsockname())
        accepting.close()
        with pytest.raises(ChannelClosed):
            waiting.result()
    assert f"{accepting.address.text}: dropped a client ({who}): no proof of the shared secret" in caplog.text


@pytest.mark.parametrize("layout, kind", [(LAYOUT_VERSION, 0xF3), (LAYOUT_VERSION + 1, 0xF2)])
def test_a_client_that_wants_a_ring(layout: int, kind: int) -> None:
    """It is refused; but one with another layout could have no ring anywhere, and gets a stream."""
    hello = Hello(RING, "json", to_server=4096, to_client=4096, layout=layout)
    with closing(Acceptor(HERE, Options())) as accepting, client_of(accepting.path) as client:
        client.sendall(frame(0xF1, encode(hello)))
        waiting = Background(accepting.accept)
        found, body = answer(client)
        assert found == kind
        if kind == 0xF2:
            assert decode(body).transport == STREAM
            waiting.result().transport.close()
            return
        assert "shared memory (shm://) is not offered here" in decode_refusal(body)
        accepting.close()
        with pytest.raises(ChannelClosed):
            waiting.result()


@pytest.mark.parametrize("secret", [None, SECRET])
@pytest.mark.parametrize("is_polled", [False, True])
def test_silent_clients_do_not_hold_up_the_others(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    secret: bytes | None,
    is_polled: bool,
) -> None:
    """More of them than there are places, and they would stay for ever."""
    monkeypatch.setattr(acceptor, "HANDSHAKE_SECONDS", 100 * HANG)
    before = open_descriptors()
    options = Options(secret=secret)
    with (
        closing(Acceptor(HERE, options)) as accepting,
        ExitStack() as stack,
        caplog.at_level(logging.WARNING),
    ):
        silent = [stack.enter_context(client_of(accepting.path)) for _ in range(acceptor.PENDING_MAX + 5)]
        with pytest.raises(ChannelTimeout):
            accepting.accept(0)
        meant = Background(open_connection, accepting.address, options, HANG)
        if is_polled:
            found: list[Opened] = []

            def is_there() -> bool:
                with suppress(ChannelTimeout):
                    found.append(accepting.accept(0))
                return bool(found)

            until(is_there)
            server = found[0]
        else:
            server = accepting.accept(HANG)
        client = meant.result()
        client.transport.send_bytes(b"in")
        assert server.transport.recv_bytes(HANG) == b"in"
        for end in (client, server):
            end.transport.close()
        assert is_hung_up(silent[0])
        port = silent[0].getsockname()[1]
        assert f"127.0.0.1:{port}): it was the oldest of too many" in caplog.text
    assert open_descriptors() == before


@pytest.mark.parametrize("secret", [None, SECRET])
def test_many_who_are_meant_are_all_let_in(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, secret: bytes | None
) -> None:
    """More than there are places, all at the same time: nobody makes room who gets on within the time."""
    monkeypatch.setattr(acceptor, "STRANGER_SECONDS", HANG)
    options = Options(secret=secret)
    with closing(Acceptor(HERE, options)) as accepting, caplog.at_level(logging.WARNING):
        count = acceptor.PENDING_MAX + 40
        clients = [Background(open_connection, accepting.address, options, HANG) for _ in range(count)]
        servers = [accepting.accept(HANG) for _ in range(count)]
        for client in clients:
            client.result().transport.close()
        for server in servers:
            server.transport.close()
    assert caplog.text == ""
