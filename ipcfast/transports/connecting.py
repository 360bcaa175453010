# SPDX-License-Identifier: MIT
"""A transport that connects, or accepts its one client, with the first call that needs the peer."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from ipcfast._native.stop import StoppableTimeout
from ipcfast.errors import ChannelClosed, ChannelTimeout, ShuttingDown
from ipcfast.transports.acceptor import Acceptor
from ipcfast.transports.address import Address
from ipcfast.transports.contract import Options, Transport, checked_timeout
from ipcfast.transports.handshake import RING, STREAM
from ipcfast.transports.open import Opening, patience_for_answer
from ipcfast.transports.turn import Turn
from ipcfast.transports.waiting import deadline_after, remaining

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["ConnectingTransport"]

_connecting: weakref.WeakSet[ConnectingTransport] = weakref.WeakSet()


class ConnectingTransport:
    """Stands in for a transport until there is one, then hands every call on to that.

    A call that finds no connection makes one, for as long as its own timeout and the one for connecting
    allow: with 0 it makes a single attempt. What an attempt has begun the next one goes on with. While there
    is no connection ``try_recv_…`` return None and ``poll`` False, unless connecting fails.
    """

    def __init__(
        self,
        address: Address,
        options: Options,
        *,
        is_server: bool,
        connect_timeout: float | None,
        on_open: Callable[[Transport], None],
    ) -> None:
        self._address = address
        self._connect_timeout = checked_timeout(connect_timeout)
        self._on_open = on_open
        self._transport: Transport | None = None
        self._is_closed = False
        self._is_shutdown = False
        self._is_forked = False
        self._turn = Turn(f"opening the channel at {address.text}")
        self._opening: Opening | None = None
        self._acceptor: Acceptor | None = None
        if is_server:
            # From here on clients can connect, so the server may start them (R61, R92).
            self._acceptor = Acceptor(address, options, offers=(RING if address.wants_ring else STREAM,))
            self._address = self._acceptor.address
        else:
            self._opening = Opening(address, options)
        _connecting.add(self)

    # ---- connecting

    def open(self, timeout: float | None = None) -> Transport:
        """Return the transport, and connect first where that is left to do.

        Raises:
            AddressNotFound, PermissionDenied, ConnectError: As ``open_connection``.
            ChannelTimeout: The server did not answer, no client came, or another thread connected all the
                while.
            ChannelClosed: ``close`` was called, before or meanwhile; or this is a forked child.
            ShuttingDown: ``shutdown`` was called, before or meanwhile.
            IpcChannelError: Called by a signal handler that has interrupted this.
        """
        if self._transport is not None:
            return self._transport
        timeout = checked_timeout(timeout)
        deadline = deadline_after(timeout)
        self._check_open()
        transport = self._turn.take(timeout, lambda: self._connect(deadline), self._drop_if_ended)
        if transport is None:
            raise ChannelTimeout(f"another thread is still connecting to {self._address.text}")
        return transport

    def _connect(self, deadline: float | None) -> Transport:
        if self._transport is not None:
            return self._transport
        self._check_open()
        patience = shorter(remaining(deadline), self._connect_timeout)
        try:
            if self._acceptor is not None:
                opened = self._acceptor.accept(patience)
                self._acceptor.close()
            else:
                assert self._opening is not None
                answer = shorter(remaining(deadline), patience_for_answer(self._connect_timeout))
                opened = self._opening.advance(patience, answer, self._has_ended)
        except ChannelClosed:
            self._check_open()  # which knows better why
            raise
        self._transport = opened.transport
        # Whoever ended it in these moments may not have seen the transport.
        if self._is_closed:
            opened.transport.close()
            self._check_open()
        if self._is_shutdown:
            opened.transport.shutdown()
        self._on_open(opened.transport)
        return opened.transport

    def _has_ended(self) -> bool:
        return self._is_closed or self._is_shutdown

    def _check_open(self) -> None:
        what = f"the channel at {self._address.text}"
        if self._is_forked:
            raise ChannelClosed(f"{what} was made by the parent process: make one in this process")
        if self._is_closed:
            raise ChannelClosed(f"{what} was closed before it was connected; open a new one")
        if self._is_shutdown:
            raise ShuttingDown(f"{what}: shutdown() was called before it was connected; open a new one")

    def _reach(self, timeout: float | None) -> tuple[Transport, float | None]:
        """Return the transport, and what connecting has left of the timeout."""
        timeout = checked_timeout(timeout)
        deadline = deadline_after(timeout)
        return self.open(timeout), remaining(deadline)

    def _try_reach(self, timeout: float | None = 0.0) -> tuple[Transport | None, float | None]:
        """Return None for the transport where there is no connection in time."""
        try:
            return self._reach(timeout)
        except ChannelTimeout:
            return None, None

    # ---- ending

    def announce_shutdown(self) -> None:
        """Tell the transport, where there is one."""
        if self._transport is not None:
            self._transport.announce_shutdown()

    def shutdown(self) -> None:
        """End both directions; what is not connected will not be."""
        self._is_shutdown = True
        self._end()
        if self._transport is not None:
            self._transport.shutdown()

    def close(self) -> None:
        """Shut down and free everything, the address included. Idempotent."""
        self._is_closed = True
        self._end()
        if self._transport is not None:
            self._transport.close()

    def _end(self) -> None:
        if self._acceptor is not None:
            self._acceptor.close()
        self._turn.when_free(self._drop)

    def _drop(self) -> None:
        if self._opening is not None:
            self._opening.close()

    def _drop_if_ended(self) -> None:
        if self._has_ended():
            self._drop()

    def abandon(self) -> None:
        """In a forked child: forget the connection in the making; the parent goes on with it."""
        self._is_forked = True
        self._turn.renew()
        self._drop()  # descriptors only: the peer is to see the end when the parent closes

    @property
    def closed(self) -> bool:
        """Whether ``close`` was called, or this is a forked child."""
        return self._is_closed or self._is_forked

    def is_shutdown(self) -> bool:
        """Return whether ``shutdown`` or ``close`` was called."""
        return self._has_ended()

    # ---- messages

    def send_bytes(self, data: Buffer, timeout: float | None = None) -> None:
        """Connect, and send."""
        transport, left = self._reach(timeout)
        transport.send_bytes(data, left)

    def send_message(self, data: Buffer, timeout: float | None = None) -> None:
        """Connect, and send."""
        transport, left = self._reach(timeout)
        transport.send_message(data, left)

    def send_many(self, items: Sequence[Buffer], timeout: float | None = None) -> None:
        """Connect, and send."""
        transport, left = self._reach(timeout)
        transport.send_many(items, left)

    def recv_bytes(self, timeout: float | None = None) -> bytes:
        """Connect, and receive."""
        transport, left = self._reach(timeout)
        return transport.recv_bytes(left)

    def recv_message(self, timeout: float | None = None) -> bytes:
        """Connect, and receive."""
        transport, left = self._reach(timeout)
        return transport.recv_message(left)

    def recv_bytes_into(self, buffer: Buffer, timeout: float | None = None) -> int:
        """Connect, and receive."""
        transport, left = self._reach(timeout)
        return transport.recv_bytes_into(buffer, left)

    def recv_many(self, max_bytes: int = 65536, timeout: float | None = None) -> list[bytes]:
        """Connect, and receive."""
        transport, left = self._reach(timeout)
        return transport.recv_many(max_bytes, left)

    def try_recv_bytes(self) -> bytes | None:
        """Try to connect, and to receive."""
        transport, _ = self._try_reach()
        return None if transport is None else transport.try_recv_bytes()

    def try_recv_message(self) -> bytes | None:
        """Try to connect, and to receive."""
        transport, _ = self._try_reach()
        return None if transport is None else transport.try_recv_message()

    def poll(self, timeout: float | None = 0.0) -> bool:
        """Connect, and wait for something to receive."""
        transport, left = self._try_reach(timeout)
        return transport is not None and transport.poll(left)

    def stoppable(self, seconds: float) -> StoppableTimeout:
        """Connect, and return a timeout that can be stopped."""
        return self.open().stoppable(seconds)

    def drain(self, timeout: float | None = None) -> None:
        """Wait until the operations that are under way have left, and who connects among them."""
        timeout = checked_timeout(timeout)
        deadline = deadline_after(timeout)
        if self._turn.take(timeout, lambda: True, self._drop_if_ended) is None:
            raise ChannelTimeout(f"drain: the channel at {self._address.text} is still connecting")
        if self._transport is not None:
            self._transport.drain(remaining(deadline))

    # ---- what it is

    @property
    def address(self) -> Address:
        """Where it connects to or, with the port that the system has chosen, where it listens."""
        return self._address

    def fileno(self) -> int:
        """Connect, and return the descriptor."""
        return self.open().fileno()

    @property
    def peer_pid(self) -> int | None:
        """Connect, and tell the peer's process."""
        return self.open().peer_pid

    @property
    def peer_uid(self) -> int | None:
        """Connect, and tell the peer's user."""
        return self.open().peer_uid

    @property
    def peer_died(self) -> bool | None:
        """None while there is no peer."""
        return None if self._transport is None else self._transport.peer_died

    @property
    def has_ended(self) -> bool:
        """Whether the peer that there was has ended."""
        return self._transport is not None and self._transport.has_ended

    def metrics(self) -> Mapping[str, int]:
        """Return what has been counted: nothing while there is no connection."""
        return {} if self._transport is None else self._transport.metrics()


def shorter(one: float | None, other: float | None) -> float | None:
    """Return the shorter of two timeouts; None is for ever."""
    return other if one is None else one if other is None else min(one, other)


def _abandon_all() -> None:
    for transport in list(_connecting):
        transport.abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_abandon_all)
