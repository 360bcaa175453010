# SPDX-License-Identifier: MIT
"""The three ways to a channel: listen, connect, and a pair within this process."""

from __future__ import annotations

from ipcfast.channels.connecting import CONNECT_TIMEOUT
from ipcfast.channels.ipc_channel import IpcChannel
from ipcfast.channels.listener import Listener, channel_of
from ipcfast.channels.shutdown import ShutdownState
from ipcfast.protocol.codec import codec_named
from ipcfast.transports.address import parse_address
from ipcfast.transports.contract import Options, checked_timeout
from ipcfast.transports.open import open_connection, open_pair

__all__ = ["connect", "listen", "pair"]


def listen(
    address: str,
    *,
    prefix: str | None = None,
    framing: str = Options.framing,
    codec: str = Options.codec,
    message_limit: int = Options.message_limit,
    read_ahead_limit: int = Options.read_ahead_limit,
    spin_us: int = Options.spin_us,
    capacity_limit: int = Options.capacity_limit,
    shutdown_state: ShutdownState | None = None,
    secret: bytes | None = None,
) -> Listener:
    r"""Own an address, from this call until ``close``; clients may connect at once.

    Clients of shared memory and of the local socket are served on one address. Those that speak JSON lines or
    Content-Length are recognised by their first byte.

    Args:
        address: ``local://name``, ``shm://name`` (the same), ``unix:///absolute/path``, ``thread://name`` for
            clients in this process, or ``tcp://host:port`` (``tcp://:port`` is this machine; port 0 lets the
            system choose, and the listener's ``address`` tells).
        prefix: None for the private directory of this user (see below); "auroraview" means
            ``/tmp/auroraview_<name>`` (``\\.\pipe\auroraview_<name>``), any other text likewise.
        framing: "length" is ipcfast's own, with a handshake. With "lines" and "content-length" a client that
            says nothing for 50 ms is handed out all the same. "u32be" recognises nothing, as does TCP: there
            clients must speak this framing, and first lines must begin with "{" or "[".
        codec: "json", "msgpack", "raw" or, but not over TCP, "pickle"; the handshake refuses a client with
            another one.
        message_limit: Bytes of one received message, at least 1024; a larger one raises MessageTooLarge and
            is skipped.
        read_ahead_limit: Bytes that are taken in while a send waits for room, so that two large sends do
            not deadlock.
        spin_us: Microseconds of looking before sleeping; 0 sleeps at once.
        capacity_limit: Bytes of the ring of each direction that a client of shared memory gets at most, at
            least 4096; one that asks for more gets the largest power of two within it.
        shutdown_state: What the listener and the channels of all its clients end with.
        secret: At least 16 bytes. TCP only, and demanded there for anything but this machine: both sides
            prove that they know it before anything else is said. Nothing is encrypted, see TcpChannel.

    On ``thread://`` objects pass as they are: ``framing``, ``codec`` and limits in bytes mean nothing there.

    The private directory is ``IPCFAST_RUNTIME_DIR`` where set, else ``/run/user/<uid>/ipcfast``, else
    ``/tmp/ipcfast-<uid>``, with mode 0700.

    Raises:
        AddressInUse: A live server owns the address; it is left alone. What a dead one left is taken over.
        PermissionDenied: The socket or its directory is another user's, or open to others.
        IoError: The system refused.
        ShuttingDown: ``shutdown_state`` is shut down already.
        TypeError, ValueError: The address or an option is none.
    """
    options = Options(
        framing,
        codec,
        message_limit,
        read_ahead_limit,
        spin_us,
        capacity_limit=capacity_limit,
        secret=secret,
    )
    where = parse_address(address, prefix=prefix)
    options.check_for(where)
    return Listener(where, options, shutdown_state=shutdown_state)


def connect(
    address: str,
    *,
    timeout: float | None = CONNECT_TIMEOUT,
    prefix: str | None = None,
    framing: str | None = None,
    codec: str = Options.codec,
    message_limit: int = Options.message_limit,
    read_ahead_limit: int = Options.read_ahead_limit,
    spin_us: int = Options.spin_us,
    capacity: int = Options.capacity,
    queue_capacity: int = Options.queue_capacity,
    shutdown_state: ShutdownState | None = None,
    secret: bytes | None = None,
) -> IpcChannel:
    """Connect to a listener, and wait for one that is just starting.

    Args:
        address: ``shm://name`` for shared memory, ``local://name`` for the socket,
            ``unix:///absolute/path``, ``thread://name`` for a listener of this process, ``tcp://host:port``;
            or ``stdio://`` for this process' own standard input and output, which is there at once
            (``stdio://?framing=content-length`` is the same as with ``framing``).
        timeout: Seconds for the server to be there and to accept; None waits for ever. With 0 there is one
            attempt (over TCP 50 ms long), and a server that is there still has 5 s to accept.
        prefix: As for ``listen``; both sides must give the same.
        framing: As for ``listen``. Only "length" has a handshake; with the others no server needs to answer.
            None: "length", and "lines" for ``stdio://``, where "length" has no handshake.
        codec: As for ``listen``; both sides must give the same.
        message_limit: As for ``listen``; each side has its own.
        read_ahead_limit: As for ``listen``.
        spin_us: As for ``listen``.
        capacity: Bytes of the ring of each direction, for shared memory: made a power of two from 4 KiB to
            64 MiB, and no more than the listener allows (``capacity_limit``). Larger messages pass as well,
            piece by piece.
        queue_capacity: Messages that may be on their way in each direction of ``thread://``.
        shutdown_state: What the channel ends with.
        secret: As for ``listen``.

    Returns:
        A SharedMemoryChannel for ``shm://``, a ThreadChannel for ``thread://``, a TcpChannel for ``tcp://``,
        a StdioChannel for ``stdio://``, else a LocalSocketChannel.

    Raises:
        AddressNotFound: Nobody listened there all the while; or the host is not known or not reached.
        AddressInUse: Standard input and output carry another channel already.
        PermissionDenied: The address or the server is another user's, or it has another secret.
        ConnectError: The server refused (its reason is told), or speaks another framing.
        ChannelTimeout: The server is there, but did not accept in time; or its host did not answer.
        ShuttingDown: ``shutdown_state`` is shut down already.
        TypeError, ValueError: The address, the timeout or an option is none.
    """
    options = Options(
        Options.framing if framing is None else framing,
        codec,
        message_limit,
        read_ahead_limit,
        spin_us,
        capacity,
        queue_capacity=queue_capacity,
        secret=secret,
    )
    if shutdown_state is not None:
        shutdown_state.check()
    if isinstance(address, str) and address.startswith("stdio:"):
        from ipcfast.channels.stdio import connect_stdio

        checked_timeout(timeout)
        return connect_stdio(address, options, framing, prefix, shutdown_state)
    codec_named(codec)  # an unknown one, or a missing extra, is told before anything is opened
    where = parse_address(address, prefix=prefix)
    options.check_for(where)
    return channel_of(open_connection(where, options, timeout), where.name, codec, shutdown_state)


def pair(
    kind: str = "local",
    *,
    framing: str = Options.framing,
    codec: str = Options.codec,
    message_limit: int = Options.message_limit,
    read_ahead_limit: int = Options.read_ahead_limit,
    spin_us: int = Options.spin_us,
    capacity: int = Options.capacity,
    queue_capacity: int = Options.queue_capacity,
    shutdown_state: ShutdownState | None = None,
) -> tuple[IpcChannel, IpcChannel]:
    """Return both ends of a channel within this process: for tests, and between threads.

    Args:
        kind: "local", "shm", "thread", "tcp", or "stdio" for two pipes.
        framing: As for ``listen``; "shm" has only "length".
        codec: As for ``listen``.
        message_limit: As for ``listen``.
        read_ahead_limit: As for ``listen``.
        spin_us: As for ``listen``.
        capacity: As for ``connect``, without a listener's limit.
        queue_capacity: As for ``connect``.
        shutdown_state: What both ends end with. None: each has its own; ``ThreadChannel.pair`` shares one.

    Raises:
        TypeError, ValueError: ``kind`` or an option is none of these.
        IoError: The system refused.
    """
    options = Options(
        framing, codec, message_limit, read_ahead_limit, spin_us, capacity, queue_capacity=queue_capacity
    )
    codec_named(codec)
    if kind == "stdio":
        from ipcfast.channels.stdio import stdio_pair

        return stdio_pair(options, shutdown_state)
    one, other = open_pair(kind, options)
    return (
        channel_of(one, f"{kind}_a", codec, shutdown_state),
        channel_of(other, f"{kind}_b", codec, shutdown_state),
    )
