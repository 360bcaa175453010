# SPDX-License-Identifier: MIT
"""Tests of _native/message_channel.pyx, on stream channels: waiting, signals, threads, state, and ends."""

from __future__ import annotations

import contextlib
import copy
import os
import pickle
import select
import signal
import threading
import time
from collections.abc import Callable

import pytest

from ipcfast import errors
from ipcfast._native.message_channel import MessageChannel
from ipcfast._native.stream_channel import StreamChannel
from tests._native.native_ends import HANG, MIB, Raw, descriptors, header, in_thread
from tests.peers import until_asleep


def test_timeouts_are_never_early(pair: tuple[StreamChannel, StreamChannel]) -> None:
    for timeout in (0.0, 0.0001, 0.01, 0.06):
        for call in (pair[0].recv_bytes, pair[0].recv_message, pair[0].recv_many):
            start = time.monotonic()
            with pytest.raises(errors.ChannelTimeout):
                call(timeout=timeout)
            assert time.monotonic() - start >= timeout
        start = time.monotonic()
        assert not pair[0].poll(timeout)
        assert time.monotonic() - start >= timeout


@pytest.mark.parametrize("name", ["recv_bytes", "recv_many", "poll"])
@pytest.mark.parametrize("ending", ["close", "shutdown", "peer closes", "peer shuts down"])
def test_the_end_interrupts_a_blocked_call(
    pair: tuple[StreamChannel, StreamChannel], name: str, ending: str
) -> None:
    calls: dict[str, Callable[[], object]] = {
        "recv_bytes": lambda: pair[0].recv_bytes(HANG),
        "recv_many": lambda: pair[0].recv_many(timeout=HANG),
        "poll": lambda: pair[0].poll(HANG),
    }
    ends: dict[str, tuple[Callable[[], None], type[Exception]]] = {
        "close": (pair[0].close, errors.ChannelClosed),
        "shutdown": (pair[0].shutdown, errors.ShuttingDown),
        "peer closes": (pair[1].close, errors.Disconnected),
        "peer shuts down": (pair[1].shutdown, errors.Disconnected),
    }
    end, kind = ends[ending]
    thread, results = in_thread(calls[name])
    until_asleep(os.getpid(), thread.native_id)
    end()
    thread.join(HANG)
    assert not thread.is_alive()
    if name == "poll" and kind is errors.Disconnected:
        assert results == [True]  # the end of the peer is something to receive
    else:
        assert type(results[0]) is kind
    with pytest.raises(kind):
        pair[0].recv_bytes(HANG)


def test_other_threads_run_while_one_is_blocked(pair: tuple[StreamChannel, StreamChannel]) -> None:
    thread, results = in_thread(lambda: pair[0].recv_bytes(HANG))
    steps = 0
    start = time.monotonic()
    while time.monotonic() - start < 0.1:
        steps += 1
    assert steps > 1000  # a thread that kept the GIL would have left us none
    pair[1].send_bytes(b"x")
    thread.join()
    assert results == [b"x"]


@pytest.mark.parametrize("name", ["recv_bytes", "recv_bytes_into", "send_bytes", "poll"])
def test_ctrl_c_interrupts_a_blocked_call(pair: tuple[StreamChannel, StreamChannel], name: str) -> None:
    calls: dict[str, Callable[[], object]] = {
        "recv_bytes": lambda: pair[0].recv_bytes(HANG),
        "recv_bytes_into": lambda: pair[0].recv_bytes_into(bytearray(10), HANG),
        "send_bytes": lambda: pair[0].send_bytes(bytes(4 * MIB), HANG),
        "poll": lambda: pair[0].poll(HANG),
    }
    sent_at: list[float] = []

    def interrupt() -> None:
        sent_at.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.2, interrupt)
    try:
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            calls[name]()
        assert time.monotonic() - sent_at[0] < 5.0  # the bound against hanging; it takes under one second
    finally:
        timer.join()
        signal.signal(signal.SIGINT, before)


def test_a_signal_handler_that_returns_lets_the_call_go_on(
    pair: tuple[StreamChannel, StreamChannel],
) -> None:
    seen: list[int] = []

    def handler(number: int, frame: object) -> None:
        seen.append(number)
        pair[1].send_bytes(b"from the handler")

    before = signal.signal(signal.SIGUSR1, handler)
    timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1))
    try:
        timer.start()
        assert pair[0].recv_bytes(HANG) == b"from the handler"
        assert seen == [signal.SIGUSR1]
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, before)


def test_fileno_is_ready_while_something_can_be_received(
    pair: tuple[StreamChannel, StreamChannel],
) -> None:
    def is_ready() -> bool:
        return bool(select.select([pair[0]], [], [], 0)[0])

    assert not is_ready()
    pair[1].send_many([b"1", b"2", b"3"])
    for body in (b"1", b"2", b"3"):
        assert is_ready()
        assert pair[0].recv_bytes(HANG) == body
    assert not is_ready()
    pair[1].close()
    assert is_ready()


def test_use_after_close_raises(pair: tuple[StreamChannel, StreamChannel]) -> None:
    channel = pair[0]
    assert not channel.closed
    channel.close()
    channel.close()
    assert channel.closed
    assert channel.is_shutdown()
    calls: list[Callable[[], object]] = [
        lambda: channel.send_bytes(b"x"),
        lambda: channel.send_many([b"x"]),
        lambda: channel.recv_bytes(HANG),
        lambda: channel.try_recv_message(),
        lambda: channel.recv_bytes_into(bytearray(1)),
        lambda: channel.recv_many(),
        lambda: channel.fileno(),
        lambda: channel.handle(),
        lambda: channel.receive_handles(),
        lambda: channel.set_send_framing("lines"),
    ]
    for call in calls:
        with pytest.raises(errors.ChannelClosed):
            call()
    assert channel.peer_pid == os.getpid()
    channel.shutdown()


def test_a_channel_cannot_be_pickled_or_copied(pair: tuple[StreamChannel, StreamChannel]) -> None:
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be pickled or copied"):
            attempt(pair[0])


def test_every_method_is_documented() -> None:
    methods = [name for name in vars(MessageChannel) if name.startswith(("send", "recv", "try_"))]
    assert len(methods) == 9
    for name in (*methods, "poll", "fileno"):
        assert getattr(MessageChannel, name).__doc__, name


@pytest.mark.parametrize("size", [-1, 2**63, -(2**70)])
def test_a_size_out_of_range_is_refused(pair: tuple[StreamChannel, StreamChannel], size: int) -> None:
    pair[1].send_bytes(b"x")
    with pytest.raises(ValueError, match="max_bytes"):
        pair[0].recv_many(size)
    assert pair[0].recv_many(2**63 - 1) == [b"x"]


def test_a_forked_child_cannot_use_the_channel(pair: tuple[StreamChannel, StreamChannel]) -> None:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        report = b"nothing was raised"
        with contextlib.suppress(BaseException):
            try:
                pair[0].send_bytes(b"from the child")
            except errors.ChannelClosed as error:
                report = str(error).encode()
            pair[0].close()
            os.write(writing, report)
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    report = os.read(reading, 1000)
    os.close(reading)
    assert b"parent process" in report
    pair[0].send_bytes(b"from the parent")
    assert pair[1].recv_bytes(HANG) == b"from the parent"


def test_nothing_leaks() -> None:
    before = descriptors()
    for turn in range(50):
        one, other = StreamChannel.pair()
        one.fileno()
        one.send_bytes(b"x" * 70000)
        if turn % 2:
            one.close()
        del one
        assert other.recv_bytes(HANG) == b"x" * 70000
        with pytest.raises(errors.Disconnected):
            other.recv_bytes(HANG)
        other.close()
    assert descriptors() == before


def test_the_owner_can_say_who_the_peer_is() -> None:
    one, other = StreamChannel.pair()
    assert one.peer_pid == os.getpid()  # who made both ends
    reading, writing = os.pipe()
    one.set_peer(4711, None, reading)
    assert (one.peer_pid, one.peer_uid) == (4711, None)
    assert not one.poll(0)
    os.close(writing)  # the "process" has ended, and somebody holds its end
    assert one.poll(HANG)
    with pytest.raises(errors.Disconnected) as caught:
        one.recv_bytes(HANG)
    assert caught.value.peer_died is True
    one.set_peer(None, 12, None)
    assert (one.peer_pid, one.peer_uid) == (None, 12)
    with pytest.raises(OSError, match=r"."):
        os.fstat(reading)  # it was taken over
    one.close()
    other.close()


@pytest.mark.parametrize("ending", ["the peer's", "a fault of the peer", "our own"])
def test_a_channel_has_ended_when_a_receive_has_told_so(ending: str) -> None:
    with Raw() as raw:
        raw.socket.sendall(header(2) + b"ok")
        if ending == "the peer's":
            raw.socket.close()
        elif ending == "a fault of the peer":
            raw.socket.sendall(b"no frame, and long enough to be seen as none")
        assert raw.channel.poll(HANG)
        assert not raw.channel.has_ended
        assert raw.channel.recv_bytes(HANG) == b"ok"
        assert not raw.channel.has_ended
        if ending == "our own":
            raw.channel.shutdown()
            with pytest.raises(errors.ShuttingDown):
                raw.channel.recv_bytes(HANG)
            assert not raw.channel.has_ended
            return
        kind = errors.Disconnected if ending == "the peer's" else errors.FrameError
        with pytest.raises(kind):
            raw.channel.recv_bytes(HANG)
        assert raw.channel.has_ended
