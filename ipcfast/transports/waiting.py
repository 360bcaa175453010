# SPDX-License-Identifier: MIT
"""Waits for what threads of this process tell each other by a condition: in slices, and until a deadline."""

from __future__ import annotations

import threading
import time

__all__ = ["SLICE_SECONDS", "await_change", "deadline_after", "remaining"]

# Who waits looks again after this, whatever it was told. The garbage collector can tell nobody, nor can a
# signal handler that changes something just before its own thread begins to wait; and on Windows no signal
# handler runs while a thread waits for a lock.
SLICE_SECONDS = 0.5


def deadline_after(timeout: float | None) -> float | None:
    """Return the point in time that ``await_change`` takes; None is never."""
    return None if timeout is None else time.monotonic() + timeout


def remaining(deadline: float | None) -> float | None:
    """Return the seconds until then, 0 when it has passed; None is for ever."""
    return None if deadline is None else max(0.0, deadline - time.monotonic())


def await_change(changed: threading.Condition, deadline: float | None) -> bool:
    """With its lock held: wait to be told, or for a slice. False, at once: the deadline has passed.

    The caller looks again in any case: what it waits for may have come without a word.
    """
    left = None if deadline is None else deadline - time.monotonic()
    if left is not None and left <= 0:
        return False
    changed.wait(SLICE_SECONDS if left is None else min(left, SLICE_SECONDS))
    return True
