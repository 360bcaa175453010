# SPDX-License-Identifier: MIT
"""Tests of _native/sending.pyx, on stream channels: whole, large, begun and gathered sends."""

from __future__ import annotations

import os
from typing import Any

import pytest

from ipcfast import errors
from ipcfast._native.stream_channel import StreamChannel
from tests._native.native_ends import HANG, MIB, in_thread


def test_two_that_send_at_the_same_time_do_not_block_each_other(
    pair: tuple[StreamChannel, StreamChannel],
) -> None:
    body = os.urandom(10 * MIB)

    def send_then_receive(channel: StreamChannel) -> bytes:
        channel.send_bytes(body, HANG)
        return channel.recv_bytes(HANG)

    thread, received = in_thread(lambda: send_then_receive(pair[0]))
    assert send_then_receive(pair[1]) == body
    thread.join()
    assert received == [body]


def test_a_send_that_is_begun_says_so_and_is_finished_later(
    pair: tuple[StreamChannel, StreamChannel],
) -> None:
    body = os.urandom(4 * MIB)
    with pytest.raises(errors.ChannelTimeout) as caught:
        pair[0].send_bytes(body, 0.01)
    assert caught.value.begun
    with pytest.raises(errors.ChannelTimeout) as caught:
        pair[0].send_bytes(b"next", 0.0)
    assert not caught.value.begun
    thread, sent = in_thread(lambda: pair[0].send_bytes(b"next", HANG))
    assert pair[1].recv_bytes(HANG) == body
    assert pair[1].recv_bytes(HANG) == b"next"
    thread.join()
    assert sent == [None]


def test_send_many_tells_how_many_were_sent(pair: tuple[StreamChannel, StreamChannel]) -> None:
    bodies = [os.urandom(10000) for _ in range(150)]
    with pytest.raises(errors.ChannelTimeout) as caught:
        pair[0].send_many(bodies, 0.01)
    sent = caught.value.sent
    assert sent is not None
    assert 0 < sent < len(bodies)
    thread, _ = in_thread(lambda: pair[0].send_many(bodies[sent:], HANG))
    assert [pair[1].recv_bytes(HANG) for _ in bodies] == bodies
    thread.join()


def test_send_many_of_nothing_finishes_what_was_begun(pair: tuple[StreamChannel, StreamChannel]) -> None:
    body = os.urandom(4 * MIB)
    with pytest.raises(errors.ChannelTimeout) as caught:
        pair[0].send_bytes(body, 0.01)
    assert caught.value.begun
    with pytest.raises(errors.ChannelTimeout) as caught:
        pair[0].send_many([], 0.01)
    assert (caught.value.begun, caught.value.sent) == (False, 0)  # nothing of this call
    thread, sent = in_thread(lambda: pair[0].send_many([], HANG))
    assert pair[1].recv_bytes(HANG) == body
    thread.join()
    assert sent == [None]
    assert not pair[1].poll()


def test_send_many_looks_at_all_items_before_it_sends_one(pair: tuple[StreamChannel, StreamChannel]) -> None:
    good: list[Any] = [b"x"] * 64
    for bad, kind in ((5, TypeError), ("text", TypeError), (memoryview(b"1234")[::2], BufferError)):
        with pytest.raises(kind):
            pair[0].send_many([*good, bad])
    assert not pair[1].poll()
    pair[0].send_many([bytearray(b"1"), memoryview(b"2"), b"3"])
    assert [pair[1].recv_bytes(HANG) for _ in range(3)] == [b"1", b"2", b"3"]


@pytest.mark.parametrize("timeout, kind", [("soon", TypeError), (float("nan"), ValueError)])
def test_a_bad_timeout_is_refused_before_anything_is_sent(
    pair: tuple[StreamChannel, StreamChannel], timeout: Any, kind: type[Exception]
) -> None:
    for call in (pair[0].send_bytes, pair[0].send_message):
        with pytest.raises(kind):
            call(b"x", timeout)
    with pytest.raises(kind):
        pair[0].send_many([b"x"], timeout)
    assert not pair[1].poll()


def test_a_body_that_cannot_travel_is_refused() -> None:
    one, other = StreamChannel.pair(framing="lines")
    for body in (b"two\nlines", b""):
        with pytest.raises(errors.SendFailed, match="single line"):
            one.send_bytes(body)
    with pytest.raises(errors.SendFailed) as caught:
        one.send_many([b"before"] * 70 + [b"two\nlines", b"after"])
    assert caught.value.sent == 70
    assert [other.recv_bytes(HANG) for _ in range(70)] == [b"before"] * 70
    assert not other.poll()
    one.send_bytes(b"one line")
    assert other.recv_bytes(HANG) == b"one line"
    one.close()
    other.close()
