# SPDX-License-Identifier: MIT
"""Inherited connections: what the variable says, and descriptors that are not what it says."""

from __future__ import annotations

import gc
import os
import socket

import pytest

from ipcfast._native.stream_channel import StreamChannel
from ipcfast.errors import ChannelTimeout, ConnectError
from ipcfast.transports.contract import Options
from ipcfast.transports.inherited import (
    Greeting,
    Place,
    answer_child,
    inheritable_end,
    parse_place,
    place_of,
)
from tests.peers import HANG, Background, open_descriptors

SETTINGS = {"transport": "shm", "framing": "length", "codec": "json", "capacity": "4096", "inode": "12"}


@pytest.mark.parametrize(
    "place",
    [
        Place("fd:7", SETTINGS),
        Place("fd:7", {}),
        Place("shm://render", {"prefix": "auroraview"}),
        Place("unix:///tmp/a?b", {"codec": "raw"}),
        Place("packed_12", {}),
    ],
    ids=lambda place: str(place.text),
)
def test_there_and_back(place: Place) -> None:
    assert parse_place(place.text) == place


def test_what_a_place_says() -> None:
    place = parse_place("fd:12?transport=shm")
    assert (place.descriptor, place.wants_ring) == (12, True)
    place = parse_place("fd:12?transport=local")
    assert (place.descriptor, place.wants_ring) == (12, False)
    place = parse_place("shm://x")
    assert (place.descriptor, place.wants_ring, place.is_stdio) == (None, True, False)
    place = parse_place("stdio://?framing=lines")
    assert (place.descriptor, place.wants_ring, place.is_stdio) == (None, False, True)


@pytest.mark.parametrize(
    "text",
    [
        "fd:",
        "fd:x",
        "fd:-1",
        "fd:2147483648",
        "fd:7?speed=9",
        "fd:7?codec",
        "fd:7?capacity=much",
        "fd:7?inode=-1",
        "a?b=c&codec=json",
    ],
)
def test_what_is_no_place(text: str) -> None:
    with pytest.raises(ValueError, match=r".{10}"):
        parse_place(text)


def test_a_descriptor_that_somebody_has_closed() -> None:
    reading, writing = os.pipe()
    os.close(writing)
    os.close(reading)
    with pytest.raises(ConnectError, match="has closed it"):
        Greeting(Place(f"fd:{reading}", {}), Options()).advance(0.0)


def test_a_descriptor_that_is_something_else_by_now() -> None:
    one, other = socket.socketpair()
    with one, other, open("/dev/null", "rb") as file:
        before = open_descriptors()
        for descriptor, settings in ((file.fileno(), {}), (one.fileno(), {"inode": "1"})):
            with pytest.raises(ConnectError, match="opened later"):
                Greeting(Place(f"fd:{descriptor}", settings), Options()).advance(0.0)
        assert open_descriptors() == before  # they are somebody's


def test_a_socket_that_carries_no_stream() -> None:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with one, other:
        with pytest.raises(ConnectError, match="is no connection"):
            Greeting(Place(f"fd:{one.fileno()}", {}), Options()).advance(0.0)


def test_the_descriptor_is_not_inherited_any_further() -> None:
    one, other = socket.socketpair()
    other.set_inheritable(True)
    descriptor = other.detach()
    with one:
        greeting = Greeting(Place(f"fd:{descriptor}", {}), Options())
        with pytest.raises(ChannelTimeout):
            greeting.advance(0.0)
        assert not os.get_inheritable(descriptor)
        assert one.recv(1)  # the hello
        one.setblocking(False)
        del greeting
        gc.collect()  # the error that was raised in there may know it still
        while one.recv(1000):  # the end: nobody waits for the answer any more
            pass
    one, other = socket.socketpair()
    other.set_inheritable(True)
    with one:
        opened = Greeting(Place(f"fd:{other.fileno()}", {}), Options(framing="lines")).advance(0.0)
        assert not os.get_inheritable(other.fileno())
        opened.transport.send_message(b"{}")
        assert one.recv(10) == b"{}\n"
        opened.transport.close()
        other.detach()


def test_the_end_for_the_child_is_closed_here_without_a_word() -> None:
    before = open_descriptors()
    ours, theirs = StreamChannel.pair()
    with inheritable_end(theirs) as descriptor:
        kept = os.dup(descriptor)
        assert descriptor > 2
    assert not ours.poll(0)
    os.close(kept)
    assert ours.poll(HANG)  # the hang-up
    assert ours.peer_died in (None, True)
    ours.close()
    assert open_descriptors() == before


@pytest.mark.parametrize("framing", ["length", "lines", "content-length", "u32be"])
def test_a_program_of_any_kind_gets_a_socket_that_waits(framing: str) -> None:
    ours, theirs = StreamChannel.pair(framing=framing)
    with inheritable_end(theirs) as descriptor:
        assert os.get_blocking(descriptor) is (framing != "length")
        kept = os.dup(descriptor)
    assert not os.get_blocking(ours.handle())
    ours.close()
    os.close(kept)


def test_both_agree_on_a_ring() -> None:
    ours, theirs = StreamChannel.pair()
    options = Options(capacity=8192)
    place = place_of(os.dup(theirs.handle()), options, ring=True)
    theirs.abandon()
    child = Background(lambda: Greeting(place, options).advance(HANG))
    answered = answer_child(ours, options, HANG, lambda: False, [])
    assert answered is not None
    opened, pid = answered
    other = child.result()
    assert pid == os.getpid()
    assert opened.is_ring
    assert other.is_ring
    other.transport.send_bytes(b"through the ring")
    assert opened.transport.recv_bytes(HANG) == b"through the ring"
    opened.transport.close()
    other.transport.close()


def test_an_end_that_is_told_to_a_debugger_first_does_not_make_it_spin() -> None:
    ours, theirs = StreamChannel.pair()
    ready, other = socket.socketpair()
    other.close()
    looks = []

    def has_ended() -> bool:
        looks.append(1)
        return len(looks) > 5

    assert answer_child(ours, Options(), HANG, has_ended, [ready.fileno()]) is None
    looks.clear()
    with pytest.raises(ChannelTimeout):
        answer_child(ours, Options(), 0.2, lambda: looks.append(1) is not None, [ready.fileno()])
    assert len(looks) < 50
    for end in (ready, ours, theirs):
        end.close()


def test_a_child_that_has_ended_without_a_word() -> None:
    ours, theirs = StreamChannel.pair()
    assert answer_child(ours, Options(), None, lambda: True, []) is None
    with pytest.raises(ChannelTimeout, match="connect_parent"):
        answer_child(ours, Options(), 0.01, lambda: False, [])
    ours.close()
    theirs.close()
