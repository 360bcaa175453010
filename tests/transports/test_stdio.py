# SPDX-License-Identifier: MIT
"""Shows how descriptors are taken over, and what happens to standard input and output meanwhile."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from ipcfast._native.stream_channel import StreamChannel
from ipcfast.errors import IoError
from ipcfast.transports.contract import Options
from ipcfast.transports.stdio import StandardStreams, is_open, over_descriptors, private, take_over
from tests.peers import HANG, ROOT, open_descriptors

LINES = Options(framing="lines")


def test_descriptors_belong_to_the_transport() -> None:
    before = open_descriptors()
    there, back = os.pipe(), os.pipe()
    one = over_descriptors(back[0], there[1], LINES)
    other = over_descriptors(there[0], back[1], LINES)
    one.send_message(b"{}")
    assert other.recv_message(HANG) == b"{}"
    one.close()
    other.close()
    assert open_descriptors() == before


def test_descriptors_that_are_refused_are_named_and_closed() -> None:
    before = open_descriptors()
    reader, writer = os.pipe()
    with pytest.raises(ValueError, match=f"{writer} and {reader}"):
        over_descriptors(writer, reader, LINES)
    assert open_descriptors() == before


def test_a_socket_may_be_both() -> None:
    one, other = socket.socketpair()
    transport = take_over(one.fileno(), one.fileno(), LINES, skip_noise=False)
    one.detach()
    transport.send_message(b"{}")
    assert other.recv(10) == b"{}\n"
    transport.close()
    assert other.recv(10) == b""
    other.close()


def test_options_that_are_none_close_them_too() -> None:
    before = open_descriptors()
    for reader, writer in (os.pipe(), os.pipe()):
        with pytest.raises(ValueError, match="framing"):
            StreamChannel.adopt_pair(reader, writer, framing="none")
    assert open_descriptors() == before


def test_one_descriptor_is_closed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = socket.socketpair()
    number = os.dup2(one.detach(), 300)
    closed: list[int] = []
    close = os.close
    monkeypatch.setattr(os, "close", lambda descriptor: closed.append(descriptor) or close(descriptor))
    take_over(number, int("300"), LINES, skip_noise=False).close()
    assert closed == [300]
    other.close()


def test_systems_that_cannot_are_told_before_anything_is_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    before = open_descriptors()
    with monkeypatch.context() as system:
        system.setattr(sys, "platform", "win32")
        with pytest.raises(IoError, match="Windows"):
            take_over(reader, writer, LINES, skip_noise=False)
        with pytest.raises(IoError, match="Windows"):
            StandardStreams(LINES, skip_noise=False)
    assert open_descriptors() == before
    os.close(reader)
    os.close(writer)


def test_without_descriptors_both_stay_the_callers() -> None:
    import resource

    reader, writer = os.pipe()
    before = open_descriptors()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    try:
        for more in range(4):
            resource.setrlimit(resource.RLIMIT_NOFILE, (free + more, limits[1]))
            with pytest.raises(IoError):
                take_over(reader, writer, LINES, skip_noise=False)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert open_descriptors() == before
    os.close(reader)
    os.close(writer)


def test_private_duplicates_are_beyond_the_standard_ones() -> None:
    reader, writer = os.pipe()
    duplicate = private(reader)
    assert duplicate > 2
    assert not os.get_inheritable(duplicate)
    for descriptor in (reader, writer, duplicate):
        assert is_open(descriptor)
        os.close(descriptor)
    assert not is_open(duplicate)


PROGRAM = """
import os, sys
from ipcfast.transports.contract import Options
from ipcfast.transports.stdio import StandardStreams
kind = lambda number: os.readlink(f"/proc/self/fd/{number}")
take = lambda: StandardStreams(Options(framing="lines"), skip_noise=False)
was = [kind(number) for number in range(3)]
before = os.listdir("/proc/self/fd")
streams = take()
assert kind(0) == os.devnull, kind(0)
assert kind(1) == was[2], kind(1)
assert kind(2) == was[2] and not streams.is_merged
assert kind(streams.transport.handle()) == was[0]
assert sys.stdout.line_buffering
streams.give_back()
streams.give_back()
assert [kind(number) for number in range(3)] == was
assert not sys.stdout.line_buffering
assert os.listdir("/proc/self/fd") == before
os.close(2)
again = take()
assert kind(1) == os.devnull, kind(1)
again.end()
again.give_back()
assert kind(1) == os.devnull
"""


def test_standard_streams_move_and_come_back() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])}
    environment.pop("PYTHONUNBUFFERED", None)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=b"",
        capture_output=True,
        check=False,
        timeout=HANG,
        env=environment,
    )
    assert (done.stderr, done.stdout, done.returncode) == (b"", b"", 0)
