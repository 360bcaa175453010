# SPDX-License-Identifier: MIT
"""Holds the start and the end of the worker: a real process each time, and nothing left of it."""

from __future__ import annotations

import os
import select
import signal
from pathlib import Path

import pytest

from ipcfast.cli.trial.failures import WorkerDied
from ipcfast.cli.trial.process import WorkerProcess, listen_at_free_name
from ipcfast.cli.trial.wires import TITLES


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_is_another_process_that_serves_every_wire() -> None:
    with WorkerProcess() as worker:
        assert worker.pid != os.getpid()
        for name in TITLES:
            wire = worker.order("echo", name, 1)
            wire.send_bytes(name.encode())
            assert wire.recv_bytes() == name.encode()
        pid = worker.pid
    assert not is_running(pid)


def test_nothing_is_left_after_an_error() -> None:
    before = set(os.listdir("/proc/self/fd"))
    started = []

    def interrupted() -> None:
        with WorkerProcess() as worker:
            started.append(worker.pid)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not is_running(started[0])
    assert set(os.listdir("/proc/self/fd")) == before


def test_a_worker_that_does_not_listen_is_ended() -> None:
    with WorkerProcess() as worker:
        os.kill(worker.pid, signal.SIGSTOP)
        pid = worker.pid
    assert not is_running(pid)


def test_a_killed_worker_is_told_with_its_signal() -> None:
    with WorkerProcess() as worker:
        wire = worker.order("echo", "ring", 1)
        os.kill(worker.pid, signal.SIGKILL)
        with pytest.raises((EOFError, ConnectionError)):
            wire.recv_bytes()
        assert str(worker.death()) == f"the worker (pid {worker.pid}) was killed by SIGKILL"


def test_a_worker_that_ends_before_it_connects_is_told(odd_workers: None) -> None:
    with pytest.raises(WorkerDied, match="ended early with exit status 3"), WorkerProcess("refusing_worker"):
        pass


def test_ctrl_c_in_the_terminal_does_not_reach_it() -> None:
    with WorkerProcess() as worker:
        assert os.getpgid(worker.pid) == worker.pid != os.getpgrp()


def test_it_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    parent = os.fork()
    if parent == 0:
        with WorkerProcess() as worker:
            os.write(writing, b"%d\n" % worker.pid)
            signal.pause()
    os.close(writing)
    with os.fdopen(reading) as pipe:
        pid = int(pipe.readline())
        handle = os.pidfd_open(pid)
        os.kill(parent, signal.SIGKILL)
        os.waitpid(parent, 0)
        # A pidfd is readable once the process has ended.
        assert select.select([handle], [], [], 5.0)[0] == [handle]
        os.close(handle)


def test_several_at_a_time_do_not_meet() -> None:
    with WorkerProcess() as one, WorkerProcess() as other:
        assert one.pid != other.pid
        for worker in (one, other):
            wire = worker.order("echo", "ring", 1)
            wire.send_bytes(b"mine")
            assert wire.recv_bytes() == b"mine"


def test_who_runs_at_the_same_time_gets_the_next_name() -> None:
    with listen_at_free_name("shm://bench") as first, listen_at_free_name("shm://bench") as second:
        assert (first.address, second.address) == ("shm://bench-0", "shm://bench-1")
    with listen_at_free_name("shm://bench") as third:
        assert third.address == "shm://bench-0"
