# SPDX-License-Identifier: MIT
"""The client's side of a connection: find the server, say hello, and get the transport that was asked for."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from ipcfast._native.stream_channel import KIND_HELLO, KIND_REFUSAL, KIND_WELCOME, StreamChannel
from ipcfast.errors import (
    AddressNotFound,
    ChannelTimeout,
    ConnectError,
    Disconnected,
    FrameError,
    IpcChannelError,
    MessageTooLarge,
)
from ipcfast.transports.address import Address
from ipcfast.transports.contract import OWN_FRAMING, Opened, Options, checked_timeout
from ipcfast.transports.handshake import (
    HANDSHAKE_SECONDS,
    RING,
    STREAM,
    TIMES,
    Hello,
    check_welcome,
    decode,
    decode_refusal,
    encode,
)
from ipcfast.transports.retrying import (
    LOOK_SECONDS,
    RETRY_FIRST_SECONDS,
    check_wanted,
    longer_pause,
    nobody_listens,
    remaining,
    waited,
)
from ipcfast.transports.ring import LAYOUT_VERSION, adopt_ring, close_handles, ring_pair
from ipcfast.transports.stream import connect_stream, stream_pair
from ipcfast.transports.thread import connect_thread, thread_opened, thread_pair

__all__ = ["Opening", "never", "open_connection", "open_pair", "patience_for_answer"]

if TYPE_CHECKING:
    from ipcfast.transports.tcp_connect import TcpOpening


class Opening:
    """A connection in the making: what has been agreed on so far stays, so that it can be gone on with later.

    Not for several threads at a time.
    """

    def __init__(self, address: Address, options: Options) -> None:
        if address.wants_ring and options.framing != OWN_FRAMING:
            raise ValueError(
                f"shared memory is agreed on in framing {OWN_FRAMING!r}, not {options.framing!r}"
            )
        options.check_for(address)
        self._address = address
        self._options = options
        self._tcp: TcpOpening | None = None
        if address.is_tcp:
            # Here and not above: the modules of the network cost more to load than all of ours.
            from ipcfast.transports.tcp_connect import TcpOpening

            self._tcp = TcpOpening(address, options)
        self._greeted: StreamChannel | None = None  # the connection that the server's answer is due on
        ring = address.wants_ring
        self._hello = Hello(
            RING if ring else STREAM,
            options.codec,
            to_server=options.capacity if ring else 0,
            to_client=options.capacity if ring else 0,
            layout=LAYOUT_VERSION if ring else 0,
            features=0 if address.is_tcp else TIMES,
            pid=os.getpid(),
        )

    def advance(
        self, timeout: float | None, answer_timeout: float | None, is_given_up: Callable[[], bool]
    ) -> Opened:
        """Find the server within ``timeout``, and get its answer within ``answer_timeout``, both from now.

        Raises:
            ChannelTimeout: As ``open_connection``. What has been begun is gone on with by the next call.
            AddressNotFound, PermissionDenied, ConnectError: As ``open_connection``. The next call begins
                anew.
            ChannelClosed: ``is_given_up`` said so, which is asked about twenty times a second.
        """
        now = time.monotonic()
        deadline, answer_deadline = (
            None if seconds is None else now + seconds for seconds in (timeout, answer_timeout)
        )
        if self._greeted is None:
            if self._tcp is not None:
                connection = self._tcp.advance(deadline, answer_deadline, timeout, is_given_up)
            else:
                connection = find_server(self._address, self._options, deadline, timeout, is_given_up)
            if self._options.framing != OWN_FRAMING:
                return Opened(
                    connection, is_ring=False, framing=self._options.framing, is_tcp=self._address.is_tcp
                )
            self.greet(connection)
        assert self._greeted is not None
        try:
            opened = self._hear(self._greeted, answer_deadline, is_given_up)
        except ChannelTimeout:
            raise
        except BaseException:
            self.close()
            raise
        self._greeted = None
        return opened

    def greet(self, connection: StreamChannel) -> None:
        """Say hello on a connection that is there, and take it over; ``advance`` hears the answer."""
        self._greeted = connection
        try:
            with explained(self._address):
                connection.send_handles(KIND_HELLO, encode(self._hello), [], 0.0)
        except BaseException:
            self.close()
            raise

    def _hear(
        self, connection: StreamChannel, deadline: float | None, is_given_up: Callable[[], bool]
    ) -> Opened:
        """Wait for the answer, and turn it into a transport."""
        with explained(self._address):
            await_answer(connection, self._address, deadline, is_given_up)
            kind, body, handles = connection.receive_handles(0.0)
            if kind == KIND_REFUSAL:
                close_handles(handles)
                raise ConnectError(
                    f"the server at {self._address.text} refused the connection: {decode_refusal(body)}",
                    filename=self._address.text,
                )
        try:
            opened = adopt(connection, self._hello, kind, body, handles, self._options)
            return replace(opened, is_tcp=self._address.is_tcp)
        except FrameError as error:
            raise ConnectError(
                f"the server at {self._address.text} broke the handshake: {error}",
                filename=self._address.text,
            ) from error

    def close(self) -> None:
        """Give up. Idempotent."""
        if self._tcp is not None:
            self._tcp.close()
        connection, self._greeted = self._greeted, None
        if connection is not None:
            connection.close()


def never() -> bool:
    """Say of a connection that it is wanted in any case, so that nobody has to look whether it still is."""
    return False


def open_connection(
    address: Address,
    options: Options,
    timeout: float | None,
) -> Opened:
    """Connect to a listener and agree on the transport.

    Args:
        address: Where it listens.
        options: What to ask for.
        timeout: Seconds for finding the server and for its answer. None waits for ever. With 0 there is one
            attempt, 50 ms long where it goes through the network; a server that is found still gets 5 s to
            answer.

    Raises:
        TypeError: The timeout is no number.
        ValueError: It is NaN, or the options do not go with the address.
        AddressNotFound: Nobody listened there all the while, or the host is not known or not reached.
        PermissionDenied: The address or the server is another user's.
        ConnectError: The server refused, or does not speak the handshake.
        ChannelTimeout: Its backlog stayed full, or it, or its machine, did not answer in time.
    """
    timeout = checked_timeout(timeout)
    if address.scheme == "thread":
        return connect_thread(address, options, timeout)
    opening = Opening(address, options)
    try:
        return opening.advance(timeout, patience_for_answer(timeout), never)
    finally:
        opening.close()  # which is empty once the connection is handed out


def patience_for_answer(timeout: float | None) -> float | None:
    """Return how long a server that is found may take to answer, where finding it may take ``timeout``."""
    return HANDSHAKE_SECONDS if timeout == 0 else timeout


def find_server(
    address: Address,
    options: Options,
    deadline: float | None,
    timeout: float | None,
    is_given_up: Callable[[], bool],
) -> StreamChannel:
    """Connect, again and again until the deadline: the server may be just starting, or busy."""
    path = address.path_to_connect()
    pause = RETRY_FIRST_SECONDS
    while True:
        check_wanted(address, is_given_up)
        problem: AddressNotFound | None = None
        try:
            connection = connect_stream(path, options)
            if connection is not None:
                return connection
        except AddressNotFound as error:
            problem = error
        left = remaining(deadline)
        if left == 0.0:
            raise not_found(address, path, timeout, problem) from problem
        time.sleep(pause if left is None else min(pause, left))
        pause = longer_pause(pause)


def not_found(
    address: Address, path: str, timeout: float | None, problem: AddressNotFound | None
) -> IpcChannelError:
    """Return the error for a server that could not be reached in time."""
    if problem is None:
        return ChannelTimeout(
            f"the backlog of {address.text} ({path}) was full{waited(timeout)}: its server accepts too slowly"
        )
    return nobody_listens(address, timeout, path=path, errno=problem.errno)


@contextlib.contextmanager
def explained(address: Address) -> Iterator[None]:
    """Say of errors in the handshake what they mean for somebody who wanted to connect."""
    try:
        yield
    except ChannelTimeout as error:
        raise ChannelTimeout(
            f"the server at {address.text} did not answer the handshake in time: is it calling accept()?"
        ) from error
    except Disconnected as error:
        raise ConnectError(
            f"the server at {address.text} closed the connection in the handshake: it may have just ended, "
            "or speak another framing (connect with framing='lines'?)",
            filename=address.text,
        ) from error
    except (FrameError, MessageTooLarge) as error:
        raise ConnectError(
            f"the server at {address.text} does not answer in ipcfast's framing: {error}; name its framing "
            "(connect with framing='lines'?)",
            filename=address.text,
        ) from error


def await_answer(
    connection: StreamChannel, address: Address, deadline: float | None, is_given_up: Callable[[], bool]
) -> None:
    """Return when the answer is there, or the deadline has passed."""
    while True:
        look = left = remaining(deadline)
        if is_given_up is not never:
            look = LOOK_SECONDS if left is None else min(left, LOOK_SECONDS)
        if connection.poll(look) or left == 0.0:
            return
        check_wanted(address, is_given_up)


def adopt(
    connection: StreamChannel, hello: Hello, kind: int, body: bytes, handles: list[int], options: Options
) -> Opened:
    """Make the transport that a welcome describes."""
    try:
        if kind != KIND_WELCOME:
            raise FrameError(f"the answer is of kind {kind:#x}", expected=KIND_WELCOME, found=kind)
        answer = decode(body)
        check_welcome(answer, hello)
        if answer.transport == STREAM and hello.transport == RING:
            raise ConnectError(
                "the server cannot do shared memory with this client (its ring has another layout than "
                f"version {hello.layout}): use the same ipcfast on both sides, or local:// in place of shm://"
            )
        if answer.transport == STREAM and handles:
            raise FrameError(f"{len(handles)} handles came with a stream", expected=0, found=len(handles))
    except BaseException:
        close_handles(handles)
        raise
    if answer.transport == RING:
        return Opened(adopt_ring(connection, answer, handles, options), is_ring=True, framing=OWN_FRAMING)
    connection.watch_peer()
    if answer.features & TIMES:
        connection.use_times()
    return Opened(connection, is_ring=False, framing=OWN_FRAMING)


def open_pair(kind: str, options: Options) -> tuple[Opened, Opened]:
    """Return both ends of a transport within this process.

    Raises:
        ValueError: ``kind`` is none of "local", "shm", "thread" and "tcp".
    """
    if kind == "tcp":
        from ipcfast.transports.tcp import tcp_pair

        one, other = tcp_pair(options)
        return Opened(one, False, options.framing, True), Opened(other, False, options.framing, True)
    if kind == "local":
        one, other = stream_pair(options)
        if options.framing == OWN_FRAMING:
            one.use_times()
            other.use_times()
        return Opened(one, False, options.framing), Opened(other, False, options.framing)
    if kind == "shm":
        if options.framing != OWN_FRAMING:
            raise ValueError(f"shared memory has no framing {options.framing!r}")
        first, second = ring_pair(options)
        return Opened(first, True, OWN_FRAMING), Opened(second, True, OWN_FRAMING)
    if kind == "thread":
        front, back = thread_pair(options)
        return thread_opened(front), thread_opened(back)
    raise ValueError(f"pair {kind!r} is not one of 'local', 'shm', 'thread', 'tcp'")
