# SPDX-License-Identifier: MIT
"""Holds the channel between threads to the conformance suite, and shows what is its own."""

from __future__ import annotations

import gc
import inspect
import os
import weakref
from collections.abc import Callable
from typing import Any, ClassVar

import pytest

import ipcfast
from ipcfast import (
    ChannelTimeout,
    Disconnected,
    IpcChannel,
    IpcError,
    IpcMessage,
    SerializationError,
    ShutdownState,
    ShuttingDown,
    ThreadChannel,
)
from tests.contracts.callbacks import Callbacks
from tests.contracts.carrying import Carrying
from tests.contracts.ending import Ending
from tests.contracts.flow import Flow
from tests.contracts.metrics import Metrics
from tests.contracts.together import Together
from tests.peers import HANG, Background, connected, until_asleep


class ThreadContract(Carrying, Flow, Ending, Together, Callbacks, Metrics):
    """One process, no codec, no pieces: all other parts of the suite hold."""

    kind = "thread"
    capabilities: ClassVar[set[str]] = {"messages", "bytes", "objects"}
    features: ClassVar[frozenset[str]] = frozenset({"addresses", "kinds", "goodbye", "known peer"})


class TestThreadChannel(ThreadContract):
    options: ClassVar[dict[str, Any]] = {"queue_capacity": 300}


class TestSmallQueue(ThreadContract):
    """The same with little room, so that senders wait all the time."""

    options: ClassVar[dict[str, Any]] = {"queue_capacity": 60}


# ---- alone, and in pairs (D13, R69)


def test_alone_it_receives_what_it_sends() -> None:
    with ThreadChannel("alone") as channel:
        assert channel.name == "alone"
        channel.send(IpcMessage(type="ping"))
        channel.send_bytes(b"x")
        assert channel.recv() == IpcMessage(type="ping")
        assert channel.recv_bytes() == b"x"
        assert channel.try_recv() is None
        waiting = Background(channel.recv)
        channel.send({"type": "event", "event": "go"})
        assert waiting.result().event == "go"
        assert channel.peer == (os.getpid(), os.geteuid() if hasattr(os, "geteuid") else None)


def test_a_pair_has_two_named_ends() -> None:
    one, other = ThreadChannel.pair("work")
    with one, other:
        assert (one.name, other.name) == ("work_a", "work_b")
        for source, target in ((one, other), (other, one)):
            source.send_json(source.name)
            assert source.try_recv() is None
            assert target.recv_json() == source.name


@pytest.mark.parametrize("make", [ThreadChannel, ThreadChannel.pair])
def test_the_capacity_is_ten_thousand_unless_given(make: Callable[..., Any]) -> None:
    assert inspect.signature(make).parameters["capacity"].default == 10_000
    for arguments, capacity in (((), 10_000), ((7,), 7)):
        made = make("sized", *arguments)
        channel: IpcChannel = made[0] if isinstance(made, tuple) else made
        for number in range(capacity):
            channel.send_json(number, timeout=0)
        with pytest.raises(ChannelTimeout):
            channel.send_json("one too many", timeout=0)
    for bad in (0, -1):
        with pytest.raises(ValueError, match="capacity"):
            make("sized", bad)


def test_a_full_channel_holds_its_senders_back() -> None:
    one, other = ThreadChannel.pair("full", 2)
    with one, other:
        sender = Background(lambda: [one.send_json(number) for number in range(100)])
        until_asleep(os.getpid(), sender.native_id)
        assert sender.is_alive()
        assert [other.recv_json(HANG) for _ in range(100)] == list(range(100))
        sender.result()


# ---- objects


class Thing:
    """No codec could carry it."""


def test_any_object_passes_as_it_is() -> None:
    one, other = ThreadChannel.pair("objects")
    with one, other:
        for thing in (Thing(), {1: 2}, float("nan"), b"x", lambda: None, "\ud800"):
            one.send_json(thing)
            assert other.recv_json() is thing
            one.send_json(thing)
            message = other.recv()
            assert (message.type, message.data is thing) == ("data", True)


def test_the_message_itself_is_handed_over() -> None:
    one, other = ThreadChannel.pair("aliases")
    with one, other:
        message = IpcMessage(type="response", id="1", data=[1], error=IpcError(1, "no"))
        one.send(message)
        assert other.recv() is message
        one.send(message)
        assert other.try_recv() is message
        document = {"type": "event", "event": "e", "data": [1], "mine": 1}
        one.send(document)
        received = other.recv()
        document["data"].append(2)  # type: ignore[attr-defined]
        assert (received.event, received.data, received.extra) == ("e", [1, 2], {"mine": 1})
        one.send(document)
        assert other.recv_json() is document


def test_recv_json_of_messages() -> None:
    one, other = ThreadChannel.pair("json")
    with one, other:
        one.send(IpcMessage(data=5))
        assert other.recv_json() == 5
        one.send(IpcMessage(type="request", id="7", method="m", data=5))
        assert other.recv_json() == {"type": "request", "id": "7", "method": "m", "data": 5}
        one.send({"type": "data"})
        assert other.recv_json() == {}


@pytest.mark.parametrize("receive", [ThreadChannel.recv, ThreadChannel.try_recv])
def test_a_dict_that_is_no_message_is_taken_off(receive: Callable[[ThreadChannel], object]) -> None:
    one, other = ThreadChannel.pair("wrong")
    with one, other:
        one.send({"id": [5]})
        one.send({"id": 5})
        with pytest.raises(SerializationError) as caught:
            receive(other)
        assert caught.value.field == "id"
        assert other.recv().id == 5


def test_a_message_belongs_to_the_channel_until_it_is_received() -> None:
    one, other = ThreadChannel.pair("owner")
    thing = Thing()
    watch = weakref.ref(thing)
    one.send_json(thing)
    del thing
    gc.collect()
    assert watch() is not None
    other.close()
    assert watch() is None


def test_a_message_that_holds_its_own_channels_is_collected() -> None:
    one, other = ThreadChannel.pair("cycle")
    one.send_json([one, other])
    other.send(IpcMessage(data=other))
    watches = [weakref.ref(one), weakref.ref(other)]
    del one, other
    gc.collect()
    assert [watch() for watch in watches] == [None, None]


# ---- the end (R70, R71)


def test_both_ends_of_a_pair_share_one_state() -> None:
    one, other = ThreadChannel.pair("shared")
    assert one.shutdown_state is other.shutdown_state
    waiting = Background(one.recv)
    until_asleep(os.getpid(), waiting.native_id)
    other.shutdown()
    with pytest.raises(ShuttingDown):
        waiting.result()
    for end in (one, other):
        assert end.is_shutdown()
        with pytest.raises(ShuttingDown):
            end.send({})


@pytest.mark.parametrize("ender", ["one", "other", "state"])
def test_what_was_sent_before_a_shared_shutdown_is_received(ender: str) -> None:
    one, other = ThreadChannel.pair("drained")
    for end in (one, other):
        end.send_json(end.name)
        end.send_bytes(b"x")
    {"one": one, "other": other, "state": one.shutdown_state}[ender].shutdown()
    for end, name in ((one, "drained_b"), (other, "drained_a")):
        assert end.poll()
        assert end.recv_json() == name
        assert end.recv_bytes() == b"x"
        with pytest.raises(ShuttingDown):
            end.recv()
        assert end.receive() is None
        with pytest.raises(ShuttingDown):
            end.poll()


def test_alone_it_receives_what_it_had_sent_before_its_shutdown() -> None:
    channel = ThreadChannel("alone")
    channel.send_json(1)
    channel.shutdown()
    assert channel.recv_json() == 1
    with pytest.raises(ShuttingDown):
        channel.recv_json()
    channel.close()
    with pytest.raises(ipcfast.ChannelClosed):
        channel.recv_json()


def test_receiving_with_and_without_a_timeout() -> None:
    one, other = ThreadChannel.pair("ending")
    with pytest.raises(ChannelTimeout):
        one.recv(timeout=0.01)
    waiting = Background(one.recv)
    until_asleep(os.getpid(), waiting.native_id)
    other.close()
    with pytest.raises(Disconnected) as caught:
        waiting.result()
    assert caught.value.peer_died is False
    assert one.receive() is None


# ---- metrics


def test_alone_it_counts_what_it_sends_to_itself() -> None:
    with ThreadChannel("alone") as channel:
        channel.send_json("an object has no bytes")
        channel.send_many([b"12", b"345"])
        assert channel.recv_json() == "an object has no bytes"
        now = channel.metrics.snapshot()
        assert (now.messages_sent, now.bytes_sent) == (3, 5)
        assert (now.messages_received, now.bytes_received, now.peak_queue_length) == (1, 0, 3)
        assert channel.recv_many() == [b"12", b"345"]
        now = channel.metrics.snapshot()
        assert (now.messages_received, now.bytes_received, now.errors) == (3, 5, 0)


def test_what_nobody_can_receive_any_more_was_not_received() -> None:
    one, other = ThreadChannel.pair("dropped")
    one.send_many([b"1", b"23", b"456"])
    assert other.recv_bytes() == b"1"
    seen = []

    class Dropped:
        def __del__(self) -> None:
            seen.append(other.metrics.messages_received)

    one.send_json(Dropped())
    for end in (one, other):
        end.close()
    assert (one.metrics.messages_sent, one.metrics.bytes_sent) == (4, 6)
    assert (other.metrics.messages_received, other.metrics.bytes_received) == (1, 1)
    assert seen == [1]


# ---- addresses


def test_the_address_makes_the_difference() -> None:
    """The same program, between processes and between threads."""
    for scheme in ("local", "shm", "thread"):
        with connected(f"{scheme}://switch", queue_capacity=5) as (server, client):
            client.send({"type": "request", "id": "1", "method": "add", "data": [1, 2]})
            request = server.recv(HANG)
            server.send(IpcMessage(type="response", id=request.id, data=sum(request.data)))
            assert client.recv(HANG).data == 3
            assert (
                isinstance(server, ThreadChannel) == isinstance(client, ThreadChannel) == (scheme == "thread")
            )


def test_options_of_the_wire_do_no_harm() -> None:
    with ipcfast.listen("thread://wire", framing="lines", codec="msgpack", message_limit=2000) as listener:
        assert listener.path == listener.address == "thread://wire"
        client = Background(lambda: ipcfast.connect("thread://wire", codec="raw", framing="u32be"))
        with listener.accept(HANG) as server, client.result() as other:
            server.send_json(bytes(5000))
            assert other.recv_json(HANG) == bytes(5000)


def test_a_state_given_to_one_end_lets_it_receive_what_had_come() -> None:
    state = ShutdownState()
    with ipcfast.listen("thread://given") as listener:
        client = Background(lambda: ipcfast.connect("thread://given", shutdown_state=state))
        with listener.accept(HANG) as server, client.result() as other:
            server.send_json("before")
            state.shutdown()
            assert other.recv_json(HANG) == "before"
            with pytest.raises(ShuttingDown):
                other.recv_json()
            with pytest.raises(Disconnected):
                server.recv_json()
