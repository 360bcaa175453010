# SPDX-License-Identifier: MIT
"""Tests the ShutdownState by itself; what it does to channels is part of the conformance suite."""

from __future__ import annotations

import gc
import logging
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import ipcfast
from ipcfast import ChannelTimeout, IpcChannel, ShutdownState, ShuttingDown
from tests.peers import HANG, Background, until_asleep

ROOT = Path(__file__).resolve().parents[2]


def run(program: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=4 * HANG,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])},
    )


class Ended(IpcChannel):
    """Notes what its state does with it."""

    def __init__(self, state: ShutdownState, *, fails: bool = False) -> None:
        self.count = 0
        self._fails = fails
        super().__init__("ended", shutdown_state=state)

    def _end_gracefully(self) -> None:
        super()._end_gracefully()
        self.count += 1
        if self._fails:
            raise RuntimeError("cannot")


# ---- states and guards


def test_a_new_state_is_open_and_has_nothing_pending() -> None:
    state = ShutdownState()
    assert not state.is_shutdown()
    assert state.pending == 0
    assert "open" in repr(state)
    state.drain(0)
    state.drain()


def test_shutdown_ends_it_once_and_for_all() -> None:
    state = ShutdownState()
    for _ in range(2):
        state.shutdown()
        assert state.is_shutdown()
        with pytest.raises(ShuttingDown, match="make a new one"):
            state.begin_operation()
    assert "shut down" in repr(state)


def test_operations_are_counted_until_they_end() -> None:
    state = ShutdownState()
    with state.begin_operation(), state.begin_operation() as inner:
        assert state.pending == 2
        inner.end()
        inner.end()
        assert state.pending == 1
    assert state.pending == 0
    with pytest.raises(KeyError), state.begin_operation():
        raise KeyError
    assert state.pending == 0
    forgotten = state.begin_operation()
    assert state.pending == 1
    del forgotten
    gc.collect()
    assert state.pending == 0


def test_what_had_begun_may_finish_after_shutdown() -> None:
    state = ShutdownState()
    with state.begin_operation():
        state.shutdown()
        assert state.pending == 1
        with pytest.raises(ChannelTimeout) as caught:
            state.drain(0.01)
        assert "1 operations" in str(caught.value)
        draining = Background(state.drain)
        until_asleep(os.getpid(), draining.native_id)
    draining.result()


class Counted:
    """How many threads are within an operation."""

    def __init__(self) -> None:
        self.now = 0
        self._lock = threading.Lock()

    def work(self, state: ShutdownState, begin: threading.Event) -> None:
        """Operation after operation, until the state ends."""
        begin.wait(HANG)
        while True:
            try:
                with state.begin_operation():
                    with self._lock:
                        self.now += 1
                    with self._lock:
                        self.now -= 1
            except ShuttingDown:
                return


def test_eight_threads_begin_operations_while_the_state_ends() -> None:
    for _ in range(30):
        state, begin, counted = ShutdownState(), threading.Event(), Counted()
        threads = [Background(counted.work, state, begin) for _ in range(8)]
        begin.set()
        threading.Event().wait(0.001)
        state.shutdown()
        state.drain(HANG)
        assert (counted.now, state.pending) == (0, 0)
        for thread in threads:
            thread.result()


# ---- channels


def test_each_channel_is_ended_once_also_one_that_comes_late() -> None:
    state = ShutdownState()
    early = [Ended(state) for _ in range(3)]
    state.shutdown()
    late = Ended(state)
    state.shutdown()
    assert [channel.count for channel in (*early, late)] == [1] * 4
    assert late.is_shutdown()


def test_a_channel_that_cannot_end_does_not_keep_the_others_from_it(caplog: pytest.LogCaptureFixture) -> None:
    state = ShutdownState()
    channels = [Ended(state, fails=number % 2 == 0) for number in range(4)]
    with caplog.at_level(logging.ERROR):
        state.shutdown()
    assert [channel.count for channel in channels] == [1] * 4
    assert len(caplog.records) == 2
    assert "cannot" in caplog.text


def test_two_threads_get_the_same_state_of_one_channel() -> None:
    for _ in range(50):
        channel = IpcChannel("one")
        begin = threading.Barrier(4)

        def ask(channel: IpcChannel = channel, begin: threading.Barrier = begin) -> ShutdownState:
            begin.wait(HANG)
            return channel.shutdown_state

        assert len({id(thread.result()) for thread in [Background(ask) for _ in range(4)]}) == 1


def test_the_classes_take_a_state() -> None:
    state = ShutdownState()
    name = f"state-{os.getpid()}"
    with (
        ipcfast.LocalSocketChannel.server(name, prefix=None, shutdown_state=state) as sockets,
        ipcfast.LocalSocketChannelServer.new(f"{name}-new", prefix=None, shutdown_state=state) as new,
        ipcfast.SharedMemoryChannel.server(f"{name}-shm", shutdown_state=state) as memory,
    ):
        one = Background(lambda: ipcfast.LocalSocketChannel.connect(name, prefix=None, shutdown_state=state))
        other = Background(lambda: ipcfast.SharedMemoryChannel.connect(f"{name}-shm", shutdown_state=state))
        by_name = ipcfast.LocalSocketChannel(f"{name}-new", prefix=None, shutdown_state=state)
        channels = [sockets.accept(HANG), memory.accept(HANG), one.result(), other.result(), by_name]
        thread = ipcfast.ThreadChannel("any", shutdown_state=state)
        channels += [thread, *ipcfast.ThreadChannel.pair("any", shutdown_state=state)]
        assert {id(channel.shutdown_state) for channel in channels} == {id(state)}
        state.shutdown()
        assert all(channel.is_shutdown() for channel in channels)
        assert all(listener.closed for listener in (sockets, new, memory))
        for channel in channels:
            with pytest.raises(ShuttingDown):
                channel.send({})
            channel.close()


# ---- around it


def test_a_signal_handler_may_shut_down_what_its_thread_waits_in() -> None:
    state = ShutdownState()
    one, other = ipcfast.pair("thread", shutdown_state=state)
    operation = state.begin_operation()

    def handle(*_: object) -> None:
        state.shutdown()
        operation.end()

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1))
        timer.start()
        state.drain(HANG)
        timer.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    for end in (one, other):
        assert end.receive() is None


def test_a_member_that_cannot_be_told_does_not_keep_the_others_from_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Deaf(Ended):
        def _announce_end(self) -> None:
            raise RuntimeError("cannot")

    state = ShutdownState()
    channels = [Deaf(state), Ended(state)]
    state.shutdown()
    assert [channel.count for channel in channels] == [1, 1]
    (record,) = caplog.records
    assert "told" in record.getMessage()


# Forks while other threads hold what guards a state, and an operation that nobody in the child will end.
FORKED = """
import os, threading
import ipcfast
from ipcfast.channels import shutdown

one, other = ipcfast.pair("thread")
state = ipcfast.ShutdownState()
channel = ipcfast.ThreadChannel("x", shutdown_state=state)
held, leave = threading.Event(), threading.Event()

def hold():
    with state.begin_operation(), state._changed, shutdown._making_state:
        held.set()
        leave.wait(30)

holding = threading.Thread(target=hold)
holding.start()
held.wait(30)
operation = shutdown.Operation(state, 0)
child = os.fork()
if child == 0:
    code = 1
    try:
        operation.end()    # of the parent's; begun by this thread
        assert state.pending == 0
        with state.begin_operation():
            assert state.pending == 1
        assert state.pending == 0
        assert one.shutdown_state is not None
        channel.shutdown()
        assert state.is_shutdown()
        state.drain(5)
    except ipcfast.ChannelClosed:
        code = 7    # the channel is the parent's
    finally:
        os._exit(code)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), state.pending, flush=True)
leave.set()
holding.join(30)
print(state.pending, flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_waits_for_no_thread_of_its_parent() -> None:
    ended = run(FORKED)
    assert (ended.returncode, ended.stdout) == (0, "7 1\n0\n"), ended.stderr


# A host whose event loop ends first: its threads go on with the channels, as background threads do.
OUTLIVING = """
import asyncio, threading
import ipcfast

state = ipcfast.ShutdownState()
ends = [ipcfast.pair(kind, shutdown_state=state) for kind in ("thread", "local", "shm")]

def sending(channel):
    while not state.is_shutdown():
        try:
            channel.send({"type": "ping"}, timeout=0.01)
        except (ipcfast.ChannelTimeout, ipcfast.ShuttingDown):
            continue

def receiving(channel):
    for message in channel:
        pass

async def host():
    for one, other in ends:
        threads.extend([
            threading.Thread(target=sending, args=[one], daemon=True),
            threading.Thread(target=receiving, args=[other], daemon=True),
            threading.Thread(target=other.receive, daemon=True),
            threading.Thread(target=one.receive),
        ])
    for thread in threads:
        thread.start()
    await asyncio.sleep(0.05)

threads = []
asyncio.run(host())
state.shutdown()
state.drain(20)
for thread in threads[3::4]:
    thread.join(20)
print(state, flush=True)
"""


def test_threads_that_outlive_the_hosts_loop_end_without_a_word() -> None:
    ended = run(OUTLIVING)
    assert ended.stderr == ""
    assert (ended.returncode, ended.stdout) == (0, "<ShutdownState shut down, 0 pending>\n")
