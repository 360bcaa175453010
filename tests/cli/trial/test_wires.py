# SPDX-License-Identifier: MIT
"""Holds every wire of a trial to the same behaviour."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator

import pytest

import ipcfast
from ipcfast.cli.trial.wires import LOCAL, PIPE, RING, TITLES, Wire, channel_wire, pipe_wire

Ends = tuple[Wire, Wire]


def opened(name: str) -> Ends:
    if name == PIPE:
        one, other = multiprocessing.Pipe()
        return pipe_wire(one), pipe_wire(other)
    first, second = ipcfast.pair({RING: "shm", LOCAL: "local"}[name])
    return channel_wire(first, timeout=5.0), channel_wire(second, timeout=5.0)


@pytest.fixture(params=sorted(TITLES))
def ends(request: pytest.FixtureRequest) -> Iterator[Ends]:
    one, other = opened(request.param)
    yield one, other
    one.close()
    other.close()


def test_bytes_and_json_pass_both_ways(ends: Ends) -> None:
    for here, there in (ends, ends[::-1]):
        for data in (b"", b"\x00\n", b"." * 4096):
            here.send_bytes(data)
            assert there.recv_bytes() == data
        here.send_json({"size": 1, "text": "ö", "list": [None, 1.5]})
        assert there.recv_json() == {"size": 1, "text": "ö", "list": [None, 1.5]}


@pytest.mark.parametrize("name", [RING, LOCAL])
def test_channels_have_batches(name: str) -> None:
    one, other = opened(name)
    assert one.send_many is not None
    assert other.recv_many is not None
    sent = [bytes([number]) for number in range(100)]
    one.send_many(sent)
    received: list[bytes] = []
    while len(received) < len(sent):
        received += other.recv_many()
    assert received == sent
    one.close()
    other.close()


def test_a_pipe_has_none() -> None:
    one, other = opened(PIPE)
    assert (one.send_many, one.recv_many) == (None, None)
    one.close()
    other.close()


@pytest.mark.parametrize("name", sorted(TITLES))
def test_the_end_of_the_peer_is_a_standard_error(name: str) -> None:
    one, other = opened(name)
    one.close()
    with pytest.raises((EOFError, ConnectionError)):
        other.recv_bytes()
    other.close()
