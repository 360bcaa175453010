# SPDX-License-Identifier: MIT
"""The channel for hosts with a loop of their own: wakes it for every message (R75-R78, D4, D13)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from ipcfast.channels.thread import ThreadChannel
from ipcfast.errors import ChannelTimeout, SendFailed
from ipcfast.protocol.messages import IpcMessage

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["DccIpcChannel", "QtWaker"]

logger = logging.getLogger(__name__)


class QtWaker(Protocol):
    """What wakes the loop of a host (R77): anything with this method. ``integrations.qt`` has one for Qt."""

    def wake(self) -> None:
        """Let the loop come round soon. Called from any thread, after each message, and must not wait."""


class DccIpcChannel(ThreadChannel):
    """A ThreadChannel that wakes the host's loop after every send that succeeded (R75, R77, R78, D4).

    Alone it is its own peer (D13): any thread sends, the host's main thread receives, mostly with a
    ``MainThreadPump`` or ``integrations.qt.receive``. Of a ``pair`` each end wakes for what it sends.

    A waker that raises does not fail the send: the message is queued, and the host finds it when it looks.
    It is logged once (``ipcfast.channels.dcc``), because a loop that has gone stays gone (R88).

    Args, capacity and ends are those of ThreadChannel.
    """

    _waker: QtWaker | None = None
    _has_complained = False

    def set_qt_waker(self, waker: QtWaker | None) -> None:
        """Wake this loop from now on (R76), and at once if something is queued; None wakes nobody."""
        self._waker = waker
        self._has_complained = False
        if waker is not None and not self.is_shutdown() and self.poll(0):
            self._wake()

    def send(self, message: IpcMessage | dict[str, Any], timeout: float | None = None) -> bool:
        """Send as ThreadChannel does, then wake the host."""
        super().send(message, timeout)
        self._wake()
        return True

    def send_json(self, value: Any, timeout: float | None = None) -> None:
        """Send as ThreadChannel does, then wake the host."""
        super().send_json(value, timeout)
        self._wake()

    def send_bytes(self, data: Buffer, timeout: float | None = None) -> None:
        """Send as ThreadChannel does, then wake the host."""
        super().send_bytes(data, timeout)
        self._wake()

    def send_many(self, items: Sequence[Buffer], timeout: float | None = None) -> None:
        """Send as ThreadChannel does, then wake the host once, also if only some were sent."""
        try:
            super().send_many(items, timeout)
        except (ChannelTimeout, SendFailed) as error:
            if error.sent:
                self._wake()
            raise
        if items:
            self._wake()

    def _wake(self) -> None:
        waker = self._waker
        if waker is None:
            return
        try:
            waker.wake()
        except Exception:
            if not self._has_complained:
                self._has_complained = True
                logger.exception("%r: waking the host failed; messages stay queued until it looks", self)
