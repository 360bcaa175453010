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

import pytest

from ipcfast.errors import AddressNotFound, ChannelTimeout, ConnectError, PermissionDenied
from ipcfast.transports.acceptor import Acceptor
from ipcfast.transports.address import parse_address
from ipcfast.transports.contract import Options
from ipcfast.transports.handshake import RING, STREAM, Hello, decode, encode
from ipcfast.transports.open import open_connection, open_pair
from ipcfast.transports.ring import LAYOUT_VERSION
from tests.peers import HANG, Background, open_descriptors

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


def frame(kind: int, body: bytes) -> bytes:
    return b"\xf1\x9c\x01" + bytes([kind, 0, 0]) + b"\xff\xff" + len(body).to_bytes(8, "little") + body


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
    assert decode(hello[16:]) == Hello(STREAM, "json", pid=os.getpid())


def test_a_ring_is_asked_for_with_capacities(server: socket.socket) -> None:
    said = answering(server, frame(0xF3, b"no"))
    with pytest.raises(ConnectError, match="refused the connection: no"):
        open_connection(SHM, Options(capacity=5000, codec="raw"), HANG)
    assert decode(said.result()[16:]) == Hello(
        RING, "raw", to_server=5000, to_client=5000, layout=LAYOUT_VERSION, pid=os.getpid()
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


def test_a_server_that_hangs_up_is_an_error(server: socket.socket) -> None:
    hanging_up = Background(lambda: server.accept()[0].close())
    with pytest.raises(ConnectError, match="closed the connection"):
        open_connection(LOCAL, OWN, HANG)
    hanging_up.result()


# ---- finding the server


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


@pytest.mark.parametrize(
    "call", [lambda: open_pair("tcp", OWN), lambda: open_pair("shm", Options(framing="lines"))]
)
def test_a_pair_that_is_none_is_refused(call: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"tcp|lines"):
        call()
