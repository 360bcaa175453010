# SPDX-License-Identifier: MIT
"""Shows the client's side of TCP by itself: hosts, attempts, deadlines, giving up, and servers that cheat."""

from __future__ import annotations

import errno
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from ipcfast._native.stream_channel import StreamChannel
from ipcfast.errors import (
    AddressNotFound,
    ChannelClosed,
    ChannelTimeout,
    ConnectError,
    IoError,
    PermissionDenied,
)
from ipcfast.transports import tcp_connect, tcp_names, waiting
from ipcfast.transports.address import Address, parse_address
from ipcfast.transports.contract import Options
from ipcfast.transports.secret import ServerProof
from ipcfast.transports.tcp_connect import TcpOpening
from ipcfast.transports.tcp_names import Candidate
from tests.peers import HANG, Background, open_descriptors, until, until_asleep

SECRET = b"a secret of some length"


def advance(
    opening: TcpOpening,
    timeout: float | None,
    answer_timeout: float | None = None,
    is_given_up: Callable[[], bool] = lambda: False,
) -> StreamChannel:
    """One call; without another timeout the answer gets what is left."""
    now = time.monotonic()
    deadline = None if timeout is None else now + timeout
    answer_deadline = deadline if answer_timeout is None else now + answer_timeout
    return opening.advance(deadline, answer_deadline, timeout, is_given_up)


def connect(
    address: Address,
    timeout: float | None = HANG,
    options: Options | None = None,
    is_given_up: Callable[[], bool] = lambda: False,
) -> None:
    opening = TcpOpening(address, options or Options())
    try:
        advance(opening, timeout, None, is_given_up).close()
    finally:
        opening.close()


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


@pytest.fixture
def dead() -> Iterator[Candidate]:
    """An address that refuses: bound, and nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield of(unused)


@pytest.fixture
def hole() -> Iterator[Candidate]:
    """An address that never answers: a listening socket whose backlog is full."""
    with silent_server() as full:
        yield of(full)


@contextmanager
def silent_server() -> Iterator[socket.socket]:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        yield full
        for filler in fillers:
            filler.close()


def of(listening: socket.socket) -> Candidate:
    return Candidate(socket.AF_INET, listening.getsockname())


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> list[Candidate]:
    """What the host of tcp://host:1 stands for."""
    found: list[Candidate] = []
    monkeypatch.setattr(tcp_names, "candidates_of", lambda host, port: found)
    return found


HOST = parse_address("tcp://host:1")


# ---- hosts


def test_a_host_that_is_not_known() -> None:
    with pytest.raises(AddressNotFound, match="not known"):
        connect(parse_address("tcp://no-such-host.invalid:1"))


def test_a_resolver_that_hangs_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    def hang(host: str, port: int) -> list[Candidate]:
        released.wait(HANG)
        return []

    monkeypatch.setattr(tcp_names, "candidates_of", hang)
    for timeout in (0, 0.1):
        with pytest.raises(ChannelTimeout, match="resolved"):
            connect(HOST, timeout)
    given_up = threading.Event()
    trying = Background(connect, HOST, None, None, given_up.is_set)
    given_up.set()
    with pytest.raises(ChannelClosed):
        trying.result()
    released.set()


def test_a_resolver_that_is_slow_is_waited_for_over_several_calls(
    monkeypatch: pytest.MonkeyPatch, server: socket.socket
) -> None:
    asked, may_answer = [], threading.Event()

    def resolve(host: str, port: int) -> list[Candidate]:
        asked.append(host)
        assert may_answer.wait(HANG)
        return [of(server)]

    monkeypatch.setattr(tcp_names, "candidates_of", resolve)
    opening = TcpOpening(HOST, Options())
    for _ in range(5):
        with pytest.raises(ChannelTimeout, match="resolved"):
            advance(opening, 0)
    may_answer.set()
    advance(opening, HANG).close()
    assert asked == ["host"]


def test_a_resolver_that_cannot_tell_now_may_later(
    monkeypatch: pytest.MonkeyPatch, server: socket.socket
) -> None:
    answers: list[list[Candidate]] = []

    def resolve(host: str, port: int) -> list[Candidate]:
        if answers:
            return answers[0]
        raise socket.gaierror(socket.EAI_AGAIN, "not now")

    monkeypatch.setattr(tcp_names, "candidates_of", resolve)
    monkeypatch.setattr(tcp_names, "PAUSE_SECONDS", 0.001)
    with pytest.raises(AddressNotFound, match="not now"):
        connect(HOST, 0.1)
    answers.append([of(server)])
    connect(HOST)


def test_a_name_may_come_to_mean_another_machine(
    monkeypatch: pytest.MonkeyPatch, hosts: list[Candidate], dead: Candidate, server: socket.socket
) -> None:
    monkeypatch.setattr(tcp_names, "ASK_AGAIN_SECONDS", 0.0)
    hosts.append(dead)
    opening = TcpOpening(HOST, Options())
    with pytest.raises(AddressNotFound):
        advance(opening, 0.1)
    trying = Background(advance, opening, None)
    monkeypatch.setattr(tcp_names, "candidates_of", lambda host, port: [of(server)])
    trying.result().close()
    opening.close()


# ---- attempts


def test_every_address_of_a_host_is_tried(
    hosts: list[Candidate], dead: Candidate, server: socket.socket
) -> None:
    for timeout in (None, HANG, 0):
        hosts[:] = [dead, of(server)]
        connect(HOST, timeout)


@pytest.mark.parametrize("timeout", [None, HANG, 0.3, 0])
def test_an_address_that_never_answers_holds_up_none_of_the_others(
    hosts: list[Candidate], hole: Candidate, server: socket.socket, timeout: float | None
) -> None:
    hosts += [hole, of(server)]
    opening = TcpOpening(HOST, Options())
    advance(opening, timeout, HANG).close()
    opening.close()


def test_an_address_that_refuses_is_tried_again_beside_one_that_never_answers(
    hosts: list[Candidate], hole: Candidate
) -> None:
    with socket.socket() as late:
        late.bind(("127.0.0.1", 0))
        hosts += [hole, of(late)]
        trying = Background(connect, HOST, None)
        late.listen()
        trying.result()


@pytest.mark.parametrize("code", [errno.EINVAL, errno.EACCES, errno.EPERM, errno.EAFNOSUPPORT, errno.EMFILE])
def test_an_address_that_the_system_refuses_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, hosts: list[Candidate], server: socket.socket, code: int
) -> None:
    refused = Candidate(-1, ())
    real = socket.socket

    def make(family: int, kind: int) -> socket.socket:
        if family == -1:
            raise OSError(code, "refused")
        return real(family, kind)

    monkeypatch.setattr(tcp_connect.socket, "socket", make)
    hosts += [refused, of(server)]
    connect(HOST)
    hosts[:] = [refused]
    with pytest.raises(IoError, match="cannot connect to tcp://host:1") as caught:
        connect(HOST, None)
    assert (caught.value.errno, caught.value.filename) == (code, "tcp://host:1")


def test_what_the_system_refuses_is_told(hosts: list[Candidate]) -> None:
    hosts.append(Candidate(socket.AF_INET, ("255.255.255.255", 1)))
    with pytest.raises(IoError) as caught:
        connect(HOST, 0.1)
    # Where there is no network the route is missing, else it is no address for a connection.
    assert caught.value.errno in (errno.EACCES, errno.ENETUNREACH)
    assert isinstance(caught.value, AddressNotFound) == (caught.value.errno == errno.ENETUNREACH)


def test_nobody_there_is_told_with_what_the_system_said(hosts: list[Candidate], dead: Candidate) -> None:
    hosts.append(dead)
    for timeout, waited in ((0, ""), (0.01, r", waited for 0\.01 s")):
        with pytest.raises(AddressNotFound, match=f"nobody listens at tcp://host:1{waited}: start") as caught:
            connect(HOST, timeout)
        assert caught.value.errno == errno.ECONNREFUSED


@pytest.mark.parametrize("code", [errno.EHOSTUNREACH, errno.ENETUNREACH])
def test_no_route_is_told_as_such(monkeypatch: pytest.MonkeyPatch, hosts: list[Candidate], code: int) -> None:
    class Unreachable(socket.socket):
        def connect_ex(self, _: object) -> int:
            return code

    hosts.append(Candidate(socket.AF_INET, ("127.0.0.1", 1)))
    monkeypatch.setattr(tcp_connect.socket, "socket", Unreachable)
    with pytest.raises(
        AddressNotFound, match=r"cannot reach tcp://host:1.*: (No route|Network is)"
    ) as caught:
        connect(HOST, 0.01)
    assert caught.value.errno == code


def test_no_answer_is_a_timeout_and_waited_for_by_the_next_call(
    hosts: list[Candidate], hole: Candidate, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts.append(hole)
    opening = TcpOpening(HOST, Options())
    begun = []
    real = socket.socket
    monkeypatch.setattr(
        tcp_connect.socket, "socket", lambda *arguments: begun.append(arguments) or real(*arguments)
    )
    for timeout in (0, 0, 0.01, 0):
        with pytest.raises(ChannelTimeout, match="did not answer"):
            advance(opening, timeout)
    assert len(begun) == 1
    opening.close()


def test_what_a_call_without_time_has_begun_ends_with_the_opening(server: socket.socket) -> None:
    opening = TcpOpening(address_of(server), Options(secret=SECRET))
    with pytest.raises(ChannelTimeout, match="prove"):
        advance(opening, 0)
    connection, _ = server.accept()
    opening.close()
    with connection:
        assert connection.recv(100)[:1] == b"\x8e"
        assert connection.recv(1) == b""


def test_giving_up_ends_an_attempt() -> None:
    with silent_server() as full:
        given_up = threading.Event()
        trying = Background(connect, address_of(full), None, None, given_up.is_set)
        given_up.set()
        with pytest.raises(ChannelClosed):
            trying.result()


def test_a_connection_to_oneself_is_none(monkeypatch: pytest.MonkeyPatch, hosts: list[Candidate]) -> None:
    """Where nobody listens at a port that the system gives out to clients, a client may meet itself there."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        here = probe.getsockname()
    real = socket.socket

    def bound_socket(*arguments: int) -> socket.socket:
        made = real(*arguments)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(here)
        return made

    monkeypatch.setattr(tcp_connect.socket, "socket", bound_socket)
    hosts.append(Candidate(socket.AF_INET, here))
    with pytest.raises(AddressNotFound, match="nobody listens"):
        connect(HOST, 0)


def test_port_0_is_for_listening() -> None:
    with pytest.raises(ValueError, match="port 0"):
        TcpOpening(parse_address("tcp://127.0.0.1:0"), Options())


# ---- servers and the secret


def serve(listening: socket.socket, act: Callable[[socket.socket], None]) -> Background[None]:
    def run() -> None:
        connection, _ = listening.accept()
        with connection:
            connection.settimeout(HANG)
            act(connection)

    return Background(run)


def test_a_server_that_knows_the_secret(server: socket.socket) -> None:
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


def prove(connection: socket.socket) -> None:
    proof = ServerProof(SECRET)
    while proof.wanted:
        connection.sendall(proof.feed(connection.recv(proof.wanted, socket.MSG_WAITALL))[0])


@pytest.mark.parametrize("timeout, answer_timeout", [(0, HANG), (None, None)])
def test_the_proof_has_the_time_that_the_answer_has(
    monkeypatch: pytest.MonkeyPatch,
    server: socket.socket,
    timeout: float | None,
    answer_timeout: float | None,
) -> None:
    """Whatever other limits there are: the server takes a third of it to accept."""
    late = 0.0
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + late, sleep=time.sleep)
    for module in (tcp_connect, waiting):
        monkeypatch.setattr(module, "time", clock)
    opening = TcpOpening(address_of(server), Options(secret=SECRET))
    trying = Background(advance, opening, timeout, answer_timeout)
    connection, _ = server.accept()
    with connection:
        connection.settimeout(HANG)
        assert connection.recv(1, socket.MSG_PEEK) == b"\x8e"  # from here on it waits for the proof
        late = HANG / 3
        until_asleep(os.getpid(), trying.native_id)
        prove(connection)
        trying.result().close()


def test_a_proof_that_is_polled_goes_on_over_many_calls(server: socket.socket) -> None:
    """One connection, and in the end a channel, however often the server was not ready."""
    opening = TcpOpening(address_of(server), Options(secret=SECRET))
    found: list[StreamChannel] = []

    def is_there() -> bool:
        try:
            found.append(advance(opening, 0))
        except ChannelTimeout:
            return False
        return True

    assert not is_there()
    serving = serve(server, prove)
    until(is_there)
    serving.result()
    found[0].close()
    server.settimeout(0)
    with pytest.raises(BlockingIOError):
        server.accept()  # there was no second one


@pytest.mark.parametrize("error", [TimeoutError, BlockingIOError, OSError])
def test_whatever_ends_the_connection_is_a_connect_error(
    monkeypatch: pytest.MonkeyPatch, server: socket.socket, error: type[OSError]
) -> None:
    def fail(*_: object) -> None:
        raise error(errno.EHOSTUNREACH, "gone")

    monkeypatch.setattr(tcp_connect.Exchange, "advance", fail)
    with pytest.raises(ConnectError, match="before it had proved itself") as caught:
        connect(address_of(server), options=Options(secret=SECRET))
    assert caught.value.errno == errno.EHOSTUNREACH
