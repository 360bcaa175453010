# SPDX-License-Identifier: MIT
"""Shows what the background loop does with channels of other kinds, late connections, and faults."""

from __future__ import annotations

import logging
import socket
import threading
from queue import Queue
from typing import Any

import pytest

import ipcfast
from ipcfast import IpcChannel, IpcMessage, LocalSocketChannel, SharedMemoryChannel
from ipcfast._native.stream_channel import StreamChannel
from ipcfast.channels import receiving
from tests.peers import HANG, Background, until


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, logger="ipcfast")
    return caplog


class OfOnesOwn(IpcChannel):
    """A channel with nothing but ``recv``, which gives what a test puts in: messages, and errors to raise."""

    def __init__(self, name: str = "own") -> None:
        super().__init__(name)
        self.items: Queue[IpcMessage | Exception] = Queue()
        self.timeouts: list[float | None] = []

    def recv(self, timeout: float | None = None) -> IpcMessage:
        self.timeouts.append(timeout)
        item = self.items.get(timeout=HANG)
        if isinstance(item, Exception):
            raise item
        return item


def test_a_channel_of_ones_own_calls_handlers_too() -> None:
    channel = OfOnesOwn()
    seen: Queue[IpcMessage] = Queue()
    channel.on_message(seen.put)
    message = IpcMessage(type="ping")
    for item in (
        ipcfast.ChannelTimeout("nothing"),
        ipcfast.MessageTooLarge("much", size=2, limit=1),
        message,
        ipcfast.Disconnected("the end", peer_died=False),
    ):
        channel.items.put(item)
    channel.start_receiving()
    assert seen.get(timeout=HANG) is message
    until(lambda: not channel.is_receiving())
    assert set(channel.timeouts) == {receiving.TURN_SECONDS}
    assert 0.1 <= receiving.TURN_SECONDS <= 1  # a few wake-ups a second, and stopping takes no longer


def test_the_loop_of_the_documents_ends_with_a_channel_of_ones_own() -> None:
    channel = OfOnesOwn()
    for item in (
        ipcfast.ChannelTimeout("nothing"),
        IpcMessage(type="ping"),
        ipcfast.Disconnected("the end", peer_died=False),
    ):
        channel.items.put(item)
    types = []
    while not channel.is_shutdown():
        message = channel.receive(timeout=0.1)
        if message is None:
            continue
        types.append(message.type)
    assert types == ["ping"]
    assert channel.items.empty()
    assert not channel.shutdown_state.is_shutdown()


def test_a_channel_of_ones_own_stops_after_a_turn() -> None:
    channel = OfOnesOwn()
    seen: Queue[IpcMessage] = Queue()
    channel.on_message(seen.put)
    channel.start_receiving()
    until(lambda: bool(channel.timeouts))
    stopping = Background(channel.stop_receiving)
    until(lambda: stopping.native_id is not None)
    channel.items.put(ipcfast.ChannelTimeout("the turn is over"))
    stopping.result()
    assert not channel.is_receiving()
    assert seen.empty()


def test_a_recv_that_is_overridden_may_pass_its_timeout_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a number it is a turn; passed on as it is, it can be stopped."""
    monkeypatch.setattr(receiving, "TURN_SECONDS", 100 * HANG)

    class Counting(ipcfast.ThreadChannel):
        count = 0

        def recv(self, timeout: float | None = None) -> IpcMessage:
            message = super().recv(timeout)
            self.count += 1
            return message

    with Counting("counting") as channel:
        seen: Queue[IpcMessage] = Queue()
        channel.on_message(seen.put)
        channel.start_receiving()
        channel.emit("x")
        assert seen.get(timeout=HANG).event == "x"
        Background(channel.stop_receiving).result()
        assert channel.count == 1


@pytest.mark.parametrize(
    "error", [ipcfast.FrameError("broken"), ipcfast.IoError("no", errno=5), ValueError("of a subclass")]
)
def test_a_fault_ends_the_loop_and_is_logged(error: Exception, log: pytest.LogCaptureFixture) -> None:
    channel = OfOnesOwn("faulty")
    channel.on_message(print)
    channel.items.put(error)
    channel.start_receiving()
    until(lambda: not channel.is_receiving())
    (record,) = log.records
    assert "faulty" in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[1] is error


def test_a_channel_without_transport_says_so_in_the_log(log: pytest.LogCaptureFixture) -> None:
    channel = IpcChannel("nothing")
    channel.on_message(print)
    channel.start_receiving()
    until(lambda: not channel.is_receiving())
    (record,) = log.records
    assert record.exc_info is not None
    assert record.exc_info[0] is NotImplementedError


def test_what_no_receive_takes_does_not_keep_the_loop_busy(log: pytest.LogCaptureFixture) -> None:
    """A message of a kind that neither handler is for: refused by both, again and again."""

    class Refusing(IpcChannel):
        def recv(self, timeout: float | None = None) -> IpcMessage:
            raise ipcfast.ReceiveFailed("no message")

        def recv_bytes(self, timeout: float | None = None) -> bytes:
            raise ipcfast.ReceiveFailed("no bytes")

    channel = Refusing("refusing")
    channel.on_message(print)
    channel.on_bytes(print)
    channel.start_receiving()
    until(lambda: not channel.is_receiving())
    assert "ended" in log.records[0].getMessage()


@pytest.mark.parametrize("kind", ["local", "shm"])
def test_a_message_above_the_limit_is_logged_and_skipped(kind: str, log: pytest.LogCaptureFixture) -> None:
    one, other = ipcfast.pair(kind, message_limit=2000)
    with one, other:
        seen: Queue[Any] = Queue()
        other.on_message(seen.put)
        other.start_receiving()
        sending = Background(one.send_json, "x" * 100_000)
        one.send_json("small")
        sending.result()
        assert seen.get(timeout=HANG).data == "small"
        until(lambda: len(log.records) == 1)
        assert "2000" in log.records[0].getMessage()
        other.stop_receiving()


def test_a_raw_channel_hands_over_its_bytes() -> None:
    left, right = socket.socketpair()
    transport = StreamChannel.adopt(left.detach(), framing="lines")
    with LocalSocketChannel("x", framing="lines", codec="raw", transport=transport) as channel, right:
        seen: Queue[object] = Queue()
        channel.on_message(seen.put)
        channel.on_bytes(seen.put)
        channel.start_receiving()
        right.sendall(b"one\ntwo\n")
        assert [seen.get(timeout=HANG) for _ in range(2)] == [b"one", b"two"]
        channel.stop_receiving()


@pytest.mark.parametrize("kind", [LocalSocketChannel, SharedMemoryChannel])
def test_channels_made_by_name_connect_in_the_background(
    kind: type[LocalSocketChannel | SharedMemoryChannel],
) -> None:
    """Longer than a turn of the loop may take: the server does not listen yet."""
    with kind("late", timeout=HANG, prefix=None) as client:
        seen: Queue[Any] = Queue()
        client.on_message(seen.put)
        client.start_receiving()
        threading.Event().wait(2 * receiving.TURN_SECONDS)
        with kind("late", is_server=True, timeout=HANG, prefix=None) as server:
            server.send_json("hello")
            assert seen.get(timeout=HANG).data == "hello"
            client.stop_receiving()


def test_nobody_to_connect_to_is_logged(log: pytest.LogCaptureFixture) -> None:
    with LocalSocketChannel("nobody", timeout=0.01, prefix=None) as client:
        client.on_message(print)
        client.start_receiving()
        until(lambda: not client.is_receiving())
    (record,) = log.records
    assert record.exc_info is not None
    assert record.exc_info[0] is ipcfast.AddressNotFound


def test_closing_ends_connecting_in_the_background(log: pytest.LogCaptureFixture) -> None:
    server = LocalSocketChannel("no-client", is_server=True, timeout=None, prefix=None)
    server.on_message(print)
    server.start_receiving()
    with pytest.raises(ipcfast.ChannelTimeout, match="connecting"):
        server.stop_receiving(timeout=0.01)
    server.close()
    until(lambda: not server.is_receiving())
    assert log.records == []


def test_a_thread_that_cannot_be_started_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = ipcfast.pair("local")
    with one, other:
        seen: Queue[Any] = Queue()
        other.on_message(seen.put)

        def refuse(thread: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refuse)
            with pytest.raises(RuntimeError, match="can't"):
                other.start_receiving()
        assert not other.is_receiving()
        other.stop_receiving()
        other.start_receiving()
        one.send_json(1)
        assert seen.get(timeout=HANG).data == 1
