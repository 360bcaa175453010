# SPDX-License-Identifier: MIT
"""Holds the frames of the handshake to docs/spec/handshake.md, byte by byte."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcfast.errors import FrameError
from ipcfast.transports.handshake import (
    RING,
    STREAM,
    TIMES,
    Hello,
    Refused,
    check_welcome,
    chosen_capacity,
    decode,
    decode_refusal,
    encode,
    encode_refusal,
    welcome,
)

U16, U32, U64 = 2**16 - 1, 2**32 - 1, 2**64 - 1
VECTOR = bytes.fromhex(
    "0100 0200 00000000 03000000 00000000 d204000000000000 0000040000000000 0010000000000000"
    "6a736f6e000000000000000000000000"
)
HELLO = Hello(RING, "json", to_server=1 << 18, to_client=1 << 12, layout=3, pid=1234)


def test_the_bytes_are_those_of_the_specification() -> None:
    assert encode(HELLO) == VECTOR
    assert decode(VECTOR) == HELLO


@given(
    st.builds(
        Hello,
        transport=st.integers(0, U16),
        codec=st.text(st.sampled_from("abyz019_-"), min_size=1, max_size=16),
        to_server=st.integers(0, U64),
        to_client=st.integers(0, U64),
        layout=st.integers(0, U32),
        features=st.integers(0, U32),
        pid=st.integers(0, U64),
        version=st.integers(0, U16),
    )
)
def test_every_hello_comes_back(hello: Hello) -> None:
    assert decode(encode(hello)) == hello


@given(st.binary(max_size=80) | st.binary(min_size=56, max_size=56))
def test_any_bytes_are_a_hello_or_an_error(body: bytes) -> None:
    try:
        hello = decode(body)
    except FrameError:
        return
    assert len(body) == 56
    assert encode(hello)[:12] == body[:12]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        VECTOR[:-1],
        VECTOR + b"\0",
        VECTOR[:40] + bytes(16),
        VECTOR[:40] + b"\0json".ljust(16, b"\0"),
        VECTOR[:40] + b"js\0on".ljust(16, b"\0"),
        VECTOR[:40] + b"JSON".ljust(16, b"\0"),
        VECTOR[:40] + b"js on".ljust(16, b"\0"),
        VECTOR[:40] + "jsön".encode().ljust(16, b"\0"),
    ],
)
def test_a_malformed_hello_is_refused(body: bytes) -> None:
    with pytest.raises(FrameError):
        decode(body)


def test_the_reserved_field_is_not_looked_at() -> None:
    assert decode(VECTOR[:12] + b"\xff\xff\xff\xff" + VECTOR[16:]) == HELLO


@pytest.mark.parametrize("codec", ["", "x" * 17, "JSON", "é"])
def test_a_codec_that_cannot_travel_is_refused(codec: str) -> None:
    with pytest.raises(ValueError, match="codec"):
        encode(Hello(STREAM, codec))


@pytest.mark.parametrize(
    "wanted, chosen",
    [
        (0, 1 << 18),
        (1, 4096),
        (4096, 4096),
        (4097, 8192),
        (1 << 18, 1 << 18),
        (1 << 26, 1 << 26),
        ((1 << 26) + 1, 1 << 26),
        (U64, 1 << 26),
    ],
)
def test_capacities(wanted: int, chosen: int) -> None:
    assert chosen_capacity(wanted) == chosen


@pytest.mark.parametrize(
    "wanted, limit, chosen",
    [
        (0, 1 << 16, 1 << 16),
        (0, 1 << 20, 1 << 18),
        (5000, 4096, 4096),
        (5000, 8191, 4096),
        (5000, 8192, 8192),
        (1 << 26, 5_000_000, 1 << 22),
        (U64, U64, 1 << 26),
    ],
)
def test_capacities_within_a_limit(wanted: int, limit: int, chosen: int) -> None:
    assert chosen_capacity(wanted, limit) == chosen


@given(st.integers(0, U64))
def test_a_chosen_capacity_is_a_power_of_two_within_bounds_and_chosen_again(wanted: int) -> None:
    chosen = chosen_capacity(wanted)
    assert chosen & (chosen - 1) == 0
    assert 4096 <= chosen <= 1 << 26
    assert chosen_capacity(chosen) == chosen


def test_a_ring_is_welcomed_with_capacities() -> None:
    answer = welcome(replace(HELLO, to_server=5000), codec="json", layout=3)
    assert answer == Hello(RING, "json", to_server=8192, to_client=4096, layout=3, pid=os.getpid())
    check_welcome(answer, HELLO)


def test_a_limit_is_told_by_the_welcome() -> None:
    answer = welcome(HELLO, codec="json", layout=3, capacity_limit=1 << 14)
    assert (answer.to_server, answer.to_client) == (1 << 14, 1 << 12)
    check_welcome(answer, HELLO)


@pytest.mark.parametrize(
    "hello, offers, reason",
    [
        (HELLO, (STREAM,), r"shared memory \(shm://\) is not offered here, only a local socket \(local://\)"),
        (
            Hello(STREAM, "json"),
            (RING,),
            r"a local socket \(local://\) is not offered here, only shared memory",
        ),
        (replace(HELLO, layout=9), (RING,), "a local socket"),
    ],
)
def test_what_is_not_offered_is_refused(hello: Hello, offers: tuple[int, ...], reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        welcome(hello, codec="json", layout=3, offers=offers)


def test_a_stream_is_welcomed_without() -> None:
    hello = Hello(STREAM, "json")
    answer = welcome(hello, codec="json", layout=3)
    assert answer == Hello(STREAM, "json", pid=os.getpid())
    check_welcome(answer, hello)


def test_a_ring_of_another_layout_becomes_a_stream() -> None:
    answer = welcome(HELLO, codec="json", layout=4)
    assert answer.transport == STREAM
    check_welcome(answer, HELLO)


@pytest.mark.parametrize("hello", [HELLO, Hello(STREAM, "json")])
def test_features_are_agreed_on_by_both_sides(hello: Hello) -> None:
    for asked, offered, agreed in (
        (U32, 0, 0),
        (U32, TIMES, TIMES),
        (0, TIMES, 0),
        (TIMES, 0, 0),
        (2, TIMES, 0),
    ):
        asking = replace(hello, features=asked)
        answer = welcome(asking, codec="json", layout=3, features=offered)
        assert answer.features == agreed
        check_welcome(answer, asking)


@pytest.mark.parametrize(
    "hello, reason",
    [
        (replace(HELLO, version=2), "version 2"),
        (replace(HELLO, version=2, codec="pickle", transport=9), "version 2"),
        (replace(HELLO, codec="pickle"), "'pickle'.*'json'"),
        (replace(HELLO, codec="pickle", transport=9), "'pickle'"),
        (replace(HELLO, transport=9), "transport 9"),
        (replace(HELLO, transport=0), "transport 0"),
    ],
)
def test_what_cannot_be_agreed_on_is_refused_in_the_order_of_the_specification(
    hello: Hello, reason: str
) -> None:
    with pytest.raises(Refused, match=reason):
        welcome(hello, codec="json", layout=3)


@pytest.mark.parametrize(
    "answer",
    [
        replace(HELLO, version=2),
        replace(HELLO, codec="pickle"),
        replace(HELLO, features=1),
        replace(HELLO, transport=3),
        replace(HELLO, layout=4),
        replace(HELLO, to_server=0),
        replace(HELLO, to_server=4097),
        replace(HELLO, to_client=1 << 27),
        replace(HELLO, to_client=2048),
        replace(HELLO, to_server=1 << 19),
        replace(HELLO, to_client=1 << 13),
        replace(HELLO, transport=STREAM),
        Hello(STREAM, "json", layout=3),
        Hello(STREAM, "json", to_server=4096),
        Hello(STREAM, "json", to_client=1),
    ],
)
def test_a_welcome_that_answers_something_else_is_an_error(answer: Hello) -> None:
    with pytest.raises(FrameError):
        check_welcome(answer, HELLO)


@pytest.mark.parametrize("wanted, most", [(0, 1 << 18), (5000, 8192), (8192, 8192)])
def test_a_welcome_may_give_what_was_wanted_or_less(wanted: int, most: int) -> None:
    asked = replace(HELLO, to_server=wanted)
    for capacity in (4096, most):
        check_welcome(replace(HELLO, to_server=capacity), asked)
    with pytest.raises(FrameError, match=f"{2 * most} bytes"):
        check_welcome(replace(HELLO, to_server=2 * most), asked)


def test_a_ring_that_nobody_asked_for_is_an_error() -> None:
    with pytest.raises(FrameError, match="transport 2"):
        check_welcome(HELLO, Hello(STREAM, "json"))


def test_a_reason_travels() -> None:
    assert decode_refusal(encode_refusal("nö")) == "nö"
    assert encode_refusal("") != b""


@given(st.text(max_size=1100))
def test_a_long_reason_is_cut_between_characters(reason: str) -> None:
    body = encode_refusal(reason)
    assert 0 < len(body) <= 1024
    body.decode("utf-8")


@given(st.binary(max_size=1500))
def test_a_reason_is_fit_for_a_log_whatever_it_was(body: bytes) -> None:
    assert decode_refusal(body).isprintable()
