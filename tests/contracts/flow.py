# SPDX-License-Identifier: MIT
"""The conformance suite, part two: back-pressure, timeouts, several threads, and large traffic both ways."""

from __future__ import annotations

import math
import os
import statistics
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from ipcfast import ChannelTimeout, IpcChannel, TcpChannel
from tests.contracts.channels import Channels, Pair, needs
from tests.peers import HANG, Background, PeerProcess, until_asleep

__all__ = ["Flow", "fill"]

MIB = 1 << 20
# The buffers of TCP grow, and what is in them moves on, for as long as this after they were full.
SETTLED = 0.4


def fill(channel: IpcChannel, size: int = 1000, number: int = 0, timeout: float = 0.0) -> tuple[int, bool]:
    """Send numbered messages until there is no room: how many are on their way, whether the last is begun."""
    begun = False
    while True:
        try:
            channel.send_bytes(number.to_bytes(8, "little") + bytes(size - 8), timeout)
        except ChannelTimeout as error:
            number, begun = number + error.begun, begun or error.begun
            if timeout == SETTLED or not isinstance(channel, TcpChannel):
                return number, begun
            timeout = SETTLED
        else:
            number, begun = number + 1, False


class Flow(Channels):
    """Who waits for whom, and how long."""

    # ---- back-pressure

    @pytest.mark.parametrize("size", [8, 1000, 100_000])
    def test_a_sender_without_a_reader_is_held_back_and_loses_nothing(self, pair: Pair, size: int) -> None:
        one, other = pair
        count, _ = fill(one, size)
        assert count > 0
        more, is_begun = fill(one, size, count, timeout=0.05)
        while isinstance(one, TcpChannel) and more > count:  # the system has found room after all
            count = more
            more, is_begun = fill(one, size, count, timeout=0.05)
        assert (more, is_begun) == (count, False)  # what is begun goes first
        taker = Background(lambda: [other.recv_bytes(HANG) for _ in range(count + 1)])
        one.send_bytes(b"last", HANG)
        bodies = taker.result()
        assert bodies[-1] == b"last"
        assert [int.from_bytes(body[:8], "little") for body in bodies[:-1]] == list(range(count))
        assert {len(body) for body in bodies[:-1]} == {size}
        assert other.try_recv_bytes() is None

    def test_send_many_says_how_many_were_handed_over(self, pair: Pair) -> None:
        one, other = pair
        items = [number.to_bytes(8, "little") * 200 for number in range(5000)]
        with pytest.raises(ChannelTimeout) as caught:
            one.send_many(items, timeout=0.05)
        sent = caught.value.sent
        assert sent is not None
        assert 0 < sent < len(items)
        rest = Background(one.send_many, items[sent:])
        assert [other.recv_bytes(HANG) for _ in items] == items
        rest.result()

    @needs("pieces")
    def test_a_begun_message_is_finished_by_the_next_send(self, pair: Pair) -> None:
        one, other = pair
        large = os.urandom(8 * MIB)
        with pytest.raises(ChannelTimeout) as caught:
            one.send_bytes(large, timeout=0.05)
        assert caught.value.begun
        sender = Background(one.send_bytes, b"next")
        assert other.recv_bytes(HANG) == large
        assert other.recv_bytes(HANG) == b"next"
        sender.result()

    @needs("pieces")
    def test_a_begun_message_is_finished_by_sending_nothing(self, pair: Pair) -> None:
        one, other = pair
        large = os.urandom(8 * MIB)
        with pytest.raises(ChannelTimeout):
            one.send_bytes(large, timeout=0.05)
        with pytest.raises(ChannelTimeout) as caught:
            one.send_many([], timeout=0.01)
        assert (caught.value.begun, caught.value.sent) == (False, 0)
        sender = Background(one.send_many, [])
        assert other.recv_bytes(HANG) == large
        sender.result()
        assert other.try_recv_bytes() is None

    @pytest.mark.parametrize("timeout, error", [(math.nan, ValueError), ("soon", TypeError)])
    def test_a_bad_timeout_sends_nothing(self, pair: Pair, timeout: Any, error: type[Exception]) -> None:
        one, other = pair
        for send in (
            lambda: one.send_bytes(b"x", timeout),
            lambda: one.send_many([b"x"], timeout),
            lambda: one.send({}, timeout),
            lambda: one.send_json(1, timeout),
        ):
            with pytest.raises(error):
                send()
        one.send_bytes(b"only")
        assert other.recv_bytes(HANG) == b"only"

    def test_what_is_no_buffer_stops_a_batch_before_it_starts(self, pair: Pair) -> None:
        one, other = pair
        with pytest.raises(TypeError):
            one.send_many([b"x"] * 200 + [5])  # type: ignore[list-item]
        one.send_bytes(b"only")
        assert other.recv_bytes(HANG) == b"only"

    @needs("pieces")
    def test_a_receive_that_timed_out_in_mid_message_goes_on(self, pair: Pair) -> None:
        one, other = pair
        large = os.urandom(8 * MIB)
        with pytest.raises(ChannelTimeout):
            one.send_bytes(large, timeout=0.01)
        for _ in range(3):
            with pytest.raises(ChannelTimeout):
                other.recv_bytes(timeout=0.01)
            with pytest.raises(ChannelTimeout):
                other.recv_bytes_into(bytearray(len(large)), 0.01)
        sender = Background(one.send_bytes, b"next")
        assert other.recv_bytes(HANG) == large
        assert other.recv_bytes(HANG) == b"next"
        sender.result()

    # ---- timeouts

    @pytest.mark.parametrize("timeout", [0.0, 0.001, 0.03])
    @pytest.mark.parametrize(
        "call",
        [
            "recv",
            "recv_json",
            "recv_bytes",
            "recv_bytes_into",
            "recv_many",
            "poll",
            "send_bytes",
            "send_many",
        ],
    )
    def test_no_timeout_is_early(
        self, pair: Pair, call: str, timeout: float, record_property: Callable[[str, object], None]
    ) -> None:
        one, other = pair
        fill(one)
        calls: dict[str, Callable[[], object]] = {
            # `one` has nothing to receive and no room to send
            "recv": lambda: one.recv(timeout),
            "recv_json": lambda: one.recv_json(timeout),
            "recv_bytes": lambda: one.recv_bytes(timeout),
            "recv_bytes_into": lambda: one.recv_bytes_into(bytearray(8), timeout),
            "recv_many": lambda: one.recv_many(8, timeout),
            "poll": lambda: one.poll(timeout),
            "send_bytes": lambda: one.send_bytes(b"x" * 4096, timeout),
            "send_many": lambda: one.send_many([b"x" * 4096], timeout),
        }
        overshoots = []
        for _ in range(7):
            started = time.monotonic()
            if call == "poll":
                assert calls[call]() is False
            else:
                with pytest.raises(ChannelTimeout):
                    calls[call]()
            overshoots.append(time.monotonic() - started - timeout)
        assert min(overshoots) >= 0
        assert max(overshoots) < HANG / 2
        record_property(f"overshoot_ms {call} {timeout}", round(statistics.median(overshoots) * 1e3, 3))
        assert other.recv_bytes(HANG)[:8] == bytes(8)  # still in order

    @pytest.mark.parametrize("timeout", [-1.0, 0])
    def test_no_time_at_all_still_takes_what_is_there(self, pair: Pair, timeout: float) -> None:
        one, other = pair
        one.send_bytes(b"x", timeout)
        assert other.poll(HANG)
        assert other.recv_bytes(timeout) == b"x"

    def test_not_a_number_is_no_timeout(self, pair: Pair) -> None:
        with pytest.raises(ValueError, match="NaN"):
            pair[0].recv_bytes(math.nan)

    # ---- large traffic both ways

    @needs("processes")
    def test_both_sides_send_much_before_they_receive(self) -> None:
        size = 10 * MIB
        with self.peer("large_both_ways", size) as (channel, _):
            channel.send_bytes(b"o" * size, HANG)
            data = channel.recv_bytes(HANG)
            assert (len(data), data.count(b"p")) == (size, size)
            assert channel.recv_json(HANG) == [size, size]

    def test_both_sides_send_and_receive_much_at_once(self, pair: Pair) -> None:
        bodies = [os.urandom(MIB) for _ in range(10)]
        senders = [
            Background(lambda end=end: [end.send_bytes(body, HANG) for body in bodies]) for end in pair
        ]
        takers = [Background(lambda end=end: [end.recv_bytes(HANG) for _ in bodies]) for end in pair]
        for taker in takers:
            assert taker.result() == bodies
        for sender in senders:
            sender.result()

    # ---- several threads

    def test_several_senders_never_interleave(self, pair: Pair) -> None:
        one, other = pair
        count, threads = 150, 4

        def body_of(me: int, number: int) -> bytes:
            size = (number * 7919 * (me + 1)) % (3 * self.capacity // 2)
            return b"%d %5d " % (me, number) + b"abcd"[me : me + 1] * size + b"."  # a line, too

        senders = [
            Background(lambda me=me: [one.send_bytes(body_of(me, number), HANG) for number in range(count)])
            for me in range(threads)
        ]
        following = [0] * threads
        for _ in range(count * threads):
            body = other.recv_bytes(HANG)
            me, number = int(body[:1]), int(body[2:7])
            assert number == following[me]
            following[me] += 1
            assert body == body_of(me, number)
        for sender in senders:
            sender.result()

    def test_several_receivers_share_the_messages(self, pair: Pair) -> None:
        one, other = pair
        count = 3000
        takers = [Background(lambda: [other.recv_bytes(HANG) for _ in range(count)]) for _ in range(3)]
        one.send_many([number.to_bytes(4, "little") for number in range(3 * count)], HANG)
        numbers = [[int.from_bytes(body, "little") for body in taker.result()] for taker in takers]
        assert sorted(number for mine in numbers for number in mine) == list(range(3 * count))
        assert all(mine == sorted(mine) for mine in numbers)

    def test_waiting_for_the_turn_ends_with_the_timeout(self, pair: Pair) -> None:
        one, other = pair
        first = Background(other.recv_bytes)
        until_asleep(os.getpid(), first.native_id)
        with pytest.raises(ChannelTimeout):
            other.recv_bytes(0.02)
        one.send_bytes(b"x")
        assert first.result() == b"x"

    def test_a_blocked_receive_lets_other_threads_run_and_costs_nothing(self, pair: Pair) -> None:
        one, other = pair
        waiting = Background(other.recv_bytes)
        assert waiting.ident is not None
        clock = time.pthread_getcpuclockid(waiting.ident)
        threading.Event().wait(1.0)  # the first second may spin
        before = time.clock_gettime(clock)
        threading.Event().wait(1.0)
        used = time.clock_gettime(clock) - before
        one.send_bytes(b"x")
        assert waiting.result() == b"x"
        assert used <= 0.010

    # ---- Ctrl-C

    @needs("processes")
    @pytest.mark.parametrize("call", ["recv", "recv_bytes", "recv_many", "poll", "send_bytes"])
    def test_ctrl_c_interrupts_a_blocked_call(self, call: str) -> None:
        with self.peer("interrupted", call) as (channel, process):
            assert process.line() == "ready"
            until_asleep(process.pid)
            process.interrupt()
            assert process.line() == "interrupted"
            if call == "send_bytes":
                assert len(channel.recv_bytes(HANG)) == 32 * MIB
            assert channel.recv_bytes(HANG) == b"still here"

    @needs("processes", "addresses")
    def test_ctrl_c_interrupts_accept(self, address: str) -> None:
        with PeerProcess("holder", address, 1) as process:
            assert process.line() == "listening"
            until_asleep(process.pid)
            process.interrupt()
            assert process.wait() != 0
