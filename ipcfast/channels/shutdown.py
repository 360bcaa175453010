# SPDX-License-Identifier: MIT
"""One shutdown for many channels: who ends together, and what has to be finished first (R6, R85-R89)."""

from __future__ import annotations

import logging
import os
import threading
import weakref
from types import TracebackType
from typing import Protocol

from ipcfast.errors import ChannelTimeout, ShuttingDown
from ipcfast.transports.contract import checked_timeout
from ipcfast.transports.waiting import await_change, deadline_after, remaining

__all__ = ["Member", "Operation", "ShutdownState", "join", "state_of"]

logger = logging.getLogger(__name__)

# All of this process; after fork, the child's have locks of their own.
_states: weakref.WeakSet[ShutdownState] = weakref.WeakSet()

# Two threads must not both make the state of one channel. Held for a moment, once in a channel's life.
_making_state = threading.RLock()


class Member(Protocol):
    """What ends with a ShutdownState: a channel or a listener."""

    _shutdown_state: ShutdownState | None

    def _announce_end(self) -> None:
        """Know of the shutdown before any member ends: both ends of a connection may be members."""

    def _end_gracefully(self) -> None:
        """Shut down, whoever decided it. Idempotent."""

    def _drain(self, timeout: float | None) -> None:
        """Wait until no operation is under way, or raise ChannelTimeout."""


class Channel(Member, Protocol):
    """A channel, which can say whether this side has ended it."""

    def _has_ended_here(self) -> bool:
        """Return whether it has."""
        ...


class ShutdownState:
    """Shuts any number of channels and listeners down together (R6, R85, R87).

    ::

        state = ipcfast.ShutdownState()
        jobs = ipcfast.connect("shm://jobs", shutdown_state=state)
        events = ipcfast.connect("local://events", shutdown_state=state)
        ...
        with state.begin_operation():      # raises ShuttingDown from shutdown on
            ...
        state.shutdown()                   # both channels end, their peers receive all that was sent
        state.drain(timeout=5.0)           # what had begun has finished

    ``shutdown`` on one of the channels does the same as ``shutdown`` here; ``close`` ends only the channel
    that it is called on. The state does not keep its channels alive. A channel that is made with a state
    that is shut down already is shut down, too.

    What a channel was sending or receiving when shutdown came is finished or raises ShuttingDown: no message
    is lost without a word (R89). Threads that outlive the host's loop get ShuttingDown, from ``receive``
    None, and the end of an iteration, and never an error of something that is gone (R88).

    Threads: every method may be called from any thread, and from signal handlers. In a forked child, whose
    channels are the parent's, nothing is pending.
    """

    def __init__(self) -> None:
        # Its lock can be taken again by the thread that has it, which may be in a signal handler.
        self._changed = threading.Condition()
        self._is_shutdown = False
        self._pending = 0
        self._forks = 0  # operations that began before a fork are the parent's
        self._members: weakref.WeakSet[Member] = weakref.WeakSet()
        _states.add(self)

    def shutdown(self) -> None:
        """Shut down everything that has this state (R85). Idempotent, never fails."""
        with self._changed:
            if self._is_shutdown:
                return
            self._is_shutdown = True
            members = list(self._members)
            self._changed.notify_all()
        for member in members:
            announce_end(member)
        for member in members:
            end(member)

    def is_shutdown(self) -> bool:
        """Return whether ``shutdown`` was called, here or on one of the channels (R85)."""
        return self._is_shutdown

    def begin_operation(self) -> Operation:
        """Begin what ``drain`` shall wait for (R86): the result is a context manager that ends it.

        The sends and receives of channels need no guard: ``drain`` waits for them, too.

        Raises:
            ShuttingDown: ``shutdown`` was called.
        """
        with self._changed:
            self.check()
            self._pending += 1
            return Operation(self, self._forks)

    @property
    def pending(self) -> int:
        """How many operations of ``begin_operation`` have not ended; the channels' own do not count."""
        return self._pending

    def drain(self, timeout: float | None = None) -> None:
        """Wait until every operation has ended, and every call of the channels has returned.

        The handler that ``start_receiving`` is calling counts as well, unless it is the one that calls this.
        ``drain`` may be called before ``shutdown``; then new ones may have begun meanwhile.

        Args:
            timeout: Seconds; None waits for ever, 0 looks once.

        Raises:
            ChannelTimeout: Some were still under way.
            TypeError, ValueError: The timeout is no number.
        """
        timeout = checked_timeout(timeout)
        deadline = deadline_after(timeout)
        with self._changed:
            while self._pending:
                if not await_change(self._changed, deadline):
                    raise ChannelTimeout(
                        f"drain: {self._pending} operations are still pending after {timeout:g} s; wait "
                        "longer for them, or end them"
                    )
            members = list(self._members)
        for member in members:
            member._drain(remaining(deadline))

    def check(self) -> None:
        """Raise ShuttingDown once ``shutdown`` was called."""
        if self._is_shutdown:
            raise ShuttingDown("shutdown() was called on this ShutdownState: make a new one to go on")

    def attach(self, member: Member) -> None:
        """Let a channel or listener end with this state; the constructors do this."""
        with self._changed:
            self._members.add(member)
            is_late = self._is_shutdown
        if is_late:
            end(member)

    def _end_operation(self, forks: int) -> None:
        with self._changed:
            if forks == self._forks:
                self._pending -= 1
            if self._pending == 0:
                self._changed.notify_all()

    def _renew(self) -> None:
        """In a forked child: who had the lock, or an operation, may be a thread that is not here."""
        self._changed = threading.Condition()
        self._pending = 0
        self._forks += 1

    def __repr__(self) -> str:
        """Return the state and the number of pending operations."""
        return f"<ShutdownState {'shut down' if self._is_shutdown else 'open'}, {self._pending} pending>"


class Operation:
    """An operation that has begun; ends at the end of the ``with`` block, with ``end``, or with itself."""

    def __init__(self, state: ShutdownState, forks: int) -> None:
        self._state: ShutdownState | None = state
        self._forks = forks

    def end(self) -> None:
        """End it. Idempotent."""
        state, self._state = self._state, None
        if state is not None:
            state._end_operation(self._forks)

    def __enter__(self) -> Operation:
        """Return the operation; it ends at the end of the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        self.end()

    def __del__(self) -> None:
        """End what was forgotten, so that nobody waits for it in vain."""
        self.end()


def join(member: Member, state: ShutdownState | None) -> None:
    """Let a channel or listener end with a state from now on; at once, where that has ended."""
    if state is not None:
        member._shutdown_state = state
        state.attach(member)


def state_of(channel: Channel) -> ShutdownState:
    """Return what a channel ends with; made when nobody has given it any."""
    with _making_state:
        state = channel._shutdown_state
        if state is None:
            state = ShutdownState()
            if channel._has_ended_here():
                state.shutdown()
            join(channel, state)
        return state


def end(member: Member) -> None:
    """Shut one member down; one that cannot must not keep the others from it."""
    try:
        member._end_gracefully()
    except Exception:
        logger.exception("%r could not be shut down", member)


def announce_end(member: Member) -> None:
    """Tell one member; one that cannot be told must not keep the others from it."""
    try:
        member._announce_end()
    except Exception:
        logger.exception("%r could not be told of its shutdown", member)


def _renew_locks() -> None:
    global _making_state
    _making_state = threading.RLock()  # another thread of the parent may have held it
    for state in list(_states):
        state._renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_locks)
