# SPDX-License-Identifier: MIT
"""The conformance suite, part five: channels that end together, and nothing that had begun is lost."""

from __future__ import annotations

import functools
import gc
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

import ipcfast
from ipcfast import (
    ChannelClosed,
    ChannelTimeout,
    Disconnected,
    IpcChannel,
    IpcChannelError,
    IpcMessage,
    ShutdownState,
    ShuttingDown,
)
from tests.contracts.channels import Channels, Pair, needs
from tests.contracts.flow import fill
from tests.peers import HANG, Background, until, until_asleep

__all__ = ["Together"]


def rest(channel: IpcChannel) -> list[bytes]:
    """Everything until the peer's end."""
    bodies = []
    while True:
        try:
            bodies.append(channel.recv_bytes(HANG))
        except Disconnected:
            return bodies


class Together(Channels):
    """One ShutdownState for several channels, and waiting for what is under way."""

    @contextmanager
    def clients(self, count: int, state: ShutdownState) -> Iterator[list[Pair]]:
        """Some connections; only the clients, which come first in each pair, have the state."""
        with ExitStack() as stack, ipcfast.listen(self.place("together")) as listener:
            address = listener.address
            found = []
            for _ in range(count):
                connecting = Background(
                    lambda: ipcfast.connect(address, timeout=HANG, shutdown_state=state, **self.options)
                )
                server = stack.enter_context(listener.accept(HANG))
                found.append((stack.enter_context(connecting.result()), server))
            yield found

    # ---- ending together

    def test_an_end_whose_peer_ends_first_knows_why(self) -> None:
        """Both have the state: which of them it ends first must make no difference."""
        for _ in range(5):
            state = ShutdownState()
            one, other = self.ends(shutdown_state=state)
            told: list[object] = []

            def end(channel: IpcChannel, told: list[object] = told, ends: Pair = (one, other)) -> None:
                type(channel)._end_gracefully(channel)
                for call in (lambda end: end.recv(HANG), lambda end: end.send_json(0, HANG)):
                    for either in ends:
                        with pytest.raises(IpcChannelError) as caught:
                            call(either)
                        told.append(caught.type)

            with one, other:
                for channel in (one, other):
                    channel._end_gracefully = functools.partial(end, channel)  # type: ignore[method-assign]
                state.shutdown()
                assert told == [ShuttingDown] * 8

    @needs("addresses")
    @pytest.mark.parametrize("how", ["state", "channel"])
    def test_a_shared_state_ends_every_channel_and_the_peers_get_all_that_was_sent(self, how: str) -> None:
        state = ShutdownState()
        with self.clients(3, state) as pairs:
            blocked = []
            for client, server in pairs:
                client.send_many([b"%d" % number for number in range(20)])
                blocked.append(Background(client.recv_bytes))
                assert not server.is_shutdown()
            for thread in blocked:
                until_asleep(os.getpid(), thread.native_id)
            state.shutdown() if how == "state" else pairs[1][0].shutdown()
            for thread in blocked:
                with pytest.raises(ShuttingDown):
                    thread.result()
            for client, server in pairs:
                assert client.is_shutdown()
                assert client.shutdown_state is state
                with pytest.raises(ShuttingDown):
                    client.send_bytes(b"too late")
                with pytest.raises(ShuttingDown):
                    client.send({})
                assert client.receive(HANG) is None
                assert rest(server) == [b"%d" % number for number in range(20)]
                assert server.peer_died is False
                assert not server.shutdown_state.is_shutdown()  # it is the peer that has ended

    @needs("addresses")
    def test_closing_one_channel_leaves_the_others(self) -> None:
        state = ShutdownState()
        with self.clients(2, state) as ((one, _), (other, server)):
            one.close()
            other.send_bytes(b"goes on")
            assert server.recv_bytes(HANG) == b"goes on"
            assert not state.is_shutdown()
            state.shutdown()
            with pytest.raises(ChannelClosed):
                one.send_bytes(b"x")

    def test_both_ends_of_a_pair_may_share_a_state(self) -> None:
        state = ShutdownState()
        one, other = self.ends(shutdown_state=state)
        with one, other:
            waiting = Background(other.receive)
            until_asleep(os.getpid(), waiting.native_id)
            one.shutdown()
            assert waiting.result() is None
            for end in (one, other):
                assert end.is_shutdown()
                with pytest.raises(ShuttingDown):
                    end.send({})
                assert list(end) == []

    def test_a_channel_without_a_state_has_its_own(self, pair: Pair) -> None:
        one, other = pair
        state = one.shutdown_state
        assert one.shutdown_state is state
        assert other.shutdown_state is not state
        state.shutdown()
        assert one.is_shutdown()
        assert not other.is_shutdown()
        other.shutdown()
        assert other.shutdown_state.is_shutdown()

    @needs("addresses")
    def test_a_listener_ends_with_its_state_and_so_do_its_channels(self, address: str) -> None:
        state = ShutdownState()
        with ipcfast.listen(address, shutdown_state=state) as listener:
            connecting = Background(lambda: ipcfast.connect(address, timeout=HANG, **self.options))
            with listener.accept(HANG) as server, connecting.result() as client:
                assert server.shutdown_state is state
                server.send_bytes(b"last")
                accepting, iterating = Background(listener.accept), Background(list, listener)
                until_asleep(os.getpid(), accepting.native_id)
                state.shutdown()
                with pytest.raises(ShuttingDown):
                    accepting.result()
                assert iterating.result() == []
                with pytest.raises(ShuttingDown):
                    listener.accept(0)
                assert server.is_shutdown()
                assert rest(client) == [b"last"]
        ipcfast.listen(address).close()  # the address is free again

    @needs("addresses")
    def test_nothing_begins_with_a_state_that_has_ended(self, address: str) -> None:
        state = ShutdownState()
        state.shutdown()
        for call in (ipcfast.listen, ipcfast.connect):
            with pytest.raises(ShuttingDown):
                call(address, shutdown_state=state)  # type: ignore[operator]
        one, other = self.ends(shutdown_state=state)
        with one, other:
            assert one.is_shutdown()
            with pytest.raises(ShuttingDown):
                one.send_bytes(b"x")

    def test_a_state_does_not_keep_its_channels_alive(self) -> None:
        state = ShutdownState()
        one, other = self.ends(shutdown_state=state)
        watch = weakref.ref(one)
        del one
        gc.collect()
        assert watch() is None
        state.shutdown()
        assert other.is_shutdown()

    # ---- waiting for what is under way

    @pytest.mark.parametrize("call", ["recv", "recv_bytes", "poll", "send_bytes"])
    def test_wait_for_drain_waits_for_calls_that_are_under_way(self, pair: Pair, call: str) -> None:
        one, other = pair
        calls: dict[str, Callable[[], object]] = {
            "recv": one.recv,
            "recv_bytes": one.recv_bytes,
            "poll": lambda: one.poll(None),
            "send_bytes": lambda: one.send_bytes(bytes(1 << 24)),
        }
        one.wait_for_drain(0)
        other.wait_for_drain()
        if call == "send_bytes":
            fill(one)
        blocked = Background(calls[call])
        until_asleep(os.getpid(), blocked.native_id)
        with pytest.raises(ChannelTimeout):
            one.wait_for_drain(0)
        with pytest.raises(ChannelTimeout):
            one.wait_for_drain(0.01)
        other.wait_for_drain(HANG)
        draining = Background(one.wait_for_drain, HANG)
        one.shutdown()
        with pytest.raises(ShuttingDown):
            blocked.result()
        draining.result()
        one.close()
        one.wait_for_drain(HANG)

    def test_draining_never_overlooks_a_call_between_its_waits(self, pair: Pair) -> None:
        """A wait is interrupted to look for signals, and another thread's turn is waited for in slices."""
        one, other = pair
        blocked = [Background(one.recv_bytes) for _ in range(2)]
        for thread in blocked:
            until_asleep(os.getpid(), thread.native_id)
        until_ = time.monotonic() + 0.3
        while time.monotonic() < until_:
            with pytest.raises(ChannelTimeout):
                one.wait_for_drain(0)
        other.send_bytes(b"for one of them")
        until(lambda: sum(thread.is_alive() for thread in blocked) == 1)
        with pytest.raises(ChannelTimeout):
            one.wait_for_drain(0)
        one.shutdown()
        one.wait_for_drain(HANG)
        for thread in blocked:
            thread.join(HANG)
            assert not thread.is_alive()

    def test_a_state_drains_guards_and_channels(self, pair: Pair) -> None:
        one, _ = pair
        state = one.shutdown_state
        state.drain(0)
        operation = state.begin_operation()
        with pytest.raises(ChannelTimeout, match="1 operation"):
            state.drain(0.01)
        blocked = Background(one.recv_bytes)
        until_asleep(os.getpid(), blocked.native_id)
        draining = Background(state.drain, HANG)
        operation.end()
        with pytest.raises(ChannelTimeout):
            state.drain(0)
        state.shutdown()
        draining.result()
        with pytest.raises(ShuttingDown):
            blocked.result()
        with pytest.raises(ShuttingDown):
            state.begin_operation()

    # ---- races

    @needs("addresses")
    def test_what_eight_threads_had_sent_when_shutdown_came_is_received(self) -> None:
        """A send that returned is received, in order; one that raised was told so. Nothing else arrives."""
        for round_ in range(6):
            state = ShutdownState()
            with self.clients(2, state) as pairs:
                sent: list[list[int]] = [[] for _ in range(8)]

                def send(me: int, sent: list[list[int]] = sent, pairs: list[Pair] = pairs) -> None:
                    channel = pairs[me % 2][0]
                    number = 0
                    while True:
                        body = me.to_bytes(4, "little") + number.to_bytes(4, "little") + b"." * (number % 700)
                        try:
                            channel.send_bytes(body)
                        except ShuttingDown:
                            return
                        sent[me].append(number)
                        number += 1

                receiving = [Background(rest, server) for _, server in pairs]
                sending = [Background(send, me) for me in range(8)]
                enough = 100 * (round_ + 1)
                until(lambda sent=sent, enough=enough: sum(map(len, sent)) > enough)  # type: ignore[misc]
                enders = [Background(state.shutdown), Background(pairs[0][0].shutdown)]
                for thread in (*enders, *sending):
                    thread.result()
                state.drain(HANG)
                received: list[list[int]] = [[] for _ in range(8)]
                for thread in receiving:
                    for body in thread.result():
                        me, number = (int.from_bytes(body[at : at + 4], "little") for at in (0, 4))
                        assert body[8:] == b"." * (number % 700)
                        received[me].append(number)
                for mine, theirs in zip(sent, received):
                    # one more at most: it had gone out whole when its sender was told of the shutdown
                    assert theirs[: len(mine)] == mine
                    assert theirs[len(mine) :] in ([], [len(mine)])

    def test_channels_come_and_go_while_the_state_ends(self) -> None:
        for _ in range(15):
            state = ShutdownState()
            begin = threading.Event()

            def talk(state: ShutdownState = state, begin: threading.Event = begin) -> None:
                begin.wait(HANG)
                while True:
                    one, other = self.ends(shutdown_state=state)
                    with one, other:
                        try:
                            with state.begin_operation():
                                one.send({"type": "ping"})
                                assert other.recv(HANG) == IpcMessage(type="ping")
                        except ShuttingDown:
                            return

            threads = [Background(talk) for _ in range(8)]
            begin.set()
            threading.Event().wait(0.01)
            state.shutdown()
            for thread in threads:
                thread.result()
            state.drain(HANG)
            assert state.pending == 0
