# SPDX-License-Identifier: MIT
"""Shows how descriptors are taken over, and what happens to standard input and output meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ipcfast.errors import IoError
from ipcfast.transports.contract import Options
from ipcfast.transports.stdio import is_open, over_descriptors, private, take_over
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
    import socket

    one, other = socket.socketpair()
    transport = take_over(one.fileno(), one.fileno(), LINES, skip_noise=False)
    one.detach()
    transport.send_message(b"{}")
    assert other.recv(10) == b"{}\n"
    transport.close()
    assert other.recv(10) == b""
    other.close()


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
from ipcfast.transports.stdio import StandardStreams
kind = lambda number: os.readlink(f"/proc/self/fd/{number}")
was = [kind(number) for number in range(3)]
streams = StandardStreams()
assert kind(0) == os.devnull, kind(0)
assert kind(1) == was[2], kind(1)
assert [kind(streams.reading), kind(streams.writing)] == was[:2]
assert sys.stdout.line_buffering
streams.restore()
streams.restore()
os.close(streams.reading)
os.close(streams.writing)
assert [kind(number) for number in range(3)] == was
assert not sys.stdout.line_buffering
os.close(2)
again = StandardStreams()
assert kind(1) == os.devnull, kind(1)
again.end()
again.restore()
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
