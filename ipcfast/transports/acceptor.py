# SPDX-License-Identifier: MIT
"""The server's side of connections: accepts, greets and sniffs many clients at once, without a thread.

Everything happens inside whatever call of ``accept`` is under way: one loop waits for {the listening
socket, every connection in handshake, the mark that ``close`` was called} and takes each a step further
when there is one to take.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
import weakref
from dataclasses import dataclass, field

from ipcfast._native.stream_channel import KIND_HELLO, KIND_REFUSAL, KIND_WELCOME, StreamChannel
from ipcfast._native.stream_listener import StreamListener, wait_any
from ipcfast.errors import (
    ChannelClosed,
    ChannelTimeout,
    FrameError,
    IoError,
    IpcChannelError,
    PermissionDenied,
)
from ipcfast.transports.address import Address
from ipcfast.transports.contract import OWN_FRAMING, Opened, Options
from ipcfast.transports.handshake import (
    HANDSHAKE_SECONDS,
    RING,
    SILENCE_SECONDS,
    Refused,
    decode,
    encode,
    encode_refusal,
    welcome,
)
from ipcfast.transports.ring import LAYOUT_VERSION, close_handles, offer_ring
from ipcfast.transports.stream import limits

__all__ = ["Acceptor"]

logger = logging.getLogger(__name__)

# What one wait can watch (IPCF_WAIT_MAX), less the listening socket and the mark of close.
PENDING_MAX = 62
# Codecs that may speak with a client that nothing was agreed with.
CODECS_WITHOUT_HANDSHAKE = ("json", "raw")

_acceptors: weakref.WeakSet[Acceptor] = weakref.WeakSet()


class Dropped(Exception):
    """A connection is given up without a word to the client; the text is for the log."""


@dataclass
class Pending:
    """A connection that is not open yet: silent, or in the middle of its greeting."""

    connection: StreamChannel
    deadline: float
    silent_until: float | None  # when silence means that the listener's framing holds; None: it means nothing
    is_greeting: bool = field(default=False)


class Acceptor:
    """Owns an address and hands out transports. Safe from several threads."""

    def __init__(self, address: Address, options: Options) -> None:
        self.address = address
        self._options = options
        self._sniffs = options.framing != "u32be"
        self._pending: list[Pending] = []
        self._closed = False
        self._forked = False
        self._lock = threading.Lock()
        self._owner: int | None = None
        # A connection to itself: closing one end wakes whoever waits on the other, on every system alike.
        self._mark, self._waker = StreamChannel.pair()
        try:
            self._listener = StreamListener(address.path_to_listen())
        except BaseException:
            self._mark.close()
            self._waker.close()
            raise
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

        Raises:
            ChannelTimeout: None was in time.
            ChannelClosed: ``close`` was called, before or meanwhile; or this is a forked child.
            IoError: The system refused, for instance because no descriptors are left; accepting may go on.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        if not self._lock.acquire(
            timeout=-1 if timeout is None else max(0.0, min(timeout, threading.TIMEOUT_MAX))
        ):
            raise self._no_client(timeout)
        self._owner = threading.get_ident()
        try:
            while True:
                self._check_open()
                opened = self._advance()
                if opened is not None:
                    return opened
                if deadline is not None and time.monotonic() >= deadline:
                    raise self._no_client(timeout)
                self._wait(deadline)
        finally:
            if self._closed:
                self._free()
            self._owner = None
            self._lock.release()

    def close(self) -> None:
        """Give the address back, drop clients in handshake, end a blocked ``accept``. Idempotent."""
        self._closed = True
        self._waker.close()
        if self._owner == threading.get_ident():
            return  # called from a signal handler within accept, which frees everything when it leaves
        with self._lock:
            self._free()

    def _free(self) -> None:
        """With the lock held: close everything."""
        for pending in self._pending:
            pending.connection.close()
        self._pending.clear()
        self._listener.close()
        self._mark.close()

    def _abandon(self) -> None:
        """In a forked child: forget everything, unlink nothing, say nothing."""
        self._closed = self._forked = True
        self._lock = threading.Lock()  # another thread of the parent may have held it
        self._owner = None
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

    def _no_client(self, timeout: float | None) -> ChannelTimeout:
        return ChannelTimeout(f"no client connected to {self.address.text} within {timeout:g} s")

    def _wait(self, deadline: float | None) -> None:
        """Sleep until something can be done for somebody, or the next deadline."""
        handles = [self._mark.handle(), *(pending.connection.handle() for pending in self._pending)]
        if len(self._pending) < PENDING_MAX:
            handles.append(self._listener.handle())
        moments = [pending.silent_until or pending.deadline for pending in self._pending]
        if deadline is not None:
            moments.append(deadline)
        wait_any(handles, max(0.0, min(moments) - time.monotonic()) if moments else None)

    def _advance(self) -> Opened | None:
        """Do everything that needs no waiting, until a client is ready."""
        self._take_in()
        for pending in list(self._pending):
            try:
                opened = self._step(pending)
            except Refused as refused:
                self._refuse(pending, str(refused))
            except (Dropped, IpcChannelError) as error:
                self._drop(pending, str(error))
            else:
                if opened is not None:
                    self._pending.remove(pending)
                    return opened
        return None

    def _take_in(self) -> None:
        """Accept all who wait in the backlog, as far as one wait can watch them."""
        while len(self._pending) < PENDING_MAX:
            try:
                connection = self._listener.try_accept(
                    framing=self._options.framing, sniff=self._sniffs, **limits(self._options)
                )
            except PermissionDenied as error:
                logger.warning("%s: turned away a client of another user: %s", self.address.text, error)
                continue
            if connection is None:
                return
            now = time.monotonic()
            silence = None if self._options.framing == OWN_FRAMING else now + SILENCE_SECONDS
            self._pending.append(Pending(connection, now + HANDSHAKE_SECONDS, silence))

    def _step(self, pending: Pending) -> Opened | None:
        """Take one connection as far as it goes; None: it has to be waited for."""
        connection = pending.connection
        if not self._sniffs:
            return Opened(connection, is_ring=False, framing=self._options.framing)
        if not pending.is_greeting:
            framing = connection.sniff()
            if framing is None:
                return self._still_silent(pending)
            if framing != OWN_FRAMING:
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

    def _still_silent(self, pending: Pending) -> Opened | None:
        now = time.monotonic()
        if pending.silent_until is not None and now >= pending.silent_until:
            return self._foreign(pending.connection, self._options.framing)
        if now >= pending.deadline:
            raise Dropped(f"not a byte within {HANDSHAKE_SECONDS:g} s")
        return None

    def _foreign(self, connection: StreamChannel, framing: str) -> Opened:
        """Open a connection that speaks another framing, without handshake."""
        if self._options.codec not in CODECS_WITHOUT_HANDSHAKE:
            raise Dropped(f"a client with framing {framing!r} cannot agree on codec {self._options.codec!r}")
        connection.set_send_framing(framing)
        return Opened(connection, is_ring=False, framing=framing)

    def _greet(self, connection: StreamChannel, kind: int, body: bytes) -> Opened:
        """Answer a hello and make the transport."""
        try:
            if kind != KIND_HELLO:
                raise FrameError(
                    f"the first frame is of kind {kind:#x}, not a hello", expected=KIND_HELLO, found=kind
                )
            answer = welcome(decode(body), codec=self._options.codec, layout=LAYOUT_VERSION)
        except FrameError as error:
            raise Refused(str(error)) from error
        if answer.transport == RING:
            try:
                transport = offer_ring(connection, answer, self._options, timeout=0.0)
            except (IoError, MemoryError) as error:
                raise Refused(
                    f"no shared memory of {answer.to_server + answer.to_client} bytes: {error}"
                ) from error
            return Opened(transport, is_ring=True, framing=OWN_FRAMING)
        connection.send_handles(KIND_WELCOME, encode(answer), [], 0.0)
        connection.watch_peer()
        return Opened(connection, is_ring=False, framing=OWN_FRAMING)

    def _refuse(self, pending: Pending, reason: str) -> None:
        # The client may be gone already, or not read: it was told, or it will see the end.
        with contextlib.suppress(IpcChannelError):
            pending.connection.send_handles(KIND_REFUSAL, encode_refusal(reason), [], 0.0)
        self._drop(pending, reason)

    def _drop(self, pending: Pending, reason: str) -> None:
        self._pending.remove(pending)
        peer = pending.connection.peer_pid
        pending.connection.close()
        logger.warning("%s: dropped a client (pid %s): %s", self.address.text, peer, reason)


def _abandon_all() -> None:
    for acceptor in list(_acceptors):
        acceptor._abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_abandon_all)
