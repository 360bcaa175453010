# SPDX-License-Identifier: MIT
"""The listener: owns an address and makes a channel of each client."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from types import TracebackType
from typing import TypeVar

from ipcfast._native.queue import QueueChannel
from ipcfast.channels.ipc_channel import IpcChannel
from ipcfast.channels.shutdown import ShutdownState, join
from ipcfast.errors import ChannelClosed, ShuttingDown
from ipcfast.protocol.codec import codec_named
from ipcfast.transports.acceptor import Acceptor
from ipcfast.transports.address import Address
from ipcfast.transports.contract import Opened, Options
from ipcfast.transports.thread import ThreadAcceptor

__all__ = ["Listener", "channel_of"]

_SelfT = TypeVar("_SelfT", bound="Listener")


class Listener:
    """Accepts clients at one address: of shared memory, of the local socket, and of sniffed framings alike.

    At ``thread://`` it accepts threads of this process, which no greeting is needed for.

    Clients are greeted within ``accept``, all at the same time: one that is slow or silent does not hold up
    the others, and is dropped after 5 s. There is no thread, so nobody is greeted while nobody accepts.
    Clients that are refused or dropped, and a system that lets nobody in for want of descriptors or memory,
    are logged (logger "ipcfast.transports.acceptor", at most one warning a second) and end nothing.

    Threads: every method may be called from any thread; several may accept. After a fork the listener stays
    with the parent: in the child it raises ChannelClosed.
    """

    def __init__(
        self, address: Address, options: Options, *, shutdown_state: ShutdownState | None = None
    ) -> None:
        self._codec = codec_named(options.codec).name  # before the address is taken
        self._shutdown_state: ShutdownState | None = None
        if shutdown_state is not None:
            shutdown_state.check()
        self._acceptor: Acceptor | ThreadAcceptor
        if address.scheme == "thread":
            self._acceptor = ThreadAcceptor(address, options)
            # As the system takes back the address of a socket that nobody holds any more.
            weakref.finalize(self, self._acceptor.drop).atexit = False
        else:
            self._acceptor = Acceptor(address, options)
        self._name = self._acceptor.address.name
        join(self, shutdown_state)

    @property
    def address(self) -> str:
        """The address as it was given; for TCP the number and the port that it has become.

        A client connects to it; but 0.0.0.0 and [::] stand for all addresses of this machine, of which a
        client names one.
        """
        return self._acceptor.address.text

    @property
    def path(self) -> str:
        """The path of the socket or pipe; for TCP host and port."""
        return self._acceptor.path

    @property
    def closed(self) -> bool:
        """Whether ``close`` was called, or this is a forked child."""
        return self._acceptor.closed

    def accept(self, timeout: float | None = None) -> IpcChannel:
        """Wait for a client and return the channel to it (R62, R94).

        Args:
            timeout: Seconds; None waits for ever, 0 takes a client that is ready.

        Raises:
            ChannelTimeout: No client was ready in time.
            ChannelClosed: ``close`` was called, before or meanwhile.
            ShuttingDown: The ShutdownState that it was made with is shut down.
            IpcChannelError: Called by a signal handler that has interrupted ``accept`` in this thread.
            TypeError, ValueError: The timeout is no number.
        """
        state = self._shutdown_state
        try:
            opened = self._acceptor.accept(timeout)
        except ChannelClosed:
            if state is not None:
                state.check()
            raise
        return channel_of(opened, self._name, self._codec, state)

    def __iter__(self) -> Iterator[IpcChannel]:
        """Give client after client, until the listener is closed."""
        while True:
            try:
                channel = self.accept()
            except (ChannelClosed, ShuttingDown):
                return
            yield channel

    def _announce_end(self) -> None:
        """Do nothing: the end of a listener is the end of no channel."""

    def _end_gracefully(self) -> None:
        """Do what the ShutdownState does with its listeners: a client that comes now finds nobody."""
        self.close()

    def _drain(self, timeout: float | None) -> None:
        """Return at once: nothing that a listener has could be lost."""

    def close(self) -> None:
        """Give the address back; a blocked ``accept`` raises ChannelClosed. Channels stay. Idempotent."""
        self._acceptor.close()

    def __enter__(self: _SelfT) -> _SelfT:
        """Return the listener; it is closed at the end of the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the listener."""
        self.close()

    def __repr__(self) -> str:
        """Return the address and the state."""
        return f"<{type(self).__name__} {self.address} {'closed' if self.closed else 'open'}>"


def channel_of(
    opened: Opened, name: str, codec: str, shutdown_state: ShutdownState | None = None
) -> IpcChannel:
    """Return the channel around a transport that is ready."""
    # Here and not above: the classes offer .server(), which gives a listener.
    from ipcfast.channels.local_socket import LocalSocketChannel
    from ipcfast.channels.shared_memory import SharedMemoryChannel
    from ipcfast.channels.tcp import TcpChannel
    from ipcfast.channels.thread import ThreadChannel

    transport = opened.transport
    if isinstance(transport, QueueChannel):
        return ThreadChannel(name, shutdown_state=shutdown_state, transport=transport)
    if opened.is_tcp:
        return TcpChannel(
            name, framing=opened.framing, codec=codec, transport=transport, shutdown_state=shutdown_state
        )
    if opened.is_ring:
        return SharedMemoryChannel(name, codec=codec, transport=transport, shutdown_state=shutdown_state)
    return LocalSocketChannel(
        name, framing=opened.framing, codec=codec, transport=transport, shutdown_state=shutdown_state
    )
