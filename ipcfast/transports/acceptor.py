# SPDX-License-Identifier: MIT
"""The server's side of connections: accepts, greets and sniffs many clients at once, without a thread.

Everything happens inside whatever call of ``accept`` is under way: one loop waits for {the listening
socket, every connection in handshake, the mark that ``close`` was called} and takes each a step further
when there is one to take.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import math
import os
import time
import weakref
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ipcfast._native.stream_channel import KIND_REFUSAL, StreamChannel
from ipcfast._native.stream_listener import StreamListener, wait_any
from ipcfast.errors import (
    ChannelClosed,
    ChannelTimeout,
    IoError,
    IpcChannelError,
    PermissionDenied,
)
from ipcfast.transports.address import Address
from ipcfast.transports.contract import OWN_FRAMING, Opened, Options, checked_timeout
from ipcfast.transports.greeting import answer_hello
from ipcfast.transports.handshake import (
    HANDSHAKE_SECONDS,
    RING,
    SILENCE_SECONDS,
    STREAM,
    TIMES,
    Refused,
    encode_refusal,
)
from ipcfast.transports.ring import close_handles
from ipcfast.transports.sparse_log import SparseLog
from ipcfast.transports.stream import limits
from ipcfast.transports.turn import Turn

if TYPE_CHECKING:
    from ipcfast.transports.tcp_listener import Proving, TcpListener

__all__ = ["Acceptor"]

logger = logging.getLogger(__name__)

# What one wait can watch (IPCF_WAIT_MAX), less the listening socket and the mark of close.
PENDING_MAX = 62
# A stranger who has got no further in this time makes room for others, where there is none.
STRANGER_SECONDS = 0.5
# When the system lets nobody in, as without descriptors, it would say the same if asked again at once.
REST_SECONDS = 0.1
# Codecs that may speak with a client that nothing was agreed with.
CODECS_WITHOUT_HANDSHAKE = ("json", "raw")

_acceptors: weakref.WeakSet[Acceptor] = weakref.WeakSet()


class Dropped(Exception):
    """A connection is given up without a word to the client; the text is for the log."""


@dataclass(eq=False)
class Pending:
    """A connection that is not open yet: silent, or in the middle of its greeting."""

    connection: StreamChannel | Proving
    since: float
    silent_until: float | None  # when silence means that the listener's framing holds; None: it means nothing
    is_greeting: bool = field(default=False)
    who: str = ""  # for the log

    @property
    def deadline(self) -> float:
        """When it is dropped if it has got no further."""
        return self.since + HANDSHAKE_SECONDS


class Acceptor:
    """Owns an address and hands out transports. Safe from several threads."""

    def __init__(
        self, address: Address, options: Options, *, offers: Collection[int] = (STREAM, RING)
    ) -> None:
        options.check_for(address)
        self.address = address
        self._options = options
        self._offers = (STREAM,) if address.is_tcp else offers
        # Where any byte may come first nobody is recognised, and on TCP nobody either. But a web page can
        # have the browser connect there, and a line that is no message is merely skipped: so "lines" looks.
        self._sniffs = options.framing == "lines" if address.is_tcp else options.framing != "u32be"
        self._pending: list[Pending] = []
        self._rest_until = 0.0
        self._closed = False
        self._forked = False
        self._turn = Turn("accept")
        # A connection to itself: closing one end wakes whoever waits on the other, on every system alike.
        self._mark, self._waker = StreamChannel.pair()
        try:
            self._listener: StreamListener | TcpListener
            if address.is_tcp:
                # Here and not above: the modules of the network cost more to load than all of ours.
                from ipcfast.transports.tcp_listener import TcpListener

                self._listener = TcpListener(address, options)
                self.address = replace(address, text=f"tcp://{self._listener.path}", name=self._listener.path)
            else:
                self._listener = StreamListener(address.path_to_listen())
        except BaseException:
            self._mark.close()
            self._waker.close()
            raise
        self._warnings = SparseLog(logger, self.address.text)
        _acceptors.add(self)

    @property
    def path(self) -> str:
        """The path of the socket or pipe."""
        return self._listener.path

    @property
    def closed(self) -> bool:
        """Whether ``close`` was called, or this is a forked child of the process that listens."""
        return self._closed

    def accept(self, timeout: float | None = None) -> Opened:
        """Wait for the next client that is ready.

        What a client does, and what becomes of it, is no reason for an error here: it is dropped, and logged.
        Neither is it when the system lets nobody in for want of descriptors or memory: that is logged, and
        tried again.

        Raises:
            ChannelTimeout: None was in time.
            ChannelClosed: ``close`` was called, before or meanwhile; or this is a forked child.
            IpcChannelError: Called by a signal handler that has interrupted ``accept`` in this thread.
            TypeError, ValueError: The timeout is no number.
        """
        timeout = checked_timeout(timeout)
        deadline = None if timeout is None else time.monotonic() + timeout
        opened = self._turn.take(timeout, lambda: self._accept(deadline), self._free_if_closed)
        if opened is None:
            raise ChannelTimeout(
                f"no client connected to {self.address.text} within {round(timeout or 0.0, 3):g} s"
            )
        return opened

    def _accept(self, deadline: float | None) -> Opened | None:
        while True:
            self._check_open()
            opened = self._advance()
            if opened is not None:
                return opened
            if deadline is not None and time.monotonic() >= deadline:
                return None
            self._wait(deadline)

    def close(self) -> None:
        """Give the address back, drop clients in handshake, end a blocked ``accept``. Idempotent.

        From any thread, and from a signal handler.
        """
        self._closed = True
        self._waker.close()
        self._turn.when_free(self._free)

    def _free_if_closed(self) -> None:
        if self._closed:
            self._free()

    def _free(self) -> None:
        """When nobody accepts: close everything."""
        for pending in self._pending:
            pending.connection.close()
        self._pending.clear()
        self._listener.close()
        self._mark.close()
        self._warnings.tell_left_out()

    def _abandon(self) -> None:
        """In a forked child: forget everything, unlink nothing, say nothing."""
        self._closed = self._forked = True
        self._turn.renew()
        self._listener.abandon()
        for connection in (self._mark, self._waker, *(pending.connection for pending in self._pending)):
            connection.abandon()
        self._pending.clear()

    def _check_open(self) -> None:
        if self._forked:
            raise ChannelClosed(
                f"the listener at {self.address.text} belongs to the parent process: listen elsewhere"
            )
        if self._closed:
            raise ChannelClosed(f"the listener at {self.address.text} was closed")

    def _wait(self, deadline: float | None) -> None:
        """Sleep until something can be done for somebody, or the next deadline."""
        handles = [self._mark.handle(), *(pending.connection.handle() for pending in self._pending)]
        moments = [pending.silent_until or pending.deadline for pending in self._pending]
        if deadline is not None:
            moments.append(deadline)
        now = time.monotonic()
        free_at = max(self._rest_until, self._room_at())
        if now >= free_at:
            handles.append(self._listener.handle())
        elif free_at != math.inf:
            moments.append(free_at)
        wait_any(handles, max(0.0, min(moments) - now) if moments else None)

    def _advance(self) -> Opened | None:
        """Do everything that needs no waiting, until a client is ready."""
        opened = self._step_all()
        if opened is None and self._take_in():  # in this order: nobody who is ready is to make room
            opened = self._step_all()
        return opened

    def _step_all(self) -> Opened | None:
        for pending in list(self._pending):
            try:
                opened = self._step(pending)
            except Refused as refused:
                self._refuse(pending, str(refused))
            except (Dropped, IpcChannelError) as error:
                self._drop(pending, str(error))
            except Exception as error:  # whatever it is, it concerns this client only
                self._drop(pending, f"{type(error).__name__}: {error}")
            else:
                if opened is not None:
                    self._pending.remove(pending)
                    return opened
        return None

    def _take_in(self) -> bool:
        """Accept all who wait in the backlog, as far as one wait can watch them or room can be made.

        Returns whether there was somebody.
        """
        was_somebody = False
        while time.monotonic() >= max(self._rest_until, self._room_at()):
            try:
                found = self._let_in()
            except PermissionDenied as error:
                self._warnings.warn(f"turned away a client of another user: {error}")
                continue
            except (IoError, MemoryError) as error:
                self._warnings.warn(f"cannot let clients in, trying again in {REST_SECONDS:g} s: {error}")
                self._rest_until = time.monotonic() + REST_SECONDS
                break
            if found is None:
                break
            was_somebody = True
            if len(self._pending) >= PENDING_MAX:
                self._make_room()
            connection, who = found
            now = time.monotonic()
            silence = None if self._options.framing == OWN_FRAMING else now + SILENCE_SECONDS
            self._pending.append(Pending(connection, now, silence, who=who))
        return was_somebody

    def _room_at(self) -> float:
        """Return when there is room for another client, which somebody may have to make for it."""
        if len(self._pending) < PENDING_MAX:
            return 0.0
        stranger = self._oldest_stranger()
        return math.inf if stranger is None else stranger.since + STRANGER_SECONDS

    def _make_room(self) -> None:
        stranger = self._oldest_stranger()
        assert stranger is not None
        self._drop(stranger, "it was the oldest of too many, and has made room")

    def _oldest_stranger(self) -> Pending | None:
        """Return who has been here longest of those that may be anybody: they must not keep others out."""
        if not self.address.is_tcp:
            return None
        is_open = self._options.secret is None
        strangers = (one for one in self._pending if is_open or not isinstance(one.connection, StreamChannel))
        return next(strangers, None)

    def _let_in(self) -> tuple[StreamChannel | Proving, str] | None:
        """Return the next client, and who it is for the log."""
        if not isinstance(self._listener, StreamListener):
            return self._listener.try_accept(sniff=self._sniffs)
        connection = self._listener.try_accept(
            framing=self._options.framing, sniff=self._sniffs, **limits(self._options)
        )
        return None if connection is None else (connection, f"pid {connection.peer_pid}")

    def _step(self, pending: Pending) -> Opened | None:
        """Take one connection as far as it goes; None: it has to be waited for."""
        if not isinstance(pending.connection, StreamChannel):
            proved = pending.connection.advance()
            if proved is None:
                if time.monotonic() >= pending.deadline:
                    raise Dropped(f"no proof of the shared secret within {HANDSHAKE_SECONDS:g} s")
                return None
            pending.connection = proved
        connection = pending.connection
        if not self._sniffs and self._options.framing != OWN_FRAMING:
            return Opened(
                connection, is_ring=False, framing=self._options.framing, is_tcp=self.address.is_tcp
            )
        if self._sniffs and not pending.is_greeting:
            framing = connection.sniff()
            if framing is None:
                return self._still_silent(pending, connection)
            if framing != OWN_FRAMING or self.address.is_tcp:
                return self._foreign(connection, framing)
            pending.is_greeting, pending.silent_until = True, None
            connection.set_send_framing(OWN_FRAMING)
        try:
            kind, body, handles = connection.receive_handles(0.0)
        except ChannelTimeout:
            if time.monotonic() >= pending.deadline:
                raise Dropped(f"no whole hello within {HANDSHAKE_SECONDS:g} s") from None
            return None
        close_handles(handles)
        return self._greet(connection, kind, body)

    def _still_silent(self, pending: Pending, connection: StreamChannel) -> Opened | None:
        now = time.monotonic()
        if pending.silent_until is not None and now >= pending.silent_until:
            return self._foreign(connection, self._options.framing)
        if now >= pending.deadline:
            raise Dropped(f"not a byte within {HANDSHAKE_SECONDS:g} s")
        return None

    def _foreign(self, connection: StreamChannel, framing: str) -> Opened:
        """Open a connection that speaks another framing, without handshake."""
        if self.address.is_tcp and framing != self._options.framing:
            raise Dropped(f"framing {framing!r} is not recognised on TCP, and not what is spoken here")
        if STREAM not in self._offers:
            raise Dropped(f"a client with framing {framing!r} cannot agree on shared memory")
        if self._options.codec not in CODECS_WITHOUT_HANDSHAKE:
            raise Dropped(f"a client with framing {framing!r} cannot agree on codec {self._options.codec!r}")
        connection.set_send_framing(framing)
        return Opened(connection, is_ring=False, framing=framing, is_tcp=self.address.is_tcp)

    def _greet(self, connection: StreamChannel, kind: int, body: bytes) -> Opened:
        features = 0 if self.address.is_tcp else TIMES
        opened = answer_hello(connection, kind, body, self._options, self._offers, features)
        return replace(opened, is_tcp=self.address.is_tcp)

    def _refuse(self, pending: Pending, reason: str) -> None:
        # The client may be gone already, or not read: it was told, or it will see the end.
        if isinstance(pending.connection, StreamChannel):
            with contextlib.suppress(IpcChannelError):
                pending.connection.send_handles(KIND_REFUSAL, encode_refusal(reason), [], 0.0)
        self._drop(pending, reason)

    def _drop(self, pending: Pending, reason: str) -> None:
        self._pending.remove(pending)
        pending.connection.close()
        self._warnings.warn(f"dropped a client ({pending.who}): {reason}")


def _abandon_all() -> None:
    for acceptor in list(_acceptors):
        acceptor._abandon()


def _close_all() -> None:
    # A daemon thread that is accepting keeps its listener alive to the end, and its socket beyond.
    for acceptor in list(_acceptors):
        acceptor.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_abandon_all)
atexit.register(_close_all)
