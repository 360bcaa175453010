# SPDX-License-Identifier: MIT
"""Channels over a local socket: a Unix domain socket, on Windows a named pipe (R54-R66)."""

from __future__ import annotations

from typing import ClassVar, TypeVar

from ipcfast.channels.connecting import CONNECT_TIMEOUT, ConnectingChannel
from ipcfast.channels.listener import Listener
from ipcfast.channels.shutdown import ShutdownState
from ipcfast.errors import SerializationError
from ipcfast.transports.address import named_address
from ipcfast.transports.contract import Options, Transport

__all__ = ["LocalSocketChannel", "LocalSocketChannelServer"]

_ChannelT = TypeVar("_ChannelT", bound="LocalSocketChannel")
_ServerT = TypeVar("_ServerT", bound="LocalSocketChannelServer")

# What the documents' programs use: JSON lines over /tmp/auroraview_<name> (D1).
PREFIX = "auroraview"
FRAMING = "lines"


class LocalSocketChannel(ConnectingChannel):
    r"""A channel over a local socket.

    The constructor and the class methods speak as the documents' programs do: JSON lines over
    ``/tmp/auroraview_<name>`` (``\\.\pipe\auroraview_<name>``). ``ipcfast.connect`` and ``listen`` give
    channels of this class with ipcfast's own framing. A channel made by the constructor connects when it is
    first used.

    Args:
        name: What the address is made of: no ``/``, ``\``, ``..`` or NUL.
        is_server: Whether to listen, and to accept one client, in place of connecting (R58). A client that
            asks for shared memory is refused.
        prefix: What stands before the name; None for the private directory.
        framing: "lines", "content-length", "u32be", or "length", which is ipcfast's own.
        codec: "json", "msgpack", "raw" or "pickle"; both sides must name the same.
        timeout: Seconds that connecting, or accepting, may take; None for ever.
        transport: What moves the messages, where there is a connection already.
        shutdown_state: What the channel ends with.
    """

    _metrics_type: ClassVar[str] = "local_socket"
    WINDOWS_PIPE_PREFIX = rf"\\.\pipe\{PREFIX}_"
    UNIX_SOCKET_PREFIX = f"/tmp/{PREFIX}_"

    def __init__(
        self,
        name: str,
        is_server: bool = False,
        *,
        prefix: str | None = PREFIX,
        framing: str = FRAMING,
        codec: str = Options.codec,
        timeout: float | None = CONNECT_TIMEOUT,
        transport: Transport | None = None,
        shutdown_state: ShutdownState | None = None,
    ) -> None:
        super().__init__(
            name,
            Options(framing=framing, codec=codec),
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
        prefix: str | None = PREFIX,
        framing: str = FRAMING,
        codec: str = Options.codec,
        shutdown_state: ShutdownState | None = None,
    ) -> LocalSocketChannelServer:
        """Listen under a name (R59). Clients may connect from now on, so start them afterwards (R92).

        Raises:
            AddressInUse: A live server owns the name.
            PermissionDenied: The socket of that name is another user's.
            ValueError: The name or an option is none.
        """
        return LocalSocketChannelServer(
            name, prefix=prefix, framing=framing, codec=codec, shutdown_state=shutdown_state
        )

    @classmethod
    def connect(
        cls: type[_ChannelT],
        name: str,
        *,
        prefix: str | None = PREFIX,
        framing: str = FRAMING,
        codec: str = Options.codec,
        timeout: float | None = CONNECT_TIMEOUT,
        shutdown_state: ShutdownState | None = None,
    ) -> _ChannelT:
        """Connect to the server of that name, and wait for one that is just starting (R60).

        Raises:
            AddressNotFound: No server listened there all the while.
            PermissionDenied: The server is another user's.
            ConnectError, ChannelTimeout: The server refused, or did not take us in time.
            ValueError: The name or an option is none.
        """
        channel = cls(
            name, prefix=prefix, framing=framing, codec=codec, timeout=timeout, shutdown_state=shutdown_state
        )
        channel.open()
        return channel

    def send_line(self, line: str, timeout: float | None = None) -> None:
        """Send a line of text as it is, without a codec (R64): the line without its end.

        With framings other than "lines" it is the text of one byte message. The first line that a listener
        of ours gets has to begin as JSON does, with "{", "[" or white: it tells the framing.

        Raises:
            SendFailed: With framing "lines": it is blank, or a line end is in it.
            SerializationError: It has a lone surrogate, for which there is no UTF-8. Nothing was sent.
        """
        try:
            data = line.encode("utf-8")
        except UnicodeEncodeError as error:
            raise SerializationError(f"send_line: a lone surrogate at character {error.start}") from error
        self.send_bytes(data, timeout)

    def recv_line_timeout(self, timeout: float | None = None) -> str:
        """Return the next line as text, without its end (R64). Blank lines are passed over.

        Raises:
            ChannelTimeout: No whole line came in time; what has come of it is kept.
            SerializationError: It is not UTF-8; it was taken off the channel, which goes on.
        """
        data = self.recv_bytes(timeout)
        try:
            return str(data, "utf-8")
        except UnicodeDecodeError as error:
            raise SerializationError(
                f"line of {len(data)} bytes is not UTF-8 at byte {error.start}"
            ) from error


class LocalSocketChannelServer(Listener):
    """Listens under a name as the documents' programs do (R61): JSON lines over ``/tmp/auroraview_<name>``.

    Other framings are sniffed from a client's first byte; one that is silent for 50 ms is handed out as it
    is.
    """

    def __init__(
        self,
        name: str,
        *,
        prefix: str | None = PREFIX,
        framing: str = FRAMING,
        codec: str = Options.codec,
        shutdown_state: ShutdownState | None = None,
    ) -> None:
        options = Options(framing=framing, codec=codec)
        super().__init__(named_address("local", name, prefix=prefix), options, shutdown_state=shutdown_state)

    @classmethod
    def new(
        cls: type[_ServerT],
        name: str,
        *,
        prefix: str | None = PREFIX,
        framing: str = FRAMING,
        codec: str = Options.codec,
        shutdown_state: ShutdownState | None = None,
    ) -> _ServerT:
        """Do what the constructor does, under the name that the documents give it (R61)."""
        return cls(name, prefix=prefix, framing=framing, codec=codec, shutdown_state=shutdown_state)
