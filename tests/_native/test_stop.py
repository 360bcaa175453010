# SPDX-License-Identifier: MIT
"""The timeout that another thread can bring forward, at stream channels and queues."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Iterator
from typing import Union

import pytest

from ipcfast import errors
from ipcfast._native.queue import QueueChannel
from ipcfast._native.stop import StoppableTimeout
from ipcfast._native.stream_channel import StreamChannel
from tests._native.native_ends import HANG, descriptors, in_thread
from tests.peers import until_asleep

Channel = Union[StreamChannel, QueueChannel]
Pair = tuple[Channel, Channel]


@pytest.fixture(params=[StreamChannel.pair, QueueChannel.pair], ids=["stream", "queue"])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    one, other = request.param()
    yield one, other
    one.close()
    other.close()


def test_a_timeout_that_is_a_number_of_seconds(pair: Pair) -> None:
    timeout = pair[0].stoppable(0.25)
    assert isinstance(timeout, float)
    assert isinstance(timeout, StoppableTimeout)
    assert timeout == 0.25
    assert not timeout.is_stopped
    # so it is to what knows of no stop
    assert StoppableTimeout(0.01).is_stopped is False
    started = time.monotonic()
    assert pair[0].poll(pair[0].stoppable(0.01)) is False
    assert time.monotonic() - started >= 0.01
    with pytest.raises(TypeError):
        pair[0].stoppable(None)  # type: ignore[arg-type]


@pytest.mark.parametrize("call", ["recv_bytes", "recv_message"])
def test_a_receive_waits_until_it_is_stopped(pair: Pair, call: str) -> None:
    one, other = pair
    timeout = one.stoppable(0.001)  # which it does not wait for
    for _ in range(3):
        thread, results = in_thread(lambda: getattr(one, call)(timeout))
        until_asleep(os.getpid(), thread.native_id)
        assert thread.is_alive()
        timeout.stop()
        thread.join(HANG)
        (stopped,) = results
        assert isinstance(stopped, errors.ChannelTimeout)
        assert timeout.is_stopped
        with pytest.raises(errors.ChannelTimeout):
            getattr(one, call)(timeout)
        timeout.reset()
        assert not timeout.is_stopped
    (other.send_bytes if call == "recv_bytes" else other.send_message)(b"comes")
    assert getattr(one, call)(timeout) == b"comes"


def test_what_has_come_is_received_and_ends_are_told(pair: Pair) -> None:
    one, other = pair
    timeout = one.stoppable(1)
    timeout.stop()
    other.send_bytes(b"before")
    deadline = time.monotonic() + HANG
    while True:  # a stop may come first, and takes nothing away
        try:
            assert one.recv_bytes(timeout) == b"before"
            break
        except errors.ChannelTimeout:
            assert time.monotonic() < deadline
    timeout.reset()
    thread, results = in_thread(lambda: one.recv_bytes(timeout))
    until_asleep(os.getpid(), thread.native_id)
    other.close()
    thread.join(HANG)
    assert isinstance(results[0], errors.Disconnected)
    assert one.has_ended
    one.close()
    timeout.stop()
    with pytest.raises(errors.ChannelClosed):
        one.recv_bytes(one.stoppable(1))


def test_one_is_stopped_and_the_others_wait_on(pair: Pair) -> None:
    one, other = pair
    mine, theirs = one.stoppable(1), one.stoppable(1)
    waits: list[Callable[[], object]] = [one.recv_bytes, lambda: one.recv_bytes(theirs)]
    threads = [in_thread(wait) for wait in waits]
    for thread, _ in threads:
        until_asleep(os.getpid(), thread.native_id)
    stopped, results = in_thread(lambda: one.recv_bytes(mine))
    until_asleep(os.getpid(), stopped.native_id)
    mine.stop()
    stopped.join(HANG)
    assert isinstance(results[0], errors.ChannelTimeout)
    for thread, _ in threads:
        assert thread.is_alive()
    other.send_bytes(b"x")
    other.send_bytes(b"x")
    for thread, got in threads:
        thread.join(HANG)
        assert got == [b"x"]


def test_a_stop_of_something_else_is_a_plain_timeout() -> None:
    timeout = StoppableTimeout(0.001)
    timeout.stop()
    timeout.stop()
    assert timeout.is_stopped
    assert timeout * 2 == 0.002
    assert type(timeout * 2) is float


def test_nothing_is_left_of_it(pair: Pair) -> None:
    pair[0].stoppable(1).stop()
    gc.collect()
    before = descriptors()
    for _ in range(20):
        timeout = pair[0].stoppable(1)
        timeout.stop()
        timeout.reset()
    with pytest.raises(TypeError):
        StoppableTimeout([])  # type: ignore[arg-type]
    del timeout
    gc.collect()
    assert descriptors() == before
