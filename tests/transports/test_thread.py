# SPDX-License-Identifier: MIT
"""Tests the listeners of this process: who owns a name, who waits for whom, and what a fork leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ipcfast.errors import AddressInUse, AddressNotFound, ChannelClosed, ChannelTimeout, ConnectError
from ipcfast.transports.address import parse_address
from ipcfast.transports.contract import Opened, Options
from ipcfast.transports.open import open_connection, open_pair
from ipcfast.transports.thread import ThreadAcceptor, thread_loop
from ipcfast.transports.waiting import SLICE_SECONDS
from tests.peers import HANG, Background, until, until_asleep


def listening(text: str = "thread://here", prefix: str | None = None) -> ThreadAcceptor:
    return ThreadAcceptor(parse_address(text, prefix=prefix), Options())


def connecting(
    text: str = "thread://here",
    timeout: float | None = HANG,
    prefix: str | None = None,
    **options: int,
) -> Background[Opened]:
    address = parse_address(text, prefix=prefix)
    return Background(open_connection, address, Options(**options), timeout)  # type: ignore[arg-type]


def check_connected(one: Opened, other: Opened) -> None:
    marker = object()
    one.transport.send_message(marker)  # type: ignore[arg-type]
    assert other.transport.recv_message(HANG) is marker
    other.transport.send_message(marker)  # type: ignore[arg-type]
    assert one.transport.recv_message(HANG) is marker


def test_a_client_and_a_server_find_each_other_whoever_comes_first() -> None:
    client = connecting()
    until_asleep(os.getpid(), client.native_id)
    acceptor = listening()
    until(lambda: bool(acceptor._waiting))
    check_connected(acceptor.accept(0), client.result())
    accepting = Background(acceptor.accept, HANG)
    until_asleep(os.getpid(), accepting.native_id)
    check_connected(connecting().result(), accepting.result())
    acceptor.close()


def test_clients_are_served_in_their_order_each_by_itself() -> None:
    acceptor = listening()
    clients = []
    for count in range(1, 6):
        clients.append(connecting())
        until(lambda count=count: len(acceptor._waiting) == count)  # type: ignore[misc]
    servers = [acceptor.accept(0) for _ in clients]
    for number, server in enumerate(servers):
        server.transport.send_message(number)  # type: ignore[arg-type]
    assert [client.result().transport.recv_message(HANG) for client in clients] == list(range(5))
    acceptor.close()


def test_a_name_has_one_owner_until_it_is_given_back() -> None:
    first = listening()
    assert first.path == "thread://here"
    with pytest.raises(AddressInUse, match="thread://here") as caught:
        listening()
    assert caught.value.filename == "thread://here"
    other = listening("thread://there"), listening(prefix="p")
    first.close()
    first.close()
    assert first.closed
    second = listening()
    client = connecting()
    check_connected(second.accept(HANG), client.result())
    client = connecting(prefix="p")
    check_connected(other[1].accept(HANG), client.result())
    for acceptor in (second, *other):
        acceptor.close()


@pytest.mark.parametrize("timeout", [0, 0.01])
def test_nobody_there(timeout: float) -> None:
    with pytest.raises(AddressNotFound, match="shm://") as caught:
        connecting("thread://nowhere", timeout).result()
    assert isinstance(caught.value, FileNotFoundError)


def test_a_server_that_does_not_accept_is_told_of_and_the_client_forgotten() -> None:
    acceptor = listening()
    with pytest.raises(ChannelTimeout, match="accept"):
        connecting(timeout=0.02).result()
    assert not acceptor._waiting
    with pytest.raises(ChannelTimeout, match="no client"):
        acceptor.accept(0)
    with pytest.raises(ChannelTimeout, match="no client"):
        acceptor.accept(0.02)
    acceptor.close()


def test_closing_ends_who_accepts_and_who_waits_to_be_accepted() -> None:
    acceptor = listening()
    accepting = Background(acceptor.accept)
    until_asleep(os.getpid(), accepting.native_id)
    acceptor.close()
    with pytest.raises(ChannelClosed):
        accepting.result()
    with pytest.raises(ChannelClosed):
        acceptor.accept(0)
    acceptor = listening()
    client = connecting()
    until(lambda: bool(acceptor._waiting))
    acceptor.close()
    with pytest.raises(ConnectError, match="closed before"):
        client.result()


def test_only_who_is_concerned_is_woken() -> None:
    mine, other = listening(), listening("thread://other")
    looks = {mine: 0, other: 0}

    def counted(acceptor: ThreadAcceptor) -> Callable[[], None]:
        def check() -> None:
            looks[acceptor] += 1
            ThreadAcceptor._check_open(acceptor)

        return check

    for acceptor in looks:
        acceptor._check_open = counted(acceptor)  # type: ignore[method-assign]
    accepting = [Background(acceptor.accept, HANG) for acceptor in looks]
    for waiting in accepting:
        until_asleep(os.getpid(), waiting.native_id)
    began = time.monotonic()
    before = looks[other]
    for _ in range(30):
        client = connecting()
        check_connected(accepting[0].result(), client.result())
        accepting[0] = Background(mine.accept, HANG)
        until_asleep(os.getpid(), accepting[0].native_id)
    assert looks[other] - before <= (time.monotonic() - began) / SLICE_SECONDS + 1
    mine.close()
    other.close()
    for waiting in accepting:
        with pytest.raises(ChannelClosed):
            waiting.result()


def test_who_was_told_of_nothing_finds_out_after_a_while() -> None:
    """As when the garbage collector or a signal handler ends the listener just before its thread waits."""
    acceptor = listening()
    accepting = Background(acceptor.accept)
    until_asleep(os.getpid(), accepting.native_id)
    acceptor.drop()
    with pytest.raises(ChannelClosed):
        accepting.result()
    acceptor = listening()
    client = connecting(timeout=None)
    until(lambda: bool(acceptor._waiting))
    acceptor.drop()
    with pytest.raises(ConnectError, match="closed before"):
        client.result()
    successor = listening()
    acceptor.close()
    acceptor.drop()
    client = connecting()
    check_connected(successor.accept(HANG), client.result())
    successor.close()


def test_the_client_chooses_the_capacity() -> None:
    acceptor = listening()
    client = connecting(queue_capacity=3)
    for end in (acceptor.accept(HANG), client.result()):
        for number in range(3):
            end.transport.send_message(number)  # type: ignore[arg-type]
        with pytest.raises(ChannelTimeout):
            end.transport.send_message(3, 0)  # type: ignore[arg-type]
    acceptor.close()


def test_a_pair_and_a_loop_have_it_too() -> None:
    one, other = open_pair("thread", Options(queue_capacity=2))
    check_connected(one, other)
    loop = thread_loop(Options(queue_capacity=2))
    for end in (one.transport, loop):
        end.send_bytes(b"1")
        end.send_bytes(b"2")
        with pytest.raises(ChannelTimeout):
            end.send_bytes(b"3", 0)


def test_a_signal_handler_may_close_what_its_thread_waits_for() -> None:
    acceptor = listening()
    before = signal.signal(signal.SIGUSR1, lambda *_: acceptor.close())
    try:
        timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1))
        timer.start()
        with pytest.raises(ChannelClosed):
            acceptor.accept(HANG)
        timer.join()
    finally:
        signal.signal(signal.SIGUSR1, before)


FORKED = """
import os
from ipcfast.errors import AddressNotFound, ChannelClosed
from tests.transports.test_thread import *

acceptor = listening()
accepting = Background(acceptor.accept, HANG)    # in a thread that is not in the child
until_asleep(os.getpid(), accepting.native_id)
child = os.fork()
if child == 0:
    try:
        with pytest.raises(ChannelClosed, match="parent"):
            acceptor.accept(0)
        acceptor.close()
        with pytest.raises(AddressNotFound):
            open_connection(parse_address("thread://here"), Options(), 0)
        own = listening()
        client = connecting()
        check_connected(own.accept(HANG), client.result())
        os._exit(7)
    finally:
        os._exit(1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
check_connected(connecting().result(), accepting.result())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_has_no_listeners_but_may_make_its_own() -> None:
    paths = os.pathsep.join([str(Path(__file__).resolve().parents[2]), *filter(None, sys.path)])
    ended = subprocess.run(
        [sys.executable, "-c", FORKED],
        capture_output=True,
        text=True,
        timeout=2 * HANG,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert (ended.returncode, ended.stdout) == (0, "7\n"), ended.stderr
