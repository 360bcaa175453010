# SPDX-License-Identifier: MIT
"""Shows the client's side of TCP by itself: hosts, attempts, deadlines, giving up, and servers that cheat."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from ipcfast.errors import (
    AddressNotFound,
    ChannelClosed,
    ChannelTimeout,
    ConnectError,
    IoError,
    PermissionDenied,
)
from ipcfast.transports import tcp_connect
from ipcfast.transports.address import Address, parse_address
from ipcfast.transports.contract import Options
from ipcfast.transports.secret import ServerProof
from ipcfast.transports.tcp import Candidate
from ipcfast.transports.tcp_connect import connect_tcp
from tests.peers import HANG, Background, open_descriptors

SECRET = b"a secret"


def connect(address: Address, timeout: float | None = HANG, options: Options | None = None) -> None:
    deadline = None if timeout is None else time.monotonic() + timeout
    connect_tcp(address, options or Options(), deadline, timeout, lambda: False).close()


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.settimeout(HANG)
        yield listening


def address_of(listening: socket.socket) -> Address:
    return parse_address(f"tcp://127.0.0.1:{listening.getsockname()[1]}")


@pytest.fixture(autouse=True)
def no_descriptor_is_left() -> Iterator[None]:
    before = open_descriptors()
    yield
    assert open_descriptors() == before


def test_a_host_that_is_not_known(server: socket.socket) -> None:
    with pytest.raises(AddressNotFound, match="not known"):
        connect(parse_address("tcp://no-such-host.invalid:1"))


def test_a_resolver_that_hangs_is_left_behind(monkeypatch: pytest.MonkeyPatch, server: socket.socket) -> None:
    released = threading.Event()

    def hang(host: str, port: int) -> list[Candidate]:
        released.wait(HANG)
        return []

    monkeypatch.setattr(tcp_connect, "candidates_of", hang)
    with pytest.raises(ChannelTimeout, match="resolved"):
        connect(parse_address("tcp://somewhere:1"), 0.1)
    given_up = threading.Event()
    trying = Background(
        connect_tcp, parse_address("tcp://somewhere:1"), Options(), None, None, given_up.is_set
    )
    given_up.set()
    with pytest.raises(ChannelClosed):
        trying.result()
    released.set()


def test_every_address_of_a_host_is_tried(monkeypatch: pytest.MonkeyPatch, server: socket.socket) -> None:
    address = address_of(server)
    port = address.endpoint()[1]
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        dead = unused.getsockname()
    found = [Candidate(socket.AF_INET, dead), Candidate(socket.AF_INET, ("127.0.0.1", port))]
    monkeypatch.setattr(tcp_connect, "candidates_of", lambda host, port: found)
    connect(parse_address(f"tcp://both:{port}"))


def test_an_address_that_never_answers_gets_its_share(
    monkeypatch: pytest.MonkeyPatch, server: socket.socket
) -> None:
    """A listening socket whose backlog is full answers nobody: the other address is tried all the same."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
            fillers.append(filler)
        found = [
            Candidate(socket.AF_INET, full.getsockname()),
            Candidate(socket.AF_INET, server.getsockname()),
        ]
        monkeypatch.setattr(tcp_connect, "candidates_of", lambda host, port: found)
        connect(parse_address("tcp://both:1"), 2.0)
        for filler in fillers:
            filler.close()


def test_giving_up_ends_an_attempt() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        given_up = threading.Event()
        trying = Background(connect_tcp, address_of(full), Options(), None, None, given_up.is_set)
        given_up.set()
        with pytest.raises(ChannelClosed):
            trying.result()
        for filler in fillers:
            filler.close()


def test_a_connection_to_oneself_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody listens at a port that the system gives out to clients, a client may meet itself there."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        here = probe.getsockname()
    real = socket.socket

    def bound_socket(*arguments: int) -> socket.socket:
        made = real(*arguments)
        made.bind(here)
        return made

    monkeypatch.setattr(tcp_connect.socket, "socket", bound_socket)
    candidate = Candidate(socket.AF_INET, here)
    address = parse_address("tcp://{}:{}".format(*here))
    assert tcp_connect.attempt(address, candidate, HANG, lambda: False) is None


def test_what_the_system_refuses_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    broadcast = [Candidate(socket.AF_INET, ("255.255.255.255", 1))]
    monkeypatch.setattr(tcp_connect, "candidates_of", lambda host, port: broadcast)
    with pytest.raises((IoError, AddressNotFound)):
        connect(parse_address("tcp://all:1"), 0.1)


# ---- servers and the secret


def serve(listening: socket.socket, act: Callable[[socket.socket], None]) -> Background[None]:
    def run() -> None:
        connection, _ = listening.accept()
        with connection:
            connection.settimeout(HANG)
            act(connection)

    return Background(run)


def test_a_server_that_knows_the_secret(server: socket.socket) -> None:
    def prove(connection: socket.socket) -> None:
        proof = ServerProof(SECRET)
        while proof.wanted:
            connection.sendall(proof.feed(connection.recv(proof.wanted, socket.MSG_WAITALL))[0])

    serving = serve(server, prove)
    connect(address_of(server), options=Options(secret=SECRET))
    serving.result()


def test_a_server_that_only_says_yes(server: socket.socket) -> None:
    def cheat(connection: socket.socket) -> None:
        connection.sendall(connection.recv(40, socket.MSG_WAITALL))
        connection.recv(32, socket.MSG_WAITALL)
        connection.sendall(b"\x01" + bytes(32))

    serving = serve(server, cheat)
    with pytest.raises(PermissionDenied, match="could not prove"):
        connect(address_of(server), options=Options(secret=SECRET))
    serving.result()


def test_a_server_that_hangs_up(server: socket.socket) -> None:
    serving = serve(server, lambda connection: None)
    with pytest.raises(ConnectError, match="before it had proved itself"):
        connect(address_of(server), options=Options(secret=SECRET))
    serving.result()


def test_a_server_that_says_nothing(server: socket.socket) -> None:
    with pytest.raises(ChannelTimeout, match="prove"):
        connect(address_of(server), 0.1, Options(secret=SECRET))
