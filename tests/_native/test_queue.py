# SPDX-License-Identifier: MIT
"""Tests of the queues between threads: whose the objects are, cycles through them, forks, signals, exits."""

from __future__ import annotations

import gc
import os
import pickle
import select
import signal
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path

import pytest

from ipcfast._native.queue import QueueChannel
from ipcfast.errors import (
    ChannelClosed,
    ChannelTimeout,
    Disconnected,
    MessageTooLarge,
    ReceiveFailed,
    ShuttingDown,
)
from tests._native.native_ends import HANG, descriptors, in_thread
from tests.peers import until_asleep

ROOT = Path(__file__).resolve().parents[2]
posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


class Thing:
    """Something that the garbage collector tracks, and that can be watched."""

    def __init__(self, held: object = None) -> None:
        self.held = held


def run(program: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=HANG * 3,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])},
    )


# ---- objects


def test_the_same_object_comes_out() -> None:
    one, other = QueueChannel.pair()
    for thing in (Thing(), [1], None, b"bytes", 7, lambda: None):
        one.send_message(thing)
        assert other.recv_message() is thing
        other.send_message(thing, 1.0)
        assert one.try_recv_message() is thing
    data = bytes(1000)
    one.send_bytes(data)
    assert other.recv_bytes() is data


def test_other_buffers_are_copied() -> None:
    one, other = QueueChannel.pair()
    for size in (3, 100_000):
        data = bytearray(b"x" * size)
        one.send_bytes(data)
        one.send_many([data, memoryview(data)[1:]])
        data[:] = b"y" * size
        assert other.recv_bytes() == b"x" * size
        assert other.recv_many(1 << 20) == [b"x" * size, b"x" * (size - 1)]
    for bad in ("text", 5, [1, 2], memoryview(b"abcd")[::2]):
        with pytest.raises((TypeError, BufferError)):
            one.send_bytes(bad)  # type: ignore[arg-type]
        with pytest.raises((TypeError, BufferError)):
            one.send_many([b"good", bad])  # type: ignore[list-item]
    assert other.try_recv_bytes() is None


def test_no_reference_is_lost_or_kept() -> None:
    one, other = QueueChannel.pair(capacity=3)
    thing, data = Thing(), b"body of its own" * 3
    before = sys.getrefcount(thing), sys.getrefcount(data)
    for _ in range(50):
        one.send_message(thing)
        one.send_bytes(data)
        one.send_message(thing)
        for send in (one.send_message, one.send_bytes):
            with pytest.raises(ChannelTimeout):
                send(data, 0.0)
        with pytest.raises(ChannelTimeout):
            one.send_many([data] * 5, 0.001)
        with pytest.raises(ReceiveFailed):
            other.recv_bytes()
        assert other.recv_message() is thing
        with pytest.raises(ReceiveFailed):
            other.recv_message()
        with pytest.raises(MessageTooLarge):
            other.recv_bytes_into(bytearray(5))
        assert other.recv_bytes_into(bytearray(len(data))) == len(data)
        with pytest.raises(ReceiveFailed):
            other.recv_many()
        assert other.recv_message() is thing
        with pytest.raises(ChannelTimeout):
            other.recv_message(0.0)
    assert (sys.getrefcount(thing), sys.getrefcount(data)) == before
    one.close()
    with pytest.raises(ChannelClosed):
        one.send_message(thing)
    with pytest.raises(Disconnected):
        other.send_message(thing)
    assert (sys.getrefcount(thing), sys.getrefcount(data)) == before


@pytest.mark.parametrize("ending", ["close", "shutdown", "drop", "peer close"])
def test_what_nobody_can_receive_is_released(ending: str) -> None:
    one, other = QueueChannel.pair()
    left = Thing()
    watch = weakref.ref(left)
    one.send_message(left)
    del left
    gc.collect()
    assert watch() is not None
    if ending == "drop":
        del other
    elif ending == "peer close":
        one.close()
        assert watch() is not None  # it can still be received
        other.close()
    else:
        getattr(other, ending)()
    assert watch() is None


def test_a_finaliser_may_use_the_channel_that_releases_it() -> None:
    one, other = QueueChannel.pair()
    seen: list[object] = []

    class Talkative:
        def __del__(self) -> None:
            for call in (other.close, lambda: other.send_message(1), other.recv_message):
                try:
                    seen.append(call())
                except Exception as error:
                    seen.append(type(error))

    one.send_message(Talkative())
    one.send_message(Talkative())
    other.close()
    assert seen == [None, ChannelClosed, ChannelClosed] * 2


# ---- cycles


@pytest.mark.parametrize("kind", ["loop", "one end", "both ends"])
def test_a_cycle_through_a_queue_is_collected(kind: str) -> None:
    one, other = QueueChannel.pair() if kind != "loop" else (QueueChannel.loop(),) * 2
    held = {"loop": one, "one end": other, "both ends": (one, other)}[kind]
    thing = Thing(held)
    watches = [weakref.ref(thing), weakref.ref(one), weakref.ref(other)]
    one.send_message(thing)
    one.send_message([thing])
    del held, thing, one, other
    gc.collect()
    assert [watch() for watch in watches] == [None] * 3


def test_what_can_still_be_received_is_not_collected() -> None:
    one, other = QueueChannel.pair()
    thing = Thing(other)
    thing_in_cycle = Thing()
    thing_in_cycle.held = thing_in_cycle
    for number in range(5):
        one.send_message(thing if number % 2 else thing_in_cycle)
    del thing, thing_in_cycle
    gc.collect()
    found = [other.recv_message() for _ in range(5)]
    assert [item.held is other for item in found] == [False, True, False, True, False]


def test_an_end_that_was_dropped_within_a_cycle_tells_its_peer() -> None:
    one, other = QueueChannel.pair()
    other.send_message(1)
    one.send_message(Thing(other))
    del other
    gc.collect()
    assert one.recv_message(HANG) == 1
    with pytest.raises(Disconnected):
        one.recv_message(HANG)


def test_collecting_while_threads_push_and_pop() -> None:
    one, other = QueueChannel.pair(capacity=50)
    count = 20_000

    def send() -> None:
        for number in range(count):
            one.send_message(Thing([number, one]), HANG)

    sender, _ = in_thread(send)
    collector, _ = in_thread(lambda: [gc.collect(0) for _ in range(300)])
    for number in range(count):
        assert other.recv_message(HANG).held[0] == number
    sender.join()
    collector.join()


# ---- making


@pytest.mark.parametrize("make", [QueueChannel.pair, QueueChannel.loop])
def test_bad_capacities_are_refused(make: object) -> None:
    assert callable(make)
    for capacity in (0, (1 << 30) + 1):
        with pytest.raises(ValueError, match="capacity"):
            make(capacity=capacity)
    with pytest.raises((OverflowError, TypeError)):
        make(capacity=-1)
    for refused in (QueueChannel, lambda: QueueChannel.__new__(QueueChannel)):
        with pytest.raises(TypeError, match="pair"):
            refused()
    with pytest.raises(TypeError, match="pickle"):
        pickle.dumps(QueueChannel.loop())


def test_the_capacity_is_kept_exactly() -> None:
    for capacity in (1, 2, 3, 100):
        one, other = QueueChannel.pair(capacity=capacity)
        for number in range(capacity):
            one.send_message(number)
        with pytest.raises(ChannelTimeout) as caught:
            one.send_message("too many", 0)
        assert not caught.value.begun
        assert (one.lengths, other.lengths) == ((0, capacity), (capacity, 0))
        assert [other.recv_message() for _ in range(capacity)] == list(range(capacity))
        assert (one.lengths, one.peak_lengths) == ((0, 0), (0, capacity))


def test_a_loop_receives_what_it_sends() -> None:
    loop = QueueChannel.loop(capacity=2)
    loop.send_message(1)
    loop.send_bytes(b"2")
    assert loop.recv_message() == 1
    assert loop.recv_bytes() == b"2"
    assert loop.peer_pid == os.getpid()
    waiting, results = in_thread(loop.recv_message)
    loop.send_message(3)
    waiting.join(HANG)
    assert results == [3]


def test_recv_many_takes_up_to_so_many_bytes() -> None:
    loop = QueueChannel.loop()
    loop.send_many([b"", b"12", b"345", b"", b"6", b"", b""])
    assert loop.recv_many(5) == [b"", b"12", b"345", b""]
    assert loop.recv_many(0) == [b"6"]  # the first comes whatever its size, and nothing behind it
    assert loop.recv_many(0) == [b"", b""]


def test_recv_many_comes_back_from_a_sender_that_keeps_up() -> None:
    """Where threads run at the same time, messages of no bytes could come for ever."""
    loop, is_over = QueueChannel.loop(capacity=50), threading.Event()

    def send() -> None:
        while not is_over.is_set():
            loop.send_bytes(b"", HANG)

    sender, _ = in_thread(send)
    for _ in range(200):
        assert len(loop.recv_many(1000, HANG)) <= 51
    is_over.set()
    while sender.is_alive():
        loop.try_recv_bytes()


def test_send_many_tells_of_what_it_has_sent_before_it_waits_and_at_the_end() -> None:
    one, other = QueueChannel.pair(capacity=3)
    told: list[list[bytes]] = []

    def tell() -> None:
        told.append(other.recv_many(1 << 20, 0))

    one.send_many([b"%d" % number for number in range(8)], HANG, tell=tell)
    assert told == [[b"0", b"1", b"2"], [b"3", b"4", b"5"], [b"6", b"7"]]
    one.send_many([], tell=tell)
    one.send_many([b"x"] * 3, 0)
    for error, end in ((ChannelTimeout, lambda: None), (ShuttingDown, one.shutdown)):
        end()
        with pytest.raises(error):
            one.send_many([b"y"], 0, tell=tell)  # nothing was sent
    assert len(told) == 3


# ---- the end


def test_a_draining_shutdown_gives_what_has_come() -> None:
    one, other = QueueChannel.pair()
    one.send_message(1)
    one.send_bytes(b"2")
    other.shutdown(drains=True)
    one.shutdown(drains=True)
    assert other.poll()
    assert select.select([other.fileno()], [], [], 0)[0]
    assert other.recv_message() == 1
    assert other.recv_many() == [b"2"]
    for call in (other.recv_message, other.try_recv_bytes, other.poll, lambda: other.send_message(3)):
        with pytest.raises(ShuttingDown):
            call()
    other.close()
    with pytest.raises(ChannelClosed):
        other.recv_message()


def test_drain_waits_for_calls_that_wait() -> None:
    one, other = QueueChannel.pair(capacity=1)
    one.drain(0)
    receiving, results = in_thread(other.recv_message)
    assert receiving.native_id is not None
    until_asleep(os.getpid(), receiving.native_id)
    with pytest.raises(ChannelTimeout):
        other.drain(0.01)
    draining, drained = in_thread(other.drain)
    one.send_message("end of it")
    for thread in (receiving, draining):
        thread.join(HANG)
    assert (results, drained) == (["end of it"], [None])
    one.send_message("no room left")
    sending, _ = in_thread(lambda: one.send_message("waits", HANG))
    assert sending.native_id is not None
    until_asleep(os.getpid(), sending.native_id)
    with pytest.raises(ChannelTimeout):
        one.drain(0)
    other.drain(0)
    one.close()
    one.drain(HANG)
    sending.join(HANG)


def test_no_descriptor_without_fileno_and_none_left() -> None:
    before = descriptors()
    one, other = QueueChannel.pair()
    one.send_message(1)
    assert descriptors() == before
    assert other.fileno() == other.fileno()
    assert descriptors() > before
    other.close()
    assert descriptors() == before
    with pytest.raises(ChannelClosed):
        other.fileno()


# ---- other threads, processes and signals


def test_a_waiting_receiver_is_woken_by_every_kind_of_send() -> None:
    one, other = QueueChannel.pair()
    for send, receive in (
        (lambda: one.send_message(b"x"), other.recv_message),
        (lambda: one.send_bytes(b"x"), other.recv_bytes),
        (lambda: one.send_many([b"x"]), lambda: other.recv_many()[0]),
    ):
        waiting, results = in_thread(receive)
        assert waiting.native_id is not None
        until_asleep(os.getpid(), waiting.native_id)
        send()
        waiting.join(HANG)
        assert results == [b"x"]


FORKED = """
import gc, os, threading
from ipcfast._native.queue import QueueChannel
from ipcfast.errors import ChannelClosed
from tests.peers import Background, HANG, until_asleep

one, other = QueueChannel.pair(capacity=2)
one.send_message([])
other.fileno()
waiting = Background(one.recv_message, HANG)    # in a thread that is not in the child
until_asleep(os.getpid(), waiting.native_id)
child = os.fork()
if child == 0:
    refused = 0
    for end in (one, other):
        for call in (
            lambda: end.send_message(1), lambda: end.send_many([b"x"]), lambda: end.recv_message(1),
            end.try_recv_message, end.poll, end.drain, end.fileno,
        ):
            try:
                call()
            except ChannelClosed as error:
                refused += "parent" in str(error)
        end.shutdown()
        end.close()
    del one, other, end, call
    gc.collect()
    os._exit(refused)
_, status = os.waitpid(child, 0)
other.send_message("the parent's")
print(os.waitstatus_to_exitcode(status), waiting.result(), other.recv_message(), flush=True)
"""


@posix
def test_a_forked_child_can_use_neither_end() -> None:
    assert run(FORKED).stdout == "14 the parent's []\n"


@posix
@pytest.mark.parametrize("call", ["recv_message()", "poll(None)", "send_message(1)", "drain()"])
def test_ctrl_c_interrupts_a_blocked_call_and_nothing_is_lost(call: str) -> None:
    program = f"""
import threading
from ipcfast._native.queue import QueueChannel
one, other = QueueChannel.pair(capacity=1)
one.send_message("first")
threading.Thread(target=one.recv_message, daemon=True).start()    # for drain to wait for
print("ready", flush=True)
try:
    one.{call}
except KeyboardInterrupt:
    print("interrupted", other.recv_message(), other.try_recv_message())
"""
    paths = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        until_asleep(process.pid)
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "interrupted first None\n"
        assert process.wait(HANG) == 0


def test_a_signal_handler_may_end_the_channel_that_its_thread_waits_for() -> None:
    one, _ = QueueChannel.pair()

    def shut_down(*_: object) -> None:
        one.shutdown()

    before = signal.signal(signal.SIGUSR1, shut_down)
    try:
        timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1))
        timer.start()
        with pytest.raises(ShuttingDown):
            one.recv_message(HANG)
        timer.join()
    finally:
        signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize("call", ["recv_message()", "send_message(1)", "poll(None)"])
def test_daemon_threads_that_wait_do_not_disturb_the_exit(call: str) -> None:
    ended = run(f"""
import threading, time
from ipcfast._native.queue import QueueChannel
one, other = QueueChannel.pair(capacity=1)
one.send_message(object())
threads = [threading.Thread(target=lambda: one.{call}, daemon=True) for _ in range(4)]
for thread in threads:
    thread.start()
""")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_many_pairs_pass_the_lock_among_themselves() -> None:
    """Eight pairs at once: each waits for others, and whoever gives the lock up may wake any of them."""
    rounds = 400

    def serve(end: QueueChannel) -> None:
        for _ in range(rounds):
            end.send_message(end.recv_message(HANG) + 1, HANG)

    def ask(end: QueueChannel) -> int:
        value = 0
        for _ in range(rounds):
            end.send_message(value, HANG)
            value = end.recv_message(HANG)
        return value

    pairs = [QueueChannel.pair() for _ in range(8)]
    asking = [in_thread(lambda end=one: ask(end)) for one, _ in pairs]
    serving = [in_thread(lambda end=other: serve(end)) for _, other in pairs]
    for thread, _ in serving:
        thread.join(HANG * 2)
    for thread, results in asking:
        thread.join(HANG * 2)
        assert results == [rounds]


def test_a_receiver_gets_on_beside_a_sender_that_goes_on_computing() -> None:
    """The sender neither waits nor gives the lock up by itself: the receiver must ask for it in the end."""
    one, other = QueueChannel.pair()
    receiving, results = in_thread(lambda: other.recv_message(HANG))
    assert receiving.native_id is not None
    until_asleep(os.getpid(), receiving.native_id)
    one.send_message("now")
    deadline = time.monotonic() + HANG
    while not results and time.monotonic() < deadline:
        pass
    assert results == ["now"]
