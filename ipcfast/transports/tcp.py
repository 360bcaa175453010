# SPDX-License-Identifier: MIT
"""What both sides of TCP need: the addresses of a host, and making a connection one of ours."""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from typing import Any, NamedTuple

from ipcfast._native.stream_channel import StreamChannel
from ipcfast.errors import AddressNotFound, IoError
from ipcfast.transports.address import Address
from ipcfast.transports.contract import Options
from ipcfast.transports.stream import limits

__all__ = ["Candidate", "adopted", "candidates_of", "is_loopback", "no_such_host", "prepare", "tcp_pair"]

# A peer whose machine has gone is noticed after about two minutes of silence.
KEEPALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPALIVE": 60, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 6}


class Candidate(NamedTuple):
    """One address of a host, as getaddrinfo gives it."""

    family: int
    sockaddr: tuple[Any, ...]


def prepare(connection: socket.socket) -> None:
    """Make a connection as all of ours are: non-blocking, without delay, kept alive."""
    connection.setblocking(False)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEPALIVE.items():
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def adopted(connection: socket.socket, options: Options) -> StreamChannel:
    """Hand a connection over to the core; it is closed when that fails."""
    handle = connection.detach()
    try:
        return StreamChannel.adopt(handle, framing=options.framing, **limits(options))
    except BaseException:
        socket.close(handle) if sys.platform == "win32" else os.close(handle)
        raise


def is_loopback(host: str) -> bool:
    """Return whether a numeric address stays within this machine."""
    address = ipaddress.ip_address(host.partition("%")[0])
    inner = getattr(address, "ipv4_mapped", None)
    return bool((inner or address).is_loopback)


def candidates_of(host: str, port: int, *, passive: bool = False) -> list[Candidate]:
    """Return every address of a host; asks the system's resolver, which may take long.

    Raises:
        socket.gaierror: There are none.
    """
    flags = socket.AI_PASSIVE if passive else 0
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return list(dict.fromkeys(Candidate(family, sockaddr) for family, _, _, _, sockaddr in found))


def no_such_host(address: Address, error: socket.gaierror) -> AddressNotFound:
    """Return the error for a host that the system's resolver does not know."""
    return AddressNotFound(
        f"the host of {address.text} is not known: {error.strerror}; check its name", filename=address.text
    )


def tcp_pair(options: Options) -> tuple[StreamChannel, StreamChannel]:
    """Return both ends of a connection within this process.

    Raises:
        IoError: The system refused.
    """
    try:
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            listening.listen(1)
            client = socket.create_connection(listening.getsockname())
            try:
                server, _ = listening.accept()
                while server.getpeername() != client.getsockname():  # a stranger was faster
                    server.close()
                    server, _ = listening.accept()
            except BaseException:
                client.close()
                raise
        prepare(server)
        prepare(client)
    except OSError as error:
        raise IoError(f"a TCP connection within this process: {error.strerror}", errno=error.errno) from error
    try:
        one = adopted(server, options)
    except BaseException:
        client.close()
        raise
    try:
        return one, adopted(client, options)
    except BaseException:
        one.close()
        raise
