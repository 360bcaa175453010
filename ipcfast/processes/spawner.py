# SPDX-License-Identifier: MIT
"""The one thread that starts all child processes, and lives as long as this process.

On Linux a child that dies with its parent dies with the *thread* that started it. A worker thread of the user
ends at some time; this one does not.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from queue import SimpleQueue

from ipcfast._native.process import ChildProcess

__all__ = ["start_child"]


class Request:
    """One process to be started, and what became of it."""

    def __init__(self, start: Callable[[], ChildProcess]) -> None:
        self._start = start
        self._done = threading.Event()
        self._child: ChildProcess | None = None
        self._error: BaseException | None = None

    def run(self) -> None:
        """Start it, in the spawner's thread."""
        try:
            self._child = self._start()
        except BaseException as error:
            self._error = error
        self._done.set()

    def result(self) -> ChildProcess:
        """Wait until it is started; interrupted meanwhile, nothing is left of it."""
        try:
            self._done.wait()
        except BaseException:
            self._give_up()
            raise
        if self._error is not None:
            raise self._error
        assert self._child is not None
        return self._child

    def _give_up(self) -> None:
        while not self._done.is_set():
            try:
                self._done.wait()
            except KeyboardInterrupt:
                continue  # it takes a millisecond, and then the first one is raised
        if self._child is not None:
            self._child.signal(signal.SIGKILL)
            self._child.wait()


class Spawner:
    """Runs requests one after the other in a thread of its own, from the first one on."""

    def __init__(self) -> None:
        self._requests: SimpleQueue[Request] = SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self, start: Callable[[], ChildProcess]) -> ChildProcess:
        """Call ``start`` in the thread, and return its result or raise its error."""
        with self._lock:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="ipcfast-spawner", daemon=True)
                thread.start()
                self._thread = thread
        request = Request(start)
        self._requests.put(request)
        return request.result()

    def _run(self) -> None:
        # Signals are for the threads that wait: one that is delivered here would not interrupt them.
        signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())
        while True:
            self._requests.get().run()


_spawner = Spawner()


def _begin_anew() -> None:
    """In a forked child: the thread is not here, and another thread may have held the lock."""
    global _spawner
    _spawner = Spawner()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


def start_child(start: Callable[[], ChildProcess]) -> ChildProcess:
    """Call ``start`` in the thread that lives as long as this process, and return its result.

    Interrupted (Ctrl-C), the process that was being started is killed.
    """
    return _spawner.start(start)
