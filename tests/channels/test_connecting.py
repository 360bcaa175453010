# SPDX-License-Identifier: MIT
"""Shows when a channel that is made by name connects, and what happens when it cannot."""

from __future__ import annotations

import os

import pytest

import ipcfast
from ipcfast import AddressInUse, AddressNotFound, ChannelClosed, ChannelTimeout, ShuttingDown
from ipcfast.channels.connecting import ConnectingChannel
from ipcfast.transports.address import parse_address
from ipcfast.transports.contract import Options
from tests.peers import HANG, Background, until_asleep

ADDRESS = parse_address("local://connecting")


def made(*, is_server: bool = False, timeout: float | None = HANG) -> ConnectingChannel:
    return ConnectingChannel("c", ADDRESS, Options(), is_server=is_server, connect_timeout=timeout)


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
    with made(is_server=True) as server, made() as client:
        client.shutdown()
        assert client.is_shutdown()
        opening = Background(server.open)
        with pytest.raises(ShuttingDown):
            client.send_bytes(b"x")
        opening.result()


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
