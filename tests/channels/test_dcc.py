# SPDX-License-Identifier: MIT
"""Holds the channel for hosts to the conformance suite, and shows when it wakes them."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest

import ipcfast
from ipcfast import DccIpcChannel, IpcMessage, ShutdownState
from ipcfast.transports.contract import Options
from ipcfast.transports.thread import thread_pair
from tests.contracts.callbacks import Callbacks
from tests.contracts.carrying import Carrying
from tests.contracts.channels import Channels, Pair
from tests.contracts.flow import Flow
from tests.peers import HANG, Background, until_asleep


class Bell:
    """Counts, and fails when told to."""

    def __init__(self) -> None:
        self.count = 0
        self.error: BaseException | None = None

    def wake(self) -> None:
        self.count += 1
        if self.error is not None:
            raise self.error


class TestDccChannel(Carrying, Flow, Callbacks):
    """Two ends that wake: it makes no difference to what is carried."""

    kind = "thread"
    capabilities: ClassVar[set[str]] = {"messages", "bytes", "objects"}
    features: ClassVar[frozenset[str]] = frozenset()

    @pytest.fixture
    def pair(self) -> Iterator[Pair]:
        ends = thread_pair(Options(queue_capacity=300))
        one, other = (DccIpcChannel("dcc", transport=end) for end in ends)
        # As of a pair, but that each ends by itself.
        one._outbound, other._outbound = other._inbound, one._inbound
        for end in (one, other):
            end.set_qt_waker(Bell())
        with one, other:
            yield one, other


def test_it_belongs_to_the_suite() -> None:
    assert issubclass(TestDccChannel, Channels)


SENDING: dict[str, Callable[[DccIpcChannel], object]] = {
    "send": lambda channel: channel.send({"type": "ping"}, 0),
    "send a message": lambda channel: channel.send(IpcMessage(), 0),
    "send_json": lambda channel: channel.send_json([1], 0),
    "emit": lambda channel: channel.emit("x", timeout=0),
    "send_bytes": lambda channel: channel.send_bytes(b"x", 0),
    "send_many": lambda channel: channel.send_many([b"x", b"y"], 0),
}


@pytest.mark.parametrize("call", SENDING)
def test_every_send_that_succeeded_wakes_once(call: str) -> None:
    channel, bell = DccIpcChannel("host", capacity=2), Bell()
    SENDING[call](channel)
    channel.try_recv() if "send_" not in call or "json" in call else channel.try_recv_bytes()
    if call == "send_many":
        channel.recv_bytes(0)
    channel.set_qt_waker(bell)
    assert bell.count == 0
    SENDING[call](channel)
    assert bell.count == 1
    if call != "send_many":
        SENDING[call](channel)
        assert bell.count == 2
    before = bell.count
    with pytest.raises(ipcfast.ChannelTimeout):  # full
        SENDING[call](channel)
    channel.shutdown()
    with pytest.raises(ipcfast.ShuttingDown):
        SENDING[call](channel)
    channel.close()
    with pytest.raises(ipcfast.ChannelClosed):
        SENDING[call](channel)
    assert bell.count == before


def test_what_is_no_message_wakes_nobody() -> None:
    channel, bell = DccIpcChannel("host"), Bell()
    channel.set_qt_waker(bell)
    with pytest.raises(ipcfast.SerializationError):
        channel.send(5)  # type: ignore[arg-type]
    with pytest.raises(ipcfast.SerializationError):
        channel.emit("")
    channel.send_many([])
    assert bell.count == 0


def test_some_of_many_wake_too() -> None:
    channel, bell = DccIpcChannel("host", capacity=2), Bell()
    channel.set_qt_waker(bell)
    with pytest.raises(ipcfast.ChannelTimeout) as caught:
        channel.send_many([b"1", b"2", b"3"], 0)
    assert caught.value.sent == 2
    assert bell.count == 1


class Host:
    """A host's loop: goes round only when it is woken, and then takes all that is there."""

    def __init__(self, channel: ipcfast.IpcChannel) -> None:
        self.channel = channel
        self.taken: list[bytes] = []
        self.woken = threading.Semaphore(0)

    def wake(self) -> None:
        self.woken.release()

    def run(self, count: int) -> None:
        while len(self.taken) < count:
            assert self.woken.acquire(timeout=HANG), f"nobody woke the loop after {len(self.taken)}"
            while True:
                data = self.channel.try_recv_bytes()
                if data is None:
                    break
                self.taken.append(data)


def test_more_than_there_is_room_for_are_taken_while_they_are_sent() -> None:
    channel = DccIpcChannel("host", capacity=10)
    host = Host(channel)
    channel.set_qt_waker(host)
    items = [b"%d" % number for number in range(95)]
    sending = Background(channel.send_many, items, HANG)
    host.run(95)
    sending.result()
    assert host.taken == items


@pytest.mark.parametrize(
    ("ending", "error"), [("shutdown", ipcfast.ShuttingDown), ("close", ipcfast.ChannelClosed)]
)
def test_what_was_sent_of_many_before_the_end_wakes(ending: str, error: type[Exception]) -> None:
    channel, bell = DccIpcChannel("host", capacity=2), Bell()
    channel.set_qt_waker(bell)
    sending = Background(channel.send_many, [b"x"] * 3)
    until_asleep(os.getpid(), sending.native_id)
    assert bell.count == 1
    getattr(channel, ending)()
    with pytest.raises(error):
        sending.result()
    assert bell.count == 1


def test_what_was_sent_of_many_before_a_signal_wakes() -> None:
    channel, told = DccIpcChannel("host", capacity=2), threading.Event()
    bell, main = Bell(), threading.get_native_id()
    channel.set_qt_waker(bell)
    bell.wake = lambda: (Bell.wake(bell), told.set())  # type: ignore[method-assign,assign,func-returns-value]

    def interrupt() -> None:
        assert told.wait(HANG)
        until_asleep(os.getpid(), main)
        os.kill(os.getpid(), signal.SIGINT)

    interrupting = Background(interrupt)
    with pytest.raises(KeyboardInterrupt):
        channel.send_many([b"x"] * 4, HANG)
    interrupting.result()
    assert bell.count == 1
    assert channel.recv_many(10, 0) == [b"x"] * 2


def test_of_a_pair_each_end_has_its_own_waker_for_what_the_other_sends() -> None:
    one, other = DccIpcChannel.pair("two")
    bells = Bell(), Bell()
    one.set_qt_waker(bells[0])
    other.set_qt_waker(bells[1])
    assert [bell.count for bell in bells] == [0, 0]
    for call in SENDING.values():
        call(one)
    assert [bell.count for bell in bells] == [0, len(SENDING)]
    other.send_json(1)
    assert [bell.count for bell in bells] == [1, len(SENDING)]
    later = Bell()
    one.set_qt_waker(later)
    assert later.count == 1
    other.close()
    other.close()
    assert (bells[0].count, later.count) == (1, 2)  # the end is something to find, too
    one.recv_json(0)
    with pytest.raises(ipcfast.Disconnected):
        one.recv_json(0)


def test_a_waker_that_comes_late_is_woken_for_what_is_there() -> None:
    channel, bell = DccIpcChannel("host"), Bell()
    channel.set_qt_waker(bell)
    channel.send({})
    later = Bell()
    channel.set_qt_waker(later)
    assert (bell.count, later.count) == (1, 1)
    channel.set_qt_waker(None)
    channel.send({})
    assert (bell.count, later.count) == (1, 1)
    channel.close()
    channel.set_qt_waker(bell)
    assert bell.count == 1


@pytest.mark.parametrize("error", [ipcfast.ShuttingDown, ipcfast.ChannelClosed])
def test_a_waker_may_come_while_the_channel_ends(
    monkeypatch: pytest.MonkeyPatch, error: type[ipcfast.IpcChannelError]
) -> None:
    def ended_meanwhile(timeout: float) -> bool:
        raise error("meanwhile")

    channel, bell = DccIpcChannel("host"), Bell()
    monkeypatch.setattr(channel, "poll", ended_meanwhile)
    channel.set_qt_waker(bell)
    assert bell.count == 0


def test_a_waker_that_raises_fails_no_send_and_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    channel, bell = DccIpcChannel("host"), Bell()
    bell.error = RuntimeError("the loop has gone")
    channel.set_qt_waker(bell)
    for number in range(100):
        channel.send_json(number)
    assert bell.count == 100
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("ipcfast.channels.dcc", logging.ERROR)
    assert record.exc_info is not None
    assert record.exc_info[1] is bell.error
    assert [channel.recv_json(0) for _ in range(100)] == [*range(100)]
    bell.error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        channel.send_json(1)


def test_alone_it_is_its_own_peer_and_pairs_share_their_state() -> None:
    channel = DccIpcChannel("host")
    channel.send_json("here")
    assert channel.recv_json(0) == "here"
    assert channel.name == "host"
    one, other = DccIpcChannel.pair("two")
    assert type(one) is type(other) is DccIpcChannel
    assert one.shutdown_state is other.shutdown_state
    one.send_json(1)
    assert other.recv_json(0) == 1


def test_its_capacity_is_that_of_the_document() -> None:
    channel = DccIpcChannel("host")
    channel.send_many([b""] * 10_000, 0)
    with pytest.raises(ipcfast.ChannelTimeout):
        channel.send_bytes(b"", 0)


def test_threads_that_outlive_the_host_get_shutting_down() -> None:
    state = ShutdownState()
    channel, bell = DccIpcChannel("host", shutdown_state=state), Bell()
    channel.set_qt_waker(bell)
    started = threading.Semaphore(0)

    def work() -> int:
        count = 0
        while True:
            try:
                channel.emit("work", count)
            except ipcfast.ShuttingDown:
                return count
            count += 1
            started.release()

    workers: list[Background[Any]] = [Background(work) for _ in range(4)]
    for _ in range(20):
        assert started.acquire(timeout=HANG)
    state.shutdown()
    sent = sum(worker.result() for worker in workers)
    received = 0
    while channel.receive(0) is not None:
        received += 1
    assert received == sent
    assert bell.count > 0
