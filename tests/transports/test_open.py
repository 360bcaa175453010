# SPDX-License-Identifier: MIT
"""Shows how a client finds a server, what it asks for, and what it makes of every answer."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from ipcfast.errors import AddressNotFound, ChannelClosed, ChannelTimeout, ConnectError, PermissionDenied
from ipcfast.transports.acceptor import Acceptor
from ipcfast.transports.address import parse_address
from ipcfast.transports.contract import Options
from ipcfast.transports.handshake import RING, STREAM, TIMES, Hello, decode, encode
from ipcfast.transports.open import Opening, open_connection, open_pair
from ipcfast.transports.ring import LAYOUT_VERSION, make_segment
from tests.peers import HANG, Background, open_descriptors
from tests.transports.plain import frame, is_hung_up

OWN = Options()
LOCAL, SHM = parse_address("local://open"), parse_address("shm://open")
WELCOME = Hello(STREAM, "json", pid=1)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="speaks over plain Unix sockets")


@pytest.fixture
def server() -> Iterator[socket.socket]:
    """A server that is a plain socket."""
    with closing(socket.socket(socket.AF_UNIX)) as listening:
        listening.settimeout(HANG)
        listening.bind(LOCAL.path_to_listen())
        listening.listen()
        yield listening


def wanted() -> bool:
    """Not given up."""
    return False


def answering(server: socket.socket, *answer: bytes, handles: int = 0) -> Background[bytes]:
    """Answer one client, and return what it said."""

    def serve() -> bytes:
        connection, _ = server.accept()
        with closing(connection):
            connection.settimeout(HANG)
            hello = connection.recv(72, socket.MSG_WAITALL)
            for part in answer:
                socket.send_fds(connection, [part], [0] * handles)
            try:
                while connection.recv(4096):  # until the client leaves
                    pass
            except ConnectionResetError:
                pass
            return hello

    return Background(serve)


def test_the_hello_is_the_one_of_the_specification(server: socket.socket) -> None:
    said = answering(server, frame(0xF2, encode(WELCOME)))
    open_connection(LOCAL, OWN, HANG).transport.close()
    hello = said.result()
    assert hello == frame(0xF1, hello[16:])[:6] + hello[6:8] + frame(0xF1, hello[16:])[8:]
    assert decode(hello[16:]) == Hello(STREAM, "json", features=TIMES, pid=os.getpid())


def test_a_ring_is_asked_for_with_capacities(server: socket.socket) -> None:
    said = answering(server, frame(0xF3, b"no"))
    with pytest.raises(ConnectError, match="refused the connection: no"):
        open_connection(SHM, Options(capacity=5000, codec="raw"), HANG)
    assert decode(said.result()[16:]) == Hello(
        RING,
        "raw",
        to_server=5000,
        to_client=5000,
        layout=LAYOUT_VERSION,
        features=TIMES,
        pid=os.getpid(),
    )


def test_a_stream_in_place_of_a_ring_is_an_error_that_says_so(server: socket.socket) -> None:
    serving = answering(server, frame(0xF2, encode(WELCOME)))
    with pytest.raises(ConnectError, match="local://"):
        open_connection(SHM, OWN, HANG)
    serving.result()


@pytest.mark.parametrize(
    "answer, text",
    [
        (frame(0xF2, b"short"), "5 bytes"),
        (frame(0xF2, encode(replace(WELCOME, version=2))), "version"),
        (frame(0xF2, encode(replace(WELCOME, codec="pickle"))), "codec"),
        (
            frame(0xF2, encode(replace(WELCOME, transport=RING, to_server=4096, to_client=4096))),
            "transport 2",
        ),
        (frame(0xF1, encode(WELCOME)), "kind 0xf1"),
        (frame(2, b"bytes"), "kind 0x2"),
        (frame(0xF3, "n\u00f6\x1b[31m".encode()), r"refused.*n\u00f6\\x1b"),
        (b'{"type":"hello"}\n', "framing='lines'"),
        (b"\xf1\x9c\x09" + bytes(20), "framing"),
        (frame(0xF2, bytes(5000)), "5000 bytes"),
        (frame(0xF2, encode(replace(WELCOME, to_server=4096))), "bytes to the server 4096"),
    ],
)
def test_an_answer_that_is_none_is_an_error(server: socket.socket, answer: bytes, text: str) -> None:
    serving = answering(server, answer)
    with pytest.raises(ConnectError, match=text):
        open_connection(LOCAL, OWN, HANG)
    serving.result()


@pytest.mark.parametrize("transport, handles", [(RING, 1), (RING, 0), (RING, 9), (STREAM, 3)])
def test_wrong_handles_are_closed(server: socket.socket, transport: int, handles: int) -> None:
    answer = replace(WELCOME, transport=transport)
    if transport == RING:
        answer = replace(answer, layout=LAYOUT_VERSION, to_server=4096, to_client=4096)
    before = open_descriptors()
    serving = answering(server, frame(0xF2, encode(answer)), handles=handles)
    with pytest.raises(ConnectError):
        open_connection(SHM if transport == RING else LOCAL, OWN, HANG)
    serving.result()
    assert open_descriptors() == before


@pytest.mark.parametrize("behind", [b"\0", frame(2, b"too early")])
def test_bytes_behind_the_welcome_to_a_ring_are_an_error(behind: bytes) -> None:
    before = open_descriptors()
    answer = replace(WELCOME, transport=RING, layout=LAYOUT_VERSION, to_server=4096, to_client=4096)
    segment = make_segment(answer)
    with closing(socket.socket(socket.AF_UNIX)) as listening:
        listening.bind(SHM.path_to_listen())
        listening.listen()

        def serve() -> None:
            connection, _ = listening.accept()
            with closing(connection):
                connection.settimeout(HANG)
                connection.recv(72, socket.MSG_WAITALL)
                socket.send_fds(connection, [frame(0xF2, encode(answer)) + behind], segment.handles)
                is_hung_up(connection)

        serving = Background(serve)
        with pytest.raises(ConnectError, match="broke the handshake"):
            open_connection(SHM, Options(capacity=4096), HANG)
        serving.result()
    segment.close()
    assert open_descriptors() == before


def test_a_ring_larger_than_asked_for_is_an_error(server: socket.socket) -> None:
    answer = replace(WELCOME, transport=RING, layout=LAYOUT_VERSION, to_server=8192, to_client=4096)
    serving = answering(server, frame(0xF2, encode(answer)))
    with pytest.raises(ConnectError, match="8192 bytes"):
        open_connection(SHM, Options(capacity=4096), HANG)
    serving.result()


def test_a_server_that_hangs_up_is_an_error(server: socket.socket) -> None:
    hanging_up = Background(lambda: server.accept()[0].close())
    with pytest.raises(ConnectError, match="closed the connection"):
        open_connection(LOCAL, OWN, HANG)
    hanging_up.result()


# ---- going on later


def test_what_is_begun_is_gone_on_with() -> None:
    """Attempts that end at once get there together, with one connection."""
    with closing(Acceptor(LOCAL, OWN)) as acceptor:
        opening = Opening(LOCAL, OWN)
        for _ in range(3):
            with pytest.raises(ChannelTimeout, match="accept"):
                opening.advance(0, 0, wanted)
        server = acceptor.accept(HANG)
        client = opening.advance(0, 0, wanted)
        with pytest.raises(ChannelTimeout):
            acceptor.accept(0)  # nobody else had come
        server.transport.send_bytes(b"x")
        assert client.transport.recv_bytes(HANG) == b"x"
        opening.close()
        client.transport.send_bytes(b"y")  # it is not the opening's any more
        assert server.transport.recv_bytes(HANG) == b"y"
        server.transport.close()
        client.transport.close()


def test_after_an_error_it_begins_anew() -> None:
    before = open_descriptors()
    opening = Opening(LOCAL, OWN)
    with closing(Acceptor(LOCAL, Options(codec="raw"))) as acceptor:
        with pytest.raises(ChannelTimeout):
            opening.advance(0, 0, wanted)
        with pytest.raises(ChannelTimeout):
            acceptor.accept(0)
        with pytest.raises(ConnectError, match="codec"):
            opening.advance(HANG, HANG, wanted)
    with pytest.raises(AddressNotFound):
        opening.advance(0, 0, wanted)
    with closing(Acceptor(LOCAL, OWN)):
        with pytest.raises(ChannelTimeout):
            opening.advance(0, 0, wanted)
        with pytest.raises(ChannelClosed):
            opening.advance(HANG, HANG, lambda: True)
        with pytest.raises(ChannelTimeout):
            opening.advance(0, 0, wanted)
        opening.close()
        opening.close()
    assert open_descriptors() == before


# ---- finding the server


@pytest.mark.parametrize(("timeout", "kind"), [(float("nan"), ValueError), ("1", TypeError)])
def test_a_timeout_that_is_none_is_refused(timeout: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        open_connection(LOCAL, OWN, timeout)


def test_a_negative_timeout_is_none_at_all() -> None:
    with pytest.raises(AddressNotFound) as caught:
        open_connection(LOCAL, OWN, -1)
    assert "waited" not in str(caught.value)


@pytest.mark.parametrize("timeout", [0, 0.05])
def test_nobody_there(timeout: float) -> None:
    started = time.monotonic()
    with pytest.raises(AddressNotFound, match=r"local://open.*open\.sock") as caught:
        open_connection(LOCAL, OWN, timeout)
    assert time.monotonic() - started >= timeout
    assert caught.value.filename == LOCAL.path_to_connect()


def test_nobody_there_any_more() -> None:
    with closing(socket.socket(socket.AF_UNIX)) as dead:
        dead.bind(LOCAL.path_to_listen())
    with pytest.raises(AddressNotFound):
        open_connection(LOCAL, OWN, 0.01)


@pytest.mark.parametrize("timeout", [HANG, None])
def test_a_server_that_is_just_starting_is_waited_for(timeout: float | None) -> None:
    client = Background(open_connection, LOCAL, OWN, timeout)
    threading.Event().wait(0.05)  # it has looked, and found nobody
    with closing(Acceptor(LOCAL, OWN)) as acceptor:
        acceptor.accept(HANG).transport.close()
        client.result().transport.close()


def test_a_full_backlog_is_waited_for() -> None:
    with closing(socket.socket(socket.AF_UNIX)) as listening:
        listening.bind(LOCAL.path_to_listen())
        listening.listen(0)
        with closing(socket.socket(socket.AF_UNIX)) as first:
            first.connect(LOCAL.path_to_connect())
            with pytest.raises(ChannelTimeout, match="backlog"):
                open_connection(LOCAL, OWN, 0.05)
            client = Background(open_connection, LOCAL, Options(framing="lines"), HANG)
            listening.accept()[0].close()
            client.result().transport.close()


def test_no_time_still_leaves_time_for_the_answer() -> None:
    with closing(Acceptor(LOCAL, OWN)) as acceptor:
        client = Background(open_connection, LOCAL, OWN, 0)
        acceptor.accept(HANG).transport.close()
        client.result().transport.close()


def test_an_answer_that_does_not_come_is_waited_for_only_so_long(server: socket.socket) -> None:
    started = time.monotonic()
    with pytest.raises(ChannelTimeout, match="accept"):
        open_connection(LOCAL, OWN, 0.05)
    assert time.monotonic() - started >= 0.05


def test_a_foreign_framing_says_nothing_first(server: socket.socket) -> None:
    opened = open_connection(LOCAL, Options(framing="lines"), HANG)
    connection, _ = server.accept()
    with closing(connection):
        connection.setblocking(False)
        with pytest.raises(BlockingIOError):
            connection.recv(1)
    assert (opened.framing, opened.is_ring) == ("lines", False)
    opened.transport.close()


SERVER_OF_SOMEBODY_ELSE = """
import os, socket, sys
os.setgid(65534)
os.setuid(65534)
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen()
print(flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs a second user")
def test_a_server_of_another_user_is_refused() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        os.chmod(place, 0o777)
        with subprocess.Popen(
            [sys.executable, "-c", SERVER_OF_SOMEBODY_ELSE, f"{place}/s"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline()
            with pytest.raises(PermissionDenied):
                open_connection(parse_address(f"unix://{place}/s"), OWN, HANG)


# ---- pairs


@pytest.mark.parametrize("kind, is_ring", [("local", False), ("shm", True)])
def test_a_pair_is_connected(kind: str, is_ring: bool) -> None:
    one, other = open_pair(kind, OWN)
    assert one.is_ring is other.is_ring is is_ring
    one.transport.send_bytes(b"x")
    assert other.transport.recv_bytes(HANG) == b"x"
    for end in (one, other):
        end.transport.close()


def test_a_pair_over_tcp_says_so() -> None:
    for end in open_pair("tcp", OWN):
        assert end.is_tcp
        end.transport.close()


@pytest.mark.parametrize(
    "call", [lambda: open_pair("udp", OWN), lambda: open_pair("shm", Options(framing="lines"))]
)
def test_a_pair_that_is_none_is_refused(call: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"udp|lines"):
        call()
