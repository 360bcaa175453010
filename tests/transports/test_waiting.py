# SPDX-License-Identifier: MIT
"""Tests waiting in slices: until a deadline, and never longer than a slice without a look."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from ipcfast.transports.waiting import SLICE_SECONDS, await_change, deadline_after, remaining
from tests.peers import HANG, Background, until_asleep


def test_who_is_told_looks_at_once() -> None:
    changed, is_there = threading.Condition(), threading.Event()

    def wait() -> int:
        looks = 0
        with changed:
            while not is_there.is_set():
                assert await_change(changed, deadline_after(HANG))
                looks += 1
        return looks

    waiting = Background(wait)
    until_asleep(os.getpid(), waiting.native_id)
    with changed:
        is_there.set()
        changed.notify_all()
    assert waiting.result() >= 1


def test_the_deadline_is_kept_and_not_early() -> None:
    changed = threading.Condition()
    with changed:
        assert not await_change(changed, deadline_after(0))
        began = time.monotonic()
        deadline = deadline_after(0.02)
        while await_change(changed, deadline):
            pass
        assert time.monotonic() - began >= 0.02
    assert deadline_after(None) is None


@pytest.mark.parametrize("timeout", [None, HANG, float("inf")])
def test_what_comes_without_a_word_is_seen_after_a_slice(timeout: float | None) -> None:
    changed, deadline = threading.Condition(), deadline_after(timeout)
    began = time.monotonic()
    with changed:
        assert await_change(changed, deadline)
    assert time.monotonic() - began < HANG
    assert 0.1 <= SLICE_SECONDS <= 1  # a few looks a second are as good as none to the processor


def test_what_a_signal_handler_does_just_before_the_wait_is_seen() -> None:
    """It has the lock of its own thread, notifies nobody, and the thread goes on to wait."""
    changed, is_there = threading.Condition(), threading.Event()

    def handler(*_: object) -> None:
        with changed:
            is_there.set()
            changed.notify_all()

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        with changed:
            while not is_there.is_set():
                os.kill(os.getpid(), signal.SIGUSR1)
                assert await_change(changed, None)
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_what_remains_is_never_negative() -> None:
    assert remaining(None) is None
    assert remaining(time.monotonic() - 1) == 0.0
    assert 0 < (remaining(deadline_after(HANG)) or 0) <= HANG
