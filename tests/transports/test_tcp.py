# SPDX-License-Identifier: MIT
"""Shows what both sides of TCP stand on: which hosts are this machine, and pairs within the process."""

from __future__ import annotations

import os
import socket

import pytest

from ipcfast.errors import IoError
from ipcfast.transports.contract import Options
from ipcfast.transports.tcp import adopted, candidates_of, is_loopback, tcp_pair
from tests.peers import HANG, open_descriptors


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.168.1.1", "::ffff:10.0.0.1", "fe80::1%lo", "128.0.0.1"]
)
def test_other_machines_may_be_there(host: str) -> None:
    assert not is_loopback(host)


def test_a_hosts_addresses_come_once_each() -> None:
    found = candidates_of("127.0.0.1", 80)
    assert [candidate.sockaddr for candidate in found] == [("127.0.0.1", 80)]


def test_a_pair_is_connected() -> None:
    one, other = tcp_pair(Options())
    try:
        one.send_bytes(b"x")
        assert other.recv_bytes(HANG) == b"x"
    finally:
        one.close()
        other.close()


def test_what_cannot_be_handed_over_is_closed() -> None:
    before = open_descriptors()
    with pytest.raises(ValueError, match="type of the socket"):
        adopted(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), Options())
    assert open_descriptors() == before


def test_without_descriptors_there_is_an_error_and_nothing_left() -> None:
    import resource

    before = open_descriptors()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    try:
        for more in range(1, 8):
            resource.setrlimit(resource.RLIMIT_NOFILE, (free + more, limits[1]))
            try:
                ends = tcp_pair(Options())
            except IoError:
                continue
            for end in ends:
                end.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert open_descriptors() == before
