# SPDX-License-Identifier: MIT
"""One thread at a time, for as long as it takes: a lock that knows timeouts, signal handlers and fork."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

from ipcfast.errors import IpcChannelError

__all__ = ["Turn"]

Result = TypeVar("Result")


class Turn:
    """Lets one thread at a time do something that may wait, and others clean up behind it.

    A signal handler may run in the middle of everything that is done here, in the thread that has the turn:
    it must not wait for itself, and an exception that it raises must not take the turn along.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._lock = threading.RLock()
        self._is_taken = False

    def take(
        self, timeout: float | None, action: Callable[[], Result], afterwards: Callable[[], None]
    ) -> Result | None:
        """Return what ``action`` returns, once it is our turn; None when that is not in time.

        ``afterwards`` is called at the end of each turn, when ``when_free`` works at once again; whoever
        found the turn taken relies on it.

        Raises:
            IpcChannelError: It is this thread's turn already: a signal handler has interrupted it.
        """
        lock = self._lock  # after a fork in the middle of it the child has another
        is_held = False
        try:
            is_held = lock.acquire(timeout=-1 if timeout is None else min(timeout, threading.TIMEOUT_MAX))
            return self._act(action, afterwards) if is_held else None
        finally:
            if is_held:
                lock.release()
            else:
                # Ctrl-C may have come between the locking and the assignment.
                with contextlib.suppress(RuntimeError):
                    lock.release()

    def _act(self, action: Callable[[], Result], afterwards: Callable[[], None]) -> Result:
        if self._is_taken:
            raise IpcChannelError(
                f"{self._what} was called by a signal handler that has interrupted it in the same thread"
            )
        try:
            self._is_taken = True
            return action()
        finally:
            self._is_taken = False
            afterwards()

    def when_free(self, action: Callable[[], None]) -> None:
        """Call ``action`` when nobody has the turn, and wait for that.

        Called by a signal handler that has interrupted the turn of its own thread it does nothing:
        ``afterwards`` will.
        """
        with self._lock:
            if not self._is_taken:
                action()

    def renew(self) -> None:
        """In a forked child: whoever had the turn is not here."""
        self._lock = threading.RLock()
        self._is_taken = False
