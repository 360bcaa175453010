# SPDX-License-Identifier: MIT
"""The conformance suite, part six: handlers that are called in the background, and events."""

from __future__ import annotations

import gc
import logging
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from queue import Queue
from typing import Any

import pytest

import ipcfast
from ipcfast import (
    ChannelClosed,
    ChannelTimeout,
    Disconnected,
    IpcChannel,
    IpcMessage,
    SerializationError,
    ShuttingDown,
)
from tests.contracts.channels import Channels, Pair
from tests.peers import HANG, ROOT, Background, until, until_asleep

__all__ = ["Callbacks"]

LOGGER = "ipcfast.channels.receiving"

# A program that leaves while its loop waits, or while a handler runs.
LEAVING = """
import sys, threading
import ipcfast
one, other = ipcfast.pair(sys.argv[1])
entered = threading.Event()
@other.on_message
def handler(message):
    entered.set()
    if sys.argv[2] == "in a handler":
        threading.Event().wait()
other.start_receiving()
one.emit("x")
assert entered.wait(30)
if sys.argv[2] == "closed":
    one.close()
if sys.argv[2] == "forked":
    import os
    child = os.fork()
    if child == 0:
        assert not other.is_receiving()
        other.stop_receiving()
        other.on_message(print)
        try:
            other.start_receiving()
        except ipcfast.ChannelClosed:
            sys.exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert other.is_receiving()
"""


def receiving_threads() -> list[threading.Thread]:
    """Those of all channels of this process."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("ipcfast ")]


class Callbacks(Channels):
    """``on_message``, ``start_receiving``, ``stop_receiving``, ``emit``."""

    @pytest.fixture
    def arrived(self, pair: Pair) -> Iterator[Queue[Any]]:
        """What the second end of the pair has received in the background."""
        messages: Queue[Any] = Queue()
        pair[1].on_message(messages.put)
        pair[1].start_receiving()
        yield messages
        pair[1].close()
        until(lambda: not receiving_threads())

    @pytest.fixture
    def log(self, caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
        """What ipcfast logs, at every level."""
        caplog.set_level(logging.DEBUG, logger="ipcfast")
        return caplog

    # ---- events

    def test_an_event_has_its_name_and_data(self, pair: Pair) -> None:
        one, other = pair
        assert one.emit("moved", {"x": 1}) is True
        assert other.recv(HANG) == IpcMessage(type="event", event="moved", data={"x": 1})
        one.emit("tick")
        one.emit("zero", 0, timeout=HANG)
        assert [other.recv(HANG).data for _ in range(2)] == [{}, 0]
        for name in ("", None, 5):
            with pytest.raises(SerializationError, match="emit") as caught:
                one.emit(name)  # type: ignore[arg-type]
            assert caught.value.field == "event"
        assert other.try_recv() is None
        one.shutdown()
        with pytest.raises(ShuttingDown):
            one.emit("late")

    # ---- handlers

    def test_handlers_get_every_message_in_order(self, pair: Pair) -> None:
        one, other = pair
        seen: list[tuple[str, IpcMessage]] = []
        done = threading.Event()

        @other.on_message
        def first(message: IpcMessage) -> None:
            seen.append(("first", message))

        @other.on_message
        def second(message: IpcMessage) -> None:
            seen.append(("second", message))
            if message.event == "last":
                done.set()

        assert first.__name__ == "first"  # a decorator gives the function back
        one.send_json(-1)
        other.start_receiving()
        for number in range(1000):
            one.send_json(number)
        one.emit("last")
        assert done.wait(HANG)
        assert [message.data for name, message in seen if name == "first"] == [*range(-1, 1000), {}]
        for (name, message), (next_name, next_message) in zip(seen[::2], seen[1::2]):
            assert (name, next_name) == ("first", "second")
            assert message is next_message

    def test_both_ends_may_answer_from_their_handlers(self, pair: Pair) -> None:
        one, other = pair
        done = threading.Event()

        @other.on_message
        def answer(request: IpcMessage) -> None:
            other.send(IpcMessage(type="response", id=request.id, data=request.data + 1))

        @one.on_message
        def ask_again(response: IpcMessage) -> None:
            if response.data == 200:
                done.set()
            else:
                one.send(IpcMessage(type="request", id="x", data=response.data + 1))

        other.start_receiving()
        one.start_receiving()
        one.send(IpcMessage(type="request", id="x", data=1))
        assert done.wait(HANG)

    def test_a_handlers_exception_is_logged_and_the_loop_goes_on(
        self, pair: Pair, log: pytest.LogCaptureFixture
    ) -> None:
        one, other = pair
        after: Queue[Any] = Queue()

        @other.on_message
        def failing(message: IpcMessage) -> None:
            raise ipcfast.ChannelTimeout("of the handler's own")

        other.on_message(after.put)
        other.start_receiving()
        for number in range(3):
            one.send_json(number)
        assert [after.get(timeout=HANG).data for _ in range(3)] == [0, 1, 2]
        records = [record for record in log.records if record.name == LOGGER]
        assert len(records) == 3
        for record in records:
            assert "failing" in record.getMessage()
            assert record.exc_info is not None
            assert "the handler's own" in str(record.exc_info[1])

    def test_an_exit_of_a_handler_is_logged_and_the_loop_goes_on(
        self, pair: Pair, log: pytest.LogCaptureFixture
    ) -> None:
        one, other = pair
        after: Queue[Any] = Queue()
        other.on_message(lambda message: sys.exit(message.data))
        other.on_message(after.put)
        other.start_receiving()
        for number in range(3):
            one.send_json(number)
        assert [after.get(timeout=HANG).data for _ in range(3)] == [0, 1, 2]
        assert other.is_receiving()
        assert [record.exc_info[0] for record in log.records if record.exc_info] == [SystemExit] * 3

    def test_a_channel_with_handlers_ends_when_it_is_dropped(self) -> None:
        one, other = self.ends()
        seen: Queue[Any] = Queue()
        other.on_message(seen.put)
        other.start_receiving()
        one.send_json(1)
        assert seen.get(timeout=HANG).data == 1
        other.stop_receiving()
        watch = weakref.ref(other)
        gc.disable()  # its end must not wait for the collector
        try:
            del other
            assert watch() is None
            with one, pytest.raises(Disconnected):
                one.recv(HANG)
        finally:
            gc.enable()

    def test_draining_waits_for_the_handler_that_runs(self, pair: Pair) -> None:
        one, other = pair
        entered, leave = threading.Event(), threading.Event()
        left: list[bool] = []

        @other.on_message
        def handler(message: IpcMessage) -> None:
            entered.set()
            leave.wait(HANG)
            if message.data == "the last":
                other.wait_for_drain(HANG)  # not for itself
                other.shutdown_state.drain(HANG)
            left.append(True)

        other.start_receiving()
        for text in ("first", "the last"):
            one.send_json(text)
            assert entered.wait(HANG)
            if text == "the last":
                other.shutdown()
            for drain in (other.wait_for_drain, other.shutdown_state.drain):
                for timeout in (0, 0.01):
                    with pytest.raises(ChannelTimeout):
                        drain(timeout)
            draining = Background(other.wait_for_drain, HANG)
            until_asleep(os.getpid(), draining.native_id)
            entered.clear()
            assert not left
            leave.set()
            draining.result()  # the next message that the loop waits for does not count
            assert left == [True]
            left.clear()
            leave.clear()

    def test_what_is_no_message_is_logged_and_skipped(
        self, pair: Pair, arrived: Queue[Any], log: pytest.LogCaptureFixture
    ) -> None:
        pair[0].send({"type": 5})
        pair[0].send_json("good")
        assert arrived.get(timeout=HANG).data == "good"
        (record,) = log.records
        assert record.levelno == logging.WARNING
        assert "skipped" in record.getMessage()

    def test_without_a_handler_nothing_starts(self, pair: Pair) -> None:
        pair[0].send_json(1)
        with pytest.raises(RuntimeError, match="on_message"):
            pair[1].start_receiving()
        assert not pair[1].is_receiving()
        assert pair[1].recv_json(HANG) == 1

    def test_a_receive_shares_the_messages_with_the_handlers(self, pair: Pair, arrived: Queue[Any]) -> None:
        one, other = pair
        got: list[int] = []

        def receive() -> None:
            while True:
                try:
                    got.append(other.recv_json())
                except Disconnected:
                    return

        receiving = Background(receive)
        for number in range(500):
            one.send_json(number)
        one.shutdown()
        receiving.result()
        until(lambda: not other.is_receiving())
        handled = [arrived.get_nowait().data for _ in range(arrived.qsize())]
        assert sorted(got + handled) == [*range(500)]
        assert handled == sorted(handled)
        assert got == sorted(got)

    # ---- bytes

    def test_bytes_have_handlers_of_their_own(self, pair: Pair) -> None:
        one, other = pair
        seen: Queue[object] = Queue()

        @other.on_message
        def message_came(message: IpcMessage) -> None:
            seen.put(message.data)

        @other.on_bytes
        def bytes_came(data: bytes) -> None:
            seen.put(data)

        other.start_receiving()
        for number in range(100):
            one.send_bytes(b"%d" % number)
            one.send_json(number)
        assert [seen.get(timeout=HANG) for _ in range(200)] == [
            item for number in range(100) for item in (b"%d" % number, number)
        ]

    @pytest.mark.parametrize("wanted", ["messages", "bytes"])
    def test_what_has_no_handler_ends_the_loop_and_stays(
        self, pair: Pair, wanted: str, log: pytest.LogCaptureFixture
    ) -> None:
        one, other = pair
        seen: Queue[object] = Queue()
        if wanted == "messages":
            other.on_message(lambda message: seen.put(message.data))
            one.send_json("first")
            one.send_bytes(b"other")
            one.send_json("last")
        else:
            other.on_bytes(seen.put)
            one.send_bytes(b"first")
            one.send_json("other")
            one.send_bytes(b"last")
        other.start_receiving()
        seen.get(timeout=HANG)
        until(lambda: not other.is_receiving())
        (record,) = log.records
        assert (record.name, record.levelno) == (LOGGER, logging.ERROR)
        assert "ended" in record.getMessage()
        assert seen.empty()
        if wanted == "messages":
            other.on_bytes(seen.put)
        else:
            other.on_message(lambda message: seen.put(message.data))
        other.start_receiving()
        rest = [seen.get(timeout=HANG) for _ in range(2)]
        assert rest == ([b"other", "last"] if wanted == "messages" else ["other", b"last"])

    # ---- starting and stopping

    def test_there_is_one_thread_at_most(self, pair: Pair, arrived: Queue[Any]) -> None:
        one, other = pair
        starting = [Background(other.start_receiving) for _ in range(8)]
        for thread in starting:
            thread.result()
        assert len(receiving_threads()) == 1
        (thread_,) = receiving_threads()
        assert thread_.daemon
        assert other.is_receiving()
        assert not one.is_receiving()
        other.stop_receiving()
        assert receiving_threads() == []
        assert not other.is_receiving()
        other.stop_receiving()
        one.stop_receiving()
        one.send_json("stays")
        assert other.recv_json(HANG) == "stays"

    def test_stopping_and_starting_lose_nothing(self, pair: Pair) -> None:
        one, other = pair
        seen: list[int] = []
        other.on_message(lambda message: seen.append(message.data))
        sending = Background(lambda: [one.send_json(number) for number in range(3000)])
        while sending.is_alive():
            other.start_receiving()
            until(lambda: bool(seen) or not sending.is_alive())
            other.stop_receiving()
            if other.poll(0):
                seen.append(other.recv_json(HANG))  # nobody else takes one now
        sending.result()
        other.start_receiving()
        until(lambda: len(seen) == 3000)
        assert seen == [*range(3000)]

    def test_a_handler_may_stop_the_loop_and_start_it_again(self, pair: Pair) -> None:
        one, other = pair
        seen: Queue[Any] = Queue()

        @other.on_message
        def handler(message: IpcMessage) -> None:
            seen.put(message.data)
            if message.data != "goes on":
                other.stop_receiving()
            if message.data == "again":
                other.start_receiving()

        for text in ("again", "goes on", "ends", "stays"):
            one.send_json(text)
        other.start_receiving()
        assert [seen.get(timeout=HANG) for _ in range(3)] == ["again", "goes on", "ends"]
        until(lambda: not other.is_receiving())
        assert other.recv_json(HANG) == "stays"
        assert seen.empty()
        one.send_json("goes on")
        other.start_receiving()
        assert seen.get(timeout=HANG) == "goes on"

    def test_stopping_waits_for_the_handler(self, pair: Pair) -> None:
        one, other = pair
        entered, leave, left = threading.Event(), threading.Event(), threading.Event()

        @other.on_message
        def handler(message: IpcMessage) -> None:
            entered.set()
            leave.wait(HANG)
            left.set()

        other.start_receiving()
        one.emit("x")
        assert entered.wait(HANG)
        with pytest.raises(ChannelTimeout, match="handler"):
            other.stop_receiving(timeout=0.01)
        assert other.is_receiving()
        stopping = Background(other.stop_receiving)
        assert not left.is_set()
        leave.set()
        stopping.result()
        assert left.is_set()
        assert not other.is_receiving()

    def test_starting_takes_a_stop_back(self, pair: Pair) -> None:
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
        stopping = Background(other.stop_receiving)
        other.start_receiving()
        one.send_json(1)
        leave.set()
        stopping.result()
        other.start_receiving()
        assert [seen.get(timeout=HANG) for _ in range(2)] == [0, 1]
        assert len(receiving_threads()) == 1

    # ---- the end

    @pytest.mark.parametrize("ending", ["close", "shutdown", "peer close", "peer shutdown"])
    def test_the_loop_ends_with_the_channel_without_a_word(
        self, pair: Pair, arrived: Queue[Any], ending: str, log: pytest.LogCaptureFixture
    ) -> None:
        one, other = pair
        one.send_json("first")
        assert arrived.get(timeout=HANG).data == "first"
        end, _, method = ending.rpartition(" ")
        if end:
            one.send_json("last")
        getattr(one if end else other, method)()
        until(lambda: not other.is_receiving())
        if end:
            assert arrived.get_nowait().data == "last"
        other.stop_receiving()
        assert log.records == []
        if method == "close" and not end:
            with pytest.raises(ChannelClosed):
                other.start_receiving()
        else:
            other.start_receiving()  # finds the end again
            until(lambda: not other.is_receiving())

    @pytest.mark.parametrize("ending", ["close", "shutdown"])
    def test_a_handler_may_end_the_channel(
        self, pair: Pair, ending: str, log: pytest.LogCaptureFixture
    ) -> None:
        one, other = pair
        other.on_message(lambda message: getattr(other, ending)())
        other.start_receiving()
        one.emit("x")
        until(lambda: not other.is_receiving())
        assert other.is_shutdown()
        assert log.records == []
        with pytest.raises(Disconnected):
            one.recv(HANG)

    def test_close_from_many_threads_while_messages_come(self, log: pytest.LogCaptureFixture) -> None:
        for _ in range(20):
            one, other = self.ends()
            seen: list[int] = []
            other.on_message(lambda message, seen=seen: seen.append(message.data))  # type: ignore[misc]

            def send(channel: IpcChannel = one) -> None:
                number = 0
                try:
                    while True:
                        channel.send_json(number)
                        number += 1
                except (Disconnected, ChannelClosed):
                    return

            sending = Background(send)
            other.start_receiving()
            until(lambda seen=seen: len(seen) > 20)  # type: ignore[misc]
            for thread in [Background(other.close), Background(other.stop_receiving), Background(one.close)]:
                thread.result()
            sending.result()
            until(lambda channel=other: not channel.is_receiving())  # type: ignore[misc]
            assert seen == [*range(len(seen))]
        assert log.records == []

    @pytest.mark.parametrize("leaving", ["waiting", "in a handler", "closed", "forked"])
    def test_a_process_leaves_quietly(self, leaving: str) -> None:
        if leaving == "forked" and not hasattr(os, "fork"):
            return
        paths = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
        ended = subprocess.run(
            [sys.executable, "-W", "ignore::DeprecationWarning", "-c", LEAVING, self.kind, leaving],
            capture_output=True,
            text=True,
            timeout=HANG,
            env={**os.environ, "PYTHONPATH": paths},
        )
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
