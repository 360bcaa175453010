# SPDX-License-Identifier: MIT
"""The one thread that starts all child processes, and lives as long as this process.

On Linux a child that dies with its parent dies with the *thread* that started it. A worker thread of the user
ends at some time; this one does not.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue

from ipcfast._native.process import ChildProcess

__all__ = ["start_child"]

# How long an interrupted start may go on before nobody waits for it any more. It takes a millisecond; only
# the system can hold it up for longer (a directory on a drive that is not there), and by then the child has
# its own copies of the descriptors that its starter is about to close.
GIVE_UP_SECONDS = 0.5
# What was killed is gone at once, unless it hangs in the kernel: that is no reason to hold up others.
KILLED_SECONDS = 1.0


class Request:
    """One process to be started, and what became of it."""

    def __init__(self, start: Callable[[], ChildProcess]) -> None:
        self._start = start
        self._lock = threading.RLock()  # a signal handler may come back to it
        self._is_begun = False
        self._is_given_up = False
        self._done = threading.Event()
        self._child: ChildProcess | None = None
        self._error: BaseException | None = None

    def run(self) -> None:
        """Start it, in the spawner's thread, unless nobody wants it any more."""
        with self._lock:
            if self._is_given_up:
                return
            self._is_begun = True
        try:
            child = self._start()
        except BaseException as error:
            self._error = error
        else:
            with self._lock:
                self._child = child
                is_given_up = self._is_given_up
            if is_given_up:
                end(child)
        self._done.set()

    def result(self) -> ChildProcess:
        """Wait until it is started."""
        self._done.wait()
        if self._error is not None:
            raise self._error
        assert self._child is not None
        return self._child

    def give_up(self) -> None:
        """See to it that nothing is left of it; waits for that no longer than a moment."""
        with self._lock:
            if not self._is_begun:
                self._is_given_up = True
                return
        try:
            self._wait_a_moment()
        finally:
            with self._lock:
                self._is_given_up = True
                child = self._child
            if child is not None:
                end(child)

    def _wait_a_moment(self) -> None:
        deadline = time.monotonic() + GIVE_UP_SECONDS
        while (left := deadline - time.monotonic()) > 0:
            try:
                self._done.wait(left)
                return
            except KeyboardInterrupt:
                continue  # the first one is raised, in a moment


def end(child: ChildProcess) -> None:
    """Kill a process that nobody wants."""
    child.signal(signal.SIGKILL)
    child.wait(KILLED_SECONDS)


class Spawner:
    """Runs requests one after the other in a thread of its own, from the first one on."""

    def __init__(self) -> None:
        self._requests: SimpleQueue[Request] = SimpleQueue()
        self._lock = threading.RLock()  # a signal handler may come back to it
        self._thread: threading.Thread | None = None

    def start(self, start: Callable[[], ChildProcess]) -> ChildProcess:
        """Call ``start`` in the thread, and return its result or raise its error."""
        with self._lock:
            if self._thread is None:
                self._start_thread()
        request = Request(start)
        try:
            self._requests.put(request)
            return request.result()
        except BaseException:
            request.give_up()
            raise

    def _start_thread(self) -> None:
        thread = threading.Thread(target=self._run, name="ipcfast-spawner", daemon=True)
        # Signals are for the threads that wait: one that is delivered there would not interrupt them. Set
        # here and inherited, because what gevent makes of threads may be this very thread.
        before = signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())
        try:
            thread.start()
            self._thread = thread
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _run(self) -> None:
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

    Interrupted (Ctrl-C), the process that was being started is killed, later where the system holds it up.
    """
    return _spawner.start(start)
