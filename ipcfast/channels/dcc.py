# SPDX-License-Identifier: MIT
"""The channel for hosts with a loop of their own: wakes it for every message (R75-R78, D4, D13)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ipcfast._native.queue import QueueChannel
from ipcfast.channels.shutdown import ShutdownState
from ipcfast.channels.thread import ThreadChannel
from ipcfast.errors import ChannelClosed, ShuttingDown
from ipcfast.protocol.messages import IpcMessage
from ipcfast.transports.contract import Options

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["DccIpcChannel", "QtWaker"]

logger = logging.getLogger(__name__)

_DccChannelT = TypeVar("_DccChannelT", bound="DccIpcChannel")


class QtWaker(Protocol):
    """What wakes the loop of a host (R77): anything with this method. ``integrations.qt`` has one for Qt."""

    def wake(self) -> None:
        """Let the loop come round soon. Called from any thread, after each message, and must not wait."""


class Waking:
    """Who is woken for what is sent in one direction: the same object at both ends of it."""

    def __init__(self) -> None:
        self.waker: QtWaker | None = None
        self.has_complained = False

    def wake(self, channel: object) -> None:
        """Wake whoever receives; ``channel`` is the one that has sent."""
        waker = self.waker
        if waker is None:
            return
        try:
            waker.wake()
        except Exception:
            if not self.has_complained:
                self.has_complained = True
                logger.exception("%r: waking the host failed; messages stay queued until it looks", channel)


class DccIpcChannel(ThreadChannel):
    """A ThreadChannel that wakes the host's loop after every send that succeeded (R75, R77, R78, D4).

    Alone it is its own peer (D13): any thread sends, the host's main thread receives, mostly with a
    ``MainThreadPump`` or ``integrations.qt.receive``. Of a ``pair`` each end has its own waker, for what the
    other end sends; where the other end is closed that waker is called as well.

    A waker that raises does not fail the send: the message is queued, and the host finds it when it looks.
    It is logged once (``ipcfast.channels.dcc``), because a loop that has gone stays gone (R88).

    Args, capacity and ends are those of ThreadChannel. What is sent at the other end of a ``transport`` wakes
    nobody.
    """

    def __init__(
        self,
        name: str,
        capacity: int = Options.queue_capacity,
        *,
        spin_us: int = Options.spin_us,
        shutdown_state: ShutdownState | None = None,
        transport: QueueChannel | None = None,
    ) -> None:
        self._inbound = Waking()
        self._outbound = self._inbound if transport is None else Waking()
        super().__init__(name, capacity, spin_us=spin_us, shutdown_state=shutdown_state, transport=transport)

    @classmethod
    def pair(
        cls: type[_DccChannelT],
        name: str,
        capacity: int = Options.queue_capacity,
        *,
        spin_us: int = Options.spin_us,
        shutdown_state: ShutdownState | None = None,
    ) -> tuple[_DccChannelT, _DccChannelT]:
        """Return two connected ends, as ThreadChannel does; each wakes whoever receives at the other."""
        one, other = super().pair(name, capacity, spin_us=spin_us, shutdown_state=shutdown_state)
        one._outbound, other._outbound = other._inbound, one._inbound
        return one, other

    def set_qt_waker(self, waker: QtWaker | None) -> None:
        """Wake the loop that receives here from now on (R76); None wakes nobody.

        The waker is called at once where something can be received already.
        """
        self._inbound.has_complained = False
        self._inbound.waker = waker
        if waker is not None and self._has_something():
            self._inbound.wake(self)

    def _unset_qt_waker(self, waker: QtWaker) -> None:
        """Wake nobody, unless somebody else has set another waker since."""
        if self._inbound.waker is waker:
            self._inbound.waker = None

    def _has_something(self) -> bool:
        """Return whether something is to be handled: a message, or the peer's end."""
        try:
            return not self.is_shutdown() and self.poll(0)
        except (ShuttingDown, ChannelClosed):
            return False

    def send(self, message: IpcMessage | dict[str, Any], timeout: float | None = None) -> bool:
        """Send as ThreadChannel does, then wake the host."""
        super().send(message, timeout)
        self._outbound.wake(self)
        return True

    def send_json(self, value: Any, timeout: float | None = None) -> None:
        """Send as ThreadChannel does, then wake the host."""
        super().send_json(value, timeout)
        self._outbound.wake(self)

    def send_bytes(self, data: Buffer, timeout: float | None = None) -> None:
        """Send as ThreadChannel does, then wake the host."""
        super().send_bytes(data, timeout)
        self._outbound.wake(self)

    def send_many(self, items: Sequence[Buffer], timeout: float | None = None) -> None:
        """Send as ThreadChannel does; wake the host once for all, and before each wait for room."""
        self._queues.send_many(items, timeout, tell=self._tell)

    def _tell(self) -> None:
        self._outbound.wake(self)

    def close(self) -> None:
        """Close as ThreadChannel does; a host at the other end is woken, because nothing comes any more."""
        was_closed = self.closed
        super().close()
        if self._outbound is not self._inbound and not was_closed:
            self._outbound.wake(self)
