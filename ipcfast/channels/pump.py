# SPDX-License-Identifier: MIT
"""Hands messages over in the thread that calls: for hosts whose main thread has a loop of its own (R7)."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from ipcfast.channels.handlers import call
from ipcfast.channels.ipc_channel import IpcChannel
from ipcfast.errors import (
    ChannelClosed,
    ChannelTimeout,
    Disconnected,
    MessageTooLarge,
    ReceiveFailed,
    SerializationError,
    ShuttingDown,
)
from ipcfast.protocol.messages import IpcMessage

__all__ = ["MainThreadPump"]

logger = logging.getLogger(__name__)

BUDGET_MS = 8.0

Batch = tuple[tuple[Callable[[Any], object], ...], object]
# Stands for a message that was no good: there is nobody to call.
SKIPPED: Batch = ((), None)


class MainThreadPump:
    """Handles the messages of a channel where a host calls ``pump``: in Maya, Houdini, Blender, Tk (R7).

    ::

        pump = ipcfast.MainThreadPump(channel, handler)

        def tick():                            # Tk; for Blender: return None if pump.has_ended else 0.02
            pump.pump(budget_ms=8)
            if not pump.has_ended:
                root.after(20, tick)

    Any channel will do. Handlers run in the thread that calls ``pump``, and there alone; an exception of one
    is logged (``ipcfast.channels.pump``) and keeps nothing from going on. Only what is no ``Exception``, as
    after ``sys.exit()`` or Ctrl-C, comes out of ``pump``; the handlers behind it do not get that message.

    After ``shutdown`` or ``close`` of the channel, in whichever thread, no handler is called any more, be it
    the next one for the same message or one for messages that are queued (R88): what they would touch may be
    gone. Only a handler that is running already may go on beside a shutdown in another thread. ``recv`` still
    gives what is queued where the channel keeps it.

    Args:
        channel: What to receive from.
        handler: Called with each message. None: the handlers given to the channel with ``on_message`` and
            ``on_bytes``. What there is no handler for stays at the head.
    """

    def __init__(self, channel: IpcChannel, handler: Callable[[IpcMessage], object] | None = None) -> None:
        self._channel = channel
        self._handler = handler
        self._turn = threading.Lock()
        self._has_ended = False
        self._is_stuck = False

    def pump(self, budget_ms: float | None = BUDGET_MS) -> int:
        """Handle what is there, one message at least, until nothing is or the time is used up.

        A message that is none, or too large, is logged and skipped; the time for that counts as well. Never
        waits for a message. Called while a handler runs, as by the timer of a dialog that the handler has
        opened, it does nothing: no handler is entered twice, and the order is kept.

        Args:
            budget_ms: Milliseconds; None goes on until nothing is there. A handler that takes longer is not
                interrupted.

        Returns:
            How many messages were handled.

        Raises:
            ValueError: ``budget_ms`` is negative.
        """
        if budget_ms is not None and not budget_ms >= 0:
            raise ValueError(f"budget_ms is {budget_ms}, must not be negative")
        if not self._turn.acquire(blocking=False):
            return 0
        try:
            return self._pump(None if budget_ms is None else time.monotonic() + budget_ms / 1e3)
        finally:
            self._turn.release()

    def _pump(self, deadline: float | None) -> int:
        count = 0
        while True:
            batch = self._next()
            if batch is None:
                return count
            call(self._channel, *batch, logger, is_over=self._channel._has_ended_here)
            count += batch is not SKIPPED
            if deadline is not None and time.monotonic() >= deadline:
                return count

    @property
    def has_ended(self) -> bool:
        """Whether the channel has ended, so that nothing will come: time to remove the host's timer."""
        return self._has_ended or self._channel.is_shutdown()

    @property
    def is_stuck(self) -> bool:
        """Whether the last ``pump`` found something that nobody has a handler for; it was logged once."""
        return self._is_stuck

    def _next(self) -> Batch | None:
        """Take the next message, with its handlers; None: there is none now."""
        if self.has_ended:
            return None
        try:
            batch = self._take()
            self._is_stuck = False
            return batch
        except (SerializationError, MessageTooLarge) as error:
            logger.warning("%r: a message was skipped: %s", self._channel, error)
            self._is_stuck = False
            return SKIPPED
        except ReceiveFailed as error:
            if not self._is_stuck:
                logger.error("%r: what comes next has no handler: %s", self._channel, error)
            self._is_stuck = True
        except ChannelTimeout:
            pass
        except (Disconnected, ShuttingDown, ChannelClosed):
            self._has_ended = True
        except Exception:
            logger.exception("%r: receiving has ended", self._channel)
            self._has_ended = True
        return None

    def _take(self) -> Batch | None:
        channel = self._channel
        messages, raw = channel._handlers()
        if self._handler is not None:
            messages = (self._handler,)
        if not messages and not raw:
            if channel.poll(0):
                raise ReceiveFailed("call on_message of the channel, or give the pump a handler")
            return None
        if messages and (not raw or "messages" in channel.capabilities):
            try:
                message = channel.try_recv()
                return None if message is None else (messages, message)
            except ReceiveFailed:
                if not raw:
                    raise
        data = channel.try_recv_bytes()
        return None if data is None else (raw, data)
