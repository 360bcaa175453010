# SPDX-License-Identifier: MIT
"""One hello and its answer, without a listener: stream, ring, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ipcfast._native.stream_channel import KIND_HELLO, KIND_MESSAGE, KIND_WELCOME, StreamChannel
from ipcfast.errors import Disconnected
from ipcfast.transports.contract import Options
from ipcfast.transports.greeting import answer_hello
from ipcfast.transports.handshake import RING, STREAM, TIMES, Hello, Refused, decode, encode
from ipcfast.transports.open import adopt
from ipcfast.transports.ring import LAYOUT_VERSION, adopt_ring
from tests.peers import HANG


@pytest.fixture
def ends() -> tuple[StreamChannel, StreamChannel]:
    return StreamChannel.pair()


def test_a_stream_is_what_was_asked_for(ends: tuple[StreamChannel, StreamChannel]) -> None:
    ours, theirs = ends
    opened = answer_hello(ours, KIND_HELLO, encode(Hello(STREAM, "json")), Options())
    assert opened.transport is ours
    assert not opened.is_ring
    kind, body, handles = theirs.receive_handles(0.0)
    assert (kind, decode(body).transport, handles) == (KIND_WELCOME, STREAM, [])
    theirs.close()
    ours.close()


def test_a_ring_comes_with_the_answer(ends: tuple[StreamChannel, StreamChannel]) -> None:
    ours, theirs = ends
    hello = Hello(RING, "json", to_server=5000, to_client=4096, layout=LAYOUT_VERSION)
    opened = answer_hello(ours, KIND_HELLO, encode(hello), Options())
    assert opened.is_ring
    _, body, handles = theirs.receive_handles(0.0)
    answer = decode(body)
    assert (answer.to_server, answer.to_client) == (8192, 4096)
    other = adopt_ring(theirs, answer, handles, Options())
    other.send_bytes(b"through the ring")
    assert opened.transport.recv_bytes(1.0) == b"through the ring"
    other.close()
    opened.transport.close()


@pytest.mark.parametrize(
    ("asked", "offered", "agreed"), [(TIMES, TIMES, TIMES), (TIMES, 0, 0), (0, TIMES, 0)]
)
@pytest.mark.parametrize("transport", [STREAM, RING])
def test_times_are_told_where_both_sides_want_them(
    ends: tuple[StreamChannel, StreamChannel], transport: int, asked: int, offered: int, agreed: int
) -> None:
    ours, theirs = ends
    hello = Hello(transport, "json", features=asked)
    if transport == RING:
        hello = replace(hello, to_server=4096, to_client=4096, layout=LAYOUT_VERSION)
    opened = answer_hello(ours, KIND_HELLO, encode(hello), Options(), features=offered)
    # The acceptor may send at once, before the client has seen the welcome.
    opened.transport.send_bytes(b"early")
    kind, body, handles = theirs.receive_handles(0.0)
    client = adopt(theirs, hello, kind, body, handles, Options()).transport
    client.send_bytes(b"x")
    assert client.recv_bytes(HANG) == b"early"
    assert opened.transport.recv_bytes(HANG) == b"x"
    for end in (client, opened.transport):
        assert end.metrics()["timed"] == agreed
        assert end.metrics()["errors"] == 0
    client.close()
    opened.transport.close()


def test_another_layout_gets_a_stream(ends: tuple[StreamChannel, StreamChannel]) -> None:
    hello = Hello(RING, "json", to_server=4096, to_client=4096, layout=LAYOUT_VERSION + 1)
    assert not answer_hello(ends[0], KIND_HELLO, encode(hello), Options()).is_ring
    for end in ends:
        end.close()


@pytest.mark.parametrize(
    ("kind", "body", "reason"),
    [
        (KIND_MESSAGE, b"{}", "not a hello"),
        (KIND_HELLO, b"short", "handshake of 5 bytes"),
        (KIND_HELLO, encode(Hello(STREAM, "raw")), "codec 'raw'"),
        (KIND_HELLO, encode(Hello(7, "json")), "transport 7"),
        (KIND_HELLO, encode(Hello(STREAM, "json", version=9)), "version 9"),
    ],
)
def test_what_is_refused(
    ends: tuple[StreamChannel, StreamChannel], kind: int, body: bytes, reason: str
) -> None:
    with pytest.raises(Refused, match=reason):
        answer_hello(ends[0], kind, body, Options())
    for end in ends:
        end.close()


def test_a_client_that_has_left(ends: tuple[StreamChannel, StreamChannel]) -> None:
    ours, theirs = ends
    theirs.close()
    with pytest.raises(Disconnected):
        answer_hello(ours, KIND_HELLO, encode(Hello(STREAM, "json")), Options())
    ours.close()
