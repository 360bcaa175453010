# SPDX-License-Identifier: MIT
"""Tests of _native/sending.pyx, on stream channels: whole, large, begun and gathered sends."""

from __future__ import annotations

import os

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


def test_a_body_that_cannot_travel_is_refused() -> None:
    one, other = StreamChannel.pair(framing="lines")
    for body in (b"two\nlines", b""):
        with pytest.raises(errors.SendFailed, match="single line"):
            one.send_bytes(body)
    one.send_bytes(b"one line")
    assert other.recv_bytes(HANG) == b"one line"
    one.close()
    other.close()
