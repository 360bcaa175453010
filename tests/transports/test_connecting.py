# SPDX-License-Identifier: MIT
"""Shows how the stand-in for a transport connects, within whose time, and how that can end."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from ipcfast.errors import (
    AddressNotFound,
    ChannelClosed,
    ChannelTimeout,
    IpcChannelError,
    ShuttingDown,
)
from ipcfast.transports.acceptor import Acceptor
from ipcfast.transports.address import parse_address
from ipcfast.transports.connecting import ConnectingTransport
from ipcfast.transports.contract import Opened, Options, Transport
from ipcfast.transports.open import Opening
from tests.peers import HANG, Background, open_descriptors, until_asleep

ADDRESS = parse_address("local://transport")
OWN = Options()

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and fork")


def ignore(transport: Transport) -> None:
    pass


def made(
    *,
    is_server: bool = False,
    timeout: float | None = HANG,
    on_open: Callable[[Transport], None] = ignore,
    address: str = ADDRESS.text,
) -> ConnectingTransport:
    return ConnectingTransport(
        parse_address(address), OWN, is_server=is_server, connect_timeout=timeout, on_open=on_open
    )


@pytest.fixture
def acceptor() -> Iterator[Acceptor]:
    with closing(Acceptor(ADDRESS, OWN)) as listening:
        yield listening


CALLS: dict[str, Callable[[Transport, float | None], object]] = {
    "send_bytes": lambda transport, timeout: transport.send_bytes(b"x", timeout),
    "send_message": lambda transport, timeout: transport.send_message(b"x", timeout),
    "send_many": lambda transport, timeout: transport.send_many([b"x"], timeout),
    "recv_bytes": lambda transport, timeout: transport.recv_bytes(timeout),
    "recv_message": lambda transport, timeout: transport.recv_message(timeout),
    "recv_bytes_into": lambda transport, timeout: transport.recv_bytes_into(bytearray(9), timeout),
    "recv_many": lambda transport, timeout: transport.recv_many(99, timeout),
    "poll": lambda transport, timeout: transport.poll(timeout),
}
AT_ONCE: dict[str, Callable[[Transport], object]] = {
    "try_recv_bytes": lambda transport: transport.try_recv_bytes(),
    "try_recv_message": lambda transport: transport.try_recv_message(),
    "poll": lambda transport: transport.poll(),
}


# ---- every method


@pytest.mark.parametrize("call", CALLS)
def test_every_call_connects_and_is_handed_on(call: str) -> None:
    opened: list[Transport] = []
    with closing(made(is_server=True)) as server, closing(made(on_open=opened.append)) as client:
        if call.startswith("send"):
            sending = Background(CALLS[call], client, HANG)
            assert server.poll(HANG)
            sending.result()
        else:
            send = server.send_message if call == "recv_message" else server.send_bytes
            sending = Background(send, b"there", HANG)
            assert CALLS[call](client, HANG) in (b"there", [b"there"], 5, True)
            sending.result()
        assert len(opened) == 1
        assert client.open() is opened[0]


def test_what_it_is_comes_from_the_connection() -> None:
    with closing(made(is_server=True)) as server, closing(made()) as client:
        assert client.peer_died is None  # nobody was asked
        opening = Background(server.open)
        assert (client.peer_pid, client.peer_uid) == (os.getpid(), os.geteuid())
        opening.result()
        assert client.fileno() >= 0
        server.close()
        with pytest.raises(ConnectionError):
            client.recv_bytes(HANG)
        assert client.peer_died is False


# ---- whose time


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("timeout", [0, 0.02])
def test_a_calls_timeout_holds_for_connecting_too(call: str, timeout: float) -> None:
    started = time.monotonic()
    with closing(made(timeout=None)) as client, pytest.raises(AddressNotFound) as caught:
        CALLS[call](client, timeout)
    assert time.monotonic() - started >= timeout
    assert ADDRESS.text in str(caught.value)
    assert ("waited for 0.02 s" in str(caught.value)) is (timeout > 0)


@pytest.mark.parametrize("call", CALLS)
def test_the_timeout_for_connecting_holds_for_every_call(call: str) -> None:
    with closing(made(timeout=0.02)) as client, pytest.raises(AddressNotFound, match=r"waited for 0\.02 s"):
        CALLS[call](client, None)


@pytest.mark.parametrize("call", AT_ONCE)
@pytest.mark.parametrize("side", ["client", "server"])
def test_what_never_waits_does_not_wait_for_a_connection(call: str, side: str) -> None:
    """A client whose server does not accept; a server without a client. Either would wait for ever."""
    with closing(Acceptor(parse_address("local://busy"), OWN)):
        address = "local://busy" if side == "client" else ADDRESS.text
        with closing(made(is_server=side == "server", timeout=None, address=address)) as transport:
            for _ in range(3):
                assert not AT_ONCE[call](transport)


def test_what_never_waits_gets_there_all_the_same(acceptor: Acceptor) -> None:
    with closing(made(timeout=None)) as client:
        assert client.try_recv_bytes() is None
        server = acceptor.accept(HANG)
        server.transport.send_bytes(b"x")
        assert client.poll(HANG)
        assert client.try_recv_bytes() == b"x"
        server.transport.close()


@pytest.mark.parametrize("call", AT_ONCE)
def test_what_never_waits_tells_that_nobody_listens(call: str) -> None:
    with closing(made(timeout=None)) as client, pytest.raises(AddressNotFound):
        AT_ONCE[call](client)


def test_what_connecting_took_is_gone(acceptor: Acceptor) -> None:
    """The rest of the timeout is for the call itself; the clock stands in for time that passes."""
    with closing(made()) as client:
        left: list[float | None] = []

        class Waiting:
            def recv_bytes(self, timeout: float | None) -> bytes:
                left.append(timeout)
                return b""

            def close(self) -> None:
                pass

        def slowly(timeout: float | None) -> Any:
            threading.Event().wait(0.05)
            return Waiting()

        client.open = slowly  # type: ignore[assignment, method-assign]
        client.recv_bytes(HANG)
        client.recv_bytes(0.01)
        client.recv_bytes(None)
        assert left[0] is not None
        assert left[0] <= HANG - 0.05
        assert left[1:] == [0.0, None]


def test_another_thread_waits_for_its_turn_only_so_long(acceptor: Acceptor) -> None:
    with closing(made(timeout=None)) as client:
        waiting = Background(client.recv_bytes)
        assert waiting.native_id is not None
        until_asleep(os.getpid(), waiting.native_id)
        for timeout in (0, 0.01):
            with pytest.raises(ChannelTimeout, match="another thread"):
                client.recv_bytes(timeout)
        assert client.try_recv_bytes() is None
        assert client.poll() is False
        client.close()
        with pytest.raises(ChannelClosed):
            waiting.result()


@pytest.mark.parametrize(("timeout", "kind"), [(float("nan"), ValueError), ("1", TypeError)])
def test_a_timeout_that_is_none_is_refused(timeout: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        made(timeout=timeout)
    with closing(made()) as client:
        for call in CALLS.values():
            with pytest.raises(kind):
                call(client, timeout)


# ---- ending


@pytest.mark.parametrize("is_server", [False, True])
@pytest.mark.parametrize(("end", "kind"), [("close", ChannelClosed), ("shutdown", ShuttingDown)])
def test_ending_ends_connecting_and_what_was_not_begun(
    is_server: bool, end: str, kind: type[Exception]
) -> None:
    before = open_descriptors()
    for is_begun in (False, True):
        transport = made(is_server=is_server, timeout=None)
        if is_begun:
            waiting = Background(transport.recv_bytes)
            until_asleep(os.getpid(), waiting.native_id)
        getattr(transport, end)()
        if is_begun:
            with pytest.raises(kind):
                waiting.result()
        for call in CALLS.values():
            with pytest.raises(kind):
                call(transport, HANG)
        assert transport.is_shutdown()
        assert transport.closed is (end == "close")
        assert not os.path.exists(ADDRESS.path_to_connect())
        transport.close()
    assert open_descriptors() == before


def test_ending_gives_up_what_was_begun(acceptor: Acceptor) -> None:
    before = open_descriptors()
    client = made(timeout=None)
    assert client.try_recv_bytes() is None
    client.close()
    with pytest.raises(ChannelTimeout):
        acceptor.accept(0)
    assert open_descriptors() == before


@pytest.mark.parametrize(("end", "kind"), [("close", ChannelClosed), ("shutdown", ShuttingDown)])
@pytest.mark.parametrize("is_server", [False, True])
def test_ending_in_the_moment_of_success(
    monkeypatch: pytest.MonkeyPatch, end: str, kind: type[Exception], is_server: bool
) -> None:
    """The connection is there, and whoever ends the channel does not see it yet: it is ended all the same."""
    transport = made(is_server=is_server)
    owner = Acceptor if is_server else Opening
    method = "accept" if is_server else "advance"
    succeed = getattr(owner, method)
    opened: list[Opened] = []

    def succeed_and_end(*arguments: Any) -> Opened:
        opened.append(succeed(*arguments))
        getattr(transport, end)()
        return opened[0]

    other = made(is_server=not is_server)
    opening = Background(other.open)
    with monkeypatch.context() as patched:
        patched.setattr(owner, method, succeed_and_end)
        with pytest.raises(kind):
            transport.recv_bytes(HANG)
    opening.result()
    assert opened[0].transport.is_shutdown()
    assert opened[0].transport.closed is (end == "close")
    with pytest.raises(ConnectionError):
        other.recv_bytes(HANG)
    other.close()
    transport.close()


def test_a_stand_in_that_is_dropped_gives_the_address_back() -> None:
    transport = made(is_server=True)
    del transport
    with closing(Acceptor(ADDRESS, OWN)):
        pass


# ---- signal handlers and fork


@pytest.mark.parametrize("is_server", [False, True])
def test_a_handler_that_interrupts_connecting_does_not_wait_for_it(is_server: bool) -> None:
    transport = made(is_server=is_server, timeout=None)
    told: list[str] = []

    def handle(*_: object) -> None:
        for call in (transport.recv_bytes, transport.try_recv_bytes, transport.poll, transport.fileno):
            with pytest.raises(IpcChannelError) as caught:
                call()
            told.append(str(caught.value))
        assert transport.peer_died is None
        transport.close()

    main = threading.get_native_id()

    def interrupt() -> None:
        until_asleep(os.getpid(), main)
        os.kill(os.getpid(), signal.SIGUSR1)

    old = signal.signal(signal.SIGUSR1, handle)
    try:
        interrupting = Background(interrupt)
        with pytest.raises(ChannelClosed):
            transport.recv_bytes()
        interrupting.result()
    finally:
        signal.signal(signal.SIGUSR1, old)
    assert len(told) == 4
    assert all("signal handler" in text for text in told)


@pytest.mark.parametrize("is_server", [False, True])
@pytest.mark.parametrize("is_begun", [False, True])
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # that it has threads is the point
def test_a_forked_child_cannot_use_it(is_server: bool, is_begun: bool) -> None:
    with closing(made(is_server=is_server)) as transport:
        if is_begun:
            waiting = Background(transport.recv_bytes)
            until_asleep(os.getpid(), waiting.native_id)
        child = os.fork()
        if child == 0:
            signal.alarm(int(HANG))
            status = 8
            try:
                transport.recv_bytes(HANG)
            except ChannelClosed as error:
                status = 7 if "parent process" in str(error) and transport.closed else 9
            finally:
                transport.close()
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        with closing(made(is_server=not is_server)) as other:  # the parent's goes on
            sending = Background(other.send_bytes, b"x", HANG)
            assert (waiting.result() if is_begun else transport.recv_bytes(HANG)) == b"x"
            sending.result()
