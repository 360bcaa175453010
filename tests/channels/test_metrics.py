# SPDX-License-Identifier: MIT
"""Shows what a snapshot is, and what metrics say of channels without a transport."""

from __future__ import annotations

import dataclasses
import os
import pickle
import time

import pytest

import ipcfast
from ipcfast import (
    IpcChannel,
    IpcChannelMetrics,
    IpcChannelMetricsSnapshot,
    LocalSocketChannel,
    StdioChannel,
)
from tests.peers import HANG, Background

FIELDS = [field.name for field in dataclasses.fields(IpcChannelMetricsSnapshot)]


def test_a_snapshot_does_not_change() -> None:
    one, other = ipcfast.pair()
    with one, other:
        before = one.metrics.snapshot()
        one.send_bytes(b"x")
        assert before.messages_sent == 0
        assert one.metrics.messages_sent == 1
        with pytest.raises(dataclasses.FrozenInstanceError):
            before.messages_sent = 2  # type: ignore[misc]
        assert pickle.loads(pickle.dumps(before)) == before


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_of_a_snapshot_is_a_live_property(name: str) -> None:
    one, other = ipcfast.pair("shm")
    with one, other:
        one.send_many([b"x", b"yz"])
        other.recv_many(timeout=HANG)
        for channel in (one, other):
            metrics = channel.metrics
            live, copied = getattr(metrics, name), getattr(metrics.snapshot(), name)
            assert live <= copied if name == "uptime_secs" else live == copied
            assert f"{name}=" in repr(metrics)


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("local", "local_socket"),
        ("shm", "shared_memory"),
        ("thread", "thread"),
        ("tcp", "tcp"),
        ("stdio", "stdio"),
    ],
)
def test_the_type_is_that_of_the_documents(kind: str, told: str) -> None:
    for channel in ipcfast.pair(kind):
        assert channel.metrics.channel_type == told
        channel.close()


def test_uptime_is_the_age_of_the_channel() -> None:
    before = time.monotonic()
    one, other = ipcfast.pair()
    with one, other:
        made = time.monotonic()
        least = time.monotonic() - made
        uptime = one.metrics.uptime_secs
        assert least <= uptime <= time.monotonic() - before


def test_a_skipped_message_is_an_error_and_not_received() -> None:
    for kind in ("local", "shm"):
        one, other = ipcfast.pair(kind, message_limit=1024)
        with one, other:
            one.send_bytes(bytes(1025))
            one.send_bytes(bytes(1024))
            with pytest.raises(ipcfast.MessageTooLarge):
                other.recv_bytes(HANG)
            assert len(other.recv_bytes(HANG)) == 1024
            now = other.metrics.snapshot()
            assert (now.errors, now.messages_received, now.bytes_received) == (1, 1, 1024)
            assert one.metrics.messages_sent == 2


def test_noise_is_no_message_and_no_error() -> None:
    reader, writing = os.pipe()
    there, writer = os.pipe()
    with StdioChannel.of(reader, writer) as channel:
        os.write(writing, b'stray\n{"type":"data"}\nmore\n')
        os.close(writing)
        os.close(there)
        assert channel.recv(HANG).type == "data"
        with pytest.raises(ipcfast.Disconnected):
            channel.recv(HANG)
        now = channel.metrics.snapshot()
        assert (now.messages_received, now.bytes_received, now.errors) == (1, 15, 0)
        assert now.peak_queue_length == 1


@pytest.mark.parametrize("framing", ["lines", "content-length", "u32be"])
def test_bytes_are_those_of_the_messages_on_every_framing(framing: str) -> None:
    one, other = ipcfast.pair(framing=framing)
    with one, other:
        one.send_many([b"12", b"345"])
        assert other.recv_bytes(HANG) == b"12"
        assert other.recv_bytes(HANG) == b"345"
        assert one.metrics.bytes_sent == other.metrics.bytes_received == 5


def test_a_channel_that_is_not_connected_has_counted_nothing_and_stays_so() -> None:
    with LocalSocketChannel("metrics", prefix=None) as channel:
        now = channel.metrics.snapshot()
        assert (now.channel_name, now.messages_sent, now.errors) == ("metrics", 0, 0)


def test_counting_goes_on_from_the_first_message_of_a_channel_made_by_name() -> None:
    with LocalSocketChannel("metrics", True, prefix=None, framing="length") as server:
        metrics = server.metrics
        with LocalSocketChannel("metrics", prefix=None, framing="length") as client:
            sender = Background(client.send_bytes, b"123")
            assert server.recv_bytes(HANG) == b"123"
            sender.result()
            assert (client.metrics.messages_sent, client.metrics.bytes_sent) == (1, 3)
            assert (metrics.messages_received, metrics.bytes_received) == (1, 3)


def test_a_class_of_your_own_has_metrics_too() -> None:
    class Mine(IpcChannel):
        pass

    metrics = Mine("mine").metrics
    assert isinstance(metrics, IpcChannelMetrics)
    assert (metrics.channel_name, metrics.channel_type, metrics.messages_sent) == ("mine", "other", 0)


def test_metrics_can_be_read_in_a_forked_child() -> None:
    one, other = ipcfast.pair()
    with one, other:
        one.send_bytes(b"x")
        child = os.fork()
        if child == 0:
            os._exit(one.metrics.messages_sent)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 1
