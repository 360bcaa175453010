# SPDX-License-Identifier: MIT
"""The server's side of TCP: owns an address, lets clients in, and has them prove the shared secret."""

from __future__ import annotations

import errno
import socket

from ipcfast._native.stream_channel import StreamChannel
from ipcfast.errors import AddressInUse, AddressNotFound, IoError, PermissionDenied
from ipcfast.transports.address import Address
from ipcfast.transports.contract import Options
from ipcfast.transports.secret import ServerProof
from ipcfast.transports.tcp import adopted, prepare
from ipcfast.transports.tcp_names import (
    Candidate,
    candidates_of,
    endpoint_text,
    is_loopback,
    no_such_host,
)

__all__ = ["Proving", "TcpListener"]

BACKLOG = 128
# An address of the host that is not to be had on this machine: the next one may be.
NOT_HERE = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}


class TcpListener:
    """Listens at one TCP address, and lets clients in; the same interface as the native StreamListener.

    Raises:
        ValueError: The address can be reached from other machines, and there is no secret.
        AddressInUse: Another program listens there.
        PermissionDenied: The port is reserved.
        AddressNotFound: The host is not known, or is not this machine.
        IoError: The system refused.
    """

    def __init__(self, address: Address, options: Options) -> None:
        self._options = options
        host, port = address.endpoint()
        try:
            candidates = candidates_of(host, port, passive=True)
        except socket.gaierror as error:
            raise no_such_host(address, error) from error
        for candidate in candidates:
            if options.secret is None and not is_loopback(candidate.sockaddr[0]):
                raise ValueError(
                    f"{address.text} can be reached from other machines: give both sides a shared secret"
                    " (secret=...), or listen at tcp://127.0.0.1"
                )
        self._socket = bound(address, candidates)
        self.path = endpoint_text(self._socket.getsockname())

    @property
    def closed(self) -> bool:
        """Whether ``close`` was called."""
        return self._socket.fileno() < 0

    def handle(self) -> int:
        """Return the handle to wait for."""
        return self._socket.fileno()

    def try_accept(self, *, sniff: bool = False) -> tuple[StreamChannel | Proving, str] | None:
        """Return the next client and its address for the log, or None when there is none.

        With a secret it has yet to prove itself. ``sniff``: as for ``StreamChannel.adopt``.

        Raises:
            IoError: The system refused, for instance because no descriptors are left.
        """
        while True:
            try:
                connection, client = self._socket.accept()
            except BlockingIOError:
                return None
            except ConnectionError:
                continue  # it hung up before it was let in
            except OSError as error:
                raise IoError(f"accept at {self.path}: {error.strerror}", errno=error.errno) from error
            try:
                prepare(connection)
            except OSError:
                connection.close()  # gone again
                continue
            who = endpoint_text(client)
            if self._options.secret is not None:
                return Proving(connection, self._options.secret, self._options), who
            return adopted(connection, self._options, sniff=sniff), who

    def close(self) -> None:
        """Give the address back. Idempotent."""
        self._socket.close()

    def abandon(self) -> None:
        """In a forked child: the parent goes on listening."""
        self._socket.close()


def bound(address: Address, candidates: list[Candidate]) -> socket.socket:
    """Listen at the first of the addresses that this machine has."""
    problem: OSError | None = None
    for candidate in candidates:
        try:
            return listening_at(candidate)
        except OSError as error:
            problem = error
            if error.errno not in NOT_HERE:
                break  # another server at the next address would be found by some clients only
    assert problem is not None
    kinds = {
        errno.EADDRINUSE: AddressInUse,
        errno.EACCES: PermissionDenied,
        errno.EADDRNOTAVAIL: AddressNotFound,
    }
    kind = kinds.get(problem.errno or 0, IoError)
    raise kind(
        f"cannot listen at {address.text}: {problem.strerror}", errno=problem.errno, filename=address.text
    ) from problem


def listening_at(candidate: Candidate) -> socket.socket:
    """Listen at one address, or raise OSError."""
    listening = socket.socket(candidate.family, socket.SOCK_STREAM)
    try:
        # POSIX: a server that is started again need not wait for the connections of the last one. Elsewhere
        # the option means that two servers may share the port.
        exclusive = getattr(socket, "SO_EXCLUSIVEADDRUSE", None)
        listening.setsockopt(socket.SOL_SOCKET, exclusive or socket.SO_REUSEADDR, 1)
        listening.setblocking(False)
        listening.bind(candidate.sockaddr)
        listening.listen(BACKLOG)
    except BaseException:
        listening.close()
        raise
    return listening


class Proving:
    """A client that has yet to prove that it knows the secret."""

    def __init__(self, connection: socket.socket, secret: bytes, options: Options) -> None:
        self._socket = connection
        self._options = options
        self._proof = ServerProof(secret)
        self._come = b""

    def handle(self) -> int:
        """Return the handle to wait for."""
        return self._socket.fileno()

    def advance(self) -> StreamChannel | None:
        """Go on as far as that goes without waiting; None while the client's proof is not complete.

        Raises:
            FrameError: It did not begin with a challenge.
            PermissionDenied: It has another secret.
            IoError: The connection has ended or failed.
        """
        try:
            while self._proof.wanted:
                data = self._socket.recv(self._proof.wanted - len(self._come))
                if not data:
                    raise IoError("the client ended the connection before it had proved itself")
                self._come += data
                if len(self._come) < self._proof.wanted:
                    continue
                answer, is_refused = self._proof.feed(self._come)
                self._come = b""
                if self._socket.send(answer) != len(answer):
                    raise IoError("the client does not read")
                if is_refused:
                    raise PermissionDenied("the client has another shared secret")
        except BlockingIOError:
            return None
        except OSError as error:
            if isinstance(error, IoError):
                raise
            raise IoError(f"{error.strerror}", errno=error.errno) from error
        return adopted(self._socket, self._options)

    def close(self) -> None:
        """Hang up. Idempotent."""
        self._socket.close()

    def abandon(self) -> None:
        """In a forked child: the parent goes on with the client."""
        self._socket.close()
