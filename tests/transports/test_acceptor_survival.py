# SPDX-License-Identifier: MIT
"""Shows what a server survives: whatever one client does, a lack of descriptors, and signals."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ipcfast._native.ring_channel import RingChannel, RingSegment
from ipcfast._native.stream_channel import KIND_HELLO, StreamChannel
from ipcfast._native.stream_listener import StreamListener
from ipcfast.errors import ChannelClosed, ChannelTimeout, IoError, IpcChannelError, PermissionDenied
from ipcfast.transports import acceptor as module
from ipcfast.transports import greeting, sparse_log
from ipcfast.transports.acceptor import Acceptor, Pending
from ipcfast.transports.address import parse_address
from ipcfast.transports.contract import Opened, Options
from ipcfast.transports.handshake import RING, STREAM, Hello, Refused, decode_refusal, encode
from ipcfast.transports.open import open_connection
from ipcfast.transports.ring import LAYOUT_VERSION
from tests.peers import HANG, Background, open_descriptors, until_asleep
from tests.transports.plain import answer, frame, is_hung_up, plain

OWN = Options()
ADDRESS = parse_address("local://survivor")
HELLO = Hello(STREAM, "json", pid=1)
RING_HELLO = replace(HELLO, transport=RING, layout=LAYOUT_VERSION, to_server=4096, to_client=4096)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="speaks over plain Unix sockets")


@pytest.fixture
def acceptor() -> Iterator[Acceptor]:
    with closing(Acceptor(ADDRESS, OWN)) as made:
        yield made


def serves(acceptor: Acceptor, scheme: str = "local") -> None:
    """A client is let in, and both can talk."""
    client = Background(open_connection, parse_address(f"{scheme}://{ADDRESS.name}"), OWN, HANG)
    server: Opened = acceptor.accept(HANG)
    client.result().transport.send_bytes(b"x", HANG)
    assert server.transport.recv_bytes(HANG) == b"x"
    server.transport.close()
    client.result().transport.close()


# ---- what one client does


@pytest.mark.parametrize(
    "behind",
    [b"\0", frame(2, b"too early"), frame(0xF1, encode(RING_HELLO)), frame(0xF1, encode(HELLO))[:20]],
)
def test_bytes_behind_the_hello_of_a_ring_drop_its_sender(
    acceptor: Acceptor, caplog: pytest.LogCaptureFixture, behind: bytes
) -> None:
    before = open_descriptors()
    with plain(acceptor) as client:
        client.sendall(frame(0xF1, encode(RING_HELLO)) + behind)
        with pytest.raises(ChannelTimeout):
            acceptor.accept(0)
        assert is_hung_up(client)
        assert "dropped a client" in caplog.text
    serves(acceptor, "shm")
    assert open_descriptors() == before


def test_whatever_goes_wrong_with_a_client_concerns_that_one_only(
    acceptor: Acceptor, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumble(connection: StreamChannel, kind: int, body: bytes) -> Opened:
        raise ZeroDivisionError("nobody thought of that")

    with plain(acceptor) as client, monkeypatch.context() as patched:
        patched.setattr(acceptor, "_greet", stumble)
        client.sendall(frame(0xF1, encode(HELLO)))
        with pytest.raises(ChannelTimeout):
            acceptor.accept(0)
        assert is_hung_up(client)
        assert "ZeroDivisionError: nobody thought of that" in caplog.text
    serves(acceptor)


class Unwatchable:
    """A connection whose peer cannot be watched for want of a descriptor. It sends nothing."""

    def watch_peer(self) -> None:
        raise IoError("no descriptor", errno=errno.EMFILE)


@pytest.mark.parametrize("hello", [HELLO, RING_HELLO], ids=["stream", "ring"])
def test_a_lack_of_descriptors_is_found_before_the_welcome(acceptor: Acceptor, hello: Hello) -> None:
    connection: Any = Unwatchable()
    with pytest.raises(Refused, match=r"no descriptors or no memory left.*no descriptor"):
        acceptor._greet(connection, KIND_HELLO, encode(hello))


@pytest.mark.parametrize("error", [MemoryError("none"), IoError("full", errno=errno.ENOSPC)])
def test_a_lack_of_memory_is_found_before_the_welcome(
    acceptor: Acceptor, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def no_segment(answer: Hello) -> RingSegment:
        raise error

    with plain(acceptor) as client, monkeypatch.context() as patched:
        patched.setattr(greeting, "make_segment", no_segment)
        client.sendall(frame(0xF1, encode(RING_HELLO)))
        with pytest.raises(ChannelTimeout):
            acceptor.accept(0)
        kind, body = answer(client)
        assert kind == 0xF3
        assert f"no descriptors or no memory left for another client: {error}" in decode_refusal(body)
        assert is_hung_up(client)
    serves(acceptor, "shm")


def test_what_fails_behind_the_welcome_is_not_refused_any_more(
    acceptor: Acceptor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> RingChannel:
        raise IoError("too late", errno=errno.EMFILE)

    with plain(acceptor) as client, monkeypatch.context() as patched:
        patched.setattr(greeting, "offer_ring", fail)
        client.sendall(frame(0xF1, encode(RING_HELLO)))
        with pytest.raises(ChannelTimeout):
            acceptor.accept(0)
        received = b""
        while more := client.recv(4096):
            received += more
        assert b"\xf1\x9c\x01\xf3" not in received  # no refusal
    serves(acceptor, "shm")


def test_two_connections_are_never_the_same(acceptor: Acceptor) -> None:
    connection: Any = None
    assert Pending(connection, 1.0, None) != Pending(connection, 1.0, None)


# ---- the log


# ---- the log


def test_a_flood_of_bad_clients_does_not_flood_the_log(
    acceptor: Acceptor, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sparse_log, "WARNING_SECONDS", HANG)
    with ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(plain(acceptor)).sendall(b"\0")
        with pytest.raises(ChannelTimeout):
            acceptor.accept(0)
    acceptor.close()
    assert len(caplog.messages) == 2
    assert "9 more" in caplog.messages[1]


# ---- a system that lets nobody in


class Refusing:
    """A listener where try_accept raises these, one after the other, and then says that nobody is there."""

    def __init__(self, listener: StreamListener, *errors: Exception) -> None:
        self._listener = listener
        self._errors = list(errors)
        self.tries = 0

    def try_accept(self, **_: object) -> None:
        self.tries += 1
        if self._errors:
            raise self._errors.pop(0)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._listener, name)


@pytest.mark.parametrize(
    "error",
    [
        IoError("none left", errno=errno.EMFILE),
        IoError("policy", errno=errno.EPERM),
        MemoryError("none left"),
    ],
    ids=["descriptors", "policy", "memory"],
)
def test_it_rests_and_goes_on(
    acceptor: Acceptor, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    listener = acceptor._listener
    refusing = Refusing(listener, *[error] * 100)
    with plain(acceptor), monkeypatch.context() as patched:  # somebody waits, so the listener is always ready
        patched.setattr(acceptor, "_listener", refusing)
        with pytest.raises(ChannelTimeout):
            acceptor.accept(3 * module.REST_SECONDS)
        assert 2 <= refusing.tries <= 4
        assert len(caplog.messages) == 1
        assert f"trying again in 0.1 s: {error}" in caplog.text
    serves(acceptor)


def test_those_who_are_in_already_are_greeted_meanwhile(
    acceptor: Acceptor, monkeypatch: pytest.MonkeyPatch
) -> None:
    with plain(acceptor) as client:
        with pytest.raises(ChannelTimeout):
            acceptor.accept(0)
        monkeypatch.setattr(module, "REST_SECONDS", HANG)
        with monkeypatch.context() as patched:
            patched.setattr(acceptor, "_listener", Refusing(acceptor._listener, IoError("none left")))
            client.sendall(frame(0xF1, encode(HELLO)))
            acceptor.accept(HANG).transport.close()


def test_clients_of_other_users_are_passed_over_at_once(
    acceptor: Acceptor, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing = Refusing(acceptor._listener, *[PermissionDenied("the peer's user")] * 5)
    with monkeypatch.context() as patched:
        patched.setattr(acceptor, "_listener", refusing)
        with pytest.raises(ChannelTimeout):
            acceptor.accept(0)
    assert refusing.tries == 6
    assert "turned away a client of another user" in caplog.text


WITHOUT_DESCRIPTORS = """
import os, resource, signal, sys
import ipcfast
listener = ipcfast.listen(sys.argv[1])
limits = resource.getrlimit(resource.RLIMIT_NOFILE)
def allow(*_):
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    print("allowed", flush=True)
signal.signal(signal.SIGUSR1, allow)
lowest = os.dup(0)
os.close(lowest)
resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, limits[1]))
print("listening", flush=True)
for channel in listener:
    channel.send_bytes(b"come in", 30)
    channel.poll(30)
    break
"""


def test_a_servers_loop_outlives_a_lack_of_descriptors() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WITHOUT_DESCRIPTORS, ADDRESS.text],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            assert server.stdout is not None
            assert server.stderr is not None
            assert server.stdout.readline() == "listening\n"
            for _ in range(2):
                with closing(socket.socket(socket.AF_UNIX)) as client:
                    client.settimeout(HANG)
                    client.connect(ADDRESS.path_to_connect())
                    assert client.recv(1) == b""  # turned away, and not left waiting
            server.send_signal(signal.SIGUSR1)
            assert server.stdout.readline() == "allowed\n"
            opened = open_connection(ADDRESS, OWN, HANG)
            assert opened.transport.recv_bytes(HANG) == b"come in"
            opened.transport.close()
            assert server.wait(HANG) == 0
            assert "cannot let clients in" in server.stderr.read()
        finally:
            server.kill()


# ---- signals, and the end of the process


def test_accepting_from_a_handler_that_interrupts_accept_is_an_error(acceptor: Acceptor) -> None:
    caught: list[IpcChannelError] = []

    def accept_again(*_: object) -> None:
        with pytest.raises(IpcChannelError, match="signal handler") as error:
            acceptor.accept(0)
        caught.append(error.value)
        acceptor.close()

    old = signal.signal(signal.SIGUSR1, accept_again)
    try:
        main = threading.get_native_id()

        def interrupt() -> None:
            until_asleep(os.getpid(), main)
            os.kill(os.getpid(), signal.SIGUSR1)

        interrupting = Background(interrupt)
        with pytest.raises(ChannelClosed):
            acceptor.accept(HANG)
        interrupting.result()
    finally:
        signal.signal(signal.SIGUSR1, old)
    assert len(caught) == 1
    assert not os.path.exists(acceptor.path)


def test_ctrl_c_in_accept_leaves_it_usable(acceptor: Acceptor) -> None:
    main = threading.get_native_id()

    def interrupt() -> None:
        until_asleep(os.getpid(), main)
        os.kill(os.getpid(), signal.SIGINT)

    old = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        interrupting = Background(interrupt)
        with pytest.raises(KeyboardInterrupt):
            acceptor.accept(HANG)
        interrupting.result()
    finally:
        signal.signal(signal.SIGINT, old)
    serves(acceptor)
    with pytest.raises(ChannelTimeout):
        Background(acceptor.accept, 0).result()


AT_EXIT = """
import sys, threading
import ipcfast
listener = ipcfast.listen(sys.argv[1])
def serve():
    for channel in listener:
        channel.close()
threading.Thread(target=serve, daemon=True).start()
ipcfast.connect(sys.argv[1], timeout=30).close()
print(listener.path)
"""


def test_an_ordinary_exit_takes_the_socket_along() -> None:
    done = subprocess.run(
        [sys.executable, "-c", AT_EXIT, ADDRESS.text], capture_output=True, text=True, timeout=60, check=True
    )
    path = Path(done.stdout.strip())
    assert path.name == "survivor.sock"
    assert path.parent.is_dir()
    assert not path.exists()
