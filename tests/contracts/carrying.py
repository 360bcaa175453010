# SPDX-License-Identifier: MIT
"""The conformance suite, part one: what a channel carries arrives whole, once, and in order."""

from __future__ import annotations

import math
import os
import select
import sys

import pytest

import ipcfast
from ipcfast import IpcError, IpcMessage, MessageTooLarge, ReceiveFailed, SerializationError
from tests.contracts.channels import Channels, Pair, needs
from tests.peers import HANG, Background, connected, until_asleep

__all__ = ["Carrying"]

MILLION = 1_000_000
MIB = 1 << 20


class Carrying(Channels):
    """Messages, JSON and bytes, of every size and number."""

    # ---- messages

    def test_a_message_arrives_as_it_was_sent(self, pair: Pair) -> None:
        one, other = pair
        message = IpcMessage(type="request", id="7", method="render", data={"frame": [1, 2.5, None, "é"]})
        assert one.send(message) is True
        assert other.recv(HANG) == message

    def test_a_dict_is_sent_as_it_is(self, pair: Pair) -> None:
        one, other = pair
        assert one.send({"jsonrpc": "2.0", "method": "m", "params": [1]}) is True
        received = other.recv(HANG)
        assert received.extra == {"jsonrpc": "2.0", "params": [1]}
        assert (received.type, received.method) == ("data", "m")

    @pytest.mark.parametrize("identifier", ["1", 1, 0, 2**53])
    def test_a_json_rpc_object_passes_with_all_its_keys(self, pair: Pair, identifier: str | int) -> None:
        one, other = pair
        one.send({"jsonrpc": "2.0", "id": identifier, "method": "m", "params": [1]})
        received = other.recv(HANG)
        assert (received.id, type(received.id), received.method) == (identifier, type(identifier), "m")
        assert received.extra == {"jsonrpc": "2.0", "params": [1]}
        other.send({"jsonrpc": "2.0", "id": received.id, "error": {"code": -32601, "message": "no"}})
        answer = one.recv(HANG)
        assert (answer.id, answer.error) == (identifier, IpcError(-32601, "no"))
        one.send(received)
        assert other.recv(HANG) == received

    @pytest.mark.parametrize("value", [None, 0, "", [], {}, {"type": "data"}, [{"a": 1.5}], "日本"])
    def test_json_arrives_as_it_was_sent(self, pair: Pair, value: object) -> None:
        one, other = pair
        one.send_json(value)
        assert other.recv_json(HANG) == value
        one.send_json(value)
        assert other.recv(HANG) == IpcMessage(type="data", data=value)

    def test_recv_json_gives_other_messages_whole(self, pair: Pair) -> None:
        one, other = pair
        one.send({"type": "event", "data": 1})
        assert other.recv_json(HANG) == {"type": "event", "data": 1}
        one.send({"id": "1"})
        assert other.recv_json(HANG) == {"id": "1"}

    @needs("documents")
    @pytest.mark.parametrize("value", [math.nan, b"bytes", {1: 2}, "\ud800", {"deep": object()}])
    def test_what_cannot_be_encoded_is_not_sent(self, pair: Pair, value: object) -> None:
        one, other = pair
        for send in (one.send_json, lambda item: one.send({"data": item})):
            with pytest.raises(SerializationError) as caught:
                send(value)
            assert caught.value.field == "data"
        one.send_json("next")
        assert other.recv_json(HANG) == "next"

    def test_send_takes_messages_only(self, pair: Pair) -> None:
        with pytest.raises(SerializationError, match="send_json"):
            pair[0].send([1])  # type: ignore[arg-type]

    def test_try_recv_never_waits(self, pair: Pair) -> None:
        one, other = pair
        assert other.try_recv() is None
        assert other.try_recv_bytes() is None
        one.send_json(1)
        assert other.poll(HANG)
        assert other.try_recv() == IpcMessage(data=1)
        one.send_bytes(b"x")
        assert other.poll(HANG)
        assert other.try_recv_bytes() == b"x"

    def test_receive_gives_none_when_nothing_comes(self, pair: Pair) -> None:
        one, other = pair
        assert other.receive(timeout=0) is None
        assert other.receive(timeout=0.01) is None
        one.send_json(1)
        assert other.receive(HANG) == IpcMessage(data=1)

    def test_iteration_gives_every_message_until_the_end(self, pair: Pair) -> None:
        one, other = pair
        for number in range(10):
            one.send_json(number)
        one.close()
        assert [message.data for message in other] == list(range(10))

    @needs("documents")
    def test_iteration_tells_of_a_message_that_had_to_be_skipped(self) -> None:
        one, other = self.ends(message_limit=2000)
        with other, one:
            one.send_json("x" * 3000)
            one.send({"id": []})
            one.send_json("last")
            one.shutdown()
            with pytest.raises(MessageTooLarge):
                list(other)
            with pytest.raises(SerializationError):
                list(other)
            assert [message.data for message in other] == ["last"]

    # ---- kinds

    @needs("kinds")
    def test_the_wrong_kind_stays_at_the_head(self, pair: Pair) -> None:
        one, other = pair
        one.send_bytes(b"bytes")
        one.send_json("message")
        for receive in (other.recv, other.recv_json, other.receive):
            with pytest.raises(ReceiveFailed):
                receive(HANG)
        with pytest.raises(ReceiveFailed):
            other.try_recv()
        assert other.recv_bytes(HANG) == b"bytes"
        for receive_bytes in (other.recv_bytes, lambda timeout: other.recv_many(timeout=timeout)):
            with pytest.raises(ReceiveFailed):
                receive_bytes(HANG)
        with pytest.raises(ReceiveFailed):
            other.try_recv_bytes()
        with pytest.raises(ReceiveFailed):
            other.recv_bytes_into(bytearray(100), HANG)
        assert other.recv_json(HANG) == "message"

    @needs("kinds")
    def test_recv_many_stops_at_a_message(self, pair: Pair) -> None:
        one, other = pair
        one.send_many([b"1", b"2"])
        one.send_json(3)
        one.send_bytes(b"4")
        assert self.collect(other, 2) == [b"1", b"2"]
        assert other.recv_json(HANG) == 3
        assert other.recv_many(timeout=HANG) == [b"4"]

    # ---- sizes

    @pytest.mark.parametrize("extra", [-64, -17, -16, -9, -8, -1, 0, 1, 8, 64])
    @pytest.mark.parametrize("part", [0, 16, 2, 1])
    def test_sizes_around_every_bound(self, pair: Pair, extra: int, part: int) -> None:
        """Around nothing, a sixteenth, a half and the whole of the capacity."""
        one, other = pair
        size = max(0, (self.capacity // part if part else 64) + extra)
        data = bytes(range(251)) * (size // 251) + b"x" * (size % 251)
        sender = Background(one.send_many, [data, b"", data])
        assert [other.recv_bytes(HANG) for _ in range(3)] == [data, b"", data]
        sender.result()
        echo = bytearray(size)
        sender = Background(one.send_bytes, data)
        assert other.recv_bytes_into(echo, HANG) == size
        assert echo == data
        sender.result()

    @pytest.mark.parametrize("size", [3 * MIB + 1, 40 * MIB])
    def test_sizes_far_beyond_the_capacity(self, pair: Pair, size: int) -> None:
        one, other = pair
        data = bytes(range(256)) * (size // 256) + b"e" * (size % 256)
        sender = Background(one.send_bytes, data)
        assert other.recv_bytes(HANG) == data
        sender.result()

    def test_every_small_size(self, pair: Pair) -> None:
        one, other = pair
        bodies = [bytes([size % 256]) * size for size in range(600)]
        sender = Background(one.send_many, bodies)
        assert [other.recv_bytes(HANG) for _ in bodies] == bodies
        sender.result()

    def test_buffers_of_every_sort_are_taken(self, pair: Pair) -> None:
        one, other = pair
        for data in (bytearray(b"abc"), memoryview(b"xabcx")[1:4], memoryview(bytearray(b"abc"))):
            one.send_bytes(data)
            assert other.recv_bytes(HANG) == b"abc"
        with pytest.raises(TypeError):
            one.send_bytes("abc")  # type: ignore[arg-type]
        with pytest.raises((TypeError, BufferError)):
            other.recv_bytes_into(b"fixed", 0)

    def test_a_buffer_too_small_leaves_the_message(self, pair: Pair) -> None:
        one, other = pair
        one.send_bytes(b"12345678")
        buffer = bytearray(7)
        with pytest.raises(MessageTooLarge) as caught:
            other.recv_bytes_into(buffer, HANG)
        assert (caught.value.size, caught.value.limit) == (8, 7)
        buffer = bytearray(9)
        assert other.recv_bytes_into(buffer, HANG) == 8
        assert buffer == b"12345678\0"

    @needs("documents")
    def test_a_message_above_the_limit_is_skipped(self) -> None:
        one, other = self.ends(message_limit=2000)
        with one, other:
            one.send_bytes(bytes(2000))
            one.send_bytes(bytes(2001))
            one.send_bytes(b"next")
            assert len(other.recv_bytes(HANG)) == 2000
            with pytest.raises(MessageTooLarge) as caught:
                other.recv_bytes(HANG)
            assert (caught.value.size, caught.value.limit) == (2001, 2000)
            assert other.recv_bytes(HANG) == b"next"
            sender = Background(one.send_many, [bytes(5 * MIB), b"after"])
            with pytest.raises(MessageTooLarge):
                other.recv_bytes(HANG)
            assert other.recv_bytes(HANG) == b"after"
            sender.result()

    # ---- number and order

    def collect(self, channel: ipcfast.IpcChannel, count: int, max_bytes: int = 65536) -> list[bytes]:
        bodies: list[bytes] = []
        while len(bodies) < count:
            bodies += channel.recv_many(max_bytes, HANG)
        return bodies

    def test_recv_many_is_bounded_in_bytes(self, pair: Pair) -> None:
        one, other = pair
        one.send_many([b"x" * 100] * 20)
        batches = []
        while sum(map(len, batches)) < 20:
            batches.append(other.recv_many(250, HANG))
        assert max(map(len, batches)) <= 2
        one.send_many([b"x" * 100] * 2)
        assert len(other.recv_many(0, HANG)) == 1  # the first comes whatever its size
        assert other.recv_many(1, HANG) == [b"x" * 100]

    def test_send_many_of_nothing(self, pair: Pair) -> None:
        pair[0].send_many([])
        assert not pair[1].poll()

    @needs("processes", "kinds")
    @pytest.mark.parametrize("role", ["numbered", "numbered_in_batches"])
    def test_a_million_messages_from_another_process(self, role: str) -> None:
        with self.peer(role, MILLION) as (channel, _):
            number = 0
            while number < MILLION:
                bodies = channel.recv_many(65536, HANG) if number % 2 else [channel.recv_bytes(HANG)]
                for body in bodies:
                    assert int.from_bytes(body, "little") == number
                    number += 1
            assert channel.recv_json(HANG) == MILLION

    @needs("processes")
    @pytest.mark.parametrize("role", ["counting", "counting_in_batches"])
    def test_a_million_messages_to_another_process(self, role: str) -> None:
        with self.peer(role, MILLION) as (channel, _):
            send = channel.send_bytes
            for number in range(0, MILLION, 2000):
                for one in range(number, number + 1000):
                    send(one.to_bytes(8, "little"))
                channel.send_many([one.to_bytes(8, "little") for one in range(number + 1000, number + 2000)])
            assert channel.recv_json(HANG) == MILLION

    @needs("processes")
    def test_both_directions_at_once(self) -> None:
        with self.peer("echo") as (channel, _):
            bodies = [bytes([number % 256]) * (number * 37 % 5000) for number in range(20_000)]
            sender = Background(lambda: [channel.send_bytes(body) for body in bodies])
            for body in bodies:
                assert channel.recv_bytes(HANG) == body
            sender.result()

    # ---- around it

    def test_poll_and_fileno_tell_of_messages(self, pair: Pair) -> None:
        one, other = pair
        descriptor = other.fileno()
        assert not other.poll()
        assert not other.poll(0.01)
        assert select.select([descriptor], [], [], 0)[0] == []
        for number in range(3):
            one.send_bytes(b"%d" % number)
        for number in range(3):
            assert other.poll(HANG)
            assert select.select([descriptor], [], [], HANG)[0] == [descriptor]
            assert other.recv_bytes() == b"%d" % number
        assert not other.poll()
        assert select.select([descriptor], [], [], 0)[0] == []
        one.close()
        assert select.select([descriptor], [], [], HANG)[0] == [descriptor]
        assert other.poll()

    def test_fileno_tells_of_what_a_receiver_in_another_thread_leaves(self, pair: Pair) -> None:
        one, other = pair
        waiting = Background(other.recv_bytes, HANG)
        until_asleep(os.getpid(), waiting.native_id)
        descriptor = other.fileno()
        one.send_bytes(b"for the receiver")
        assert waiting.result() == b"for the receiver"
        for body in (b"left", b"and again"):
            one.send_bytes(body)
            assert select.select([descriptor], [], [], HANG)[0] == [descriptor]
            assert other.try_recv_bytes() == body

    def test_poll_wakes_for_a_message(self, pair: Pair) -> None:
        waiting = Background(pair[1].poll, None)
        until_asleep(os.getpid(), waiting.native_id)
        pair[0].send_bytes(b"x")
        assert waiting.result()

    @needs("addresses")
    def test_a_channel_says_what_it_is(self, address: str) -> None:
        with connected(address) as (server, client):
            for channel in (server, client):
                assert channel.name == address.partition("://")[2]
                assert channel.capabilities == self.capabilities
                assert (channel.peer.pid is not None) == ("known peer" in self.features)
                assert "open" in repr(channel)
                assert not channel.is_shutdown()
                assert channel.peer_died is None
        assert "closed" in repr(server)

    @needs("processes", "known peer")
    def test_the_peer_is_the_process_at_the_other_end(self) -> None:
        with self.peer("idle", 0) as (channel, process):
            assert channel.peer.pid == process.pid
            if sys.platform != "win32":
                assert channel.peer.uid is not None

    @needs("documents", "kinds")
    @pytest.mark.parametrize("codec", ["msgpack", "pickle"])
    def test_other_codecs(self, codec: str) -> None:
        one, other = self.ends(codec=codec)
        with one, other:
            one.send_json({"bytes": b"\0\xff"})
            assert other.recv_json(HANG) == {"bytes": b"\0\xff"}
            one.send(IpcMessage(type="event", event="e", data=b"x"))
            assert other.recv(HANG) == IpcMessage(type="event", event="e", data=b"x")

    @needs("documents")
    def test_raw_carries_bytes_only(self) -> None:
        one, other = self.ends(codec="raw")
        with one, other:
            assert one.capabilities == {"bytes"}
            one.send_bytes(b"x")
            assert other.recv_bytes(HANG) == b"x"
            with pytest.raises(SerializationError, match="send_bytes"):
                one.send_json({})
            for receive in (one.recv, one.recv_json, one.receive, lambda timeout: one.try_recv()):
                with pytest.raises(ReceiveFailed, match="recv_bytes"):
                    receive(0)
