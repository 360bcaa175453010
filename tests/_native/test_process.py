# SPDX-License-Identifier: MIT
"""The binding of child processes: what it takes, and what it gives; processes/ has the rest."""

from __future__ import annotations

import errno
import gc
import os
import pickle
import select
import signal

import pytest

from ipcfast import errors
from ipcfast._native.process import MAX_INHERITED, NULL_DEVICE, ChildProcess
from tests.peers import HANG, open_descriptors

SHELL = [b"/nowhere/sh", b"/bin/sh"]


def shell(script: bytes, **options: object) -> ChildProcess:
    options.setdefault("standard", [NULL_DEVICE, None, None])
    return ChildProcess.start(SHELL, [b"sh", b"-c", script], None, None, **options)  # type: ignore[arg-type]


def test_it_runs_and_ends() -> None:
    gc.collect()
    before = open_descriptors()
    child = shell(b"exit 5")
    assert child.wait(HANG) == child.poll() == child.wait(0) == 5
    child.signal(signal.SIGKILL)  # without effect
    assert not child.is_forked
    del child
    assert open_descriptors() == before


def test_a_wait_that_times_out_gives_none() -> None:
    child = shell(b"exec sleep 100")
    assert child.poll() is None
    assert child.wait(0) is None
    assert child.wait(0.01) is None
    child.signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL


def test_its_handles_become_ready() -> None:
    child = shell(b"exec sleep 100")
    other = child.watch()
    try:
        assert other != child.handle()
        assert not os.get_inheritable(other)
        assert select.select([child.handle(), other], [], [], 0)[0] == []
        child.signal(signal.SIGTERM)
        for handle in (child.handle(), other):
            assert select.select([handle], [], [], HANG)[0]
    finally:
        os.close(other)
    assert child.wait(HANG) == -signal.SIGTERM


def test_environment_directory_and_inherited_handles() -> None:
    reading, writing = os.pipe()
    script = b'test "$PWD|$A" = "/usr|b" && echo "$A" >/proc/self/fd/%d' % writing
    child = ChildProcess.start(
        SHELL,
        [b"sh", b"-c", script],
        [b"A=b"],
        b"/usr",
        standard=[NULL_DEVICE, NULL_DEVICE, None],
        inherited=[writing],
    )
    assert child.wait(HANG) == 0
    os.close(writing)
    assert os.read(reading, 10) == b"b\n"
    os.close(reading)


def test_what_it_refuses() -> None:
    with pytest.raises(TypeError):
        ChildProcess()
    with pytest.raises(ValueError, match="at most"):
        shell(b"", inherited=range(10, 11 + MAX_INHERITED))
    with pytest.raises(ValueError, match="inherited handle"):
        shell(b"", inherited=[2])
    with pytest.raises(errors.SpawnFailed) as caught:
        shell(b"", inherited=[999_999])
    assert (caught.value.errno, caught.value.step) == (errno.EBADF, "inherited handles")
    child = shell(b"exec sleep 100")
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(child)
    with pytest.raises(ValueError, match="signal"):
        child.signal(1000)
    child.signal(signal.SIGKILL)
    assert child.wait(HANG) == -signal.SIGKILL


def test_an_abandoned_one_is_the_parents() -> None:
    child = shell(b"exec sleep 100")
    pid = child.pid
    child.abandon()
    assert child.is_forked
    assert child.pid == pid
    for call in (child.poll, child.wait, child.handle, child.watch, lambda: child.signal(9)):
        with pytest.raises(errors.IoError) as caught:
            call()
        assert caught.value.errno == errno.ECHILD
    os.kill(pid, signal.SIGKILL)
    assert os.waitpid(pid, 0)[1] == signal.SIGKILL
