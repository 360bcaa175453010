# SPDX-License-Identifier: MIT
"""Calls handlers in a Qt event loop, woken by events between threads, by a notifier between processes (R131).

Works with the binding that the host has imported: PySide6, PyQt6, PySide2 or PyQt5. Otherwise with the first
of them that is installed; ``pip install ipcfast[qt]`` brings PySide6.
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

from ipcfast.channels.dcc import DccIpcChannel
from ipcfast.channels.ipc_channel import IpcChannel
from ipcfast.channels.pump import BUDGET_MS, MainThreadPump
from ipcfast.protocol.messages import IpcMessage

__all__ = ["QtLoopWaker", "QtReceiver", "receive"]

BINDINGS = ("PySide6", "PyQt6", "PySide2", "PyQt5")
# What nobody has a handler for is looked at again after this, instead of all the time.
STUCK_MS = 250


def receive(
    channel: IpcChannel,
    handler: Callable[[IpcMessage], object] | None = None,
    *,
    budget_ms: float = BUDGET_MS,
) -> QtReceiver:
    """Call ``handler`` for each message of the channel, in the Qt loop of the calling thread.

    A DccIpcChannel wakes the loop itself, everywhere. Other channels are watched by a QSocketNotifier on
    ``fileno()``, which is POSIX only. Order, exceptions and the end are those of ``MainThreadPump``: after
    ``shutdown`` or ``close`` of the channel no handler is called any more.

    Args:
        channel: What to receive from. Unless it is a DccIpcChannel: let go with ``stop`` before ``close``, or
            end it with ``shutdown``, so that Qt does not watch a descriptor that is closed.
        handler: Called with each message. None: the handlers given with ``on_message`` and ``on_bytes``.
        budget_ms: Milliseconds after which the loop gets a turn while more messages are there.

    Returns:
        What receives; keep it for as long as it shall. Dropped, it receives no more.

    Raises:
        ImportError: There is no binding for Qt.
    """
    return QtReceiver(channel, handler, budget_ms=budget_ms)


class QtLoopWaker:
    """Has a function called in the Qt loop of the thread that made it: a QtWaker for DccIpcChannel (R77).

    ``wake`` may be called from any thread, as often as one likes: there is one event on its way at most.
    """

    def __init__(self, callback: Callable[[], object]) -> None:
        self._core = qt_core()
        self._callback = callback
        self._event_type = self._core.QEvent.Type.User
        # Can be taken again by the thread that has it, which may be in a signal handler.
        self._lock = threading.RLock()
        self._is_posted = False
        self._target = target_class(self._core)(self._arrived)

    def wake(self) -> None:
        """Have the function called soon. Does nothing after ``close``."""
        with self._lock:
            if self._target is None or self._is_posted:
                return
            self._core.QCoreApplication.postEvent(self._target, self._core.QEvent(self._event_type))
            self._is_posted = True

    def close(self) -> None:
        """Never call the function again. From the thread that made this; idempotent."""
        with self._lock:
            target, self._target = self._target, None
        if target is not None:
            target.deleteLater()

    def _arrived(self) -> None:
        with self._lock:
            self._is_posted = False
            if self._target is None:
                return
        self._callback()


class QtReceiver:
    """Receives in a Qt loop until ``stop``, or the end of the channel; made by ``receive``.

    Threads: it belongs to the thread that made it.
    """

    def __init__(
        self, channel: IpcChannel, handler: Callable[[IpcMessage], object] | None, *, budget_ms: float
    ) -> None:
        self._core = qt_core()
        self._channel = channel
        self._pump = MainThreadPump(channel, handler)
        self._budget_ms = budget_ms
        self._is_pumping = False
        self._waker: QtLoopWaker | None = None
        self._notifier: Any = None
        # What calls back must not keep this alive: dropped, it receives no more.
        self._look_later = self._core.QTimer()
        self._look_later.setSingleShot(True)
        self._look_later.timeout.connect(weakly(self._look_again))
        if isinstance(channel, DccIpcChannel):
            self._waker = QtLoopWaker(weakly(self._woken))
            channel.set_qt_waker(self._waker)
            weakref.finalize(self, channel._unset_qt_waker, self._waker).atexit = False
        else:
            self._notifier = self._core.QSocketNotifier(
                channel.fileno(), self._core.QSocketNotifier.Type.Read
            )
            self._notifier.activated.connect(weakly(self._ready))

    @property
    def is_receiving(self) -> bool:
        """Whether messages are still handled: False after ``stop``, and after the end of the channel."""
        return (self._waker is not None or self._notifier is not None) and not self._pump.has_ended

    def stop(self) -> None:
        """Call no handler any more; messages stay in the channel. Idempotent."""
        self._look_later.stop()
        if self._waker is not None:
            self._waker.close()
            assert isinstance(self._channel, DccIpcChannel)
            self._channel._unset_qt_waker(self._waker)
            self._waker = None
        if self._notifier is not None:
            self._notifier.setEnabled(False)
            self._notifier.deleteLater()
            self._notifier = None

    def _woken(self) -> None:
        """Between threads: every send wakes, so only what the budget left needs another turn."""
        if self._is_pumping:
            return  # in the loop of a dialog; what has come is looked for when its handler returns
        try:
            self._run()
        finally:
            if self._goes_on() and self._waker is not None:
                assert isinstance(self._channel, DccIpcChannel)
                if not self._pump.is_stuck and self._channel._has_something():
                    self._waker.wake()

    def _ready(self, *_: object) -> None:
        """Between processes: as long as something is there Qt asks again, also in the loop of a dialog."""
        self._notifier.setEnabled(False)
        try:
            self._run()
        finally:
            if self._goes_on() and self._notifier is not None:
                self._notifier.setEnabled(not self._pump.is_stuck)

    def _run(self) -> None:
        self._is_pumping = True
        try:
            self._pump.pump(self._budget_ms)
        finally:
            self._is_pumping = False

    def _goes_on(self) -> bool:
        """Return whether anything is to be done; look again after a while at what has no handler."""
        if self._pump.has_ended:
            self.stop()
        elif self._pump.is_stuck and self.is_receiving and not self._look_later.isActive():
            self._look_later.start(STUCK_MS)
        return self.is_receiving

    def _look_again(self) -> None:
        if self._waker is not None:
            self._waker.wake()
        elif self._notifier is not None:
            self._notifier.setEnabled(True)


def weakly(method: Callable[..., object]) -> Callable[..., None]:
    """Return a function that calls a method while its object lives."""
    reference = weakref.WeakMethod(method)

    def call(*arguments: object) -> None:
        alive = reference()
        if alive is not None:
            alive(*arguments)

    return call


def qt_core() -> Any:
    """Return the QtCore module of the binding that the host uses, or of one that is installed."""
    for binding in BINDINGS:
        if f"{binding}.QtCore" in sys.modules:
            return sys.modules[f"{binding}.QtCore"]
    for binding in BINDINGS:
        try:
            return import_module(f"{binding}.QtCore")
        except ModuleNotFoundError:
            continue
    raise ImportError(f"none of {', '.join(BINDINGS)} is installed: pip install 'ipcfast[qt]'")


@cache
def target_class(core: Any) -> Any:
    """Return a QObject that calls a function for each event of the type User, which is for nobody else."""
    user = core.QEvent.Type.User

    class Target(core.QObject):  # type: ignore[misc]
        def __init__(self, arrived: Callable[[], None]) -> None:
            super().__init__()
            self._arrived = arrived

        def event(self, event: Any) -> bool:
            """Handle what ``QtLoopWaker.wake`` has posted."""
            if event.type() != user:
                return bool(super().event(event))
            self._arrived()
            return True

    return Target
