# SPDX-License-Identifier: MIT
"""Shows that a channel's bytes go to the transport without a call between, unless a subclass wants them."""

from __future__ import annotations

import inspect
from typing import Any

import ipcfast
from ipcfast import IpcChannel, LocalSocketChannel
from ipcfast._native.stream_channel import StreamChannel
from ipcfast.channels.forwarding import OF_THE_TRANSPORT
from tests.peers import HANG


def test_bytes_go_to_the_transport_without_a_call_between() -> None:
    one, other = ipcfast.pair("local")
    with one, other:
        for name in (
            "send_bytes",
            "recv_bytes",
            "try_recv_bytes",
            "send_many",
            "recv_many",
            "recv_bytes_into",
            "poll",
        ):
            assert getattr(one, name).__self__ is one._transport


def test_bound_methods_are_documented_and_have_the_parameters_of_the_class() -> None:
    one, other = ipcfast.pair("local")
    with one, other:
        for name in OF_THE_TRANSPORT:
            bound = getattr(one, name)
            assert bound.__doc__, name
            _, *declared = inspect.signature(getattr(IpcChannel, name)).parameters.values()
            given = inspect.signature(bound).parameters.values()
            assert [(one.name, one.default) for one in given] == [(one.name, one.default) for one in declared]


class Counting(LocalSocketChannel):
    """Overrides a bound method, and calls the one that it overrides."""

    count = 0

    def send_bytes(self, data: Any, timeout: float | None = None) -> None:
        self.count += 1
        super().send_bytes(data, timeout)


def test_what_a_subclass_overrides_stays_overridden() -> None:
    one, other = StreamChannel.pair()
    with Counting("counting", transport=one) as channel:
        channel.send_bytes(b"x")
        assert other.recv_bytes(HANG) == b"x"
        assert channel.count == 1
    other.close()


def test_the_methods_of_the_class_are_those_of_the_instance() -> None:
    one, other = ipcfast.pair("local")
    with one, other:
        IpcChannel.send_bytes(one, b"x", 1.0)
        IpcChannel.send_many(one, [b"y", b"z"])
        assert IpcChannel.poll(other, HANG)
        assert IpcChannel.recv_bytes(other, HANG) == b"x"
        buffer = bytearray(1)
        assert (IpcChannel.recv_bytes_into(other, buffer, HANG), buffer) == (1, b"y")
        assert IpcChannel.recv_many(other, 100, HANG) == [b"z"]
        assert IpcChannel.try_recv_bytes(other) is None
        assert IpcChannel.fileno(other) == other.fileno()
