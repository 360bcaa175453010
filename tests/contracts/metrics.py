# SPDX-License-Identifier: MIT
"""The conformance suite, part five: a channel counts what it carries, exactly."""

from __future__ import annotations

import os
import threading
import time
from typing import ClassVar

import pytest

from ipcfast import ChannelClosed, ChannelTimeout, Disconnected, IpcChannel
from tests.contracts.channels import Channels, Pair, needs
from tests.peers import HANG, Background, until_asleep

__all__ = ["Metrics"]

MIB = 1 << 20


def sent(channel: IpcChannel) -> tuple[int, int]:
    now = channel.metrics.snapshot()
    return now.messages_sent, now.bytes_sent


def received(channel: IpcChannel) -> tuple[int, int]:
    now = channel.metrics.snapshot()
    return now.messages_received, now.bytes_received


# One message of 64: docs/spec/framing.md, Times.
TIMED = {number for number in range(10_000) if number * 0x9E3779B97F4A7C15 % (1 << 64) < 1 << 58}


class Metrics(Channels):
    """Messages, bytes, errors, waits and the queue, as ``channel.metrics`` tells them (R104-R115).

    Attributes:
        tells_times: Whether messages tell when they were sent.
    """

    tells_times: ClassVar[bool] = True

    def test_nothing_is_counted_before_it_happens(self, pair: Pair) -> None:
        for channel in pair:
            now = channel.metrics.snapshot()
            assert now.channel_name == channel.name
            assert (sent(channel), received(channel)) == ((0, 0), (0, 0))
            assert (now.errors, now.peak_queue_length, now.waits, now.wake_ups) == (0, 0, 0, 0)

    @needs("kinds")
    def test_sends_and_receives_of_every_kind_count_messages_and_bytes(self, pair: Pair) -> None:
        one, other = pair
        one.send_bytes(b"12345")
        one.send_bytes(bytearray(b""))
        one.send_many([b"a" * size for size in (1, 2, 300)])
        one.send({"type": "data"})
        assert sent(one) == (6, 308 + (len(b'{"type":"data"}') if "documents" in self.features else 0))
        assert received(other) == (0, 0)
        assert other.recv_bytes(HANG) == b"12345"
        assert other.recv_bytes_into(bytearray(10), HANG) == 0
        assert len(other.recv_many(timeout=HANG)) == 3
        assert received(other) == (5, 308)
        assert other.recv(HANG).type == "data"
        assert received(other) == sent(one)
        assert (received(one), sent(other)) == ((0, 0), (0, 0))
        assert (one.metrics.errors, other.metrics.errors) == (0, 0)

    def test_long_messages_count_once_each(self, pair: Pair) -> None:
        one, other = pair
        bodies = [os.urandom(size) for size in (self.capacity + 1, 4 * MIB, 1)]
        sender = Background(one.send_many, bodies)
        assert [other.recv_bytes(HANG) for _ in bodies] == bodies
        sender.result()
        assert sent(one) == received(other) == (3, sum(map(len, bodies)))

    def test_both_directions_and_several_threads_count_exactly(self, pair: Pair) -> None:
        one, other = pair
        count, body = 2000, b"x" * 100

        def send(channel: IpcChannel) -> None:
            for _ in range(count):
                channel.send_bytes(body, HANG)

        def receive(channel: IpcChannel) -> None:
            for _ in range(count):
                channel.recv_bytes(HANG)

        jobs = [(work, channel) for work in (send, receive) for channel in (one, one, other, other)]
        threads = [Background(work, channel) for work, channel in jobs]
        for thread in threads:
            thread.result()
        for channel in pair:
            assert sent(channel) == received(channel) == (2 * count, 2 * count * len(body))

    @needs("pieces")
    def test_a_begun_send_counts_when_it_is_finished(self, pair: Pair) -> None:
        one, other = pair
        with pytest.raises(ChannelTimeout) as caught:
            one.send_bytes(bytes(8 * MIB), timeout=0.05)
        assert caught.value.begun
        assert sent(one) == (0, 0)
        receiver = Background(other.recv_bytes, HANG)
        one.send_many([])
        assert len(receiver.result()) == 8 * MIB
        assert sent(one) == received(other) == (1, 8 * MIB)
        assert one.metrics.errors == 0

    def test_errors_count_and_an_orderly_end_does_not(self, pair: Pair) -> None:
        one, other = pair
        with pytest.raises(ChannelTimeout):
            other.recv_bytes(0.01)
        one.send_bytes(b"last")
        one.close()
        with pytest.raises(ChannelClosed):
            one.send_bytes(b"x")
        assert one.metrics.errors == 0
        assert other.recv_bytes(HANG) == b"last"
        with pytest.raises(Disconnected):
            other.recv_bytes(HANG)
        assert other.metrics.errors == 0
        for number in (1, 2):
            with pytest.raises(Disconnected):
                other.send_bytes(b"x")
            assert other.metrics.errors == number

    def test_metrics_can_be_read_after_the_end(self, pair: Pair) -> None:
        one, _ = pair
        live = one.metrics
        one.send_bytes(b"123")
        for channel in pair:
            channel.close()
        assert sent(one) == (live.messages_sent, live.bytes_sent) == (1, 3)
        assert live.snapshot().uptime_secs <= one.metrics.uptime_secs

    def test_the_queue_and_the_waits(self, pair: Pair) -> None:
        one, other = pair
        one.send_many([b"x"] * 7)
        for _ in range(7):
            other.recv_bytes(HANG)
        assert other.metrics.peak_queue_length == 7
        one.send_bytes(b"x")
        other.recv_bytes(HANG)
        assert other.metrics.peak_queue_length == 7
        before = other.metrics.snapshot()
        receiver = Background(other.recv_bytes, HANG)
        until_asleep(os.getpid(), receiver.native_id)
        one.send_bytes(b"y")
        assert receiver.result() == b"y"
        after = other.metrics.snapshot()
        assert after.waits == before.waits + 1
        assert after.wake_ups > before.wake_ups

    def check_latency(self, channel: IpcChannel, count: int) -> None:
        """So many messages have come: what is known of how long they took."""
        now = channel.metrics.snapshot()
        assert now.messages_received == count
        if not self.tells_times:
            assert now.latency_samples == 0
            for name in ("avg", "p50", "p90", "p99"):
                assert getattr(now, f"{name}_latency_us") is None
            return
        assert now.latency_samples == len(TIMED & set(range(count)))
        assert now.avg_latency_us is not None
        assert now.p50_latency_us is not None
        assert now.p90_latency_us is not None
        assert now.p99_latency_us is not None
        assert 0 < now.p50_latency_us <= now.p90_latency_us <= now.p99_latency_us
        assert now.avg_latency_us < HANG * 1e6

    def test_one_message_of_64_is_timed(self, pair: Pair) -> None:
        one, other = pair
        for channel in pair:
            assert channel.metrics.avg_latency_us is None
        for _ in range(200):
            one.send_bytes(b"x")
            assert other.recv_bytes(HANG) == b"x"
        bodies = [b"y"] * 300
        sender = Background(one.send_many, bodies)
        received = 0
        while received < len(bodies):
            received += len(other.recv_many(timeout=HANG))
        sender.result()
        self.check_latency(other, 500)
        assert one.metrics.latency_samples == 0

    def test_latency_is_from_the_send_to_the_receive(self, pair: Pair) -> None:
        one, other = pair
        before = time.monotonic_ns()
        one.send_bytes(b"x")
        sent = time.monotonic_ns()
        while time.monotonic_ns() < sent + 5_000_000:
            pass
        receives = time.monotonic_ns()
        other.recv_bytes(HANG)
        received = time.monotonic_ns()
        now = other.metrics.snapshot()
        if self.tells_times:
            assert now.avg_latency_us is not None
            assert now.p50_latency_us is not None
            assert receives - sent <= now.avg_latency_us * 1000 <= received - before
            assert abs(now.p50_latency_us / now.avg_latency_us - 1) <= 1 / 32
        else:
            assert now.avg_latency_us is None

    @needs("processes")
    def test_latency_between_two_processes(self) -> None:
        with self.peer("idle", 100) as (channel, process):
            assert process.line() == "ready"
            sent = time.monotonic_ns()
            while time.monotonic_ns() < sent + 20_000_000:
                pass
            receives = time.monotonic_ns()
            for number in range(100):
                assert channel.recv_bytes(HANG) == number.to_bytes(8, "little")
            self.check_latency(channel, 100)
            if self.tells_times:
                least = (receives - sent) / 1000
                assert channel.metrics.avg_latency_us > least
                assert channel.metrics.p50_latency_us > least * 31 / 32

    @needs("processes")
    def test_both_processes_tell_times(self) -> None:
        with self.peer("echo") as (channel, _):
            for number in range(500):
                channel.send_bytes(number.to_bytes(8, "little"))
                assert channel.recv_bytes(HANG) == number.to_bytes(8, "little")
            self.check_latency(channel, 500)

    def test_reading_disturbs_nobody(self, pair: Pair) -> None:
        one, other = pair
        count = 3000
        is_over = threading.Event()

        def read() -> list[int]:
            seen = []
            while not is_over.is_set():
                seen.append(other.metrics.messages_received)
            return seen

        reader = Background(read)
        sender = Background(one.send_many, [b"x"] * count, HANG)
        for _ in range(count):
            other.recv_bytes(HANG)
        sender.result()
        is_over.set()
        seen = reader.result()
        assert seen == sorted(seen)
        assert received(other) == (count, count)
