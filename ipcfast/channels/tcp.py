# SPDX-License-Identifier: MIT
"""Channels over TCP: within this machine, and with a shared secret between machines (R134)."""

from __future__ import annotations

from typing import ClassVar, TypeVar

from ipcfast.channels.connecting import CONNECT_TIMEOUT, ConnectingChannel
from ipcfast.channels.listener import Listener
from ipcfast.channels.shutdown import ShutdownState
from ipcfast.transports.address import named_address
from ipcfast.transports.contract import Options, Transport

__all__ = ["TcpChannel"]

_ChannelT = TypeVar("_ChannelT", bound="TcpChannel")


class TcpChannel(ConnectingChannel):
    """A channel over TCP. Nothing that it carries is encrypted or protected against alteration.

    Without a secret a server is to be reached from this machine only, by every user of it. With one, both
    sides prove that they know it before anything else is said; the secret itself does not travel. From then
    on whoever sits on the network between the two can read and alter everything: use it in networks that you
    trust, or through a tunnel (SECURITY.md).

    As everywhere on TCP, what was sent last can be lost when this side closes while the peer still sends:
    close when both have nothing more to say.

    A peer whose machine has gone is noticed after two minutes in which nothing is sent; while something is
    on its way to it only when the system gives up, on Linux after a quarter of an hour. Where that is too
    long, have the peer answer, and receive with a timeout.

    A channel made by the constructor connects when it is first used. The system does not tell who the peer
    is: ``peer`` is ``(None, None)``.

    Args:
        name: ``host:port``; ``:port`` is this machine alone (127.0.0.1); ``[::1]:port`` for numbers of IPv6.
            A server may have port 0: the system chooses, and ``name`` of the channel tells.
        is_server: Whether to listen, and to accept one client, in place of connecting.
        framing: "length" is ipcfast's own, with a handshake; "lines", "content-length" and "u32be" have none.
            Nothing is recognised by its first byte. With "lines" a server turns away whoever does not begin
            with "{" or "[", such as the browser of somebody who looks at a hostile page.
        codec: "json", "msgpack" or "raw"; both sides must name the same.
        secret: What both sides know, at least 16 bytes, best 32 random ones, and for this service alone;
            needs framing "length". One that is not random can be guessed by whoever has seen one connection
            being made.
        timeout: Seconds that connecting, or accepting, may take; None for ever.
        transport: What moves the messages, where there is a connection already.
        shutdown_state: What the channel ends with.
    """

    _scheme: ClassVar[str] = "tcp"
    _metrics_type: ClassVar[str] = "tcp"

    def __init__(
        self,
        name: str,
        is_server: bool = False,
        *,
        framing: str = Options.framing,
        codec: str = Options.codec,
        secret: bytes | None = None,
        timeout: float | None = CONNECT_TIMEOUT,
        transport: Transport | None = None,
        shutdown_state: ShutdownState | None = None,
    ) -> None:
        super().__init__(
            name,
            Options(framing=framing, codec=codec, secret=secret),
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
        framing: str = Options.framing,
        codec: str = Options.codec,
        secret: bytes | None = None,
        shutdown_state: ShutdownState | None = None,
    ) -> Listener:
        """Listen at ``host:port``; with port 0 the system chooses, and ``address`` of the result tells.

        Raises:
            AddressInUse: Somebody listens there.
            PermissionDenied: The port is reserved for the system.
            AddressNotFound: The host is not known, or not this machine.
            ValueError: The name or an option is none, or others than this machine could connect without a
                secret.
        """
        options = Options(framing=framing, codec=codec, secret=secret)
        return Listener(named_address("tcp", name), options, shutdown_state=shutdown_state)

    @classmethod
    def connect(
        cls: type[_ChannelT],
        name: str,
        *,
        framing: str = Options.framing,
        codec: str = Options.codec,
        secret: bytes | None = None,
        timeout: float | None = CONNECT_TIMEOUT,
        shutdown_state: ShutdownState | None = None,
    ) -> _ChannelT:
        """Connect to ``host:port``, and wait for a server that is just starting.

        Raises:
            AddressNotFound: The host is not known or not reached, or nobody listened there all the while.
            PermissionDenied: The server has another secret, or does not know it.
            ConnectError, ChannelTimeout: The server refused, or it, or its host, did not answer in time.
            ValueError: The name or an option is none.
        """
        channel = cls(
            name, framing=framing, codec=codec, secret=secret, timeout=timeout, shutdown_state=shutdown_state
        )
        channel.open()
        return channel
