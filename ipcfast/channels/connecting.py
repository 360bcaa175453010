# SPDX-License-Identifier: MIT
"""A channel that is made by name and connects when it is first used."""

from __future__ import annotations

import weakref
from typing import ClassVar

from ipcfast.channels.ipc_channel import IpcChannel
from ipcfast.channels.shutdown import ShutdownState, join
from ipcfast.errors import ChannelClosed
from ipcfast.transports.address import named_address
from ipcfast.transports.connecting import ConnectingTransport
from ipcfast.transports.contract import Options, Transport

__all__ = ["CONNECT_TIMEOUT", "ConnectingChannel"]

# Seconds that connecting, or accepting, may take where nothing else is said.
CONNECT_TIMEOUT = 5.0


class ConnectingChannel(IpcChannel):
    """Connects to its address, or accepts one client there, with the first call that needs the peer.

    ``open`` does it at a chosen moment. A call with a timeout connects no longer than that, and raises what
    connecting raises; with 0 it makes one attempt.
    """

    _scheme: ClassVar[str] = "local"

    def __init__(
        self,
        name: str,
        options: Options,
        *,
        prefix: str | None = None,
        is_server: bool = False,
        timeout: float | None = CONNECT_TIMEOUT,
        transport: Transport | None = None,
        shutdown_state: ShutdownState | None = None,
    ) -> None:
        super().__init__(name, codec=options.codec)  # before the address is taken
        if transport is None:
            channel = weakref.ref(self)

            def move_over(opened: Transport) -> None:
                """From now on calls go to the transport itself."""
                this = channel()
                if this is not None:
                    this._attach(opened)

            connecting = ConnectingTransport(
                named_address(self._scheme, name, prefix=prefix),
                options,
                is_server=is_server,
                connect_timeout=timeout,
                on_open=move_over,
            )
            self._name = connecting.address.name
            transport = connecting
        self._attach(transport)
        join(self, shutdown_state)

    def open(self) -> None:
        """Connect, or as the server wait for the client. Does nothing when that has been done (R60).

        Raises:
            AddressNotFound, PermissionDenied, ConnectError, ChannelTimeout: As ``ipcfast.connect`` and
                ``Listener.accept``, within the timeout that the channel was made with.
            ChannelClosed: It was closed.
            ShuttingDown: It was shut down before it was connected.
        """
        if self._is_closed:
            raise ChannelClosed(f"{self!r} was closed; make a new one")
        if isinstance(self._transport, ConnectingTransport):
            self._transport.open()

    def _begin_receiving(self) -> None:
        self.open()
