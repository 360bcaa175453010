# SPDX-License-Identifier: MIT
"""Shows the listener as its users see it; how clients are greeted is shown in test_acceptor.py."""

from __future__ import annotations

import gc
import os
import socket
from pathlib import Path
from typing import Any

import pytest

import ipcfast
from ipcfast import AddressInUse, ChannelClosed, ChannelTimeout, ConnectError, Disconnected
from ipcfast.transports.handshake import RING, Hello, encode
from ipcfast.transports.ring import LAYOUT_VERSION
from tests.peers import HANG, Background, until_asleep
from tests.transports.plain import frame, is_hung_up


def test_a_listener_says_what_it_is(private_runtime_directory: Path) -> None:
    with ipcfast.listen("shm://what") as listener:
        assert listener.address == "shm://what"
        assert listener.path == f"{private_runtime_directory}/what.sock"
        assert repr(listener) == "<Listener shm://what open>"
        assert not listener.closed
    assert listener.closed
    assert "closed" in repr(listener)


@pytest.mark.parametrize("scheme", ["thread", "local", "shm"])
def test_a_listener_that_is_dropped_gives_its_address_back(scheme: str) -> None:
    address = f"{scheme}://dropped"
    listener = ipcfast.listen(address)
    with pytest.raises(AddressInUse):
        ipcfast.listen(address)
    del listener
    gc.collect()
    ipcfast.listen(address).close()


def test_iteration_gives_client_after_client_until_it_is_closed() -> None:
    with ipcfast.listen("local://all") as listener:
        numbers = []

        def serve() -> None:
            for channel in listener:
                with channel:
                    numbers.append(channel.recv_json(HANG))

        serving = Background(serve)
        for number in range(3):
            with ipcfast.connect("local://all", timeout=HANG) as channel:
                channel.send_json(number)
                with pytest.raises(Disconnected):
                    channel.recv(HANG)
        listener.close()
        serving.result()
        assert numbers == [0, 1, 2]


def test_no_client_ends_the_iteration() -> None:
    """A byte too much behind the hello of a ring, bytes of no protocol, a codec that nobody agreed on."""
    with ipcfast.listen("local://robust") as listener:
        hello = Hello(RING, "json", to_server=4096, to_client=4096, layout=LAYOUT_VERSION)

        def serve() -> list[object]:
            served = []
            for channel in listener:
                with channel:
                    served.append(channel.recv_json(HANG))
            return served

        serving = Background(serve)
        with socket.socket(socket.AF_UNIX) as greedy, socket.socket(socket.AF_UNIX) as stranger:
            for client, data in ((greedy, frame(0xF1, encode(hello)) + b"\0"), (stranger, b"\0")):
                client.settimeout(HANG)
                client.connect(listener.path)
                client.sendall(data)
                assert is_hung_up(client)
        with pytest.raises(ConnectError, match="codec"):
            ipcfast.connect("local://robust", timeout=HANG, codec="raw")
        with ipcfast.connect("shm://robust", timeout=HANG) as channel:
            channel.send_json("fine")
            with pytest.raises(Disconnected):
                channel.recv(HANG)
        listener.close()
        assert serving.result() == ["fine"]


@pytest.mark.parametrize(("timeout", "kind"), [(float("nan"), ValueError), ("1", TypeError)])
def test_a_timeout_that_is_none_is_refused(timeout: Any, kind: type[Exception]) -> None:
    with ipcfast.listen("local://end") as listener, pytest.raises(kind):
        listener.accept(timeout)


def test_accepted_channels_outlive_the_listener() -> None:
    with ipcfast.listen("local://gone") as listener:
        client = Background(lambda: ipcfast.connect("local://gone", timeout=HANG))
        server = listener.accept(HANG)
    with server, client.result() as other:
        server.send_bytes(b"still")
        assert other.recv_bytes(HANG) == b"still"
        with ipcfast.listen("local://gone"):
            pass


def test_accept_ends_with_its_timeout_and_with_close() -> None:
    with ipcfast.listen("local://end") as listener:
        with pytest.raises(ChannelTimeout, match=r"local://end within 0\.01 s"):
            listener.accept(0.01)
        accepting = Background(listener.accept)
        until_asleep(os.getpid(), accepting.native_id)
        listener.close()
        with pytest.raises(ChannelClosed):
            accepting.result()
    with pytest.raises(ChannelClosed):
        listener.accept(0)
    assert list(listener) == []


def test_a_live_name_is_not_taken() -> None:
    with ipcfast.listen("local://mine") as listener:
        for address in ("local://mine", "shm://mine", f"unix://{listener.path}"):
            with pytest.raises(AddressInUse):
                ipcfast.listen(address)


def test_many_clients_at_once() -> None:
    with ipcfast.listen("local://many") as listener:
        schemes = ["local", "shm"] * 20
        clients = [
            Background(lambda scheme=scheme: ipcfast.connect(f"{scheme}://many", timeout=HANG))
            for scheme in schemes
        ]
        servers = [listener.accept(HANG) for _ in clients]
        for client in clients:
            client.result().send_json(1)
        assert [server.recv_json(HANG) for server in servers] == [1] * 40
        assert sum(isinstance(server, ipcfast.SharedMemoryChannel) for server in servers) == 20
        for channel in [*servers, *(client.result() for client in clients)]:
            channel.close()
