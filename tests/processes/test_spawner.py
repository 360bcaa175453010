# SPDX-License-Identifier: MIT
"""The spawner's thread: children outlive the thread that asked for them, and no more than the process."""

from __future__ import annotations

import gc
import os
import signal
import threading
from collections.abc import Callable

import pytest

from ipcfast._native.process import ChildProcess
from ipcfast.processes import spawner
from ipcfast.processes.process import PIPE, Process
from tests.peers import HANG, Background, open_descriptors, until_asleep
from tests.processes.children import environment, line_of, program, read_to_end


def test_a_child_lives_on_when_the_thread_that_started_it_ends() -> None:
    with Process(program("from_a_thread"), env=environment(), stdout=PIPE) as process:
        assert read_to_end(process.stdout).decode().splitlines() == ["still here"] * 3 + ["0"]


def test_a_killed_parent_takes_its_children_along() -> None:
    with Process(program("parent", "dies", "stay"), env=environment(), stdout=PIPE) as process:
        assert line_of(process.stdout) == "stays"
        assert line_of(process.stdout) == "stays"
        process.kill()
        read_to_end(process.stdout)  # the child has it too


def test_fifty_at_once_from_several_threads() -> None:
    def start() -> list[Process]:
        return [Process(["/bin/sh", "-c", "read x; exit $x"], stdin=PIPE) for _ in range(10)]

    Process("/bin/true").wait(HANG)
    gc.collect()
    before = open_descriptors()
    started = [Background(start) for _ in range(5)]
    processes = [process for thread in started for process in thread.result()]
    assert len({process.pid for process in processes}) == 50
    assert all(process.poll() is None for process in processes)
    for code, process in enumerate(processes):
        assert process.stdin is not None
        process.stdin.write(b"%d\n" % code)
        process.stdin.close()
    assert [process.wait(HANG) for process in processes] == list(range(50))
    del processes, process, started
    assert open_descriptors() == before


def test_there_is_one_thread() -> None:
    Process("/bin/true").wait(HANG)
    Process("/bin/true").wait(HANG)
    threads = [thread for thread in threading.enumerate() if thread.name == "ipcfast-spawner"]
    assert len(threads) == 1
    assert threads[0].daemon


def test_an_interrupted_start_leaves_nothing() -> None:
    made: list[ChildProcess] = []

    def start() -> ChildProcess:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        made.append(ChildProcess.start([b"/bin/sleep"], [b"sleep", b"100"], None, None, standard=[None] * 3))
        return made[0]

    with pytest.raises(KeyboardInterrupt):
        spawner.start_child(start)
    assert made[0].poll() == -signal.SIGKILL


def test_an_interruption_does_not_wait_for_a_start_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spawner, "GIVE_UP_SECONDS", 0.01)
    made: list[ChildProcess] = []
    begun, go_on = threading.Event(), threading.Event()

    def start() -> ChildProcess:
        begun.set()
        assert go_on.wait(HANG)
        made.append(ChildProcess.start([b"/bin/sleep"], [b"sleep", b"100"], None, None, standard=[None] * 3))
        return made[0]

    def never() -> ChildProcess:
        raise AssertionError("nobody wants it any more")

    def interrupted(start: Callable[[], ChildProcess]) -> None:
        interrupter = Background(interrupt_once, begun)
        try:
            own.start(start)
        finally:
            interrupter.result()

    own = spawner.Spawner()
    for each in (start, never):  # the second one waits behind the first
        with pytest.raises(KeyboardInterrupt):
            interrupted(each)
    assert made == []
    go_on.set()
    last = own.start(lambda: ChildProcess.start([b"/bin/true"], [b"true"], None, None, standard=[None] * 3))
    assert last.wait(HANG) == 0
    assert made[0].poll() == -signal.SIGKILL


def interrupt_once(begun: threading.Event) -> None:
    """Interrupt the main thread when it sleeps after that."""
    assert begun.wait(HANG)
    until_asleep(os.getpid())
    os.kill(os.getpid(), signal.SIGINT)


def test_no_signal_is_delivered_to_the_spawner() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    masks = []

    def start() -> ChildProcess:
        masks.append(signal.pthread_sigmask(signal.SIG_BLOCK, []))
        raise LookupError

    with pytest.raises(LookupError):
        spawner.Spawner().start(start)
    assert masks[0] >= signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before


def test_a_thread_that_is_none_keeps_its_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with gevent, where it is a part of whichever thread turns the loop."""
    masks = []

    class Greenlet(threading.Thread):
        def start(self) -> None:
            pass

        def run_until_idle(self) -> None:
            masks.append(signal.pthread_sigmask(signal.SIG_BLOCK, []))

    monkeypatch.setattr(threading, "Thread", Greenlet)
    own = spawner.Spawner()
    own._start_thread()
    assert isinstance(own._thread, Greenlet)
    own._thread.run_until_idle()
    assert masks == [signal.pthread_sigmask(signal.SIG_BLOCK, [])]
    assert not masks[0]


def test_an_error_reaches_the_one_who_asked() -> None:
    def start() -> ChildProcess:
        raise LookupError("this one")

    with pytest.raises(LookupError, match="this one"):
        spawner.start_child(start)


def test_a_fork_gets_a_spawner_of_its_own() -> None:
    before = spawner._spawner
    Process("/bin/true").wait(HANG)
    spawner._begin_anew()
    try:
        assert spawner._spawner is not before
        assert Process(["/bin/sh", "-c", "exit 2"]).wait(HANG) == 2
    finally:
        spawner._spawner = before
