# SPDX-License-Identifier: MIT
"""The conformance suite, part eight: the background loop sleeps, stops at once, and loses nothing."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from ipcfast import ChannelTimeout, IpcMessage
from ipcfast.channels import receiving
from tests.contracts.callbacks import receiving_threads
from tests.contracts.channels import Channels, Pair, needs
from tests.peers import HANG, Background, until, until_asleep

__all__ = ["Stopping"]


def until_idle() -> threading.Thread:
    """Wait until the one loop of this process sleeps."""
    (thread,) = receiving_threads()
    until_asleep(os.getpid(), thread.native_id)
    return thread


class Stopping(Channels):
    """``stop_receiving`` and ``remove_handler`` while nothing comes, and while much does."""

    # ---- asleep

    @pytest.fixture
    def endless_turns(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A loop that came back only to look whether it is wanted would hang the test."""
        monkeypatch.setattr(receiving, "TURN_SECONDS", 100 * HANG)

    @pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
    def test_nothing_wakes_an_idle_loop(self, pair: Pair) -> None:
        one, other = pair
        seen: Queue[Any] = Queue()
        other.on_message(seen.put)
        other.start_receiving()
        one.send_json("awake")
        seen.get(timeout=HANG)
        status = Path(f"/proc/self/task/{until_idle().native_id}/status")

        def sleeps() -> int:
            lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
            return int(lines["voluntary_ctxt_switches"])

        before, started = sleeps(), time.monotonic()
        threading.Event().wait(0.6)
        # Once a second a ring is looked at, whose peer may have been halted before it could ring.
        allowed = 1 + int(time.monotonic() - started) if self.kind == "shm" else 0
        assert sleeps() - before <= allowed
        other.stop_receiving()

    def test_an_idle_loop_stops_without_a_turn(self, pair: Pair, endless_turns: None) -> None:
        one, other = pair
        seen: Queue[Any] = Queue()
        other.on_message(seen.put)
        for number in range(20):
            other.start_receiving()
            if number % 2:
                until_idle()
            Background(other.stop_receiving).result()
            assert not other.is_receiving()
            one.send_json(number)
            assert other.recv_json(HANG) == number  # it has not been taken
        assert seen.empty()

    def test_starting_takes_the_stop_of_an_idle_loop_back(self, pair: Pair, endless_turns: None) -> None:
        one, other = pair
        entered, leave = threading.Event(), threading.Event()
        seen: Queue[Any] = Queue()

        @other.on_message
        def handler(message: IpcMessage) -> None:
            entered.set()
            leave.wait(HANG)
            seen.put(message.data)

        other.start_receiving()
        one.send_json(0)
        assert entered.wait(HANG)
        with pytest.raises(ChannelTimeout):
            other.stop_receiving(0)
        other.start_receiving()
        leave.set()
        assert seen.get(timeout=HANG) == 0
        until_idle()  # the stop that was taken back keeps nobody busy
        one.send_json(1)
        assert seen.get(timeout=HANG) == 1
        Background(other.stop_receiving).result()

    @needs("pieces")
    def test_a_loop_stops_in_mid_message_and_goes_on_with_it(self, pair: Pair, endless_turns: None) -> None:
        one, other = pair
        body = bytes(range(256)) * (8 << 12)
        seen: Queue[bytes] = Queue()
        other.on_bytes(seen.put)
        with pytest.raises(ChannelTimeout) as caught:
            one.send_bytes(body, timeout=0.05)
        assert caught.value.begun
        other.start_receiving()
        until_idle()
        Background(other.stop_receiving).result()
        finishing = Background(one.send_many, [])
        other.start_receiving()
        assert seen.get(timeout=HANG) == body
        finishing.result()

    def test_a_receive_in_another_thread_goes_on(self, pair: Pair, endless_turns: None) -> None:
        one, other = pair
        other.on_message(lambda message: None)
        receiving_too = Background(other.recv)
        until_asleep(os.getpid(), receiving_too.native_id)
        other.start_receiving()
        until_idle()
        Background(other.stop_receiving).result()
        assert receiving_too.is_alive()
        one.send_json("for the other")
        assert receiving_too.result().data == "for the other"

    # ---- while messages come

    def test_a_thousand_starts_and_stops_lose_nothing(self, pair: Pair) -> None:
        one, other = pair
        seen: list[int] = []
        enough = threading.Event()
        other.on_message(lambda message: seen.append(message.data))

        def send() -> int:
            number = 0
            while not enough.is_set():
                one.send_json(number)
                number += 1
                if number % 100 == 0:
                    enough.wait(0.001)  # so that some stops find it asleep
            return number

        sending = Background(send)
        for _ in range(1000):
            other.start_receiving()
            other.stop_receiving()
        enough.set()
        other.start_receiving()  # the sender may be waiting for room
        count = sending.result()
        until(lambda: len(seen) == count)
        assert seen == [*range(count)]

    # ---- handlers that go

    def test_a_handler_that_was_removed_is_not_called(self, pair: Pair) -> None:
        one, other = pair
        left: Queue[Any] = Queue()
        removed: list[IpcMessage] = []
        other.on_message(removed.append)  # a method: a new object each time, and equal
        other.on_message(left.put)
        other.on_message(removed.append)
        other.remove_handler(removed.append)
        one.send_json(1)
        other.start_receiving()
        assert left.get(timeout=HANG).data == 1
        other.on_message(removed.append)
        one.send_json(2)
        assert left.get(timeout=HANG).data == 2
        until(lambda: len(removed) == 1)
        other.remove_handler(removed.append)
        one.send_json(3)
        assert left.get(timeout=HANG).data == 3
        assert [message.data for message in removed] == [2]

    def test_a_handler_may_remove_itself(self, pair: Pair) -> None:
        one, other = pair
        seen: Queue[Any] = Queue()

        @other.on_message
        def once(message: IpcMessage) -> None:
            other.remove_handler(once)
            seen.put(("once", message.data))

        other.on_message(lambda message: seen.put(("always", message.data)))
        other.start_receiving()
        for number in range(2):
            one.send_json(number)
        assert [seen.get(timeout=HANG) for _ in range(3)] == [("once", 0), ("always", 0), ("always", 1)]

    def test_removing_the_last_handler_stops_the_loop(
        self, pair: Pair, endless_turns: None, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG, logger="ipcfast")
        one, other = pair
        seen: Queue[Any] = Queue()
        other.on_message(seen.put)
        other.on_bytes(seen.put)
        other.start_receiving()
        until_idle()
        other.remove_handler(seen.put)  # of both kinds
        until(lambda: not other.is_receiving())
        one.send_json("stays")
        assert other.recv_json(HANG) == "stays"
        with pytest.raises(RuntimeError):
            other.start_receiving()
        other.on_message(seen.put)
        other.start_receiving()
        one.send_json("again")
        assert seen.get(timeout=HANG).data == "again"
        assert caplog.records == []

    def test_what_is_no_handler_cannot_be_removed(self, pair: Pair) -> None:
        _, other = pair
        other.on_message(print)
        for stranger in (repr, None):
            with pytest.raises(ValueError, match="no handler of"):
                other.remove_handler(stranger)  # type: ignore[arg-type]
        other.remove_handler(print)
        with pytest.raises(ValueError, match="print"):
            other.remove_handler(print)

    @needs("kinds")
    def test_an_idle_loop_learns_of_handlers_that_come_and_go(
        self, pair: Pair, endless_turns: None, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG, logger="ipcfast")
        one, other = pair
        seen: Queue[Any] = Queue()

        def take_bytes(data: bytes) -> None:
            seen.put(data)

        def take_message(message: IpcMessage) -> None:
            seen.put(message.data)

        other.on_bytes(take_bytes)
        other.start_receiving()
        for number in range(50):
            until_idle() if number % 5 == 0 else None
            other.on_message(take_message)
            one.send_json(number)
            one.send_bytes(b"%d" % number)
            assert [seen.get(timeout=HANG) for _ in range(2)] == [number, b"%d" % number]
            other.remove_handler(take_bytes)
            one.send_json("again")
            assert seen.get(timeout=HANG) == "again"
            other.on_bytes(take_bytes)
            other.remove_handler(take_message)
        assert other.is_receiving()
        assert caplog.records == []
