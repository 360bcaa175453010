# SPDX-License-Identifier: MIT
"""The conformance suite, part three: close and shutdown, from here, another thread, and the peer."""

from __future__ import annotations

import copy
import gc
import os
import pickle
import sys
import threading
from collections.abc import Callable

import pytest

from ipcfast import ChannelClosed, ChannelTimeout, Disconnected, IpcChannel, IpcChannelError, ShuttingDown
from tests.contracts.channels import Channels, Pair, needs
from tests.contracts.flow import fill
from tests.peers import HANG, Background, connected, open_descriptors, until, until_asleep

__all__ = ["Ending"]

RECEIVING = {
    "recv": IpcChannel.recv,
    "recv_json": IpcChannel.recv_json,
    "recv_bytes": lambda channel: channel.recv_bytes(),
    "recv_bytes_into": lambda channel: channel.recv_bytes_into(bytearray(8)),
    "recv_many": lambda channel: channel.recv_many(),
}
SENDING = {
    "send": lambda channel: channel.send({"data": "x" * 100_000}),
    "send_json": lambda channel: channel.send_json("x" * 100_000),
    "send_bytes": lambda channel: channel.send_bytes(bytes(1 << 24)),
    "send_many": lambda channel: channel.send_many([bytes(100_000)] * 100),
}
AT_ONCE: dict[str, Callable[[IpcChannel], object]] = {
    "try_recv": IpcChannel.try_recv,
    "try_recv_bytes": lambda channel: channel.try_recv_bytes(),
    "poll": lambda channel: channel.poll(0),
    "send": lambda channel: channel.send({}),
    "send_bytes": lambda channel: channel.send_bytes(b"x"),
    "send_many": lambda channel: channel.send_many([b"x"]),
}
BLOCKING = {**SENDING, **RECEIVING}
EVERY_CALL = {**BLOCKING, **AT_ONCE}


class Ending(Channels):
    """Every call ends when the channel does, and says why."""

    # ---- interrupting

    @pytest.mark.parametrize("call", [*BLOCKING])
    @pytest.mark.parametrize(
        "ending, error",
        [
            ("close", ChannelClosed),
            ("shutdown", ShuttingDown),
            ("peer close", Disconnected),
            ("peer shutdown", Disconnected),
        ],
    )
    def test_an_ending_interrupts_a_blocked_call(
        self, pair: Pair, call: str, ending: str, error: type[IpcChannelError]
    ) -> None:
        one, other = pair
        if call in SENDING:
            fill(one)
        blocked = Background(BLOCKING[call], one)
        until_asleep(os.getpid(), blocked.native_id)
        end, _, method = ending.rpartition(" ")
        getattr(other if end else one, method)()
        with pytest.raises(error):
            blocked.result()

    @pytest.mark.parametrize("ending", ["close", "shutdown"])
    def test_an_ending_interrupts_everybody_who_is_blocked(self, pair: Pair, ending: str) -> None:
        one, _ = pair
        fill(one)
        blocked = [
            Background(BLOCKING[call], one) for call in ("recv", "recv_bytes", "send_bytes", "send_many")
        ]
        for thread in blocked:
            until_asleep(os.getpid(), thread.native_id)
        getattr(one, ending)()
        for thread in blocked:
            with pytest.raises((ChannelClosed, ShuttingDown)):
                thread.result()

    @pytest.mark.parametrize("ending", ["close", "shutdown"])
    def test_the_peers_ending_wakes_poll(self, pair: Pair, ending: str) -> None:
        waiting = Background(pair[0].poll, None)
        until_asleep(os.getpid(), waiting.native_id)
        getattr(pair[1], ending)()
        assert waiting.result() is True

    @pytest.mark.parametrize("ending, error", [("close", ChannelClosed), ("shutdown", ShuttingDown)])
    def test_the_own_ending_interrupts_poll(
        self, pair: Pair, ending: str, error: type[IpcChannelError]
    ) -> None:
        waiting = Background(pair[0].poll, None)
        until_asleep(os.getpid(), waiting.native_id)
        getattr(pair[0], ending)()
        with pytest.raises(error):
            waiting.result()

    @pytest.mark.parametrize("ending", ["close", "shutdown", "peer close"])
    def test_receive_gives_none_and_iteration_ends(self, pair: Pair, ending: str) -> None:
        one, other = pair
        receiving, iterating = Background(one.receive), Background(list, one)
        for thread in (receiving, iterating):
            until_asleep(os.getpid(), thread.native_id)
        end, _, method = ending.rpartition(" ")
        getattr(other if end else one, method)()
        assert receiving.result() is None
        assert iterating.result() == []

    # ---- afterwards

    @pytest.mark.parametrize("call", [*EVERY_CALL, "fileno"])
    @pytest.mark.parametrize("ending, error", [("close", ChannelClosed), ("shutdown", ShuttingDown)])
    def test_use_afterwards_raises(
        self, pair: Pair, call: str, ending: str, error: type[IpcChannelError]
    ) -> None:
        one, other = pair
        other.send_bytes(b"too late")
        getattr(one, ending)()
        assert one.is_shutdown()
        with pytest.raises(error):
            EVERY_CALL.get(call, lambda channel: channel.fileno())(one)
        assert one.receive() is None
        assert list(one) == []

    def test_endings_may_be_repeated(self, pair: Pair) -> None:
        one, other = pair
        for ending in (one.shutdown, one.shutdown, one.close, one.close, one.shutdown):
            ending()
        assert one.closed
        assert one.is_shutdown()
        assert not other.closed
        assert not other.is_shutdown()

    @pytest.mark.parametrize("ending", ["close", "shutdown"])
    def test_everything_sent_before_is_received(self, pair: Pair, ending: str) -> None:
        one, other = pair
        count = 0
        while count < 50:
            one.send_bytes(b"%d" % count)
            count += 1
        getattr(one, ending)()
        assert [other.recv_bytes(HANG) for _ in range(count)] == [b"%d" % number for number in range(count)]
        for _ in range(2):
            with pytest.raises(Disconnected) as caught:
                other.recv_bytes(HANG)
            assert caught.value.peer_died is self.after_goodbye
        assert other.peer_died is self.after_goodbye
        assert other.poll()
        with pytest.raises(Disconnected):
            other.send_bytes(b"x" * 100_000)

    @needs("processes")
    @pytest.mark.parametrize("ending", ["close", "shutdown", "exit"])
    def test_everything_another_process_sent_is_received(self, ending: str) -> None:
        with self.peer("finishing", 5000, ending) as (channel, process):
            if ending != "exit":
                until_asleep(process.pid)
            for number in range(5000):
                assert channel.recv_bytes(HANG) == number.to_bytes(8, "little")
            if ending == "close" and not self.close_ends_the_wire:
                process.tell()  # and so it ends
            with pytest.raises(Disconnected) as caught:
                channel.recv_bytes(HANG)
            assert caught.value.peer_died is self.after_goodbye

    @needs("pieces")
    @pytest.mark.parametrize("ending", ["close", "shutdown"])
    def test_a_cut_message_is_no_orderly_end(self, pair: Pair, ending: str) -> None:
        one, other = pair
        one.send_bytes(b"whole")
        with pytest.raises(ChannelTimeout) as timeout:
            one.send_bytes(bytes(1 << 24), timeout=0)
        assert timeout.value.begun
        getattr(one, ending)()
        assert other.recv_bytes(HANG) == b"whole"
        with pytest.raises(Disconnected) as end:
            other.recv_bytes(HANG)
        assert end.value.peer_died is True

    def test_a_with_block_closes(self) -> None:
        one, other = self.ends()
        with pytest.raises(KeyError), one:
            raise KeyError("within")
        assert one.closed
        with other, pytest.raises(Disconnected):
            other.recv_bytes(HANG)

    def test_a_dropped_channel_is_closed(self) -> None:
        one, other = self.ends()
        one.send_bytes(b"before")
        del one
        gc.collect()
        with other:
            assert other.recv_bytes(HANG) == b"before"
            with pytest.raises(Disconnected):
                other.recv_bytes(HANG)

    def test_a_channel_cannot_be_pickled_or_copied(self, pair: Pair) -> None:
        for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="connect in the other process"):
                attempt(pair[0])

    @needs("pieces")
    def test_closing_leaves_a_begun_message_unfinished(self, pair: Pair) -> None:
        one, other = pair
        one.send_bytes(b"whole")
        with pytest.raises(ChannelTimeout) as caught:
            one.send_bytes(bytes(8 << 20), timeout=0.05)
        assert caught.value.begun
        closing = Background(one.close)
        closing.result()
        assert other.recv_bytes(HANG) == b"whole"
        for _ in range(2):
            with pytest.raises(Disconnected):
                other.recv_bytes(HANG)

    @needs("processes")
    def test_a_process_ends_while_its_threads_are_blocked(self) -> None:
        with self.peer("leaving") as (channel, process):
            assert process.line() == "blocked"
            assert process.wait() == 0
            assert channel.poll(HANG)

    def test_closing_while_others_come_and_go(self, pair: Pair) -> None:
        """Closes in the middle of busy traffic from several threads, on both ends."""
        one, other = pair

        def talk(end: IpcChannel) -> None:
            while True:
                try:
                    end.send_bytes(b"x" * 100, timeout=0.001)
                    end.recv_bytes(timeout=0.001)
                except ChannelTimeout:
                    continue
                except (ChannelClosed, Disconnected):
                    return

        threads = [Background(talk, end) for end in (one, one, other, other)]
        threading.Event().wait(0.05)
        for closing in [Background(one.close), Background(other.close), Background(one.close)]:
            closing.result()
        for thread in threads:
            thread.result()

    # ---- the loop of the documents (R95, R99)

    @pytest.mark.parametrize("ending", ["close", "shutdown"])
    def test_the_loop_of_the_documents_ends_with_the_peer(self, pair: Pair, ending: str) -> None:
        one, other = pair
        for number in range(20):
            one.send_json(number)
        getattr(one, ending)()
        received, turns = [], 0
        assert not other.is_shutdown()  # there is something to receive
        while not other.is_shutdown():
            turns += 1
            message = other.receive(timeout=HANG)
            if message is None:
                continue
            received.append(message.data)
        assert received == [*range(20)]
        assert turns == 21  # it does not spin
        assert other.receive(timeout=HANG) is None
        assert not other.closed
        assert not other.shutdown_state.is_shutdown()

    def test_the_loop_of_the_documents_ends_with_this_side(self, pair: Pair) -> None:
        one, _ = pair

        def loop() -> int:
            turns = 0
            while not one.is_shutdown():
                turns += 1
                assert one.receive(timeout=HANG) is None
            return turns

        looping = Background(loop)
        until_asleep(os.getpid(), looping.native_id)
        one.shutdown()
        assert looping.result() == 1

    @pytest.mark.parametrize("call", ["recv", "try_recv", "recv_bytes", "try_recv_bytes", "recv_many"])
    def test_any_receive_that_tells_of_the_end_makes_it_known(self, pair: Pair, call: str) -> None:
        one, other = pair
        one.close()

        def tells() -> bool:
            try:
                getattr(other, call)()
            except Disconnected:
                return True
            return False

        until(tells)  # a try may not have heard of it yet
        assert other.is_shutdown()
        with pytest.raises(Disconnected):
            other.recv(HANG)

    # ---- fork

    @needs("processes")
    @pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
    def test_a_forked_child_cannot_use_the_channel_and_does_no_harm(self) -> None:
        with self.peer("forked") as (channel, process):
            assert set(process.line().split(",")) == {"ChannelClosed"}
            assert process.line() == "closed shutdown closed"
            channel.send_bytes(b"the parent's")
            assert channel.recv_bytes(HANG) == b"the parent's"

    # ---- nothing is left

    @pytest.mark.skipif(sys.platform != "linux", reason="counts in /proc")
    def test_no_descriptor_is_left(self, address: str) -> None:
        def use() -> None:
            one, other = self.ends()
            with one, other:
                one.fileno()
                one.send_bytes(b"x")
                assert other.recv_bytes(HANG) == b"x"
            if "addresses" not in self.features:
                return
            with connected(address) as (server, client):
                server.fileno()
                client.send_bytes(b"x")
                assert server.recv_bytes(HANG) == b"x"

        use()
        gc.collect()
        before = open_descriptors()
        for _ in range(20):
            use()
        gc.collect()
        assert open_descriptors() == before
