# SPDX-License-Identifier: MIT
"""Tests of _native/long_body.pyx: signals between the parts of a body, and running out of memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ipcfast._native.ring_channel import RingChannel, RingSegment
from ipcfast._native.stream_channel import StreamChannel
from tests._native.native_ends import HANG, MIB


class Caught(Exception):
    """Raised by a signal handler."""


@contextmanager
def rings(capacity: int) -> Iterator[tuple[RingChannel, RingChannel]]:
    one, other = StreamChannel.pair()
    made = RingSegment.create(inbound=capacity, outbound=capacity)
    taken = RingSegment.adopt(
        [os.dup(handle) for handle in made.handles], inbound=capacity, outbound=capacity
    )
    ends = RingChannel(one, made), RingChannel(other, taken)
    yield ends
    for end in ends:
        end.close()


def interrupted(channel: RingChannel) -> tuple[bool, bytes | None]:
    """Receive while a signal comes: whether its handler ran within the call, and what was received."""
    body = None
    go = threading.Event()
    main = threading.get_ident()

    def interrupt() -> None:
        go.wait()
        signal.pthread_kill(main, signal.SIGUSR1)

    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        go.set()
        body = channel.recv_bytes(HANG)
        threading.Event().wait(HANG)
    except Caught as caught:
        files = [frame.filename for frame in traceback.extract_tb(caught.__traceback__)]
        return any(name.endswith(".pyx") for name in files), body
    finally:
        thread.join()
    raise AssertionError("no signal came")


def test_signals_are_handled_between_the_parts_of_a_body() -> None:
    """Though nothing has to be waited for, because all of it is there."""
    body = os.urandom(MIB) * 12

    def raise_caught(*_: object) -> None:
        raise Caught

    old = signal.signal(signal.SIGUSR1, raise_caught)
    try:
        with rings(16 * MIB) as (one, other):
            for _ in range(200):
                one.send_bytes(body, HANG)
                was_within, received = interrupted(other)
                if was_within:
                    assert received is None
                    assert other.recv_bytes(HANG) == body  # nothing is lost
                    return
                if received is None:
                    other.try_recv_bytes()  # the signal came before the call, or behind its last part
            pytest.fail("no signal is handled before the body is whole")
    finally:
        signal.signal(signal.SIGUSR1, old)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not limit the address space")
def test_no_memory_for_what_has_come_ends_the_channel() -> None:
    """The bytes are in the caller's buffer, and nowhere else: the rest of them is no message."""
    program = """
import resource
from ipcfast.errors import ChannelTimeout
from tests._native.native_ends import MIB, Raw, header

with Raw() as raw:
    raw.socket.sendall(header(3 * MIB) + bytes(100000))
    buffer = bytearray(3 * MIB)
    spare = [bytes(number) for number in range(500)]
    hoard = [None] * 100
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (1, before[1]))
    del spare
    try:
        for number in range(100):
            hoard[number] = bytearray(MIB)    # whatever is left
    except MemoryError:
        pass
    try:
        raw.channel.recv_bytes_into(buffer, 0.01)
    except MemoryError:
        done = "out of memory"
    except ChannelTimeout:
        done = "timeout"
    resource.setrlimit(resource.RLIMIT_AS, before)
    print(done, raw.channel.closed)
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert ran.stdout == "out of memory True\n"
