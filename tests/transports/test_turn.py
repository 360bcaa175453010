# SPDX-License-Identifier: MIT
"""Shows that a turn is never held by nobody, and that a signal handler does not wait for its own thread."""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType
from typing import Any

import pytest

from ipcfast.errors import IpcChannelError
from ipcfast.transports.turn import Turn
from tests.peers import HANG, Background

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and fork")


def nothing() -> None:
    pass


def is_free(turn: Turn) -> bool:
    """Whether another thread can have it at once."""
    return bool(Background(turn.take, 0.0, lambda: True, nothing).result())


def test_what_it_returns_and_raises_is_the_actions() -> None:
    turn = Turn("work")
    ended = []
    assert turn.take(None, lambda: 5, lambda: ended.append(1)) == 5
    with pytest.raises(ZeroDivisionError):
        turn.take(0.0, lambda: 1 // 0, lambda: ended.append(2))
    assert ended == [1, 2]
    assert is_free(turn)


def test_one_at_a_time_and_not_longer_than_the_timeout() -> None:
    turn, inside, go_on = Turn("work"), threading.Event(), threading.Event()

    def work() -> bool:
        inside.set()
        return go_on.wait(HANG)

    working = Background(turn.take, HANG, work, nothing)
    assert inside.wait(HANG)
    assert turn.take(0.0, lambda: 1, nothing) is None
    assert turn.take(0.01, lambda: 1, nothing) is None
    cleaning = Background(turn.when_free, lambda: None)
    assert cleaning.is_alive()
    go_on.set()
    assert working.result() is True
    cleaning.result()
    assert turn.take(float("inf"), lambda: 1, nothing) == 1


def test_it_is_not_entered_twice() -> None:
    turn = Turn("work")
    calls = []

    def again() -> None:
        turn.when_free(lambda: calls.append("cleaned"))  # not now: afterwards
        with pytest.raises(IpcChannelError, match="work was called by a signal handler"):
            turn.take(None, nothing, lambda: calls.append("inner"))

    turn.take(None, again, lambda: turn.when_free(lambda: calls.append("outer")))
    assert calls == ["outer"]
    assert is_free(turn)


class InterruptedLock:
    """A lock that is got, but Ctrl-C comes before anybody knows."""

    def __init__(self, lock: Any) -> None:
        self._lock = lock

    def acquire(self, timeout: float) -> bool:
        self._lock.acquire(timeout=timeout)
        raise KeyboardInterrupt

    def release(self) -> None:
        self._lock.release()


def test_ctrl_c_in_the_gap_behind_the_lock_does_not_keep_it() -> None:
    turn = Turn("work")
    lock: Any = turn._lock
    turn._lock = InterruptedLock(lock)  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        turn.take(None, nothing, nothing)
    turn._lock = lock
    assert is_free(turn)


def test_a_handler_may_clean_up_at_any_instruction() -> None:
    """Whatever instruction the signal interrupts: nobody waits, and all is freed at the end."""
    old = signal.getsignal(signal.SIGUSR1)
    reached = 0
    try:
        while signalled_at(reached):
            reached += 1
    finally:
        sys.settrace(None)
        signal.signal(signal.SIGUSR1, old)
    assert reached > 30  # or nothing was traced


def signalled_at(place: int) -> bool:
    """Send the signal before the n-th instruction of a turn; False: there are fewer."""
    turn = Turn("work")
    closed: list[bool] = []
    freed: list[bool] = []
    left = place

    def free() -> None:
        freed.append(True)

    def close(*_: object) -> None:
        closed.append(True)
        turn.when_free(free)

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal left
        if frame.f_code not in (Turn.take.__code__, Turn._act.__code__):
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            left -= 1
            if left == -1:
                signal.raise_signal(signal.SIGUSR1)
        return trace

    signal.signal(signal.SIGUSR1, close)
    sys.settrace(trace)
    turn.take(None, nothing, lambda: free() if closed else None)
    sys.settrace(None)
    assert bool(freed) == bool(closed)
    assert is_free(turn)
    return bool(closed)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # that it has threads is the point
def test_a_forked_child_does_not_wait_for_a_thread_that_it_has_not() -> None:
    turn, inside, go_on = Turn("work"), threading.Event(), threading.Event()

    def work() -> None:
        inside.set()
        go_on.wait(HANG)

    working = Background(turn.take, HANG, work, nothing)
    assert inside.wait(HANG)
    child = os.fork()
    if child == 0:
        turn.renew()
        os._exit(7 if turn.take(HANG, lambda: True, nothing) else 8)
    go_on.set()
    working.result()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_a_child_that_is_forked_in_the_middle_of_a_turn_gets_out_of_it() -> None:
    turn = Turn("work")

    def fork() -> int:
        child = os.fork()
        if child == 0:
            turn.renew()
        return child

    child = None
    try:
        child = turn.take(None, fork, nothing)
    finally:
        if child is None or child == 0:
            os._exit(7 if child == 0 and is_free(turn) else 8)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
