# SPDX-License-Identifier: MIT
"""Shows how clients are greeted, refused, dropped and handed out, and how waiting for them ends."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import Any

import pytest

from ipcfast.errors import ChannelClosed, ChannelTimeout, ConnectError
from ipcfast.transports import acceptor as module
from ipcfast.transports.acceptor import PENDING_MAX, Acceptor
from ipcfast.transports.address import parse_address
from ipcfast.transports.contract import Opened, Options
from ipcfast.transports.handshake import RING, STREAM, Hello, decode, decode_refusal, encode
from ipcfast.transports.open import open_connection
from ipcfast.transports.ring import LAYOUT_VERSION
from tests.peers import HANG, Background, open_descriptors, until_asleep
from tests.transports.plain import answer, frame, is_hung_up, plain

OWN = Options()
ADDRESS = parse_address("local://acceptor")
HELLO = Hello(STREAM, "json", pid=1)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="speaks over plain Unix sockets")


@pytest.fixture
def acceptor() -> Iterator[Acceptor]:
    with closing(Acceptor(ADDRESS, OWN)) as made:
        yield made


def talk(one: Opened, other: Opened) -> None:
    for here, there in ((one, other), (other, one)):
        here.transport.send_bytes(b"x", HANG)
        assert there.transport.recv_bytes(HANG) == b"x"


def close(*opened: Opened) -> None:
    for one in opened:
        one.transport.close()


# ---- the handshake


def test_a_stream_hello_gets_the_welcome_of_the_specification(acceptor: Acceptor) -> None:
    with plain(acceptor) as client:
        client.sendall(frame(0xF1, encode(HELLO)))
        opened = acceptor.accept(HANG)
        kind, body = answer(client)
        assert kind == 0xF2
        assert decode(body) == Hello(STREAM, "json", pid=os.getpid())
        client.sendall(frame(2, b"hi"))
        assert opened.transport.recv_bytes(HANG) == b"hi"
        assert not opened.is_ring
        close(opened)


def test_a_ring_hello_gets_the_handles_along(acceptor: Acceptor) -> None:
    hello = replace(HELLO, transport=RING, layout=LAYOUT_VERSION, to_server=5000, to_client=0)
    with plain(acceptor) as client:
        client.sendall(frame(0xF1, encode(hello)))
        opened = acceptor.accept(HANG)
        data, handles, _, _ = socket.recv_fds(client, 4096, 16)
        for handle in handles:
            os.close(handle)
        assert opened.is_ring
        assert handles
        assert replace(decode(data[16:]), pid=0) == Hello(
            RING, "json", to_server=8192, to_client=1 << 18, layout=LAYOUT_VERSION
        )
        close(opened)


def test_a_ring_is_not_larger_than_the_listener_allows() -> None:
    hello = replace(HELLO, transport=RING, layout=LAYOUT_VERSION, to_server=1 << 26, to_client=4096)
    for limit, largest in ((OWN.capacity_limit, 4 << 20), (10_000, 8192)):
        with closing(Acceptor(ADDRESS, Options(capacity_limit=limit))) as acceptor, plain(acceptor) as client:
            client.sendall(frame(0xF1, encode(hello)))
            opened = acceptor.accept(HANG)
            welcome = decode(answer(client)[1])
            assert (welcome.to_server, welcome.to_client) == (largest, 4096)
            close(opened)


@pytest.mark.parametrize(
    "offers, good, bad", [((STREAM,), "local", "shm"), ((RING,), "shm", "local")], ids=["stream", "ring"]
)
def test_what_is_not_offered_is_refused(offers: tuple[int, ...], good: str, bad: str) -> None:
    with closing(Acceptor(ADDRESS, OWN, offers=offers)) as acceptor:
        accepting = Background(acceptor.accept, HANG)
        with pytest.raises(ConnectError, match=f"{bad}://.* not offered here, only .*{good}://"):
            open_connection(parse_address(f"{bad}://acceptor"), OWN, HANG)
        client = open_connection(parse_address(f"{good}://acceptor"), OWN, HANG)
        server = accepting.result()
        assert server.is_ring is client.is_ring is (good == "shm")
        close(server, client)


def test_foreign_framings_have_no_ring() -> None:
    with closing(Acceptor(ADDRESS, OWN, offers=(RING,))) as acceptor, plain(acceptor) as client:
        client.sendall(b"{}\n")
        with pytest.raises(ChannelTimeout):
            acceptor.accept(0)
        assert is_hung_up(client)


def test_a_ring_of_another_layout_becomes_a_stream(acceptor: Acceptor) -> None:
    with plain(acceptor) as client:
        client.sendall(frame(0xF1, encode(replace(HELLO, transport=RING, layout=LAYOUT_VERSION + 1))))
        opened = acceptor.accept(HANG)
        assert decode(answer(client)[1]).transport == STREAM
        assert not opened.is_ring
        close(opened)


@pytest.mark.parametrize(
    "first, reason",
    [
        (frame(0xF1, encode(replace(HELLO, version=2))), "version 2"),
        (frame(0xF1, encode(replace(HELLO, codec="pickle"))), "'pickle'"),
        (frame(0xF1, encode(replace(HELLO, transport=9))), "transport 9"),
        (frame(0xF1, b"short"), "5 bytes"),
        (frame(0xF1, b""), "0 bytes"),
        (frame(2, b"bytes"), "kind 0x2"),
        (frame(0xF2, encode(HELLO)), "kind 0xf2"),
    ],
)
def test_what_cannot_be_agreed_on_is_refused_and_accepting_goes_on(
    acceptor: Acceptor, caplog: pytest.LogCaptureFixture, first: bytes, reason: str
) -> None:
    with plain(acceptor) as bad, plain(acceptor) as good:
        bad.sendall(first)
        good.sendall(frame(0xF1, encode(HELLO)))
        opened = acceptor.accept(HANG)
        assert answer(good)[0] == 0xF2
        kind, body = answer(bad)
        assert kind == 0xF3
        assert reason in decode_refusal(body)
        assert is_hung_up(bad)
        assert [record.levelno for record in caplog.records] == [logging.WARNING]
        assert reason in caplog.text
        close(opened)


@pytest.mark.parametrize(
    "first", [b"\0", b"GET / HTTP/1.1\r\n", b"\xf1\x9d", b"\xf1\x9c\x02", frame(0xF1, b"")[:8] + b"\xff" * 8]
)
def test_a_wrong_first_byte_is_dropped(acceptor: Acceptor, first: bytes) -> None:
    with plain(acceptor) as bad, plain(acceptor) as good:
        bad.sendall(first)
        good.sendall(frame(0xF1, encode(HELLO)))
        close(acceptor.accept(HANG))
        with pytest.raises(ChannelTimeout):
            acceptor.accept(0)
        bad.shutdown(socket.SHUT_WR)
        assert is_hung_up(bad)


def test_a_hello_may_come_byte_by_byte(acceptor: Acceptor) -> None:
    data = frame(0xF1, encode(HELLO)) + frame(2, b"behind it")
    with plain(acceptor) as client:
        for place in range(len(data) - 26):
            client.sendall(data[place : place + 1])
            with pytest.raises(ChannelTimeout):
                acceptor.accept(0)
        client.sendall(data[len(data) - 26 :])
        opened = acceptor.accept(HANG)
        assert opened.transport.recv_bytes(HANG) == b"behind it"
        close(opened)


def test_slow_clients_do_not_hold_up_others(acceptor: Acceptor) -> None:
    with plain(acceptor) as silent, plain(acceptor) as slow:
        slow.sendall(frame(0xF1, encode(HELLO))[:20])
        for _ in range(3):
            client = Background(open_connection, ADDRESS, OWN, HANG)
            server = acceptor.accept(HANG)
            talk(server, client.result())
            close(server, client.result())
        slow.sendall(frame(0xF1, encode(HELLO))[20:])
        late = acceptor.accept(HANG)
        silent.sendall(b"{}\n")
        later = acceptor.accept(HANG)
        assert (late.framing, later.framing) == ("length", "lines")
        close(late, later)


def test_a_client_that_is_never_whole_is_dropped(acceptor: Acceptor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HANDSHAKE_SECONDS", 0.1)
    with plain(acceptor) as silent, plain(acceptor) as slow:
        slow.sendall(frame(0xF1, encode(HELLO))[:20])
        started = time.monotonic()
        with pytest.raises(ChannelTimeout):
            acceptor.accept(0.5)
        assert time.monotonic() - started >= 0.5
        assert is_hung_up(silent)
        assert is_hung_up(slow)


def test_clients_that_leave_in_the_middle_leave_nothing(acceptor: Acceptor) -> None:
    with pytest.raises(ChannelTimeout):
        acceptor.accept(0)
    before = open_descriptors()
    data = frame(0xF1, encode(HELLO))
    for size in (0, 1, 15, 16, 40, len(data)):
        with plain(acceptor) as client:
            client.sendall(data[:size])
        with pytest.raises(ChannelTimeout):
            acceptor.accept(0)
    assert open_descriptors() == before


def test_descriptors_that_come_with_a_hello_are_closed(acceptor: Acceptor) -> None:
    with plain(acceptor) as client:
        before = open_descriptors()
        socket.send_fds(client, [frame(0xF1, encode(HELLO))], [0, 0, 0])
        close(acceptor.accept(HANG))
        assert open_descriptors() == before


def test_more_clients_than_one_wait_can_watch(acceptor: Acceptor) -> None:
    with ExitStack() as stack:
        silent = [stack.enter_context(plain(acceptor)) for _ in range(PENDING_MAX + 5)]
        with pytest.raises(ChannelTimeout):
            acceptor.accept(0.01)
        for client in silent:
            client.sendall(b"[1]\n")
        for _ in silent:
            opened = acceptor.accept(HANG)
            assert opened.transport.recv_message(HANG) == b"[1]"
            close(opened)


@pytest.mark.parametrize("codec", ["msgpack", "pickle"])
def test_a_client_without_handshake_gets_no_other_codec(codec: str) -> None:
    with closing(Acceptor(ADDRESS, Options(codec=codec))) as acceptor, plain(acceptor) as client:
        client.sendall(b"{}\n")
        with pytest.raises(ChannelTimeout):
            acceptor.accept(0.1)
        assert is_hung_up(client)


def test_pickle_is_spoken_where_both_name_it() -> None:
    with closing(Acceptor(ADDRESS, Options(codec="pickle"))) as acceptor:
        client = Background(open_connection, ADDRESS, Options(codec="pickle"), HANG)
        close(acceptor.accept(HANG), client.result())
        client = Background(open_connection, ADDRESS, OWN, HANG)
        with pytest.raises(ChannelTimeout):
            acceptor.accept(0.1)
        with pytest.raises(ConnectError, match=r"'json'.*'pickle'"):
            client.result()


def test_a_lines_listener_hands_out_silence_after_a_moment_and_greets_a_late_hello_before() -> None:
    with closing(Acceptor(ADDRESS, Options(framing="lines"))) as acceptor:
        with plain(acceptor):
            started = time.monotonic()
            with pytest.raises(ChannelTimeout):
                acceptor.accept(0.0)
            opened = acceptor.accept(HANG)
            assert time.monotonic() - started >= module.SILENCE_SECONDS
            assert opened.framing == "lines"
            close(opened)
        with plain(acceptor) as client:
            client.sendall(frame(0xF1, encode(HELLO))[:1])  # slower than a moment, but not silent
            with pytest.raises(ChannelTimeout):
                acceptor.accept(3 * module.SILENCE_SECONDS)
            client.sendall(frame(0xF1, encode(HELLO))[1:])
            opened = acceptor.accept(HANG)
            assert opened.framing == "length"
            close(opened)


# ---- waiting, closing, threads


@pytest.mark.parametrize(("timeout", "kind"), [(float("nan"), ValueError), ("1", TypeError)])
def test_a_timeout_that_is_none_is_refused(acceptor: Acceptor, timeout: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        acceptor.accept(timeout)


def test_a_negative_timeout_is_none_at_all(acceptor: Acceptor) -> None:
    with pytest.raises(ChannelTimeout, match="within 0 s"):
        acceptor.accept(-1)


def test_a_timeout_may_be_endless(acceptor: Acceptor) -> None:
    client = Background(open_connection, ADDRESS, OWN, float("inf"))
    close(acceptor.accept(float("inf")), client.result())


@pytest.mark.parametrize("timeout", [0, 0.02])
def test_no_timeout_is_early(acceptor: Acceptor, timeout: float) -> None:
    started = time.monotonic()
    with pytest.raises(ChannelTimeout):
        acceptor.accept(timeout)
    assert time.monotonic() - started >= timeout


def test_close_from_another_thread_ends_every_accept(acceptor: Acceptor) -> None:
    accepting = [Background(acceptor.accept) for _ in range(3)]
    for thread in accepting:
        until_asleep(os.getpid(), thread.native_id)
    acceptor.close()
    for thread in accepting:
        with pytest.raises(ChannelClosed):
            thread.result()
    assert not os.path.exists(acceptor.path)
    with pytest.raises(ChannelClosed):
        acceptor.accept(0)
    acceptor.close()


def test_close_from_a_signal_handler_ends_accept(acceptor: Acceptor) -> None:
    old = signal.signal(signal.SIGUSR1, lambda *_: acceptor.close())
    try:
        main = threading.get_native_id()

        def interrupt() -> None:
            until_asleep(os.getpid(), main)
            os.kill(os.getpid(), signal.SIGUSR1)

        interrupting = Background(interrupt)
        with pytest.raises(ChannelClosed):
            acceptor.accept(HANG)
        interrupting.result()
        assert not os.path.exists(acceptor.path)
    finally:
        signal.signal(signal.SIGUSR1, old)


def test_close_drops_those_in_handshake_and_in_the_backlog(acceptor: Acceptor) -> None:
    with plain(acceptor) as pending:
        with pytest.raises(ChannelTimeout):
            acceptor.accept(0)
        with plain(acceptor) as waiting:
            acceptor.close()
            assert is_hung_up(pending)
            assert is_hung_up(waiting)


def test_several_threads_share_the_clients(acceptor: Acceptor) -> None:
    accepting = [Background(acceptor.accept, HANG) for _ in range(4)]
    clients = [Background(open_connection, ADDRESS, OWN, HANG) for _ in range(4)]
    for thread in [*accepting, *clients]:
        close(thread.result())


def test_no_descriptor_is_left() -> None:
    def use() -> None:
        with closing(Acceptor(ADDRESS, OWN)) as acceptor, plain(acceptor):
            with pytest.raises(ChannelTimeout):
                acceptor.accept(0)

    use()
    before = open_descriptors()
    for _ in range(10):
        use()
    assert open_descriptors() == before


def test_a_forked_child_cannot_use_the_listener_and_does_no_harm(acceptor: Acceptor) -> None:
    program = """
import os
from ipcfast.errors import ChannelClosed
from ipcfast.transports.acceptor import Acceptor
from ipcfast.transports.address import parse_address
from ipcfast.transports.contract import Options
acceptor = Acceptor(parse_address("local://forked"), Options())
child = os.fork()
if child == 0:
    try:
        acceptor.accept(1)
    except ChannelClosed as error:
        os.write(1, str(error).encode())
    acceptor.close()
    os._exit(7 if acceptor.closed else 8)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), os.path.exists(acceptor.path), acceptor.closed)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert "belongs to the parent process" in done.stdout
    assert done.stdout.endswith("7 True False\n")
