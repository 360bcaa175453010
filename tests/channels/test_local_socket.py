# SPDX-License-Identifier: MIT
"""Holds the local-socket channel to the conformance suite, and its wire to what plain sockets see."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

import ipcfast
from ipcfast import (
    ChannelTimeout,
    ConnectError,
    Disconnected,
    FrameError,
    IpcMessage,
    LocalSocketChannel,
    LocalSocketChannelServer,
    MessageTooLarge,
    SendFailed,
    SerializationError,
)
from tests.contracts.channel import ChannelContract
from tests.contracts.channels import Channels
from tests.contracts.flow import Flow
from tests.peers import HANG, Background

NAME = f"test-{os.getpid()}"
unix = pytest.mark.skipif(sys.platform == "win32", reason="speaks over plain Unix sockets")


@pytest.fixture(autouse=True, scope="module")
def no_lock_file_left() -> Iterator[None]:
    """The lock file of a name stays by design, but this name is never used again."""
    yield
    Path(f"/tmp/auroraview_{NAME}.lock").unlink(missing_ok=True)


class TestLocalSocketChannel(ChannelContract):
    kind = "local"


class TestLines(Channels):
    """What the framing of the documents shares with the others (R65)."""

    kind = "local"
    framing = "lines"

    test_several_senders_never_interleave = Flow.test_several_senders_never_interleave


@contextmanager
def plain_client(path: str) -> Iterator[socket.socket]:
    with closing(socket.socket(socket.AF_UNIX)) as client:
        client.settimeout(HANG)
        client.connect(path)
        yield client


@contextmanager
def plain_server(path: str) -> Iterator[socket.socket]:
    with closing(socket.socket(socket.AF_UNIX)) as server:
        server.settimeout(HANG)
        server.bind(path)
        server.listen()
        yield server
    os.unlink(path)


@pytest.fixture
def path(tmp_path_factory: pytest.TempPathFactory, private_runtime_directory: Path) -> str:
    return str(private_runtime_directory.parent / "s")


# ---- the documents' wire (R63)


def test_the_prefixes_are_those_of_the_documents() -> None:
    assert LocalSocketChannel.WINDOWS_PIPE_PREFIX == "\\\\.\\pipe\\auroraview_"
    assert LocalSocketChannel.UNIX_SOCKET_PREFIX == "/tmp/auroraview_"


@unix
def test_a_server_of_ours_and_a_client_with_a_plain_socket() -> None:
    with LocalSocketChannel.server(NAME) as listener:
        assert listener.path == f"/tmp/auroraview_{NAME}" == LocalSocketChannel.UNIX_SOCKET_PREFIX + NAME
        with plain_client(listener.path) as client, listener.accept(HANG) as channel:
            client.sendall('{"type":"request","id":"1","method":"echo","data":"日本"}\n'.encode())
            request = channel.recv(HANG)
            assert (request.type, request.id, request.method, request.data) == (
                "request",
                "1",
                "echo",
                "日本",
            )
            channel.send(IpcMessage(type="response", id=request.id, data={"text": request.data}))
            line = client.makefile("rb").readline()
            assert "日本".encode() in line  # not escaped
            assert json.loads(line) == {"type": "response", "id": "1", "data": {"text": "日本"}}
    assert not os.path.exists(listener.path)


@unix
def test_a_client_of_ours_and_a_server_with_a_plain_socket() -> None:
    with plain_server(f"/tmp/auroraview_{NAME}") as server:
        with LocalSocketChannel.connect(NAME) as channel:
            connection, _ = server.accept()
            with closing(connection):
                channel.send(IpcMessage(type="ready", data={"handlers": ["a"]}))
                assert json.loads(connection.makefile("rb").readline()) == {
                    "type": "ready",
                    "data": {"handlers": ["a"]},
                }
                connection.sendall(b'{"type":"event","event":"go"}\r\n\n{"type":"ping"}\n')
                assert channel.receive(HANG) == IpcMessage(type="event", event="go")
                assert channel.receive(HANG) == IpcMessage(type="ping")
                assert channel.receive(0.01) is None
            assert channel.receive(HANG) is None
            with pytest.raises(Disconnected) as caught:
                channel.recv(HANG)
            assert caught.value.peer_died is None  # lines have no goodbye


@unix
def test_ours_on_both_sides_speak_it_too() -> None:
    with LocalSocketChannelServer.new(NAME) as listener:
        client = Background(LocalSocketChannel.connect, NAME)
        with listener.accept(HANG) as server, client.result() as other:
            assert type(server) is type(other) is LocalSocketChannel
            other.send_json({"n": 1})
            assert server.recv_json(HANG) == {"n": 1}
            server.send_bytes(b'{"n":2}')
            assert other.recv(HANG).extra == {"n": 2}


@unix
def test_channels_made_by_name_connect_when_they_are_used() -> None:
    server, client = LocalSocketChannel(NAME, is_server=True), LocalSocketChannel(NAME)
    with server, client:
        sender = Background(client.send, {"type": "ping"})
        assert server.receive(HANG) == IpcMessage(type="ping")
        assert sender.result() is True
        client.open()  # again: does nothing
        assert not os.path.exists(f"/tmp/auroraview_{NAME}")  # one client only, so the name is free again


@unix
def test_a_channel_made_by_name_can_be_closed_before_it_connects() -> None:
    channel = LocalSocketChannel(NAME, timeout=0)
    with pytest.raises(ipcfast.AddressNotFound):
        channel.send({})
    channel.close()
    with pytest.raises(ipcfast.ChannelClosed):
        channel.send({})
    assert channel.receive() is None


# ---- sniffing


@unix
@pytest.mark.parametrize(
    "sent, answer",
    [
        (b'{"type":"ping"}\n', b'{"type":"pong","data":{}}\n'),
        (b' \n{"type":"ping"}\n', b'{"type":"pong","data":{}}\n'),
        (b'[1]\n{"type":"ping"}\n', b'{"type":"pong","data":{}}\n'),
        (
            b'Content-Length: 15\r\n\r\n{"type":"ping"}',
            b'Content-Length: 25\r\n\r\n{"type":"pong","data":{}}',
        ),
        (
            b'content-type: x\r\ncontent-length:15\r\n\r\n{"type":"ping"}',
            b'Content-Length: 25\r\n\r\n{"type":"pong","data":{}}',
        ),
    ],
)
@pytest.mark.parametrize("framing", ["length", "lines", "content-length"])
def test_a_clients_first_byte_tells_its_framing(path: str, framing: str, sent: bytes, answer: bytes) -> None:
    with ipcfast.listen(f"unix://{path}", framing=framing) as listener, plain_client(path) as client:
        client.sendall(sent)
        with listener.accept(HANG) as channel:
            while channel.recv_json(HANG) != {"type": "ping"}:
                pass
            channel.send(IpcMessage(type="pong"))
            received = b""
            while len(received) < len(answer):
                received += client.recv(4096)
            assert received == answer


@unix
def test_a_silent_client_of_a_lines_listener_is_handed_out(path: str) -> None:
    with ipcfast.listen(f"unix://{path}", framing="lines") as listener, plain_client(path) as client:
        with listener.accept(HANG) as channel:
            channel.send_json(1)
            assert client.makefile("rb").readline() == b'{"type":"data","data":1}\n'
            client.sendall(b"Content-Length: 2\r\n\r\n{}")  # only now is it known how it speaks
            assert channel.recv_json(HANG) == {}


@unix
@pytest.mark.parametrize("framing", ["length", "lines", "content-length"])
@pytest.mark.parametrize("scheme", ["local", "shm"])
def test_clients_of_ours_are_greeted_whatever_the_framing(framing: str, scheme: str) -> None:
    with ipcfast.listen("local://any", framing=framing) as listener:
        client = Background(ipcfast.connect, f"{scheme}://any")
        with listener.accept(HANG) as server, client.result() as other:
            assert type(server) is type(other)
            for one, two in ((server, other), (other, server)):
                one.send_bytes(b"\n\0binary")
                assert two.recv_bytes(HANG) == b"\n\0binary"


@unix
def test_u32be_recognises_nothing(path: str) -> None:
    with ipcfast.listen(f"unix://{path}", framing="u32be") as listener, plain_client(path) as client:
        with listener.accept(HANG) as channel:  # at once: on this wire the server may speak first
            channel.send({"a": 1})
            assert client.recv(4096) == b'\0\0\0\x07{"a":1}'
            client.sendall(b"\0\0\0\x02[]")
            assert channel.recv_json(HANG) == []


# ---- bad bytes


@unix
def test_lines_go_on_after_bad_ones(path: str) -> None:
    with (
        ipcfast.listen(f"unix://{path}", framing="lines", message_limit=2000) as listener,
        plain_client(path) as client,
    ):
        client.sendall(
            b'{"type":"first"}\n{broken\n{"a":"\xff"}\n[1]\n{"id":[5]}\n'
            + b"x" * 5000
            + b'\n{"type":"last"}\n'
        )
        with listener.accept(HANG) as channel:
            assert channel.recv(HANG).type == "first"
            for field in (None, None, None, "id"):
                with pytest.raises(SerializationError) as caught:
                    channel.recv(HANG)
                assert caught.value.field == field
            with pytest.raises(MessageTooLarge) as too_large:
                channel.recv(HANG)
            assert too_large.value.limit == 2000
            assert channel.recv(HANG).type == "last"


@unix
@pytest.mark.parametrize(
    "header",
    [
        b"Content-Length: -1\r\n\r\n",
        b"Content-Length: +1\r\n\r\n",
        b"Content-Length: 0x1\r\n\r\n",
        b"Content-Length: one\r\n\r\n",
        b"Content-Length: 99999999999\r\n\r\n",
        b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"Content-Type: json\r\n\r\n",
    ],
)
def test_a_bad_header_ends_the_stream(path: str, header: bytes) -> None:
    with ipcfast.listen(f"unix://{path}", framing="content-length") as listener, plain_client(path) as client:
        client.sendall(b"Content-Length: 2\r\n\r\n{}" + header + b"Content-Length: 2\r\n\r\n[]")
        with listener.accept(HANG) as channel:
            assert channel.recv_json(HANG) == {}
            for _ in range(2):
                with pytest.raises(FrameError):
                    channel.recv_json(HANG)


@unix
@pytest.mark.parametrize("place, byte", [(0, 0xF2), (1, 0), (2, 2), (3, 0x77), (4, 1), (5, 1), (15, 0x80)])
def test_a_bad_own_header_ends_the_stream(place: int, byte: int) -> None:
    left, right = socket.socketpair()
    with closing(right):
        from ipcfast._native.stream_channel import StreamChannel

        channel = LocalSocketChannel("raw", transport=StreamChannel.adopt(left.detach()))
        good = b"\xf1\x9c\x01\x02\0\0\xff\xff" + (2).to_bytes(8, "little") + b"ok"
        bad = bytearray(good)
        bad[place] = byte
        right.sendall(good + bad)
        with channel:
            assert channel.recv_bytes(HANG) == b"ok"
            for _ in range(2):
                with pytest.raises(FrameError):
                    channel.recv_bytes(HANG)


@unix
def test_an_oversized_body_behind_a_good_header_is_skipped(path: str) -> None:
    with ipcfast.listen(f"unix://{path}", framing="content-length", message_limit=2000) as listener:
        with plain_client(path) as client:
            client.sendall(b"Content-Length: 2001\r\n\r\n" + b"x" * 2001 + b"Content-Length: 2\r\n\r\n{}")
            with listener.accept(HANG) as channel:
                with pytest.raises(MessageTooLarge) as caught:
                    channel.recv_json(HANG)
                assert (caught.value.size, caught.value.limit) == (2001, 2000)
                assert channel.recv_json(HANG) == {}


@unix
@pytest.mark.parametrize("body", [b"", b"two\nlines", b"  ", b"ends in\r"])
def test_what_is_no_line_cannot_be_sent_as_one(body: bytes) -> None:
    one, other = ipcfast.pair("local", framing="lines")
    with one, other:
        with pytest.raises(SendFailed):
            one.send_bytes(body)
        one.send_bytes(b"line")
        assert other.recv_bytes(HANG) == b"line"


@pytest.mark.parametrize("framing", ["lines", "content-length", "u32be"])
def test_large_messages_over_foreign_framings(framing: str) -> None:
    one, other = ipcfast.pair("local", framing=framing)
    with one, other:
        value = ["x" * 1000] * 5000
        sender = Background(one.send_json, value)
        assert other.recv_json(HANG) == value
        sender.result()


# ---- connecting


@unix
def test_a_server_with_another_framing_is_named(path: str) -> None:
    with plain_server(path) as server:

        def answer_in_lines() -> None:
            connection, _ = server.accept()
            with closing(connection):
                connection.sendall(b'{"type":"hello"}\n')
                connection.recv(4096)

        answering = Background(answer_in_lines)
        with pytest.raises(ConnectError, match="framing='lines'"):
            ipcfast.connect(f"unix://{path}", timeout=HANG)
        answering.result()


def test_a_server_that_does_not_accept_is_told_of() -> None:
    with ipcfast.listen("local://lazy"), pytest.raises(ChannelTimeout, match="accept"):
        ipcfast.connect("local://lazy", timeout=0.05)
