# SPDX-License-Identifier: MIT
"""The client's side of a connection: find the server, say hello, and get the transport that was asked for."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from ipcfast._native.stream_channel import KIND_HELLO, KIND_REFUSAL, KIND_WELCOME, StreamChannel
from ipcfast.errors import (
    AddressNotFound,
    ChannelClosed,
    ChannelTimeout,
    ConnectError,
    Disconnected,
    FrameError,
    IpcChannelError,
)
from ipcfast.transports.address import Address
from ipcfast.transports.contract import OWN_FRAMING, Opened, Options
from ipcfast.transports.handshake import (
    HANDSHAKE_SECONDS,
    RING,
    STREAM,
    Hello,
    check_welcome,
    decode,
    decode_refusal,
    encode,
)
from ipcfast.transports.ring import LAYOUT_VERSION, adopt_ring, close_handles, ring_pair
from ipcfast.transports.stream import connect_stream, stream_pair

__all__ = ["open_connection", "open_pair"]

# Between two attempts to find the server: short at first, because a server that is just starting is there
# soon.
RETRY_FIRST_SECONDS = 0.001
RETRY_LONGEST_SECONDS = 0.05
# How often a client that waits for the server's answer looks whether it is still wanted.
ANSWER_LOOK_SECONDS = 0.05


def open_connection(
    address: Address,
    options: Options,
    timeout: float | None,
    is_given_up: Callable[[], bool] = lambda: False,
) -> Opened:
    """Connect to a listener and agree on the transport.

    Args:
        address: Where it listens.
        options: What to ask for.
        timeout: Seconds for finding the server and for its answer. None waits for ever. With 0 there is one
            attempt; a server that is found still gets 5 s to answer.
        is_given_up: Asked about twenty times a second; once it says True, ChannelClosed is raised.

    Raises:
        ValueError: Shared memory was asked for with a foreign framing.
        AddressNotFound: Nobody listened there all the while.
        PermissionDenied: The address or the server is another user's.
        ConnectError: The server refused, or does not speak the handshake.
        ChannelTimeout: Its backlog stayed full, or it did not answer in time.
        ChannelClosed: ``is_given_up`` said so.
    """
    if address.wants_ring and options.framing != OWN_FRAMING:
        raise ValueError(f"shared memory is agreed on in framing {OWN_FRAMING!r}, not {options.framing!r}")
    deadline = None if timeout is None else time.monotonic() + timeout
    connection = find_server(address, options, deadline, timeout, is_given_up)
    if options.framing != OWN_FRAMING:
        return Opened(connection, is_ring=False, framing=options.framing)
    if timeout is not None and timeout <= 0:
        deadline = time.monotonic() + HANDSHAKE_SECONDS
    try:
        return greet(connection, address, options, deadline, is_given_up)
    except BaseException:
        connection.close()
        raise


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
        problem: IpcChannelError | None = None
        try:
            connection = connect_stream(path, options)
            if connection is not None:
                return connection
        except AddressNotFound as error:
            problem = error
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            raise not_found(address, path, timeout, problem) from problem
        time.sleep(pause if left is None else min(pause, left))
        pause = min(2 * pause, RETRY_LONGEST_SECONDS)


def check_wanted(address: Address, is_given_up: Callable[[], bool]) -> None:
    """Raise ChannelClosed once nobody wants the connection any more."""
    if is_given_up():
        raise ChannelClosed(f"the channel to {address.text} was closed while it connected")


def not_found(
    address: Address, path: str, timeout: float | None, problem: IpcChannelError | None
) -> IpcChannelError:
    """Return the error for a server that could not be reached in time."""
    waited = f" for {timeout:g} s" if timeout else ""
    if problem is None:
        return ChannelTimeout(
            f"the backlog of {address.text} ({path}) was full{waited}: its server accepts too slowly"
        )
    return AddressNotFound(
        f"nobody listens at {address.text} ({path}){', waited' + waited if waited else ''}: "
        "start the server first, or connect with a longer timeout",
        errno=getattr(problem, "errno", None),
        filename=path,
    )


def greet(
    connection: StreamChannel,
    address: Address,
    options: Options,
    deadline: float | None,
    is_given_up: Callable[[], bool],
) -> Opened:
    """Say hello and turn the answer into a transport; the caller closes ``connection`` when this raises."""
    ring = address.wants_ring
    hello = Hello(
        RING if ring else STREAM,
        options.codec,
        to_server=options.capacity if ring else 0,
        to_client=options.capacity if ring else 0,
        layout=LAYOUT_VERSION if ring else 0,
        pid=os.getpid(),
    )
    try:
        connection.send_handles(KIND_HELLO, encode(hello), [], remaining(deadline))
        await_answer(connection, address, deadline, is_given_up)
        kind, body, handles = connection.receive_handles(0.0)
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
    except FrameError as error:
        raise ConnectError(
            f"the server at {address.text} does not answer in ipcfast's framing: {error}; name its framing "
            "(connect with framing='lines'?)",
            filename=address.text,
        ) from error
    if kind == KIND_REFUSAL:
        close_handles(handles)
        raise ConnectError(
            f"the server at {address.text} refused the connection: {decode_refusal(body)}",
            filename=address.text,
        )
    try:
        return adopt(connection, hello, kind, body, handles, options)
    except FrameError as error:
        raise ConnectError(
            f"the server at {address.text} broke the handshake: {error}", filename=address.text
        ) from error


def await_answer(
    connection: StreamChannel, address: Address, deadline: float | None, is_given_up: Callable[[], bool]
) -> None:
    """Return when the answer is there, or the deadline has passed."""
    while True:
        left = remaining(deadline)
        look = ANSWER_LOOK_SECONDS if left is None else min(left, ANSWER_LOOK_SECONDS)
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
    return Opened(connection, is_ring=False, framing=OWN_FRAMING)


def remaining(deadline: float | None) -> float | None:
    """Return the seconds left, None for ever."""
    return None if deadline is None else max(0.0, deadline - time.monotonic())


def open_pair(kind: str, options: Options) -> tuple[Opened, Opened]:
    """Return both ends of a transport within this process.

    Raises:
        ValueError: ``kind`` is neither "local" nor "shm".
    """
    if kind == "local":
        one, other = stream_pair(options)
        return Opened(one, False, options.framing), Opened(other, False, options.framing)
    if kind == "shm":
        if options.framing != OWN_FRAMING:
            raise ValueError(f"shared memory has no framing {options.framing!r}")
        first, second = ring_pair(options)
        return Opened(first, True, OWN_FRAMING), Opened(second, True, OWN_FRAMING)
    raise ValueError(f"pair {kind!r} is not one of 'local', 'shm'")
