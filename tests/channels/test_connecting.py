# SPDX-License-Identifier: MIT
"""Shows when a channel that is made by name connects, and what happens when it cannot."""

from __future__ import annotations

import os

import pytest

import ipcfast
from ipcfast import AddressInUse, AddressNotFound, ChannelClosed, ChannelTimeout, ShuttingDown
from ipcfast._native.stream_channel import StreamChannel
from ipcfast.channels.connecting import ConnectingChannel
from ipcfast.transports.address import parse_address
from ipcfast.transports.contract import Options
from tests.peers import HANG, Background, until_asleep

ADDRESS = parse_address("local://connecting")


def made(*, is_server: bool = False, timeout: float | None = HANG) -> ConnectingChannel:
    return ConnectingChannel("connecting", Options(), is_server=is_server, timeout=timeout)


def test_the_first_call_connects_and_the_next_ones_do_not() -> None:
    with made(is_server=True) as server, made() as client:
        sender = Background(client.send_json, 1)
        assert server.recv_json(HANG) == 1
        sender.result()
        transport = client._transport
        client.open()
        client.send_json(2)
        assert client._transport is transport
        assert server.recv_json(HANG) == 2


def test_several_threads_open_it_once() -> None:
    with made(is_server=True) as server, made() as client:
        opening = [Background(channel.open) for channel in (server, client) for _ in range(3)]
        for thread in opening:
            thread.result()
        client.send_bytes(b"x")
        assert server.recv_bytes(HANG) == b"x"


def test_the_server_listens_from_the_beginning_and_gives_the_name_back_with_its_client() -> None:
    with made(is_server=True) as server:
        with pytest.raises(AddressInUse):
            made(is_server=True)
        client = Background(lambda: ipcfast.connect(ADDRESS.text, timeout=HANG))
        server.open()
        client.result().close()
        with ipcfast.listen(ADDRESS.text):
            pass


def test_nobody_comes() -> None:
    with made(is_server=True, timeout=0.01) as server, pytest.raises(ChannelTimeout):
        server.recv()
    with made(timeout=0.01) as client, pytest.raises(AddressNotFound):
        client.recv()


def test_it_can_be_tried_again() -> None:
    with made(timeout=0) as client:
        with pytest.raises(AddressNotFound):
            client.open()
        with ipcfast.listen(ADDRESS.text) as listener:
            opening = Background(client.open)
            listener.accept(HANG).close()
            opening.result()


def test_close_before_it_is_open() -> None:
    for channel in (made(), made(is_server=True)):
        channel.close()
        for call in (channel.open, channel.recv_bytes, channel.poll):
            with pytest.raises(ChannelClosed):
                call()
        assert channel.receive() is None
    assert not os.path.exists(ADDRESS.path_to_connect())


def test_close_interrupts_the_server_that_waits_for_its_client() -> None:
    with made(is_server=True, timeout=None) as server:
        waiting = Background(server.recv_bytes)
        until_asleep(os.getpid(), waiting.native_id)
        server.close()
        with pytest.raises(ChannelClosed):
            waiting.result()


def test_shutdown_before_it_is_open() -> None:
    for channel in (made(timeout=None), made(is_server=True, timeout=None)):
        with channel:
            channel.shutdown()
            assert channel.is_shutdown()
            for call in (channel.open, channel.recv, channel.try_recv, channel.poll):
                with pytest.raises(ShuttingDown):
                    call()
            assert channel.receive() is None


@pytest.mark.parametrize("is_server", [False, True])
def test_what_never_waits_does_not_wait_for_the_peer(is_server: bool) -> None:
    """Nobody accepts, nobody comes; either would be waited for without an end."""
    with ipcfast.listen("local://connecting-busy"):
        name = "connecting" if is_server else "connecting-busy"
        with ConnectingChannel(name, Options(), is_server=is_server, timeout=None) as channel:
            for call in (channel.try_recv, channel.try_recv_bytes, lambda: channel.receive(0)):
                assert call() is None
            assert channel.poll() is False
            for call in (channel.recv, channel.recv_bytes, channel.recv_json):
                with pytest.raises(ChannelTimeout):
                    call(0)
            assert channel.peer_died is None


def test_what_never_waits_tells_that_nobody_listens() -> None:
    with made(timeout=None) as channel:
        for call in (channel.try_recv, channel.try_recv_bytes, channel.poll, lambda: channel.receive(0)):
            with pytest.raises(AddressNotFound, match="local://connecting"):
                call()
        with pytest.raises(AddressNotFound, match=r"local://connecting.*waited for 0\.02 s"):
            channel.send({}, 0.02)
        assert channel.peer_died is None


def test_calls_go_to_the_transport_itself_once_it_is_there() -> None:
    with made(is_server=True) as server, made() as client:
        opening = Background(server.open)
        client.open()
        opening.result()
        for channel in (server, client):
            assert type(channel._transport) is StreamChannel
            assert channel.recv_bytes.__self__ is channel._transport  # type: ignore[attr-defined]


def test_what_a_subclass_overrides_stays_overridden() -> None:
    class Counting(ConnectingChannel):
        count = 0

        def recv_bytes(self, timeout: float | None = None) -> bytes:
            self.count += 1
            return super().recv_bytes(timeout)

    with made(is_server=True) as server, Counting("connecting", Options()) as client:
        sending = Background(server.send_many, [b"x", b"y"])
        assert [client.recv_bytes(HANG), client.recv_bytes(HANG)] == [b"x", b"y"]
        sending.result()
        assert client.count == 2


def test_opening_what_was_closed_is_an_error() -> None:
    with made(is_server=True) as server, made() as client:
        opening = Background(server.open)
        client.open()
        opening.result()
        client.close()
        with pytest.raises(ChannelClosed):
            client.open()


def test_a_timeout_that_is_none_is_refused_when_it_is_made() -> None:
    for is_server in (False, True):
        with pytest.raises(ValueError, match="NaN"):
            made(is_server=is_server, timeout=float("nan"))
    with ipcfast.listen(ADDRESS.text):
        pass


def test_closing_ends_the_search_for_a_server() -> None:
    client = made(timeout=None)
    searching = Background(client.recv)
    until_asleep(os.getpid(), searching.native_id)
    client.close()
    with pytest.raises(ChannelClosed):
        searching.result()


def test_closing_ends_the_wait_for_an_answer() -> None:
    with ipcfast.listen(ADDRESS.text):  # nobody accepts
        client = made(timeout=None)
        waiting = Background(client.recv)
        until_asleep(os.getpid(), waiting.native_id)
        client.close()
        with pytest.raises(ChannelClosed):
            waiting.result()
