# SPDX-License-Identifier: MIT
"""Holds the TCP channel to the conformance suite, and shows what is its own: ports, hosts, shared secrets."""

from __future__ import annotations

import errno
import logging
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import ClassVar

import pytest

import ipcfast
from ipcfast import (
    AddressInUse,
    AddressNotFound,
    ChannelTimeout,
    ConnectError,
    Disconnected,
    FrameError,
    PermissionDenied,
    TcpChannel,
)
from ipcfast._native.frame import encode_frame
from tests.contracts.channel import ChannelContract
from tests.contracts.channels import FEATURES
from tests.peers import HANG, Background, connected, open_descriptors, until, until_asleep

SECRET = b"between the two of us and nobody else"


class TcpContract(ChannelContract):
    kind = "tcp"
    tells_times = False
    features: ClassVar[frozenset[str]] = FEATURES - {"known peer"}

    def place(self, name: str) -> str:
        """The system chooses the port."""
        return "tcp://127.0.0.1:0"

    @pytest.fixture
    def address(self) -> str:
        """A port that nobody listens at: one of those that the system would give out next."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return f"tcp://127.0.0.1:{probe.getsockname()[1]}"


class TestTcpChannel(TcpContract):
    pass


# ---- addresses


def test_without_a_host_it_is_this_machine_and_the_real_port_is_told() -> None:
    with ipcfast.listen("tcp://:0") as listener:
        host, _, port = listener.address.rpartition(":")
        assert host == "tcp://127.0.0.1"
        assert int(port) > 0
        client = Background(lambda: ipcfast.connect(f"tcp://:{port}", timeout=HANG))
        with listener.accept(HANG) as server, client.result() as other:
            assert isinstance(server, TcpChannel)
            assert isinstance(other, TcpChannel)
            assert other.name == f":{port}"
            other.send_json(1)
            assert server.recv_json(HANG) == 1


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def test_numbers_of_ipv6_stand_in_brackets() -> None:
    if not has_ipv6():
        with pytest.raises(ipcfast.IoError, match="cannot listen at"):
            ipcfast.listen("tcp://[::1]:0")
        return
    with ipcfast.listen("tcp://[::1]:0") as listener:
        assert listener.address.startswith("tcp://[::1]:")
        client = Background(lambda: ipcfast.connect(listener.address, timeout=HANG))
        with listener.accept(HANG) as server, client.result() as other:
            server.send_json("six")
            assert other.recv_json(HANG) == "six"


def test_a_name_is_resolved_and_all_its_addresses_are_tried() -> None:
    with ipcfast.listen("tcp://127.0.0.1:0") as listener:
        port = listener.address.rpartition(":")[2]
        client = Background(lambda: ipcfast.connect(f"tcp://localhost:{port}", timeout=HANG))
        with listener.accept(HANG) as server, client.result() as other:
            server.send_json("found")
            assert other.recv_json(HANG) == "found"


def test_a_port_is_not_taken_twice_and_is_free_again_at_once() -> None:
    with ipcfast.listen("tcp://127.0.0.1:0") as listener:
        address = listener.address
        with pytest.raises(AddressInUse):
            ipcfast.listen(address)
        client = Background(lambda: ipcfast.connect(address, timeout=HANG))
        with listener.accept(HANG) as server, client.result():
            server.shutdown()
    with ipcfast.listen(address):
        pass


def test_nobody_is_there() -> None:
    with ipcfast.listen("tcp://127.0.0.1:0") as listener:
        address = listener.address
    for timeout in (0, 0.05):
        with pytest.raises(AddressNotFound, match="nobody listens") as caught:
            ipcfast.connect(address, timeout=timeout)
        assert caught.value.errno == errno.ECONNREFUSED


def test_a_server_that_starts_later_is_found() -> None:
    with ipcfast.listen("tcp://127.0.0.1:0") as listener:
        address = listener.address
    client = Background(lambda: ipcfast.connect(address, timeout=HANG))
    with ipcfast.listen(address) as listener, listener.accept(HANG) as server, client.result() as other:
        server.send_json(1)
        assert other.recv_json(HANG) == 1


def test_a_server_that_does_not_accept_is_waited_for_in_vain() -> None:
    with ipcfast.listen("tcp://127.0.0.1:0") as listener:
        with pytest.raises(ChannelTimeout):
            ipcfast.connect(listener.address, timeout=0.05)


def test_channels_made_by_name_connect_when_they_are_used() -> None:
    with TcpChannel.server("127.0.0.1:0") as listener:
        with TcpChannel(listener.path) as client:
            accepting = Background(listener.accept, HANG)
            client.send_json("first use")
            with accepting.result() as server:
                assert server.recv_json(HANG) == "first use"
        with TcpChannel(listener.path) as unused:
            assert unused.try_recv() is None
    with TcpChannel("127.0.0.1:0", is_server=True) as server:
        assert not server.name.endswith(":0")
        with TcpChannel(server.name) as client:
            opening = Background(server.open)
            client.send_json("to the port that it names")
            opening.result()
            assert server.recv_json(HANG) == "to the port that it names"
    with pytest.raises(ValueError, match="port 0"):
        TcpChannel("127.0.0.1:0")


def test_connections_do_not_wait_to_be_full_and_are_kept_alive() -> None:
    with copies_of_sockets() as copies, ipcfast.listen("tcp://127.0.0.1:0") as listener:
        client = Background(lambda: ipcfast.connect(listener.address, timeout=HANG))
        with listener.accept(HANG), client.result():
            ends = copies()
            assert len(ends) == 2
            for end in ends:
                assert end.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
                assert end.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1


@contextmanager
def copies_of_sockets() -> Iterator[Callable[[], list[socket.socket]]]:
    """Gives the TCP connections that this process has made meanwhile."""
    before = open_descriptors()
    made: list[socket.socket] = []

    def copies() -> list[socket.socket]:
        for found in open_descriptors() - before:
            number, _, kind = found.partition(" ")
            if kind.startswith("socket:"):
                made.append(socket.fromfd(int(number), socket.AF_INET, socket.SOCK_STREAM))
        return [
            one
            for one in made
            if one.getsockopt(socket.SOL_SOCKET, socket.SO_DOMAIN) == socket.AF_INET
            and not one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        ]

    try:
        yield copies
    finally:
        for one in made:
            one.close()


def send_for_ever(channel: ipcfast.IpcChannel, timeout: float) -> None:
    while True:
        channel.send_bytes(bytes(100_000), timeout)


@pytest.mark.skipif(sys.platform != "linux", reason="needs TCP_USER_TIMEOUT")
@pytest.mark.parametrize("call", ["recv", "send", "receive"])
def test_a_peer_that_the_system_has_given_up_has_died(call: str) -> None:
    """As after keep-alive, only sooner: the system gives up a peer that takes nothing."""
    with copies_of_sockets() as copies:
        one, other = ipcfast.pair("tcp")
        with one, other:
            for end in copies():
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1)
            with pytest.raises(ChannelTimeout):
                send_for_ever(one, 0)
            if call == "receive":
                assert one.receive(HANG) is None
            elif call == "send":
                with pytest.raises(Disconnected):
                    send_for_ever(one, HANG)
            with pytest.raises(Disconnected) as caught:
                one.recv_bytes(HANG)
            assert caught.value.peer_died is True


# ---- framings


@pytest.mark.parametrize("framing", ["lines", "content-length", "u32be"])
def test_foreign_framings_are_named_and_not_recognised(framing: str) -> None:
    with ipcfast.listen("tcp://127.0.0.1:0", framing=framing) as listener:
        client = Background(lambda: ipcfast.connect(listener.address, timeout=HANG, framing=framing))
        with listener.accept(HANG) as server, client.result() as other:
            server.send_json({"the": "server first"})
            assert other.recv_json(HANG) == {"the": "server first"}


def test_nothing_is_sniffed(caplog: pytest.LogCaptureFixture) -> None:
    with ipcfast.listen("tcp://127.0.0.1:0") as listener:
        host, port = listener.path.split(":")
        with socket.create_connection((host, int(port))) as plain:
            plain.sendall(b'{"type": "data"}\n')
            with caplog.at_level(logging.WARNING), pytest.raises(ChannelTimeout):
                listener.accept(0.2)
            assert plain.recv(1) == b""
            assert f"{listener.address}: dropped a client (127.0.0.1:{plain.getsockname()[1]})" in caplog.text


def test_a_client_of_shared_memory_has_no_such_address() -> None:
    with pytest.raises(ValueError, match="prefix"):
        ipcfast.listen("tcp://127.0.0.1:0", prefix="x")


def web_request(body: bytes) -> bytes:
    """What a browser sends for a page from anywhere, without asking first."""
    head = (
        f"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
    )
    return f"{head}Origin: https://somewhere.example\r\n\r\n".encode() + body


WEB_REQUEST = web_request(b'{"type": "delete"}\n')
TLS_HELLO = b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"


@pytest.mark.parametrize("first", [WEB_REQUEST, TLS_HELLO, b"text\n"])
@pytest.mark.parametrize("framing", ["lines", "length"])
def test_who_begins_like_nobody_who_is_meant_sends_no_message(
    first: bytes, framing: str, caplog: pytest.LogCaptureFixture
) -> None:
    with ipcfast.listen("tcp://127.0.0.1:0", framing=framing) as listener, caplog.at_level(logging.WARNING):
        accepting = Background(listener.accept, HANG)
        host, port = listener.path.split(":")
        with socket.create_connection((host, int(port))) as browser:
            browser.settimeout(HANG)
            browser.sendall(first)
            with suppress(ConnectionResetError):
                assert browser.recv(1) == b""
            who = browser.getsockname()[1]
        with ipcfast.connect(listener.address, timeout=HANG, framing=framing) as client:
            client.send_json("meant")
            with accepting.result() as server:
                assert server.recv_json(HANG) == "meant"
    assert f"dropped a client (127.0.0.1:{who})" in caplog.text


@pytest.mark.parametrize("framing", ["lines", "content-length"])
def test_a_web_page_that_waits_with_its_request_gets_no_further(framing: str) -> None:
    """Browsers connect ahead of time, and who says nothing is handed out: the server may speak first."""
    with ipcfast.listen("tcp://127.0.0.1:0", framing=framing) as listener:
        host, port = listener.path.split(":")
        with socket.create_connection((host, int(port))) as browser, listener.accept(HANG) as channel:
            assert isinstance(channel, TcpChannel)
            browser.sendall(WEB_REQUEST)
            for _ in range(2):
                with pytest.raises(FrameError):
                    channel.recv(HANG)


def test_lines_take_no_other_framing() -> None:
    with ipcfast.listen("tcp://127.0.0.1:0", framing="lines") as listener:
        accepting = Background(listener.accept, HANG)
        for other in ("length", "content-length"):
            host, port = listener.path.split(":")
            with socket.create_connection((host, int(port))) as stranger:
                stranger.settimeout(HANG)
                stranger.sendall(encode_frame(other, b"{}"))
                assert stranger.recv(1) == b""
        with ipcfast.connect(listener.address, timeout=HANG, framing="lines") as client:
            client.send_json("meant")
            with accepting.result() as server:
                assert server.recv_json(HANG) == "meant"


@pytest.mark.parametrize("secret", [None, SECRET])
def test_pickle_does_not_travel_over_the_network(secret: bytes | None) -> None:
    calls: list[Callable[[], object]] = [
        lambda: ipcfast.listen("tcp://127.0.0.1:0", codec="pickle", secret=secret),
        lambda: ipcfast.connect("tcp://127.0.0.1:1", codec="pickle", secret=secret),
        lambda: TcpChannel.server("127.0.0.1:0", codec="pickle", secret=secret),
        lambda: TcpChannel.connect("127.0.0.1:1", codec="pickle", secret=secret),
        lambda: TcpChannel("127.0.0.1:0", True, codec="pickle", secret=secret),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="pickle"):
            call()


# ---- secrets


def test_both_sides_have_the_secret() -> None:
    with ipcfast.listen("tcp://127.0.0.1:0", secret=SECRET) as listener:
        client = Background(lambda: ipcfast.connect(listener.address, timeout=HANG, secret=SECRET))
        with listener.accept(HANG) as server, client.result() as other:
            other.send_bytes(b"x" * 1_000_000)
            assert server.recv_bytes(HANG) == b"x" * 1_000_000


def test_another_secret_is_refused_and_the_next_client_served(caplog: pytest.LogCaptureFixture) -> None:
    with ipcfast.listen("tcp://127.0.0.1:0", secret=SECRET) as listener:
        accepting = Background(listener.accept, HANG)
        with caplog.at_level(logging.WARNING), pytest.raises(PermissionDenied, match="another shared secret"):
            ipcfast.connect(listener.address, timeout=HANG, secret=SECRET + b"!")
        with ipcfast.connect(listener.address, timeout=HANG, secret=SECRET) as client:
            with accepting.result() as server:
                client.send_json("in")
                assert server.recv_json(HANG) == "in"
    assert "another shared secret" in caplog.text
    assert SECRET.decode() not in caplog.text


def test_a_client_without_the_secret_gets_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with ipcfast.listen("tcp://127.0.0.1:0", secret=SECRET) as listener:
        accepting = Background(listener.accept, HANG)
        with caplog.at_level(logging.WARNING), pytest.raises(ConnectError):
            ipcfast.connect(listener.address, timeout=HANG)
        listener.close()
        with pytest.raises(ipcfast.ChannelClosed):
            accepting.result()
    assert "does not begin with a challenge" in caplog.text


def test_a_server_without_the_secret_is_not_spoken_to() -> None:
    with ipcfast.listen("tcp://127.0.0.1:0") as listener:
        accepting = Background(listener.accept, HANG)
        with pytest.raises(ConnectError):
            ipcfast.connect(listener.address, timeout=HANG, secret=SECRET)
        listener.close()
        with pytest.raises(ipcfast.ChannelClosed):
            accepting.result()


@pytest.mark.parametrize("address", ["tcp://0.0.0.0:0", "tcp://[::]:0"])
def test_whoever_lets_other_machines_in_needs_a_secret(address: str) -> None:
    if "[" in address and not has_ipv6():
        address = "tcp://0.0.0.0:0"
    with pytest.raises(ValueError, match="secret"):
        ipcfast.listen(address)
    with ipcfast.listen(address, secret=SECRET) as listener:
        port = listener.address.rpartition(":")[2]
        client = Background(lambda: ipcfast.connect(f"tcp://localhost:{port}", timeout=HANG, secret=SECRET))
        with listener.accept(HANG) as server, client.result() as other:
            server.send_json(1)
            assert other.recv_json(HANG) == 1


def test_a_secret_does_not_go_with_everything() -> None:
    with pytest.raises(ValueError, match="length"):
        ipcfast.listen("tcp://127.0.0.1:0", secret=SECRET, framing="lines")
    for short in (b"", b"15 bytes: short"):
        with pytest.raises(ValueError, match=f"has {len(short)} bytes, must have at least 16"):
            ipcfast.listen("tcp://127.0.0.1:0", secret=short)
    with pytest.raises(TypeError, match="bytes"):
        ipcfast.listen("tcp://127.0.0.1:0", secret="text")  # type: ignore[arg-type]
    for call in (ipcfast.listen, ipcfast.connect):
        with pytest.raises(ValueError, match="tcp://"):
            call("local://name", secret=SECRET)


@pytest.mark.parametrize("secret", [None, SECRET])
def test_with_no_time_there_is_one_attempt_and_time_to_accept(secret: bytes | None) -> None:
    with ipcfast.listen("tcp://127.0.0.1:0", secret=secret) as listener:
        client = Background(lambda: ipcfast.connect(listener.address, timeout=0, secret=secret))
        until_asleep(os.getpid(), client.native_id)
        with listener.accept(HANG) as server, client.result() as other:
            server.send_json(1)
            assert other.recv_json(HANG) == 1


@pytest.mark.parametrize("secret", [None, SECRET])
def test_a_channel_that_is_polled_connects_while_the_server_accepts_now_and_then(
    secret: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    with ipcfast.listen("tcp://127.0.0.1:0", secret=secret) as listener, caplog.at_level(logging.WARNING):
        accepted: list[ipcfast.IpcChannel] = []
        with TcpChannel(listener.path, secret=secret) as client:

            def is_connected() -> bool:
                for _ in range(10):
                    assert client.try_recv() is None
                try:
                    accepted.append(listener.accept(0))
                except ChannelTimeout:
                    return False
                return True

            until(is_connected)
            accepted[0].send({"type": "welcome"})
            assert client.recv(HANG).type == "welcome"
            accepted[0].close()
    assert caplog.text == ""


def test_a_forked_child_keeps_no_connection_in_the_making_open() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.settimeout(HANG)
        reading, writing = os.pipe()
        with TcpChannel("{}:{}".format(*listening.getsockname()), secret=SECRET) as client:
            assert client.try_recv() is None  # it waits for the server's proof
            child = os.fork()
            if child == 0:
                os.close(writing)
                os.read(reading, 1)
                os._exit(0)
        connection, _ = listening.accept()
        with connection:
            connection.settimeout(HANG)
            assert connection.recv(100)[:1] == b"\x8e"
            assert connection.recv(1) == b""
        os.close(writing)
        os.close(reading)
        os.waitpid(child, 0)


# ---- ends


@pytest.fixture
def both() -> Iterator[tuple[ipcfast.IpcChannel, ipcfast.IpcChannel]]:
    one, other = ipcfast.pair("tcp")
    with one, other:
        yield one, other


def test_a_pair_has_no_known_peer(both: tuple[ipcfast.IpcChannel, ipcfast.IpcChannel]) -> None:
    for end in both:
        assert end.peer == (None, None)
        assert isinstance(end, TcpChannel)


def test_a_few_small_messages_before_the_end_arrive_within_this_machine(
    both: tuple[ipcfast.IpcChannel, ipcfast.IpcChannel],
) -> None:
    one, other = both
    other.send_bytes(b"never read")
    assert one.poll(HANG)
    for number in range(100):
        one.send_json(number)
    one.close()
    assert [other.recv_json(HANG) for _ in range(100)] == list(range(100))
    with pytest.raises(Disconnected):
        other.recv(HANG)


def test_connected_ends_speak(private_runtime_directory: object) -> None:
    with ipcfast.listen("tcp://127.0.0.1:0") as probe:
        address = probe.address
    with connected(address) as (server, client):
        client.send_json("x")
        assert server.recv_json(HANG) == "x"
