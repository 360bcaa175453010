# SPDX-License-Identifier: MIT
"""Holds the TCP channel to the conformance suite, and shows what is its own: ports, hosts, shared secrets."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from typing import ClassVar

import pytest

import ipcfast
from ipcfast import (
    AddressInUse,
    AddressNotFound,
    ChannelTimeout,
    ConnectError,
    Disconnected,
    PermissionDenied,
    TcpChannel,
)
from tests.contracts.channel import ChannelContract
from tests.contracts.channels import FEATURES
from tests.peers import HANG, Background, connected

SECRET = b"between the two of us and nobody else"


class TcpContract(ChannelContract):
    kind = "tcp"
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
        with pytest.raises(ipcfast.IoError):
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
        with pytest.raises(AddressNotFound, match="nobody listens"):
            ipcfast.connect(address, timeout=timeout)


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


def test_connections_do_not_wait_to_be_full_and_are_kept_alive() -> None:
    with connected_sockets() as (server, client):
        for end in (server, client):
            assert end.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
            assert end.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1


class connected_sockets:  # noqa: N801 - used as a function
    """The sockets that two ends of a channel have, found by their addresses."""

    def __enter__(self) -> tuple[socket.socket, socket.socket]:
        from tests.peers import open_descriptors

        before = open_descriptors()
        self._listener = ipcfast.listen("tcp://127.0.0.1:0")
        client = Background(lambda: ipcfast.connect(self._listener.address, timeout=HANG))
        self._server = self._listener.accept(HANG)
        self._client = client.result()
        self._sockets = []
        port = int(self._listener.path.rpartition(":")[2])
        for found in open_descriptors() - before:
            number, _, kind = found.partition(" ")
            if kind.startswith("socket:"):
                copy = socket.fromfd(int(number), socket.AF_INET, socket.SOCK_STREAM)
                self._sockets.append(copy)
        pair = [
            one
            for one in self._sockets
            if one.getsockopt(socket.SOL_SOCKET, socket.SO_DOMAIN) == socket.AF_INET
            and not one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
            and port in (one.getsockname()[1], one.getpeername()[1])
        ]
        assert len(pair) == 2
        return pair[0], pair[1]

    def __exit__(self, *_: object) -> None:
        for one in (*self._sockets, self._server, self._client, self._listener):
            one.close()


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
            assert "dropped a client (127.0.0.1:" in caplog.text or "dropped a client" in caplog.text
            assert plain.recv(1) == b""


def test_a_client_of_shared_memory_has_no_such_address() -> None:
    with pytest.raises(ValueError, match="prefix"):
        ipcfast.listen("tcp://127.0.0.1:0", prefix="x")


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
    with pytest.raises(ValueError, match="empty"):
        ipcfast.listen("tcp://127.0.0.1:0", secret=b"")
    with pytest.raises(TypeError, match="bytes"):
        ipcfast.listen("tcp://127.0.0.1:0", secret="text")  # type: ignore[arg-type]
    for call in (ipcfast.listen, ipcfast.connect):
        with pytest.raises(ValueError, match="tcp://"):
            call("local://name", secret=SECRET)


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


def test_what_was_sent_before_the_end_arrives_whatever_is_unread(
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
