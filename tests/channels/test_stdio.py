# SPDX-License-Identifier: MIT
"""Holds channels over two descriptors to the conformance suite, and shows what is theirs alone."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest

import ipcfast
from ipcfast import (
    ChannelTimeout,
    Disconnected,
    FrameError,
    IpcChannel,
    IpcMessage,
    MessageTooLarge,
    SendFailed,
    SerializationError,
    StdioChannel,
)
from tests.contracts.carrying import Carrying
from tests.contracts.channel import ChannelContract
from tests.contracts.channels import FEATURES
from tests.contracts.ending import Ending
from tests.contracts.flow import Flow
from tests.contracts.metrics import Metrics
from tests.peers import HANG, ROOT, Background, PeerProcess, open_descriptors

MIB = 1 << 20
TEXT_FRAMINGS = ["lines", "content-length"]


class OverStdio:
    """Both ends over two pipes, and a second process over its standard input and output."""

    kind = "stdio"
    tells_times = False
    close_ends_the_wire = False
    framing = "length"

    @contextmanager
    def peer(self, role: str, *arguments: object) -> Iterator[tuple[IpcChannel, PeerProcess]]:
        with PeerProcess(role, f"stdio://?framing={self.framing}", *arguments) as process:
            with StdioChannel.of(*process.wire, framing=self.framing) as channel:
                yield channel, process


class TestStdioChannel(OverStdio, ChannelContract):
    """In ipcfast's own framing: everything but an address and the peer's name."""

    features: ClassVar[frozenset[str]] = FEATURES - {"addresses", "known peer"}


class TestContentLength(OverStdio, Carrying, Flow, Ending, Metrics):
    """A wire that carries any bytes, but tells no kinds and says no goodbye."""

    framing = "content-length"
    features: ClassVar[frozenset[str]] = FEATURES - {
        "addresses",
        "known peer",
        "kinds",
        "goodbye",
    }


# ---- a channel and the bytes that it reads


@contextmanager
def reading(**options: Any) -> Iterator[tuple[StdioChannel, int]]:
    """A channel, and a descriptor to write what it reads."""
    reader, writing = os.pipe()
    there, writer = os.pipe()
    with StdioChannel.of(reader, writer, **options) as channel:
        try:
            yield channel, writing
        finally:
            for descriptor in (writing, there):
                with contextlib.suppress(OSError):  # the test may have closed it
                    os.close(descriptor)


def framed(framing: str, text: str) -> bytes:
    body = text.encode()
    return body + b"\n" if framing == "lines" else b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


@pytest.mark.parametrize("framing", TEXT_FRAMINGS)
def test_text_is_not_escaped_and_lengths_are_bytes(framing: str) -> None:
    message = {"type": "event", "event": "输入", "data": "日本語 – é 🎈"}
    reader, writing = os.pipe()
    there, writer = os.pipe()
    os.close(writing)
    with StdioChannel.of(reader, writer, framing=framing) as channel:
        channel.send(message)
    with open(there, "rb") as wire:
        sent = wire.read()
    assert framed(framing, json.dumps(message, ensure_ascii=False, separators=(",", ":"))) == sent
    with reading(framing=framing) as (channel, writing):
        for byte in sent:
            os.write(writing, bytes([byte]))
        assert channel.recv(HANG) == IpcMessage.from_dict(message)


@pytest.mark.parametrize("framing", TEXT_FRAMINGS)
def test_noise_is_passed_over_counted_and_handed_out(framing: str) -> None:
    noise: list[bytes] = []
    with reading(framing=framing, on_noise=noise.append) as (channel, writing):
        os.write(writing, b"starting up\r\n" + framed(framing, '{"data":1}') + b"  half\n")
        os.write(writing, "über\n".encode() + framed(framing, '{"data":2}'))
        assert channel.recv_json(HANG) == {"data": 1}
        assert channel.recv(HANG) == IpcMessage(data=2)
        assert noise == [b"starting up", b"  half", "über".encode()]
        assert channel.noise_count == 3
        os.write(writing, b"at the very end")
        os.close(writing)
        for _ in range(2):
            with pytest.raises(Disconnected) as caught:
                channel.recv(HANG)
            assert caught.value.peer_died is None
        assert noise[3:] == [b"at the very end"]


def test_lines_that_only_look_like_json_are_noise_too() -> None:
    noise: list[bytes] = []
    with reading(on_noise=noise.append) as (channel, writing):
        os.write(writing, b"[INFO] ready\n{'python': 1}\n[1, 2]\n{\"data\": 3}\n{broken\n")
        assert channel.recv_json(HANG) == [1, 2]
        assert channel.recv(HANG) == IpcMessage(data=3)
        assert channel.try_recv() is None
        assert noise == [b"[INFO] ready", b"{'python': 1}", b"{broken"]
        os.write(writing, b"{broken\n" * 200 + b"{}\n")
        assert channel.recv(HANG) == IpcMessage()
        assert channel.noise_count == 203


def test_what_begins_like_no_document_is_noise_and_nothing_else_is_decoded() -> None:
    with reading() as (channel, writing):
        os.write(writing, b'"text"\n42\nnull\n[x\n[1]\n')
        assert channel.recv_bytes(HANG) == b"[x"
        assert channel.noise_count == 3
        assert channel.recv_json(HANG) == [1]


@pytest.mark.parametrize("framing", TEXT_FRAMINGS)
def test_a_send_that_finds_the_peer_gone_takes_no_unread_message_for_a_death(framing: str) -> None:
    one, other = ipcfast.pair("stdio", framing=framing)
    with one, other:
        for number in range(2):
            one.send_json(number)
        one.close()
        with pytest.raises(Disconnected) as caught:
            other.send_json("x")
        assert caught.value.peer_died is None
        assert [other.recv_json(HANG), other.recv_json(HANG)] == [0, 1]
        with pytest.raises(Disconnected) as caught:
            other.recv_json(HANG)
        assert caught.value.peer_died is None


def test_json_that_is_no_message_is_told() -> None:
    with reading() as (channel, writing):
        os.write(writing, b"[1]\n{}\n")
        with pytest.raises(SerializationError):
            channel.recv(HANG)
        assert channel.recv(HANG) == IpcMessage()
        assert channel.noise_count == 0


@pytest.mark.parametrize("framing", TEXT_FRAMINGS)
def test_every_way_to_receive_passes_over_noise(framing: str) -> None:
    buffer = bytearray(100)
    with reading(framing=framing) as (channel, writing):
        for number, receive in enumerate(
            [
                lambda: channel.recv_bytes(HANG),
                lambda: channel.recv_many(timeout=HANG)[0],
                lambda: bytes(buffer[: channel.recv_bytes_into(buffer, HANG)]),
                lambda: channel.poll(HANG) and channel.try_recv_bytes(),
                lambda: next(iter(channel)).to_json().encode(),
            ],
            start=1,
        ):
            os.write(writing, b"noise\nnoise\n" + framed(framing, '{"type":"data","data":{}}'))
            assert receive() == b'{"type":"data","data":{}}'
            assert channel.noise_count == 2 * number
        os.write(writing, b"noise\n")
        assert channel.poll(0.01) is False
        assert channel.receive(0) is None
        with pytest.raises(ChannelTimeout):
            channel.recv_bytes_into(buffer, 0.01)


@pytest.mark.parametrize("noise", ["noise\n", "[noise\n"])
def test_a_peer_that_makes_nothing_but_noise_does_not_keep_a_call(noise: str) -> None:
    program = "import sys\nwhile True: sys.stdout.write(sys.argv[1] * 1000)"
    with subprocess.Popen(
        [sys.executable, "-c", program, noise], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdin is not None
        try:
            with StdioChannel.of(child.stdout, child.stdin) as channel:
                for call in (channel.recv, channel.recv_json):
                    for timeout in (0, 0.05):
                        with pytest.raises(ChannelTimeout):
                            Background(call, timeout).result()
                assert Background(channel.try_recv).result() is None
                assert Background(channel.poll, 0.05).result() is (noise == "[noise\n")
                while not channel.noise_count:
                    channel.poll(0.01)
        finally:
            child.kill()


def test_a_long_line_of_noise_is_cut() -> None:
    noise: list[bytes] = []
    with reading(on_noise=noise.append) as (channel, writing):
        sender = Background(os.write, writing, b"n" * 20_000 + b"\nshort\n[" + b"x" * 9000 + b"\n{}\n")
        assert channel.recv(HANG) == IpcMessage()
        sender.result()
    assert noise == [b"n" * 8192, b"short", b"[" + b"x" * 8191]
    assert channel.noise_count == 3


def test_a_handler_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def fail(line: bytes) -> None:
        raise KeyError(line)

    with reading(on_noise=fail) as (channel, writing):
        os.write(writing, b"noise\n{}\n")
        with caplog.at_level(logging.ERROR):
            assert channel.recv(HANG) == IpcMessage()
    assert "KeyError" in caplog.text


def test_without_it_noise_is_an_error() -> None:
    with reading(skip_noise=False) as (channel, writing):
        os.write(writing, b"noise\n{}\n")
        with pytest.raises(SerializationError):
            channel.recv(HANG)
        assert channel.recv(HANG) == IpcMessage()
    with reading(skip_noise=False, framing="content-length") as (channel, writing):
        os.write(writing, b"noise\n")
        with pytest.raises(FrameError):
            channel.recv(HANG)
    with reading(codec="raw") as (channel, writing):
        os.write(writing, b"no document of any kind\n")
        assert channel.recv_bytes(HANG) == b"no document of any kind"


# ---- sizes


@pytest.mark.parametrize("framing", TEXT_FRAMINGS)
def test_messages_of_any_length_up_to_the_limit(framing: str) -> None:
    one, other = ipcfast.pair("stdio", framing=framing)
    with one, other:
        for size in (65_535, 65_536, 65_537, 16 * MIB):
            value = "字" * (size // 3)
            sender = Background(one.send_json, value)
            assert other.recv_json(HANG) == value
            sender.result()
    with reading(framing=framing, message_limit=1024) as (channel, writing):
        Background(os.write, writing, framed(framing, '["%s"]' % ("x" * 200_000)) + framed(framing, "[1]"))
        with pytest.raises(MessageTooLarge):
            channel.recv_json(HANG)
        assert channel.recv_json(HANG) == [1]


def test_what_is_no_line_cannot_be_sent_as_one() -> None:
    one, other = ipcfast.pair("stdio", framing="lines")
    with one, other:
        for body in (b"", b" ", b"a\nb", b"a\r"):
            with pytest.raises(SendFailed):
                one.send_bytes(body)
        one.send_bytes(b"[1]")
        assert other.recv_json(HANG) == [1]


# ---- taking over


def test_file_objects_are_closed_and_descriptors_free() -> None:
    reader, writing = os.pipe()
    there, writer = os.pipe()
    with open(reader, "rb") as source, open(writer, "w") as target:
        target.write("before\n")
        with StdioChannel.of(source, target) as channel:
            assert source.closed
            assert target.closed
            channel.send({})
            os.write(writing, b"{}\n")
            assert channel.recv(HANG) == IpcMessage()
    with open(there, "rb") as wire:
        assert wire.read() == b"before\n{}\n"
    os.close(writing)


def test_what_cannot_be_taken_over_stays_the_callers() -> None:
    reader, writer = os.pipe()
    with pytest.raises(ValueError, match="direction"):
        StdioChannel.of(writer, reader)
    with pytest.raises(ValueError, match="neither"):
        StdioChannel(reader)
    with pytest.raises(ValueError, match="framing"):
        StdioChannel.of(reader, writer, framing="none")
    os.write(writer, b"x")
    assert os.read(reader, 1) == b"x"
    os.close(reader)
    os.close(writer)
    with pytest.raises(ipcfast.IoError):
        StdioChannel.of(reader, writer)


def test_other_addresses_are_refused() -> None:
    for address in ("stdio://x", "stdio:", "stdio://?codec=json", "stdio://?framing=none", "stdio://?"):
        with pytest.raises(ValueError, match=r"stdio|framing"):
            ipcfast.connect(address)
    with pytest.raises(ValueError, match="address"):
        ipcfast.listen("stdio://")
    with pytest.raises(ValueError, match="give one"):
        ipcfast.connect("stdio://?framing=lines", framing="length")
    with pytest.raises(ValueError, match="NaN"):
        ipcfast.connect("stdio://", timeout=float("nan"))


def test_a_pair_without_descriptors_leaves_none_behind() -> None:
    for end in ipcfast.pair("stdio"):  # loads what is loaded when first used
        end.close()
    before = open_descriptors()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    refused = 0
    try:
        while refused < 100:
            resource.setrlimit(resource.RLIMIT_NOFILE, (free + refused, limits[1]))
            try:
                pair = ipcfast.pair("stdio")
            except ipcfast.IoError:
                refused += 1
            else:
                break
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    for end in pair:
        end.close()
    assert refused > 4
    assert open_descriptors() == before


# ---- children


def child(
    program: str, *arguments: str, stderr: int = subprocess.PIPE, **options: Any
) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])}
    environment.pop("PYTHONUNBUFFERED", None)  # it would hide what is written late
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        env=environment,
        **options,
    )


def spoken_to(process: subprocess.Popen[bytes], **options: Any) -> StdioChannel:
    assert process.stdout is not None
    assert process.stdin is not None
    return StdioChannel.of(process.stdout, process.stdin, **options)


PRINTING = """
import ctypes, subprocess, sys
print("before the channel")
import ipcfast
with ipcfast.connect(sys.argv[1]) as channel:
    print("from Python")
    ctypes.CDLL(None).puts(b"from C")
    grandchild = "import sys; print('from a grandchild', sys.stdin.read())"
    subprocess.run([sys.executable, "-c", grandchild], check=True)
    print("input:", repr(sys.stdin.read()), flush=True)
    for message in channel:
        channel.send_json(message.data)
        if message.data == "enough":
            break
print("after the channel")
"""


@pytest.mark.parametrize("framing", TEXT_FRAMINGS)
def test_a_child_that_prints_cannot_disturb(framing: str) -> None:
    noise: list[bytes] = []
    with child(PRINTING, f"stdio://?framing={framing}") as process:
        with spoken_to(process, framing=framing, on_noise=noise.append) as channel:
            for value in ({"n": 1}, "日本", ["x" * 100_000], "enough"):
                channel.send_json(value)
                assert channel.recv_json(HANG) == value
            assert noise == [b"before the channel"]
            with pytest.raises(Disconnected):
                channel.recv(HANG)
            assert noise == [b"before the channel", b"after the channel"]
        assert process.stderr is not None
        assert sorted(process.stderr.read().splitlines()) == [
            b"from C",
            b"from Python",
            b"from a grandchild ",
            b"input: ''",
        ]
        assert process.wait(HANG) == 0


def test_both_directions_at_once_with_a_child() -> None:
    program = """
import threading, ipcfast
channel = ipcfast.connect("stdio://")
taken = []
taker = threading.Thread(target=lambda: taken.extend(channel.recv_json() for _ in range(10)))
taker.start()
for number in range(10):
    channel.send_json(str(number) * 1_048_576)
taker.join()
channel.send_json([len(text) for text in taken] + [text[0] for text in taken])
channel.recv_json()
"""
    with child(program) as process, spoken_to(process) as channel:
        sender = Background(lambda: [channel.send_json(str(n) * MIB, HANG) for n in range(10)])
        for number in range(10):
            assert channel.recv_json(HANG) == str(number) * MIB
        sender.result()
        assert channel.recv_json(HANG) == [MIB] * 10 + [str(number) for number in range(10)]
        channel.send_json("done")
        assert process.wait(HANG) == 0


def test_it_is_loaded_when_it_is_asked_for() -> None:
    """Who does not use it need not have it (R133)."""
    program = """
import sys, ipcfast
for kind in ("local", "shm", "thread"):
    one, other = ipcfast.pair(kind)
    one.close()
ipcfast.IpcChannelFactory.create_for_context().close()
print([name for name in sys.modules if name.startswith("ipcfast") and "stdio" in name])
"""
    with child(program) as process:
        wire, _ = process.communicate(timeout=HANG)
    assert wire == b"[]\n"


def test_shutdown_ends_the_wire_while_the_process_lives() -> None:
    program = """
import sys, os, ipcfast
channel = ipcfast.connect("stdio://")
channel.send_json("last")
channel.shutdown()
os.read(int(sys.argv[1]), 1)
"""
    waits, goes_on = os.pipe()
    with child(program, str(waits), pass_fds=(waits,)) as process, spoken_to(process) as channel:
        assert channel.recv_json(HANG) == "last"
        with pytest.raises(Disconnected):
            channel.recv(HANG)
        with pytest.raises(Disconnected):
            channel.send_json("x" * 1_000_000, HANG)
        assert process.poll() is None
        os.write(goes_on, b"x")
        assert process.wait(HANG) == 0
    os.close(waits)
    os.close(goes_on)


def test_a_forked_child_leaves_the_wire_alone() -> None:
    program = """
import os, ipcfast
channel = ipcfast.connect("stdio://")
child = os.fork()
if child == 0:
    try:
        channel.send_json("not from here")
    except ipcfast.ChannelClosed:
        pass
    try:
        ipcfast.connect("stdio://")
    except ipcfast.IoError:
        channel.close()
        os._exit(7)
    os._exit(1)
channel.send_json(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    with child(program) as process, spoken_to(process) as channel:
        assert channel.recv_json(HANG) == 7
        with pytest.raises(Disconnected):
            channel.recv(HANG)
        assert process.wait(HANG) == 0


def test_input_from_a_file_and_output_to_a_file(tmp_path: Path) -> None:
    program = """
import ipcfast
with ipcfast.connect("stdio://") as channel:
    for message in channel:
        channel.send_json(message.data)
print("done")
"""
    source, target = tmp_path / "in", tmp_path / "out"
    source.write_text('{"data": 1}\n{"data": "two"}\n')
    target.write_text("before\n")
    with source.open() as reads, target.open("a") as writes:
        subprocess.run(
            [sys.executable, "-c", program],
            stdin=reads,
            stdout=writes,
            check=True,
            timeout=HANG,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])},
        )
    assert target.read_text().splitlines() == [
        "before",
        '{"type":"data","data":1}',
        '{"type":"data","data":"two"}',
        "done",
    ]
