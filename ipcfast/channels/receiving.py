# SPDX-License-Identifier: MIT
"""Receives in the background: one thread of a channel calls handlers with what comes (R19, R95, R100)."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from typing import Any, Protocol, cast

from ipcfast._native.stop import StoppableTimeout
from ipcfast.channels.handlers import BytesHandler, BytesHandlers, MessageHandler, MessageHandlers, call
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
from ipcfast.transports.waiting import await_change, deadline_after

__all__ = ["BackgroundReceiving"]

logger = logging.getLogger(__name__)

# One receive of the loop where it cannot be stopped, as of a channel that a user has written: after it the
# thread looks whether it is still wanted.
TURN_SECONDS = 0.25
# A message is for neither of two kinds of receive when both have refused it in turn this often. Fewer times
# it may be that other threads receive, too.
REFUSALS_MAX = 100

# Guards who runs, in all channels: held for a moment when a loop starts, stops or ends. Its lock can be taken
# again by the thread that has it, which may be in a signal handler.
_changed = threading.Condition()


class Receivable(Protocol):
    """What the loop needs of a channel."""

    def recv(self, timeout: float | None = None) -> IpcMessage:
        """Return the next message."""

    def recv_bytes(self, timeout: float | None = None) -> bytes:
        """Return the next byte message."""

    @property
    def capabilities(self) -> frozenset[str]:
        """What the channel carries."""

    @property
    def closed(self) -> bool:
        """Whether it is closed."""

    def _begin_receiving(self) -> None:
        """Do what comes before the first receive."""

    def _stoppable(self, seconds: float) -> float:
        """Return a timeout that can be stopped, or just these seconds."""
        ...


class Receiver:
    """The handlers of one channel, and the thread that calls them.

    Only that thread keeps the channel: one that is dropped before or afterwards is closed at once.
    """

    def __init__(self) -> None:
        # Replaced, never changed: the loop reads them without a lock.
        self.message_handlers: MessageHandlers = ()
        self.bytes_handlers: BytesHandlers = ()
        self.thread: threading.Thread | None = None
        self.is_asked_to_stop = False
        self.timeout = TURN_SECONDS  # of the loop's receives
        self.turns = 0  # that began or ended: odd while one is under way
        self.drainers = 0  # threads that wait for the end of a turn

    # ---- from outside

    def add(self, *, message_handler: Any = None, bytes_handler: Any = None) -> None:
        """Have one more handler called."""
        with _changed:
            if message_handler is not None:
                self.message_handlers = (*self.message_handlers, message_handler)
            if bytes_handler is not None:
                self.bytes_handlers = (*self.bytes_handlers, bytes_handler)
            self.poke()

    def remove(self, channel: Receivable, handler: Callable[..., object]) -> None:
        """Forget a handler; the loop stops when there is none any more."""
        with _changed:
            found = len(self.message_handlers) + len(self.bytes_handlers)
            self.message_handlers = tuple(known for known in self.message_handlers if known != handler)
            self.bytes_handlers = tuple(known for known in self.bytes_handlers if known != handler)
            left = len(self.message_handlers) + len(self.bytes_handlers)
            if left == found:
                raise ValueError(f"remove_handler: {handler!r} is no handler of {channel!r}")
            if left == 0:
                self.is_asked_to_stop = self.is_running()
            self.poke()

    def start(self, channel: Receivable) -> None:
        """Run the loop, unless it runs; take back that it was asked to stop."""
        with _changed:
            if not self.message_handlers and not self.bytes_handlers:
                raise RuntimeError("start_receiving: nobody would get the messages; call on_message before")
            self.is_asked_to_stop = False
            _changed.notify_all()
            if not self.is_running():
                name = f"ipcfast {getattr(channel, 'name', '')}"
                self.thread = threading.Thread(target=self.run, args=[channel], name=name, daemon=True)
                try:
                    self.thread.start()
                except BaseException:
                    self.thread = None
                    raise

    def stop(self, channel: Receivable, timeout: float | None) -> None:
        """Ask the loop to stop and, unless it is the loop that asks, wait for it."""
        with _changed:
            thread = self.thread
            if thread is None or not thread.is_alive():
                return
            self.is_asked_to_stop = True
            if thread is threading.current_thread():
                return
            self.poke()
            deadline = deadline_after(timeout)
            while self.thread is thread and self.is_asked_to_stop:
                if not await_change(_changed, deadline):
                    raise ChannelTimeout(
                        f"stop_receiving: {channel!r} is still in a handler, or connecting, after "
                        f"{timeout:g} s; it stops afterwards"
                    )
            is_over = self.thread is not thread
        if is_over:
            thread.join()  # it has nothing left to do

    def turn_under_way(self) -> int:
        """Return the number of the turn that another thread is taking, for ``await_turn``; 0: none."""
        return self.turns if self.turns % 2 and self.thread is not threading.current_thread() else 0

    def await_turn(self, turn: int, deadline: float | None) -> None:
        """Wait until that turn has ended."""
        with _changed:
            self.drainers += 1
            try:
                while turn and self.turns == turn and self.is_running():
                    if not await_change(_changed, deadline):
                        raise ChannelTimeout("wait_for_drain: a handler is still running")
            finally:
                self.drainers -= 1

    def poke(self) -> None:
        """With the lock held: make the loop come round, where its receive can be stopped."""
        if isinstance(self.timeout, StoppableTimeout):
            self.timeout.stop()

    def is_running(self) -> bool:
        """Return whether the loop has a thread; that of the parent is none in a forked child."""
        return self.thread is not None and self.thread.is_alive()

    # ---- in the thread

    def run(self, channel: Receivable) -> None:
        """Receive and call, until the channel ends or somebody asks to stop."""
        try:
            channel._begin_receiving()
            self.timeout = channel._stoppable(TURN_SECONDS)
            while self.is_wanted():
                self.turn(channel)
        except (Disconnected, ShuttingDown, ChannelClosed):
            pass  # the end that every channel has
        except BaseException:  # an exit, too: in a thread that would be without a word
            logger.exception("%r: receiving in the background has ended", channel)
        finally:
            with _changed:
                self.leave()

    def is_wanted(self) -> bool:
        """Return whether to go on. If not, this thread is not the channel's any more."""
        if not self.is_asked_to_stop:
            return True
        with _changed:
            if self.is_asked_to_stop:
                self.leave()
                return False
        return True

    def leave(self) -> None:
        """With the lock held: let another thread take this one's place."""
        if self.thread is threading.current_thread():
            self.thread = None
            self.is_asked_to_stop = False
            self.timeout = TURN_SECONDS
            _changed.notify_all()

    def come_round(self) -> None:
        """Go on after a receive that was stopped, unless the loop is to end."""
        with _changed:
            if isinstance(self.timeout, StoppableTimeout) and not self.is_asked_to_stop:
                self.timeout.reset()

    def turn(self, channel: Receivable) -> None:
        """Hand the next message over, or come back without one."""
        self.turns += 1
        try:
            self.take(channel)
        except ChannelTimeout:
            self.come_round()
        except (SerializationError, MessageTooLarge) as error:
            logger.warning("%r: a message was skipped: %s", channel, error)
        finally:
            self.turns += 1
            if self.drainers:  # who begins to wait now sees that the turn has ended
                with _changed:
                    _changed.notify_all()

    def takes_messages(self, channel: Receivable) -> bool:
        """Return whether to receive messages first: always, but where there are none and bytes are wanted."""
        if not self.bytes_handlers:
            return True
        return bool(self.message_handlers) and "messages" in channel.capabilities

    def take(self, channel: Receivable) -> None:
        """Receive a message, or the bytes that are in its place, and hand it over.

        Handlers may come and go while this waits. What has come for one that was the last of its kind is
        handed to it all the same: nothing is lost without a word.
        """
        takes_messages, timeout = self.takes_messages(channel), self.timeout
        for _ in range(REFUSALS_MAX):
            before = self.message_handlers if takes_messages else self.bytes_handlers
            if not before:
                return  # the last one was removed: see who is left
            try:
                if takes_messages:
                    message: IpcMessage | bytes = channel.recv(timeout)
                else:
                    message = channel.recv_bytes(timeout)
            except ReceiveFailed as error:
                refusal = error
            else:
                now = self.message_handlers if takes_messages else self.bytes_handlers
                # An exit would end this thread alone, and leave the senders without anybody who takes.
                call(channel, now or before, message, logger, survives=BaseException)
                return
            takes_messages, timeout = not takes_messages, 0
            if not (self.message_handlers if takes_messages else self.bytes_handlers):
                break
        raise refusal


class BackgroundReceiving:
    """The methods of a channel that calls handlers (R19)."""

    _receiver: Receiver | None = None

    def on_message(self, handler: MessageHandler) -> MessageHandler:
        """Have ``handler`` called with each message that ``start_receiving`` receives (R19).

        Several handlers are called one after the other, in the order in which they were given, with the very
        same IpcMessage. What one raises is logged (``ipcfast.channels.receiving``); the loop goes on, also
        after ``sys.exit()``, which ends no program where it is called in a thread.

        Returns:
            The handler, so this may be used as a decorator.
        """
        self._made_receiver().add(message_handler=handler)
        return handler

    def on_bytes(self, handler: BytesHandler) -> BytesHandler:
        """Have ``handler`` called with each byte message that ``start_receiving`` receives.

        Returns:
            The handler, so this may be used as a decorator.
        """
        self._made_receiver().add(bytes_handler=handler)
        return handler

    def remove_handler(self, handler: Callable[..., object]) -> None:
        """Do not call ``handler`` any more, which was given to ``on_message`` or ``on_bytes``, however often.

        One that equals it will do, such as the same method of the same object. No message is lost: one that
        is on its way to the handler at this moment still reaches it; ``stop_receiving`` before would wait for
        that. Where no handler is left receiving stops, as by ``stop_receiving`` in a handler, and messages
        wait for the next start. May be called from any thread, and by a handler.

        Raises:
            ValueError: It is no handler of this channel.
        """
        self._made_receiver().remove(cast("Receivable", self), handler)

    def start_receiving(self) -> None:
        """Receive in a daemon thread of this channel, and call the handlers there (R19, R95, R100).

        There is one such thread at most; starting twice does nothing. It keeps the channel alive and ends
        with it, without a word: when the peer ends, after ``shutdown``, after ``close``, which a handler may
        call as well. A message that is none, or too large, is logged and skipped. Anything else that stops
        it is logged as an error, such as bytes where there is no handler of ``on_bytes``, or a message where
        there is only such: they stay at the head, for a receive, or for the next start.

        Who calls ``recv`` meanwhile shares the messages with the handlers: each goes to one of them.

        Raises:
            ChannelClosed: It was closed, or is the parent's.
            RuntimeError: There is no handler.
        """
        if cast("Receivable", self).closed:
            raise ChannelClosed(f"{self!r} was closed; make a new one")
        self._made_receiver().start(cast("Receivable", self))

    def stop_receiving(self, timeout: float | None = None) -> None:
        """Stop what ``start_receiving`` started, and wait for the handler that runs.

        Nothing is lost: what was received has been handed over, the rest is received after the next start.
        Called by a handler it only asks, and the loop stops after that message. Does nothing where nothing
        runs.

        Args:
            timeout: Seconds; None waits for ever. It takes as long as a handler or connecting takes; of a
                class of yours that overrides ``recv``, a quarter of a second longer.

        Raises:
            ChannelTimeout: It is still running, and stops afterwards.
        """
        if self._receiver is not None:
            self._receiver.stop(cast("Receivable", self), timeout)

    def is_receiving(self) -> bool:
        """Return whether the thread of ``start_receiving`` runs."""
        return self._receiver is not None and self._receiver.is_running()

    def _begin_receiving(self) -> None:
        """Do what comes before the first receive, in the thread of the loop."""

    def _turn_under_way(self) -> int:
        """Return which message the loop is receiving or handing over, for ``_await_turn``."""
        return 0 if self._receiver is None else self._receiver.turn_under_way()

    def _await_turn(self, turn: int, deadline: float | None) -> None:
        """Wait until that has been handed over, or raise ChannelTimeout."""
        if self._receiver is not None:
            self._receiver.await_turn(turn, deadline)

    def _stoppable(self, seconds: float) -> float:
        """Return a timeout for the loop's receives that can be stopped, or just these seconds."""
        return seconds

    def _handlers(self) -> tuple[MessageHandlers, BytesHandlers]:
        """Return who is called with messages, and who with bytes."""
        receiver = self._receiver
        return (receiver.message_handlers, receiver.bytes_handlers) if receiver is not None else ((), ())

    def _made_receiver(self) -> Receiver:
        with _changed:
            if self._receiver is None:
                self._receiver = Receiver()
            return self._receiver


def _renew_lock() -> None:
    global _changed
    _changed = threading.Condition()  # another thread of the parent may have held it


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)
