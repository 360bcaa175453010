# SPDX-License-Identifier: MIT
"""Shows what both sides of TCP stand on: connections that are handed over, and pairs within the process."""

from __future__ import annotations

import errno
import os
import socket

import pytest

from ipcfast.errors import IoError
from ipcfast.transports import tcp
from ipcfast.transports.contract import Options
from ipcfast.transports.tcp import adopted, prepare, tcp_pair
from tests.peers import HANG, open_descriptors


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


def test_a_stranger_who_is_faster_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody on this machine connects to the listening socket of a pair before the pair does."""
    strangers = []
    real = socket.create_connection

    def second(address: tuple[str, int]) -> socket.socket:
        strangers.append(real(address))
        return real(address)

    monkeypatch.setattr(socket, "create_connection", second)
    one, other = tcp_pair(Options())
    one.send_bytes(b"x")
    assert other.recv_bytes(HANG) == b"x"
    for end in (one, other):
        end.close()
    strangers[0].settimeout(HANG)
    assert strangers[0].recv(1) == b""
    strangers[0].close()


def test_a_connection_that_cannot_be_prepared_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: socket.socket) -> None:
        raise OSError(errno.ENOBUFS, "no room")

    before = open_descriptors()
    monkeypatch.setattr(tcp, "prepare", refuse)
    with pytest.raises(IoError, match="no room") as caught:
        tcp_pair(Options())
    assert open_descriptors() == before  # while the traceback still holds what was made
    assert caught.value.errno == errno.ENOBUFS


def test_keep_alive_finds_out_within_two_minutes() -> None:
    with socket.socket() as one:
        prepare(one)
        assert one.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
        assert one.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        idle, pause, count = (
            one.getsockopt(socket.IPPROTO_TCP, getattr(socket, name))
            for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT")
        )
        assert idle + pause * count == 120
