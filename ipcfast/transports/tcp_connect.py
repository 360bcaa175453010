# SPDX-License-Identifier: MIT
"""The client's side of TCP: tries a host's addresses until a deadline, and proves the shared secret."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import queue
import select
import socket
import threading
import time
from collections.abc import Callable

from ipcfast._native.stream_channel import StreamChannel
from ipcfast.errors import (
    AddressNotFound,
    ChannelClosed,
    ChannelTimeout,
    ConnectError,
    FrameError,
    IoError,
    PermissionDenied,
)
from ipcfast.transports.address import Address
from ipcfast.transports.contract import Options
from ipcfast.transports.handshake import HANDSHAKE_SECONDS
from ipcfast.transports.secret import ClientProof
from ipcfast.transports.tcp import Candidate, adopted, candidates_of, no_such_host, prepare

__all__ = ["connect_tcp"]

# How often whoever waits looks whether the connection is still wanted.
LOOK_SECONDS = 0.05
# What one attempt gets at least, also where there is no time at all: the network is not as fast as a call.
ATTEMPT_SECONDS = 0.05
RETRY_FIRST_SECONDS = 0.001
RETRY_LONGEST_SECONDS = 0.05
# What the network says when nobody is there (yet); anything else is told at once.
ABSENT = {
    errno.ECONNREFUSED,
    errno.ECONNRESET,
    errno.ECONNABORTED,
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
    errno.ENETDOWN,
    errno.ETIMEDOUT,
    errno.EADDRNOTAVAIL,
}


def connect_tcp(
    address: Address,
    options: Options,
    deadline: float | None,
    timeout: float | None,
    is_given_up: Callable[[], bool],
) -> StreamChannel:
    """Connect to the first of the host's addresses that answers, and prove the secret if there is one.

    Tries all addresses again and again until the deadline (monotonic): the server may be just starting. One
    that does not answer at all gets its share of the time.

    Raises:
        AddressNotFound: The host is not known, or nobody listened there all the while.
        PermissionDenied: The server has another secret, or does not know it.
        ConnectError: The connection ended while the secret was proved.
        ChannelTimeout: The server did not prove itself in time.
        ChannelClosed: ``is_given_up`` said so.
        IoError: The system refused.
    """
    candidates = resolved(address, deadline, timeout, is_given_up)
    pause = RETRY_FIRST_SECONDS
    while True:
        for position, candidate in enumerate(candidates):
            check_wanted(address, is_given_up)
            left = None if deadline is None else deadline - time.monotonic()
            share = None if left is None else max(ATTEMPT_SECONDS, left / (len(candidates) - position))
            connection = attempt(address, candidate, share, is_given_up)
            if connection is not None:
                return proved(connection, address, options, deadline, is_given_up)
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            waited = f" for {round(timeout, 3):g} s" if timeout else ""
            raise AddressNotFound(
                f"nobody listens at {address.text}{', waited' + waited if waited else ''}: "
                "start the server first, or connect with a longer timeout",
                filename=address.text,
            )
        time.sleep(pause if left is None else min(pause, left))
        pause = min(2 * pause, RETRY_LONGEST_SECONDS)


def check_wanted(address: Address, is_given_up: Callable[[], bool]) -> None:
    """Raise ChannelClosed once nobody wants the connection any more."""
    if is_given_up():
        raise ChannelClosed(f"the channel to {address.text} was closed while it connected")


def resolved(
    address: Address, deadline: float | None, timeout: float | None, is_given_up: Callable[[], bool]
) -> list[Candidate]:
    """Return the host's addresses, in time; the system's resolver itself cannot be stopped."""
    host, port = address.endpoint()
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(host.partition("%")[0])
        return candidates_of(host, port)
    answers: queue.SimpleQueue[list[Candidate] | socket.gaierror] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(candidates_of(host, port))
        except socket.gaierror as error:
            answers.put(error)

    threading.Thread(target=ask, name=f"resolve {host}", daemon=True).start()
    while True:
        left = None if deadline is None else max(ATTEMPT_SECONDS, deadline - time.monotonic())
        try:
            answer = answers.get(timeout=LOOK_SECONDS if left is None else min(LOOK_SECONDS, left))
        except queue.Empty:
            check_wanted(address, is_given_up)
            if deadline is not None and time.monotonic() >= deadline:
                raise ChannelTimeout(
                    f"the host of {address.text} could not be resolved within {timeout:g} s"
                ) from None
            continue
        if isinstance(answer, socket.gaierror):
            raise no_such_host(address, answer) from answer
        return answer


def attempt(
    address: Address, candidate: Candidate, share: float | None, is_given_up: Callable[[], bool]
) -> socket.socket | None:
    """Connect to one address within ``share`` seconds; None where nobody is."""
    until = None if share is None else time.monotonic() + share
    connection = socket.socket(candidate.family, socket.SOCK_STREAM)
    try:
        prepare(connection)
        code = connection.connect_ex(candidate.sockaddr)
        if code in (errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EINTR):
            if not wait_for(connection, until, lambda: check_wanted(address, is_given_up), for_writing=True):
                code = errno.ETIMEDOUT
            else:
                code = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code == 0 and connection.getsockname() == connection.getpeername():
            # Nobody listens at a port of those that the system gives out to clients, and it gave us that one.
            code = errno.ECONNREFUSED
        if code not in (0, *ABSENT):
            raise IoError(
                f"cannot connect to {address.text}: {os.strerror(code)}", errno=code, filename=address.text
            )
    except BaseException as error:
        connection.close()
        if isinstance(error, OSError) and not isinstance(error, (IoError, ChannelTimeout)):
            return None  # it was connected for a moment
        raise
    if code == 0:
        return connection
    connection.close()
    return None


def wait_for(
    connection: socket.socket, until: float | None, check: Callable[[], None], *, for_writing: bool = False
) -> bool:
    """Wait until there is something to read, or room to write; False at ``until`` (monotonic)."""
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(connection, select.POLLOUT if for_writing else select.POLLIN)

        def is_ready(seconds: float) -> bool:
            return bool(poll.poll(seconds * 1000))
    else:

        def is_ready(seconds: float) -> bool:
            one: list[socket.socket] = [connection]
            reading, writing = ([], one) if for_writing else (one, [])
            return any(select.select(reading, writing, one, seconds))

    while True:
        left = None if until is None else max(0.0, until - time.monotonic())
        if is_ready(LOOK_SECONDS if left is None else min(LOOK_SECONDS, left)):
            return True
        check()
        if left == 0.0:
            return False


def proved(
    connection: socket.socket,
    address: Address,
    options: Options,
    deadline: float | None,
    is_given_up: Callable[[], bool],
) -> StreamChannel:
    """Prove the secret to the server, and have it prove it to us; at once where there is none."""
    if options.secret is None:
        return adopted(connection, options)
    latest = time.monotonic() + HANDSHAKE_SECONDS
    until = latest if deadline is None else min(latest, max(deadline, time.monotonic() + ATTEMPT_SECONDS))
    proof = ClientProof(options.secret)
    try:
        connection.send(proof.begin())
        while proof.wanted:
            answer = proof.feed(
                received(connection, proof.wanted, until, address, lambda: check_wanted(address, is_given_up))
            )
            if answer:
                connection.send(answer)
        return adopted(connection, options)
    except PermissionDenied as error:
        raise PermissionDenied(f"{address.text}: {error}", filename=address.text) from error
    except (FrameError, ConnectionError) as error:
        raise ConnectError(
            f"{address.text}: the server ended the connection before it had proved itself: does it have a"
            f" shared secret? ({error})",
            filename=address.text,
        ) from error
    finally:
        connection.close()  # where it has been handed over there is nothing left to close


def received(
    connection: socket.socket, size: int, until: float, address: Address, check: Callable[[], None]
) -> bytes:
    """Return exactly so many bytes."""
    come = b""
    while len(come) < size:
        if not wait_for(connection, until, check):
            raise ChannelTimeout(
                f"the server at {address.text} did not prove the secret in time: is it calling accept()?"
            )
        data = connection.recv(size - len(come))
        if not data:
            raise ConnectionError("the connection has ended")
        come += data
    return come
