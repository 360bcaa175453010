# SPDX-License-Identifier: MIT
"""Shows how rings are handed over, and that nothing stays open when that fails."""

from __future__ import annotations

import os
import sys

import pytest

from ipcfast._native.stream_channel import KIND_WELCOME, StreamChannel
from ipcfast.errors import Disconnected, FrameError
from ipcfast.transports.contract import Options
from ipcfast.transports.handshake import RING, Hello, decode
from ipcfast.transports.ring import (
    LAYOUT_VERSION,
    adopt_ring,
    close_handles,
    make_segment,
    offer_ring,
    ring_pair,
)
from tests.peers import HANG, open_descriptors

ANSWER = Hello(RING, "json", to_server=4096, to_client=8192, layout=LAYOUT_VERSION)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="counts in /proc")


def test_what_is_offered_can_be_adopted() -> None:
    before = open_descriptors()
    one, other = StreamChannel.pair()
    server = offer_ring(one, make_segment(ANSWER), ANSWER, Options(), timeout=HANG)
    kind, body, handles = other.receive_handles(HANG)
    assert (kind, decode(body)) == (KIND_WELCOME, ANSWER)
    client = adopt_ring(other, ANSWER, handles, Options())
    for here, there in ((server, client), (client, server)):
        here.send_bytes(b"x" * 3000, HANG)
        assert there.recv_bytes(HANG) == b"x" * 3000
    server.close()
    client.close()
    assert open_descriptors() == before


def test_an_offer_to_nobody_leaves_nothing() -> None:
    before = open_descriptors()
    one, other = StreamChannel.pair()
    other.close()
    with pytest.raises(Disconnected):
        offer_ring(one, make_segment(ANSWER), ANSWER, Options(), timeout=HANG)
    one.close()
    assert open_descriptors() == before


@pytest.mark.parametrize("side", ["acceptor", "client"])
def test_bytes_behind_the_handshake_leave_nothing(side: str) -> None:
    before = open_descriptors()
    one, other = StreamChannel.pair()
    segment = make_segment(ANSWER)
    if side == "acceptor":
        other.send_bytes(b"behind the hello", HANG)
        assert one.poll(HANG)
        with pytest.raises(FrameError):
            offer_ring(one, segment, ANSWER, Options(), timeout=HANG)
    else:
        one.send_handles(KIND_WELCOME, b"", segment.handles, HANG)
        one.send_bytes(b"behind the welcome", HANG)
        _, _, handles = other.receive_handles(HANG)
        assert other.poll(HANG)
        with pytest.raises(FrameError):
            adopt_ring(other, ANSWER, handles, Options())
        segment.close()
    one.close()
    other.close()
    assert open_descriptors() == before


@pytest.mark.parametrize(
    "wrong", ["none", "too few", "too many", "of another sort", "in another order", "of another size"]
)
def test_wrong_handles_are_refused_and_closed(wrong: str) -> None:
    before = open_descriptors()
    one, other = StreamChannel.pair()
    server = offer_ring(one, make_segment(ANSWER), ANSWER, Options(), timeout=HANG)
    _, _, handles = other.receive_handles(HANG)
    answer = ANSWER
    if wrong == "none":
        close_handles(handles)
        handles = []
    elif wrong == "too few":
        close_handles([handles.pop()])
    elif wrong == "too many":
        handles.append(os.dup(0))
    elif wrong == "of another sort":
        close_handles(handles)
        handles = [os.dup(0) for _ in handles]
    elif wrong == "in another order":
        handles.reverse()
    else:
        answer = Hello(RING, "json", to_server=1 << 20, to_client=8192, layout=LAYOUT_VERSION)
    with pytest.raises(FrameError):
        adopt_ring(other, answer, handles, Options())
    server.close()
    other.close()
    assert open_descriptors() == before


def test_a_pair_leaves_nothing() -> None:
    before = open_descriptors()
    one, other = ring_pair(Options(capacity=5000))
    one.send_bytes(b"x" * 8000, HANG)
    assert other.recv_bytes(HANG) == b"x" * 8000
    one.close()
    other.close()
    assert open_descriptors() == before
