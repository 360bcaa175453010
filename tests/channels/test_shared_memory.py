# SPDX-License-Identifier: MIT
"""Holds the shared-memory channel to the conformance suite, and shows what is its own."""

from __future__ import annotations

import os
import sys

import pytest

import ipcfast
from ipcfast import SharedMemoryChannel
from tests.contracts.channel import ChannelContract
from tests.peers import HANG, Background, connected


class TestSharedMemoryChannel(ChannelContract):
    kind = "shm"


class TestSmallestRing(ChannelContract):
    """The same through rings that hold next to nothing, so that everything wraps and waits all the time."""

    kind = "shm"
    capacity = 4096


def test_shm_gives_shared_memory_and_local_gives_a_socket_on_one_address() -> None:
    with ipcfast.listen("local://both") as listener:
        for scheme, kind in (("shm", SharedMemoryChannel), ("local", ipcfast.LocalSocketChannel)):
            client = Background(ipcfast.connect, f"{scheme}://both")
            with listener.accept(HANG) as server, client.result() as other:
                assert type(server) is type(other) is kind
                other.send_bytes(b"x")
                assert server.recv_bytes(HANG) == b"x"


@pytest.mark.parametrize("capacity", [1, 4096, 5000, 1 << 20])
def test_the_client_chooses_the_capacity(capacity: int) -> None:
    with connected("shm://sized", capacity=capacity) as (server, client):
        data = os.urandom(3 * capacity + 1)
        for one, other in ((server, client), (client, server)):
            sender = Background(one.send_bytes, data)
            assert other.recv_bytes(HANG) == data
            sender.result()


def test_the_classes_speak_like_the_functions() -> None:
    with SharedMemoryChannel.server("classes") as listener:
        client = Background(SharedMemoryChannel.connect, "classes")
        with listener.accept(HANG) as server, client.result() as other:
            assert type(server) is type(other) is SharedMemoryChannel
            server.send_json(1)
            assert other.recv_json(HANG) == 1


def test_channels_made_by_name_connect_when_they_are_used() -> None:
    with SharedMemoryChannel("by-name", is_server=True) as server, SharedMemoryChannel("by-name") as client:
        sender = Background(client.send_json, "hello")
        assert server.recv_json(HANG) == "hello"
        sender.result()


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [(SharedMemoryChannel, "shm", "local"), (ipcfast.LocalSocketChannel, "local", "shm")],
)
def test_a_server_made_by_its_class_takes_no_client_of_the_other(
    kind: type[SharedMemoryChannel | ipcfast.LocalSocketChannel], good: str, bad: str
) -> None:
    with kind("only", is_server=True, prefix=None, timeout=HANG) as server:
        opening = Background(server.open)
        with pytest.raises(ipcfast.ConnectError, match=f"{bad}://.* is not offered here, only .*{good}://"):
            ipcfast.connect(f"{bad}://only", timeout=HANG)
        with ipcfast.connect(f"{good}://only", timeout=HANG) as client:
            opening.result()
            client.send_json(1)
            assert server.recv_json(HANG) == 1


def test_the_listener_limits_the_capacity() -> None:
    with ipcfast.listen("shm://limited", capacity_limit=8192) as listener:
        opening = Background(lambda: ipcfast.connect("shm://limited", timeout=HANG, capacity=1 << 20))
        with listener.accept(HANG), opening.result() as client:
            with pytest.raises(ipcfast.ChannelTimeout):
                client.send_bytes(bytes(10000), 0)  # more than the ring holds


def test_foreign_framings_have_no_shared_memory() -> None:
    with pytest.raises(ValueError, match="framing"):
        ipcfast.connect("shm://x", framing="lines")
    with pytest.raises(ValueError, match="framing"):
        ipcfast.pair("shm", framing="lines")


def test_what_the_peer_sent_before_it_left_at_once_is_received() -> None:
    """The client is gone, goodbye and all, before the server looks at its rings for the first time."""
    with ipcfast.listen("shm://hasty") as listener:

        def hasty() -> None:
            with ipcfast.connect("shm://hasty") as channel:
                channel.send_many([b"1", b"2"])

        client = Background(hasty)
        server = listener.accept(HANG)
        client.result()
        with server:
            assert [server.recv_bytes(HANG), server.recv_bytes(HANG)] == [b"1", b"2"]
            with pytest.raises(ipcfast.Disconnected):
                server.recv_bytes(HANG)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_the_memory_has_no_name() -> None:
    one, other = ipcfast.pair("shm")
    with one, other, open("/proc/self/maps", encoding="utf-8") as maps:
        assert "/dev/shm" not in maps.read()
