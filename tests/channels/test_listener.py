# SPDX-License-Identifier: MIT
"""Shows the listener as its users see it; how clients are greeted is shown in test_acceptor.py."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import ipcfast
from ipcfast import AddressInUse, ChannelClosed, ChannelTimeout, Disconnected
from tests.peers import HANG, Background, until_asleep


def test_a_listener_says_what_it_is(private_runtime_directory: Path) -> None:
    with ipcfast.listen("shm://what") as listener:
        assert listener.address == "shm://what"
        assert listener.path == f"{private_runtime_directory}/what.sock"
        assert repr(listener) == "<Listener shm://what open>"
        assert not listener.closed
    assert listener.closed
    assert "closed" in repr(listener)


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
