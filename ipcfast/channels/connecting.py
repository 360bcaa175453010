# SPDX-License-Identifier: MIT
"""A channel that is made by name and connects when it is first used."""

from __future__ import annotations

import threading

from ipcfast.channels.ipc_channel import IpcChannel
from ipcfast.errors import ChannelClosed
from ipcfast.transports.acceptor import Acceptor
from ipcfast.transports.address import Address
from ipcfast.transports.contract import Options, Transport
from ipcfast.transports.open import open_connection

__all__ = ["ConnectingChannel"]


class ConnectingChannel(IpcChannel):
    """Connects to its address, or accepts one client there, with the first call that needs the peer.

    ``open`` does it at a chosen moment.
    """

    def __init__(
        self,
        name: str,
        address: Address | None,
        options: Options,
        *,
        is_server: bool = False,
        connect_timeout: float | None = 5.0,
        transport: Transport | None = None,
    ) -> None:
        super().__init__(name, transport=transport, codec=options.codec)
        self._address = address
        self._options = options
        self._is_server = is_server
        self._connect_timeout = connect_timeout
        self._acceptor: Acceptor | None = None
        self._opening = threading.Lock()
        if is_server and address is not None:
            # From here on clients can connect, so the server may start them (R61, R92).
            self._acceptor = Acceptor(address, options)

    def open(self) -> None:
        """Connect, or as the server wait for the client. Does nothing when that has been done (R60).

        Raises:
            AddressNotFound, PermissionDenied, ConnectError, ChannelTimeout: As ``ipcfast.connect`` and
                ``Listener.accept``, within the timeout that the channel was made with.
            ChannelClosed: It was closed.
        """
        self._opened()

    def _opened(self) -> Transport:
        with self._opening:
            if self._transport is None and self._address is not None and not self._is_closed:
                if self._acceptor is not None:
                    opened = self._acceptor.accept(self._connect_timeout)
                    self._acceptor.close()
                else:
                    opened = open_connection(
                        self._address, self._options, self._connect_timeout, lambda: self._is_closed
                    )
                if self._is_closed:
                    opened.transport.close()
                    raise ChannelClosed(f"{self!r} was closed while it connected")
                self._attach(opened.transport)
                if self._is_shutdown:
                    opened.transport.shutdown()
        return super()._opened()

    def close(self) -> None:
        """Shut down and free everything, the address included (R28). Idempotent, never fails."""
        super().close()
        if self._acceptor is not None:
            self._acceptor.close()
