# SPDX-License-Identifier: MIT
"""Shows the pump of a host's main thread: its budget, its order, and that it goes on whatever handlers do."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Iterator

import pytest

import ipcfast
from ipcfast import DccIpcChannel, IpcChannel, IpcMessage, MainThreadPump
from tests.contracts.channels import Pair
from tests.peers import HANG, Background, until, until_asleep


@pytest.fixture(params=["local", "shm", "thread"])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    one, other = ipcfast.pair(request.param)
    with one, other:
        yield one, other


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, logger="ipcfast")
    return caplog


def test_everything_is_handled_in_order_in_the_thread_that_pumps(pair: Pair) -> None:
    one, other = pair
    seen: list[object] = []
    threads = set()

    def handler(message: IpcMessage) -> None:
        seen.append(message.data)
        threads.add(threading.get_ident())

    pump = MainThreadPump(other, handler)
    assert pump.pump() == 0
    sending = Background(lambda: [one.send_json(number) for number in range(3000)])
    until(lambda: pump.pump(budget_ms=5) >= 0 and len(seen) == 3000)
    sending.result()
    assert seen == [*range(3000)]
    assert threads == {threading.get_ident()}
    assert pump.pump() == 0
    assert not pump.has_ended


def test_the_budget_is_kept_and_one_message_is_always_handled() -> None:
    channel = DccIpcChannel("host")
    naps: list[float] = []

    def slow(message: IpcMessage) -> None:
        threading.Event().wait(message.data)
        naps.append(message.data)

    pump = MainThreadPump(channel, slow)
    for seconds in (0.02, 0, 0, 0, 0.02, 0.02):
        channel.send_json(seconds)
    assert pump.pump(budget_ms=10) == 1
    assert pump.pump(budget_ms=0) == 1
    assert pump.pump(budget_ms=0) == 1
    assert len(naps) == 3
    assert pump.pump(budget_ms=None) == 3
    assert pump.pump(budget_ms=0) == 0
    for budget in (-1, float("nan")):
        with pytest.raises(ValueError, match="budget_ms"):
            pump.pump(budget_ms=budget)


def test_what_is_skipped_counts_for_the_budget(log: pytest.LogCaptureFixture) -> None:
    one, other = ipcfast.pair("thread")
    seen: list[object] = []
    pump = MainThreadPump(other, lambda message: seen.append(message.data))
    for _ in range(3):
        one.send({"type": 5})
    one.send_json(1)
    for count in (1, 2, 3):
        assert pump.pump(budget_ms=0) == 0
        assert len(log.records) == count
    assert pump.pump(budget_ms=0) == 1
    assert seen == [1]


def test_without_a_handler_of_its_own_it_calls_those_of_the_channel(
    pair: Pair, log: pytest.LogCaptureFixture
) -> None:
    one, other = pair
    pump = MainThreadPump(other)
    seen: list[object] = []
    one.send_json(1)
    one.send_bytes(b"2")
    one.send_json(3)
    until(lambda: pump.pump() == 0 and pump.is_stuck)  # nobody would get it: it stays
    other.on_message(lambda message: seen.append(message.data))
    until(lambda: pump.pump() == 1)
    until(lambda: pump.pump() == 0 and pump.is_stuck)
    assert pump.pump() == 0
    assert seen == [1]
    assert len(log.records) == 2
    assert all("no handler" in record.getMessage() for record in log.records)
    other.on_bytes(seen.append)
    until(lambda: pump.pump() >= 0 and len(seen) == 3)
    assert seen == [1, b"2", 3]
    assert not pump.is_stuck
    assert len(log.records) == 2


def test_only_bytes(pair: Pair) -> None:
    one, other = pair
    seen: list[bytes] = []
    other.on_bytes(seen.append)
    pump = MainThreadPump(other)
    one.send_many([b"1", b"2"])
    until(lambda: pump.pump() >= 0 and len(seen) == 2)
    one.send_json(1)
    until(lambda: pump.pump() == 0 and pump.is_stuck)
    assert other.recv_json(HANG) == 1
    one.send_bytes(b"3")
    until(lambda: pump.pump() == 1)


def test_exceptions_of_handlers_and_bad_messages_are_logged(
    pair: Pair, log: pytest.LogCaptureFixture
) -> None:
    one, other = pair
    seen: list[object] = []

    def failing(message: IpcMessage) -> None:
        seen.append(message.data)
        raise ValueError("of the handler")

    pump = MainThreadPump(other, failing)
    one.send_json(1)
    one.send({"type": 5})
    one.send_json(2)
    until(lambda: pump.pump() >= 0 and len(seen) == 2)
    assert seen == [1, 2]
    assert [record.levelno for record in log.records] == [logging.ERROR, logging.WARNING, logging.ERROR]
    assert {record.name for record in log.records} == {"ipcfast.channels.pump"}


def test_a_nested_loop_does_not_enter_a_handler_twice() -> None:
    channel = DccIpcChannel("host")
    seen: list[object] = []

    def opens_a_dialog(message: IpcMessage) -> None:
        seen.append(("begin", message.data))
        channel.send_json(len(seen) + 10) if len(seen) < 4 else None
        assert pump.pump() == 0  # the dialog's timer
        seen.append(("end", message.data))

    pump = MainThreadPump(channel, opens_a_dialog)
    channel.send_json(1)
    assert pump.pump(budget_ms=None) == 3
    assert seen == [(step, data) for data in (1, 11, 13) for step in ("begin", "end")]


@pytest.mark.parametrize("ending", ["shutdown", "close"])
@pytest.mark.parametrize("where", ["outside", "handler"])
def test_nothing_is_handled_after_the_end(pair: Pair, ending: str, where: str) -> None:
    one, other = pair
    seen: list[object] = []

    def handler(message: IpcMessage) -> None:
        seen.append(message.data)
        if where == "handler":
            getattr(other, ending)()

    pump = MainThreadPump(other, handler)
    for number in range(3):
        one.send_json(number)
    assert other.poll(HANG)
    if where == "outside":
        getattr(other, ending)()
    assert pump.pump() == (where == "handler")
    assert pump.pump() == 0
    assert pump.has_ended
    assert seen == [0][: len(seen)]


@pytest.mark.parametrize("ending", ["shutdown", "close"])
def test_the_next_handler_is_not_called_after_the_end(pair: Pair, ending: str) -> None:
    one, other = pair
    other.on_message(lambda message: getattr(other, ending)())
    other.on_message(lambda message: pytest.fail("too late"))
    pump = MainThreadPump(other)
    one.send_json(1)
    until(lambda: pump.pump() == 1)
    assert pump.has_ended


def test_all_handlers_get_the_last_message_of_a_peer_that_has_left(pair: Pair) -> None:
    one, other = pair
    seen: list[object] = []

    def find_the_end(message: IpcMessage) -> None:
        assert other.receive(HANG) is None

    other.on_message(find_the_end)
    other.on_message(lambda message: seen.append(message.data))
    pump = MainThreadPump(other)
    one.send_json(1)
    one.close()
    until(lambda: pump.pump() >= 0 and pump.has_ended)
    assert seen == [1]


def test_an_exit_goes_to_the_host_and_the_pump_stays_usable(log: pytest.LogCaptureFixture) -> None:
    channel = DccIpcChannel("host")
    seen: list[object] = []

    @channel.on_message
    def leave(message: IpcMessage) -> None:
        if message.data == 1:
            sys.exit(5)

    channel.on_message(lambda message: seen.append(message.data))
    pump = MainThreadPump(channel)
    for number in (1, 2):
        channel.send_json(number)
    with pytest.raises(SystemExit):
        pump.pump()
    assert pump.pump() == 1
    assert seen == [2]
    assert log.records == []


def test_nothing_queued_is_handled_after_the_shutdown_of_a_host() -> None:
    channel = DccIpcChannel("host")
    pump = MainThreadPump(channel, lambda message: pytest.fail("too late"))
    channel.send_json(1)
    channel.shutdown()
    assert pump.pump() == 0
    assert pump.has_ended
    assert channel.recv_json(0) == 1  # and yet it is not lost


def test_the_peers_end_comes_after_its_last_message(pair: Pair, log: pytest.LogCaptureFixture) -> None:
    one, other = pair
    seen: list[object] = []
    pump = MainThreadPump(other, lambda message: seen.append(message.data))
    for number in range(3):
        one.send_json(number)
    one.close()
    assert not pump.has_ended
    until(lambda: pump.pump() >= 0 and pump.has_ended)
    assert seen == [0, 1, 2]
    assert log.records == []


def test_a_fault_ends_it_and_is_logged(log: pytest.LogCaptureFixture) -> None:
    class Faulty(IpcChannel):
        def try_recv(self) -> IpcMessage | None:
            raise ipcfast.FrameError("broken")

    pump = MainThreadPump(Faulty("x"), print)
    assert pump.pump() == 0
    assert pump.has_ended
    assert pump.pump() == 0
    assert len(log.records) == 1


def test_two_threads_do_not_pump_at_the_same_time() -> None:
    channel = DccIpcChannel("host")
    entered, leave = threading.Event(), threading.Event()

    def handler(message: IpcMessage) -> None:
        entered.set()
        leave.wait(HANG)

    pump = MainThreadPump(channel, handler)
    channel.send_json(1)
    pumping = Background(pump.pump)
    assert entered.wait(HANG)
    channel.send_json(2)
    assert pump.pump() == 0
    until_asleep(os.getpid(), pumping.native_id)
    leave.set()
    pumping.result()
    pump.pump()
    assert channel.try_recv() is None
