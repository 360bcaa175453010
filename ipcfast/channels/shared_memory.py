# SPDX-License-Identifier: MIT
"""Channels through shared memory: two rings that a local socket agrees on and watches over (R74)."""

from __future__ import annotations

from typing import ClassVar, TypeVar

from ipcfast.channels.connecting import CONNECT_TIMEOUT, ConnectingChannel
from ipcfast.channels.listener import Listener
from ipcfast.channels.shutdown import ShutdownState
from ipcfast.transports.address import named_address
from ipcfast.transports.contract import Options, Transport

__all__ = ["SharedMemoryChannel"]

_ChannelT = TypeVar("_ChannelT", bound="SharedMemoryChannel")


class SharedMemoryChannel(ConnectingChannel):
    r"""A channel through shared memory, many times faster than a socket between two processors.

    The memory has no name and is gone with the last process that has it, however that ends. Only the socket
    that the two sides find each other by has a name. A channel made by the constructor connects when it is
    first used.

    Args:
        name: What the address is made of: no ``/``, ``\``, ``..`` or NUL.
        is_server: Whether to listen, and to accept one client, in place of connecting. A client that does not
            ask for shared memory is refused.
        prefix: What stands before the name; None for the private directory.
        codec: "json", "msgpack", "raw" or "pickle"; both sides must name the same.
        capacity: Bytes of the ring of each direction that the client asks for: made a power of two from 4
            KiB to 64 MiB, and no more than the server allows. Larger messages pass as well, piece by piece.
        timeout: Seconds that connecting, or accepting, may take; None for ever.
        transport: What moves the messages, where there is a connection already.
        shutdown_state: What the channel ends with.
    """

    _scheme: ClassVar[str] = "shm"
    _metrics_type: ClassVar[str] = "shared_memory"

    def __init__(
        self,
        name: str,
        is_server: bool = False,
        *,
        prefix: str | None = None,
        codec: str = Options.codec,
        capacity: int = Options.capacity,
        timeout: float | None = CONNECT_TIMEOUT,
        transport: Transport | None = None,
        shutdown_state: ShutdownState | None = None,
    ) -> None:
        super().__init__(
            name,
            Options(codec=codec, capacity=capacity),
            prefix=prefix,
            is_server=is_server,
            timeout=timeout,
            transport=transport,
            shutdown_state=shutdown_state,
        )

    @classmethod
    def server(
        cls,
        name: str,
        *,
        prefix: str | None = None,
        codec: str = Options.codec,
        shutdown_state: ShutdownState | None = None,
    ) -> Listener:
        """Listen under a name; it serves clients of the local socket as well.

        Raises:
            AddressInUse: A live server owns the name.
            PermissionDenied: The socket of that name, or the private directory, is another user's.
            ValueError: The name or an option is none.
        """
        address = named_address("shm", name, prefix=prefix)
        return Listener(address, Options(codec=codec), shutdown_state=shutdown_state)

    @classmethod
    def connect(
        cls: type[_ChannelT],
        name: str,
        *,
        prefix: str | None = None,
        codec: str = Options.codec,
        capacity: int = Options.capacity,
        timeout: float | None = CONNECT_TIMEOUT,
        shutdown_state: ShutdownState | None = None,
    ) -> _ChannelT:
        """Connect to the server of that name, and wait for one that is just starting.

        Raises:
            AddressNotFound: No server listened there all the while.
            PermissionDenied: The server is another user's.
            ConnectError, ChannelTimeout: The server refused, or did not take us in time.
            ValueError: The name or an option is none.
        """
        channel = cls(
            name,
            prefix=prefix,
            codec=codec,
            capacity=capacity,
            timeout=timeout,
            shutdown_state=shutdown_state,
        )
        channel.open()
        return channel
