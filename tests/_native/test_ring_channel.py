# SPDX-License-Identifier: MIT
"""Tests of making ring segments and channels; what they do with messages is the conformance suite's."""

from __future__ import annotations

import os
import pickle
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator

import pytest

from ipcfast._native.ring_channel import HANDLE_COUNT, RingChannel, RingSegment
from ipcfast._native.stream_channel import StreamChannel
from ipcfast.errors import FrameError, IpcChannelError

CAPACITY = 4096
PATIENCE = 20.0


@pytest.fixture
def segment() -> Iterator[RingSegment]:
    made = RingSegment.create(inbound=CAPACITY, outbound=2 * CAPACITY)
    yield made
    made.close()


def descriptors() -> int:
    return len(os.listdir("/dev/fd"))


def copies(segment: RingSegment) -> list[int]:
    return [os.dup(handle) for handle in segment.handles]


def connected(segment: RingSegment) -> tuple[RingChannel, RingChannel]:
    one, other = StreamChannel.pair()
    taken = RingSegment.adopt(copies(segment), inbound=2 * CAPACITY, outbound=CAPACITY)
    return RingChannel(one, segment), RingChannel(other, taken)


def test_two_ends_exchange_messages_larger_than_their_rings(segment: RingSegment) -> None:
    one, other = connected(segment)
    body = bytes(range(256)) * 200
    one.send_bytes(b"small", PATIENCE)
    assert other.recv_bytes(PATIENCE) == b"small"
    # The other end takes in what it cannot answer yet, so that both may send first.
    other.send_message(b"x" * 100, PATIENCE)
    assert one.recv_message(PATIENCE) == b"x" * 100
    with pytest.raises(IpcChannelError) as caught:
        one.send_bytes(body, 0.0)
    assert getattr(caught.value, "begun", False)
    first = other.try_recv_bytes()
    assert first is None, "the rest of the message has not been sent"
    while True:
        try:
            one.send_bytes(b"next", 0.01)
            break
        except TimeoutError:
            assert other.try_recv_bytes() is None
    assert [other.recv_bytes(PATIENCE), other.recv_bytes(PATIENCE)] == [body, b"next"]
    one.close()
    other.close()


def test_other_threads_run_while_a_segment_is_made() -> None:
    """The lock is given up only where somebody gives it up: nobody is told to within a thousand seconds."""
    go_on, has_run = threading.Event(), threading.Event()

    def run() -> None:
        go_on.wait(PATIENCE)
        has_run.set()

    thread = threading.Thread(target=run)
    thread.start()
    before = sys.getswitchinterval()
    sys.setswitchinterval(1000)
    try:
        go_on.set()
        segments = []
        while not has_run.is_set() and len(segments) < 50:
            segments.append(RingSegment.create(inbound=1 << 20, outbound=1 << 20))
        ran_meanwhile = has_run.is_set()
    finally:
        sys.setswitchinterval(before)
    thread.join(PATIENCE)
    assert ran_meanwhile


@pytest.mark.parametrize("capacity", [0, 1, 4095, 4097, 6000, 2**31, 2**60])
def test_capacities_that_are_none_are_refused(capacity: int) -> None:
    before = descriptors()
    with pytest.raises(ValueError, match="capacity"):
        RingSegment.create(inbound=capacity, outbound=CAPACITY)
    assert descriptors() == before


@pytest.mark.parametrize("position", range(HANDLE_COUNT))
def test_handles_that_are_no_segment_are_refused_and_closed(segment: RingSegment, position: int) -> None:
    before = descriptors()
    handles = copies(segment)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), handles[position])
    with pytest.raises((FrameError, OSError)):
        RingSegment.adopt(handles, inbound=2 * CAPACITY, outbound=CAPACITY)
    assert descriptors() == before


@pytest.mark.parametrize("change", [-1, 1])
def test_a_wrong_number_of_handles_is_refused(segment: RingSegment, change: int) -> None:
    before = descriptors()
    handles = copies(segment)
    handles = handles[:-1] if change < 0 else [*handles, os.dup(handles[0])]
    with pytest.raises(FrameError):
        RingSegment.adopt(handles, inbound=2 * CAPACITY, outbound=CAPACITY)
    if change < 0:
        before += 1  # the one that was not handed over
    assert descriptors() == before


def test_other_capacities_than_the_creators_are_refused(segment: RingSegment) -> None:
    with pytest.raises(FrameError):
        RingSegment.adopt(copies(segment), inbound=CAPACITY, outbound=CAPACITY)


def test_a_segment_is_used_once(segment: RingSegment) -> None:
    one, other = connected(segment)
    third, fourth = StreamChannel.pair()
    with pytest.raises(ValueError, match="belongs to a channel"):
        RingChannel(third, segment)
    third.send_bytes(b"the connection is still usable", PATIENCE)
    assert fourth.recv_bytes(PATIENCE)
    for channel in (one, other, third, fourth):
        channel.close()


def test_everything_is_given_back() -> None:
    before = descriptors()
    one, other = connected(RingSegment.create(inbound=CAPACITY, outbound=2 * CAPACITY))
    one.fileno()
    one.close()
    other.close()
    assert descriptors() == before


@pytest.mark.parametrize("make", [RingSegment, RingSegment.__new__, lambda: RingSegment.__new__(RingSegment)])
def test_an_empty_segment_cannot_be_made(make: Callable[[], object]) -> None:
    with pytest.raises(TypeError):
        make()


def test_a_channel_cannot_be_pickled(segment: RingSegment) -> None:
    one, other = connected(segment)
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(one)
    one.close()
    other.close()
