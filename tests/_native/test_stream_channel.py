# SPDX-License-Identifier: MIT
"""Tests of _native/stream_channel.pyx: making channels, limits, goodbyes, handshakes and sniffing."""

from __future__ import annotations

import os
from typing import Any

import pytest

from ipcfast import errors
from ipcfast._native.stream_channel import KIND_ANY, KIND_BYTES, KIND_HELLO, KIND_WELCOME, StreamChannel
from tests._native.native_ends import HANG, Raw, descriptors, header


def test_limits_and_bad_frames() -> None:
    with Raw(message_limit=1000) as raw:
        raw.socket.sendall(header(70000) + bytes(70000) + header(2) + b"ok")
        with pytest.raises(errors.MessageTooLarge) as caught:
            raw.channel.recv_bytes(HANG)
        assert (caught.value.size, caught.value.limit) == (70000, 1000)
        assert raw.channel.recv_bytes(HANG) == b"ok"
        raw.socket.sendall(b"garbage")
        for _ in range(2):
            with pytest.raises(errors.FrameError) as broken:
                raw.channel.recv_bytes(HANG)
            assert (broken.value.expected, broken.value.found) == (0xF1, ord("g"))
        with pytest.raises(errors.FrameError):
            raw.channel.send_bytes(b"x")
        assert raw.socket.recv(1) == b""


def test_a_goodbye_is_told_from_a_death() -> None:
    one, other = StreamChannel.pair()
    assert one.peer_died is None
    other.send_bytes(b"last")
    other.close()
    assert one.recv_bytes(HANG) == b"last"
    with pytest.raises(errors.Disconnected) as caught:
        one.recv_bytes(HANG)
    assert caught.value.peer_died is False
    assert one.peer_died is False
    one.close()
    with Raw() as raw:
        raw.socket.close()
        with pytest.raises(errors.Disconnected) as caught:
            raw.channel.recv_bytes(HANG)
        assert caught.value.peer_died is True
    with Raw(framing="lines") as raw:
        raw.socket.close()
        with pytest.raises(errors.Disconnected) as caught:
            raw.channel.recv_bytes(HANG)
        assert caught.value.peer_died is None


def test_handshakes_carry_handles(pair: tuple[StreamChannel, StreamChannel]) -> None:
    reading, writing = os.pipe()
    pair[0].send_handles(KIND_HELLO, b"hello", [writing], HANG)
    kind, body, handles = pair[1].receive_handles(HANG)
    assert (kind, body, len(handles)) == (KIND_HELLO, b"hello", 1)
    assert handles[0] != writing
    os.write(handles[0], b"x")
    assert os.read(reading, 1) == b"x"
    for handle in (reading, writing, *handles):
        os.close(handle)
    pair[1].send_handles(KIND_WELCOME, b"", [])
    assert pair[0].receive_handles(HANG) == (KIND_WELCOME, b"", [])
    with pytest.raises(errors.ChannelTimeout):
        pair[0].receive_handles(0.0)
    with pytest.raises(errors.MessageTooLarge):
        pair[0].send_handles(KIND_HELLO, bytes(4097), [])
    with pytest.raises(ValueError, match="at most 16"):
        pair[0].send_handles(KIND_HELLO, b"", [0] * 17)


def test_sniffing() -> None:
    with Raw(sniff=True) as raw:
        assert raw.channel.sniff() is None
        raw.socket.sendall(b'{"a": 1}\n')
        assert raw.channel.sniff() == "lines"
        assert raw.channel.framing == "length"
        raw.channel.set_send_framing("lines")
        assert raw.channel.framing == "lines"
        assert raw.channel.recv_message(HANG) == b'{"a": 1}'
        raw.channel.send_bytes(b"{}")
        assert raw.socket.recv(100) == b"{}\n"
    with Raw(sniff=True) as raw:
        raw.socket.sendall(b"\x00")
        with pytest.raises(errors.FrameError):
            raw.channel.sniff()
    with Raw(sniff=True) as raw:
        raw.socket.close()
        with pytest.raises(errors.Disconnected):
            raw.channel.sniff()


def test_bad_arguments_leave_nothing_open() -> None:
    before = descriptors()
    refused: tuple[dict[str, Any], ...] = (
        {"framing": "morse"},
        {"framing": None},
        {"message_limit": -1},
        {"spin_us": "fast"},
    )
    for options in refused:
        with pytest.raises((ValueError, TypeError, OverflowError)):
            StreamChannel.pair(**options)
    with pytest.raises(errors.IoError):
        StreamChannel.adopt(1 << 20)
    with pytest.raises(TypeError):
        StreamChannel()
    with pytest.raises(errors.AddressNotFound):
        StreamChannel.connect("/nowhere/to/be/found")
    assert descriptors() == before


def test_kinds_are_numbers() -> None:
    assert (KIND_ANY, KIND_BYTES) == (0, 2)
