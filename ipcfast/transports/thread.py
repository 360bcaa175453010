# SPDX-License-Identifier: MIT
"""Makes transports between the threads of this process: pairs of queues, and listeners that hand them out."""

from __future__ import annotations

import os
import threading
from collections import deque
from dataclasses import dataclass, field

from ipcfast._native.queue import QueueChannel
from ipcfast.errors import AddressInUse, ChannelClosed, ChannelTimeout, ConnectError
from ipcfast.transports.address import Address
from ipcfast.transports.contract import OWN_FRAMING, Opened, Options, checked_timeout
from ipcfast.transports.handshake import HANDSHAKE_SECONDS
from ipcfast.transports.retrying import nobody_listens
from ipcfast.transports.waiting import await_change, deadline_after

__all__ = ["ThreadAcceptor", "connect_thread", "thread_loop", "thread_opened", "thread_pair"]

# Who listens in this process, by prefix and name. The lock guards it and all that its acceptors hold. It can
# be taken again by the thread that has it: a signal handler may close what the thread waits for.
_listening: dict[tuple[str | None, str], ThreadAcceptor] = {}
_lock = threading.RLock()
_appeared = threading.Condition(_lock)  # a listener has


@dataclass(eq=False)
class Request:
    """A client that waits to be accepted."""

    client: QueueChannel
    server: QueueChannel
    is_accepted: bool = field(default=False)
    settled: threading.Condition = field(default_factory=lambda: threading.Condition(_lock))


def thread_pair(options: Options) -> tuple[QueueChannel, QueueChannel]:
    """Return both ends of a new connection."""
    return QueueChannel.pair(capacity=options.queue_capacity, spin_us=options.spin_us)


def thread_loop(options: Options) -> QueueChannel:
    """Return an end that receives what it sends."""
    return QueueChannel.loop(capacity=options.queue_capacity, spin_us=options.spin_us)


class ThreadAcceptor:
    """Owns an address of this process and hands out transports. Safe from several threads."""

    def __init__(self, address: Address, options: Options) -> None:
        self.address = address
        self._waiting: deque[Request] = deque()
        self._closed = False
        self._forked = False
        self._changed = threading.Condition(_lock)  # a client waits, or the end has come
        with _appeared:
            if self._key in _listening:
                raise AddressInUse(
                    f"{address.text} is owned by a listener of this process: close that, or choose another",
                    filename=address.text,
                )
            _listening[self._key] = self
            _appeared.notify_all()

    @property
    def _key(self) -> tuple[str | None, str]:
        return self.address.prefix, self.address.name

    @property
    def path(self) -> str:
        """The address: there is nothing in the file system."""
        return self.address.text

    @property
    def closed(self) -> bool:
        """Whether ``close`` was called, or this is a forked child of the process that listens."""
        return self._closed

    def accept(self, timeout: float | None = None) -> Opened:
        """Wait for the next client.

        Raises:
            ChannelTimeout: None was in time.
            ChannelClosed: ``close`` was called, before or meanwhile; or this is a forked child.
            TypeError, ValueError: The timeout is no number.
        """
        timeout = checked_timeout(timeout)
        deadline = deadline_after(timeout)
        with self._changed:
            while True:
                self._check_open()
                if self._waiting:
                    request = self._waiting.popleft()
                    request.is_accepted = True
                    request.settled.notify_all()
                    return thread_opened(request.server)
                if not await_change(self._changed, deadline):
                    raise ChannelTimeout(f"no client connected to {self.address.text} within {timeout:g} s")

    def _check_open(self) -> None:
        if self._forked:
            raise ChannelClosed(
                f"the listener at {self.address.text} belongs to the parent process: listen elsewhere"
            )
        if self._closed:
            raise ChannelClosed(f"the listener at {self.address.text} was closed")

    def close(self) -> None:
        """Give the address back, refuse who waits, end a blocked ``accept``. Idempotent."""
        with self._changed:
            if not self._closed:
                self.drop()
                self._changed.notify_all()
                for request in self._waiting:
                    request.settled.notify_all()

    def drop(self) -> None:
        """Do what ``close`` does, but tell nobody: they find out when they look again.

        For the garbage collector, which may come at any place, where the thread may hold any lock.
        """
        if not self._closed:
            _listening.pop(self._key, None)
            self._closed = True

    def enqueue(self, request: Request) -> None:
        """With the lock held: let a client wait."""
        self._waiting.append(request)
        self._changed.notify_all()

    def withdraw(self, request: Request) -> None:
        """With the lock held: forget a client that does not wait any more."""
        if request in self._waiting:
            self._waiting.remove(request)

    def abandon(self) -> None:
        """In a forked child: the address, and who waits, are the parent's."""
        self._closed = self._forked = True
        self._changed = threading.Condition(_lock)
        self._waiting.clear()


def connect_thread(address: Address, options: Options, timeout: float | None) -> Opened:
    """Connect to a listener of this process; parameters and errors are those of ``open_connection``."""
    deadline = deadline_after(timeout)
    with _appeared:
        acceptor = find_acceptor(address, timeout, deadline)
        if timeout is not None and timeout <= 0:
            deadline = deadline_after(HANDSHAKE_SECONDS)
        request = Request(*thread_pair(options))
        acceptor.enqueue(request)
        try:
            await_accept(acceptor, request, deadline)
        finally:
            if not request.is_accepted:
                acceptor.withdraw(request)
    return thread_opened(request.client)


def find_acceptor(address: Address, timeout: float | None, deadline: float | None) -> ThreadAcceptor:
    """With the lock held: wait until somebody listens."""
    while True:
        acceptor = _listening.get((address.prefix, address.name))
        if acceptor is not None:
            return acceptor
        if not await_change(_appeared, deadline):
            raise nobody_listens(
                address,
                timeout,
                where=" in this process",
                hint="; between processes use shm:// or local://",
            )


def await_accept(acceptor: ThreadAcceptor, request: Request, deadline: float | None) -> None:
    """With the lock held: wait until the server has taken the client in."""
    address = acceptor.address
    while not request.is_accepted:
        if acceptor.closed:
            raise ConnectError(
                f"the listener at {address.text} was closed before it accepted", filename=address.text
            )
        if not await_change(request.settled, deadline):
            raise ChannelTimeout(
                f"the server at {address.text} did not accept in time: is it calling accept()?"
            )


def thread_opened(transport: QueueChannel) -> Opened:
    """Describe a transport of this kind."""
    return Opened(transport, is_ring=False, framing=OWN_FRAMING)


def _abandon_all() -> None:
    global _lock, _appeared
    _lock = threading.RLock()  # another thread of the parent may have held it
    _appeared = threading.Condition(_lock)
    for acceptor in list(_listening.values()):
        acceptor.abandon()
    _listening.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_abandon_all)
