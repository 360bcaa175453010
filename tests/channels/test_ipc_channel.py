# SPDX-License-Identifier: MIT
"""Shows what the base class does by itself: without a transport, and with methods overridden or bound."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

import ipcfast
from ipcfast import ChannelClosed, IpcChannel, IpcMessage, LocalSocketChannel
from ipcfast._native.stream_channel import StreamChannel
from tests.peers import HANG

CALLS: dict[str, Callable[[IpcChannel], object]] = {
    "send": lambda channel: channel.send({}),
    "send_json": lambda channel: channel.send_json(1),
    "send_bytes": lambda channel: channel.send_bytes(b""),
    "send_many": lambda channel: channel.send_many([b""]),
    "recv": lambda channel: channel.recv(0),
    "try_recv": lambda channel: channel.try_recv(),
    "receive": lambda channel: channel.receive(0),
    "recv_json": lambda channel: channel.recv_json(0),
    "recv_bytes": lambda channel: channel.recv_bytes(0),
    "recv_bytes_into": lambda channel: channel.recv_bytes_into(bytearray(1), 0),
    "recv_many": lambda channel: channel.recv_many(timeout=0),
    "try_recv_bytes": lambda channel: channel.try_recv_bytes(),
    "poll": lambda channel: channel.poll(),
    "fileno": lambda channel: channel.fileno(),
    "peer": lambda channel: channel.peer,
    "peer_died": lambda channel: channel.peer_died,
}


class Loopback(IpcChannel):
    """What a user would write for another medium (R29)."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.sent: list[Any] = []

    def send(self, message: IpcMessage | dict[str, Any], timeout: float | None = None) -> bool:
        self.sent.append(message)
        return True

    def recv(self, timeout: float | None = None) -> IpcMessage:
        if not self.sent:
            raise ipcfast.ChannelTimeout("nothing")
        return IpcMessage.from_dict(self.sent.pop(0))


@pytest.mark.parametrize("call", CALLS)
def test_without_a_transport_everything_is_to_be_written(call: str) -> None:
    channel = IpcChannel("nothing")
    with pytest.raises(NotImplementedError, match="IpcChannel"):
        CALLS[call](channel)
    channel.close()
    if call == "receive":
        assert channel.receive(0) is None
    else:
        with pytest.raises(ChannelClosed):
            CALLS[call](channel)


def test_a_class_of_ones_own_overrides_what_it_needs() -> None:
    with Loopback("loop") as channel:
        assert channel.name == "loop"
        channel.send({"type": "ping"})
        assert channel.receive() == IpcMessage(type="ping")
        assert channel.receive() is None
        assert not channel.is_shutdown()
        with pytest.raises(NotImplementedError):
            channel.send_bytes(b"")
    assert channel.is_shutdown()
    assert channel.closed


def test_an_attribute_that_is_none_is_named() -> None:
    assert not hasattr(IpcChannel("x"), "no_such")
    with pytest.raises(AttributeError, match="no_such"):
        getattr(IpcChannel("x"), "_".join(["no", "such"]))


def test_an_unknown_codec_is_refused_before_anything_is_opened() -> None:
    with pytest.raises(ValueError, match="codec 'yaml'"):
        IpcChannel("x", codec="yaml")


@pytest.mark.skipif(sys.platform == "win32", reason="speaks over plain Unix sockets")
def test_a_broken_message_is_taken_off_and_the_channel_goes_on() -> None:
    left, right = socket.socketpair()
    channel = LocalSocketChannel("x", transport=StreamChannel.adopt(left.detach(), framing="lines"))
    with channel, right:
        right.sendall(b'{"type":\n[1,2]\n{"type":5}\n{"type":"good"}\n')
        for call in (channel.recv, channel.recv, channel.receive):
            with pytest.raises(ipcfast.SerializationError):
                call(HANG)
        assert channel.recv(HANG).type == "good"
        right.sendall(b'[1,2]\n"text"\nnull\n')
        assert [channel.recv_json(HANG) for _ in range(3)] == [[1, 2], "text", None]


@pytest.mark.skipif(sys.platform == "win32", reason="speaks over plain Unix sockets")
def test_without_messages_in_the_codec_a_foreign_one_stays_where_it_is() -> None:
    left, right = socket.socketpair()
    transport = StreamChannel.adopt(left.detach(), framing="lines")
    with LocalSocketChannel("x", framing="lines", codec="raw", transport=transport) as channel, right:
        right.sendall(b'{"type":"x"}\n')
        for call in (channel.recv, channel.recv_json, channel.receive):
            with pytest.raises(ipcfast.ReceiveFailed, match="recv_bytes"):
                call(HANG)
        with pytest.raises(ipcfast.ReceiveFailed, match="recv_bytes"):
            channel.try_recv()
        assert channel.recv_bytes(HANG) == b'{"type":"x"}'


def test_channels_import_nothing_optional_before_they_are_made() -> None:
    program = (
        "import sys, ipcfast.channels.endpoints\n"
        "print(sorted({'msgspec', 'asyncio', 'numpy', 'multiprocessing', 'ctypes'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"
