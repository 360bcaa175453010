# SPDX-License-Identifier: MIT
"""Tests of _native/receiving.pyx, on stream channels: sizes, kinds, buffers, batches, timeouts."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable

import pytest

from ipcfast import errors
from ipcfast._native.stream_channel import StreamChannel
from tests._native.native_ends import HANG, MIB, Raw, header, in_thread


@pytest.mark.parametrize("framing", ["length", "u32be", "lines", "content-length"])
@pytest.mark.parametrize("size", [1, 1000, 32768, 32769, 65520, 65536, 100000])
def test_messages_of_every_size_arrive(framing: str, size: int) -> None:
    one, other = StreamChannel.pair(framing=framing)
    body = os.urandom(size // 2 + 1).hex().encode()[:size]
    one.send_bytes(body)
    assert other.recv_bytes(HANG) == body
    other.send_message(bytearray(body))
    assert one.recv_message(HANG) == body
    one.close()
    other.close()


@pytest.mark.parametrize("size", [3 * MIB, 10 * MIB + 1])
def test_a_large_message_is_taken_while_it_comes(
    pair: tuple[StreamChannel, StreamChannel], size: int
) -> None:
    body = os.urandom(MIB) * (size // MIB) + b"x" * (size % MIB)
    thread, sent = in_thread(lambda: pair[0].send_bytes(memoryview(body), HANG))
    assert pair[1].recv_bytes(HANG) == body
    thread.join()
    assert sent == [None]


def test_the_wrong_kind_stays_queued(pair: tuple[StreamChannel, StreamChannel]) -> None:
    pair[0].send_message(b"document")
    with pytest.raises(errors.ReceiveFailed):
        pair[1].recv_bytes(HANG)
    with pytest.raises(errors.ReceiveFailed):
        pair[1].try_recv_bytes()
    assert pair[1].recv_message(HANG) == b"document"


def test_receiving_into_a_buffer(pair: tuple[StreamChannel, StreamChannel]) -> None:
    for body in (b"", b"short", os.urandom(2 * MIB)):
        thread, _ = in_thread(lambda body=body: pair[0].send_bytes(body, HANG))  # type: ignore[misc]
        buffer = bytearray(2 * MIB)
        assert pair[1].recv_bytes_into(buffer, HANG) == len(body)
        assert buffer[: len(body)] == body
        thread.join()


@pytest.mark.parametrize("size", [101, 100000])
def test_a_buffer_that_is_too_small_leaves_the_message(
    pair: tuple[StreamChannel, StreamChannel], size: int
) -> None:
    body = os.urandom(size)
    pair[0].send_bytes(body)
    for _ in range(2):
        with pytest.raises(errors.MessageTooLarge) as caught:
            pair[1].recv_bytes_into(bytearray(100), HANG)
        assert (caught.value.size, caught.value.limit) == (size, 100)
    assert pair[1].recv_bytes(HANG) == body


def test_a_timeout_in_mid_body_loses_nothing() -> None:
    size = 3 * MIB
    body = os.urandom(size)
    with Raw() as raw:
        raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MIB)
        raw.socket.sendall(header(size))
        at = 0
        calls: list[Callable[[], object]] = [
            lambda: raw.channel.recv_bytes(0.001),
            lambda: raw.channel.try_recv_bytes(),
            lambda: raw.channel.recv_bytes_into(bytearray(size), 0.0),
            lambda: raw.channel.poll(0.0),
        ]
        while at + 50000 < size:
            raw.socket.sendall(body[at : at + 50000])
            at += 50000
            call = calls[at // 50000 % len(calls)]
            with contextlib.suppress(errors.ChannelTimeout):
                assert not call()
        raw.socket.sendall(body[at:])
        assert raw.channel.recv_bytes(HANG) == body
        raw.socket.sendall(header(2) + b"ok")
        assert raw.channel.recv_bytes(HANG) == b"ok"


def test_batches(pair: tuple[StreamChannel, StreamChannel]) -> None:
    bodies = [b"%d" % number for number in range(200)]
    pair[0].send_many(bodies, HANG)
    received: list[bytes] = []
    while len(received) < len(bodies):
        some = pair[1].recv_many(100, HANG)
        assert sum(map(len, some)) <= 100
        received += some
    assert received == bodies
    pair[0].send_many([b"x" * 500, b"y"])
    assert pair[1].recv_many(100, HANG) == [b"x" * 500]  # one at least, however large
    pair[0].send_many([])
    assert pair[1].recv_many(timeout=HANG) == [b"y"]
