# SPDX-License-Identifier: MIT
"""Openings by themselves, where the system has no handles for processes, and what they free."""

from __future__ import annotations

import gc
import os

import pytest

import ipcfast
from ipcfast._native.stream_channel import KIND_HELLO, StreamChannel
from ipcfast.processes import opening as module
from ipcfast.processes.opening import ByName, Inherited
from ipcfast.processes.process import PIPE, Process
from ipcfast.transports.address import parse_address
from ipcfast.transports.contract import Options
from ipcfast.transports.handshake import STREAM, Hello, encode
from ipcfast.transports.inherited import Greeting, Place, place_of
from tests.peers import HANG, Background, open_descriptors


def without_handles(process: Process) -> list[int]:
    """As on Linux before 5.3."""
    return []


def test_without_handles_the_end_is_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "handles_of", without_handles)
    with ipcfast.spawn(["/bin/sh", "-c", "sleep 0.1; exit 9"], timeout=None) as child:
        with pytest.raises(ipcfast.ChildExited) as caught:
            _ = child.channel
        assert caught.value.exit_code == 9


def connected(process: Process, options: Options) -> tuple[ipcfast.IpcChannel, ipcfast.IpcChannel]:
    """The parent's channel, and the child's, which is in this process as well."""
    ours, theirs = StreamChannel.pair()
    place = place_of(os.dup(theirs.handle()), options, ring=True)
    theirs.abandon()
    opening = Inherited(ours, options)
    child = Background(lambda: Greeting(place, options).advance(HANG))
    parent = opening.open(process, HANG)
    opened = child.result()
    opening.cancel()  # they are the channel's business now
    opening.close()
    assert parent.peer == (None, os.geteuid())  # we are not the process that was started
    return parent, module.channel_of(opened, "child", options.codec)


def test_a_child_that_is_another_process_is_not_watched() -> None:
    gc.collect()
    before = open_descriptors()
    with Process("/bin/cat", stdin=PIPE) as process:
        parent, child = connected(process, Options())
        assert process.stdin is not None
        process.stdin.close()
        process.wait(HANG)
        child.send_json(1)
        assert parent.recv_json(HANG) == 1
        assert parent.peer_died is None
        child.close()
        parent.close()
    del process, parent, child
    gc.collect()
    assert open_descriptors() == before


def test_another_codec_is_refused_and_both_are_told() -> None:
    ours, theirs = StreamChannel.pair()
    place = place_of(os.dup(theirs.handle()), Options(), ring=False)
    theirs.abandon()
    with Process("/bin/cat", stdin=PIPE) as process:
        child = Background(lambda: Greeting(place, Options(codec="raw")).advance(HANG))
        opening = Inherited(ours, Options())
        with pytest.raises(ipcfast.ConnectError, match="codec 'raw'"):
            opening.open(process, HANG)
        with pytest.raises(ipcfast.ConnectError, match="codec 'raw'"):
            child.result()
        opening.close()


def test_the_place_says_what_was_made() -> None:
    reading, writing = os.pipe()
    try:
        place = place_of(reading, Options(codec="msgpack", capacity=8192), ring=False)
        assert place == Place(
            f"fd:{reading}",
            {
                "transport": "local",
                "framing": "length",
                "codec": "msgpack",
                "capacity": "8192",
                "inode": str(os.fstat(reading).st_ino),
            },
        )
    finally:
        os.close(reading)
        os.close(writing)


def test_a_name_is_free_once_the_child_has_come_or_nobody_waits() -> None:
    address = parse_address("local://opening")
    opening = ByName(address, Options())
    with Process("/bin/cat", stdin=PIPE) as process:
        client = Background(lambda: ipcfast.connect("local://opening", timeout=HANG))
        with opening.open(process, HANG) as channel, client.result() as other:
            other.send_json("there")
            assert channel.recv_json(HANG) == "there"
        second = ByName(address, Options())
        second.cancel()
        with pytest.raises(ipcfast.ChannelClosed):
            second.open(process, HANG)
        second.close()
        with ipcfast.listen("local://opening"):
            pass


def test_the_last_word_of_a_child_counts() -> None:
    """It said hello, and ended before anybody looked: what it sent is received."""
    ours, theirs = StreamChannel.pair()
    with Process("/bin/true") as process:
        process.wait(HANG)
        theirs.send_handles(KIND_HELLO, encode(Hello(STREAM, "json", pid=process.pid)), [], HANG)
        theirs.send_bytes(b"last word")
        opening = Inherited(ours, Options())
        with opening.open(process, HANG) as channel:
            assert channel.peer.pid == process.pid
            assert channel.recv_bytes(HANG) == b"last word"
        theirs.close()
