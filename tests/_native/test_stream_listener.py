# SPDX-License-Identifier: MIT
"""Tests of _native/stream_listener.pyx: owning an address, accepting, and waiting for handles."""

from __future__ import annotations

import copy
import errno
import os
import pickle
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ipcfast import errors
from ipcfast._native.stream_channel import StreamChannel
from ipcfast._native.stream_listener import StreamListener, wait_any

HANG = 20.0


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[StreamListener]:
    opened = StreamListener(str(tmp_path / "socket"))
    yield opened
    opened.close()


def connected(listener: StreamListener) -> tuple[StreamChannel, StreamChannel]:
    client = StreamChannel.connect(listener.path)
    assert client is not None
    assert wait_any([listener.handle()], HANG) == 0
    server = listener.try_accept()
    assert server is not None
    return client, server


def test_clients_are_accepted_in_order(listener: StreamListener) -> None:
    assert listener.try_accept() is None
    client, server = connected(listener)
    client.send_bytes(b"to the server")
    assert server.recv_bytes(HANG) == b"to the server"
    assert (server.peer_pid, server.peer_uid) == (os.getpid(), os.getuid())
    client.close()
    server.close()


def test_a_live_address_is_left_alone(listener: StreamListener) -> None:
    with pytest.raises(errors.AddressInUse, match="live server"):
        StreamListener(listener.path)
    client, server = connected(listener)
    client.close()
    server.close()


def test_errors_have_the_number_and_the_file(listener: StreamListener, tmp_path: Path) -> None:
    missing, folder = str(tmp_path / "missing" / "socket"), str(tmp_path / "folder")
    os.mkdir(folder)
    for call, kind, number, path in (
        (StreamListener, errors.AddressInUse, errno.EADDRINUSE, listener.path),
        (StreamListener, errors.IoError, errno.ENOENT, missing),
        (StreamListener, errors.AddressInUse, errno.EADDRINUSE, folder),
        (StreamChannel.connect, errors.AddressNotFound, errno.ENOENT, missing),
    ):
        with pytest.raises(kind) as caught:
            call(path)
        assert (caught.value.errno, caught.value.filename) == (number, path)
        assert path in str(caught.value)
        if path != folder:  # which is what the system said nothing about
            assert isinstance(caught.value.__cause__, OSError)
            assert caught.value.__cause__.filename == path


@pytest.mark.parametrize(
    ("name", "what"),
    [("socket", "the path exists and is not a socket"), ("socket.lock", "the lock file's place")],
)
def test_what_is_in_the_way_is_not_called_a_live_server(tmp_path: Path, name: str, what: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(errors.AddressInUse, match=f"{what}.*remove it or choose another address") as caught:
        StreamListener(str(tmp_path / "socket"))
    assert "live server" not in str(caught.value)


def test_a_closed_listener_gives_its_address_back(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    for _ in range(3):
        listener = StreamListener(path)
        assert not listener.closed
        listener.close()
        listener.close()
        assert listener.closed
        assert not os.path.exists(path)
        for call in (listener.handle, listener.try_accept):
            with pytest.raises(errors.ChannelClosed):
                call()
        with pytest.raises(errors.AddressNotFound):
            StreamChannel.connect(path)


def test_a_dropped_listener_is_closed(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    listener = StreamListener(path)
    del listener
    assert not os.path.exists(path)


def test_a_forked_child_leaves_the_address_alone(listener: StreamListener) -> None:
    child = os.fork()
    if child == 0:
        status = 1
        try:
            listener.try_accept()
        except errors.ChannelClosed:
            listener.close()
            status = 0
        os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    client, server = connected(listener)
    client.close()
    server.close()


def test_a_listener_cannot_be_pickled_or_copied(listener: StreamListener) -> None:
    for attempt in (pickle.dumps, copy.copy):
        with pytest.raises(TypeError, match="cannot be pickled or copied"):
            attempt(listener)


def test_waiting_tells_which_handle_is_ready() -> None:
    pairs = [StreamChannel.pair() for _ in range(3)]
    handles = [pair[0].handle() for pair in pairs]
    start = time.monotonic()
    assert wait_any(handles, 0.03) == -1
    assert time.monotonic() - start >= 0.03
    pairs[2][1].send_bytes(b"x")
    assert wait_any(handles) == 2
    pairs[1][1].close()
    assert wait_any(handles, HANG) == 1
    with pytest.raises(ValueError, match="at most 64"):
        wait_any([handles[0]] * 65)
    for one, other in pairs:
        one.close()
        other.close()


def test_ctrl_c_interrupts_waiting() -> None:
    one, other = StreamChannel.pair()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
    try:
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            wait_any([one.handle()], HANG)
    finally:
        timer.join()
        signal.signal(signal.SIGINT, before)
    one.close()
    other.close()
