# SPDX-License-Identifier: MIT
"""A connection that a child process inherits: made before the child, named by an environment variable (D2).

The variable says where the channel is and how to speak on it: a descriptor that was inherited, an address or
a name to connect to, or standard input and output::

    fd:7?transport=shm&codec=json&framing=length&capacity=262144&inode=4711
    shm://packed_12?prefix=auroraview
    packed_12
    stdio://?framing=lines&codec=json

On an inherited connection the child is the client of docs/spec/handshake.md and the parent the acceptor.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from ipcfast._native.stream_channel import KIND_REFUSAL, StreamChannel
from ipcfast._native.stream_listener import wait_any
from ipcfast.errors import ChannelTimeout, ConnectError, IoError, IpcChannelError
from ipcfast.transports.address import Address
from ipcfast.transports.contract import OWN_FRAMING, Opened, Options
from ipcfast.transports.greeting import answer_hello
from ipcfast.transports.handshake import Refused, decode, encode_refusal
from ipcfast.transports.open import Opening, never
from ipcfast.transports.ring import close_handles
from ipcfast.transports.stream import limits

__all__ = ["Greeting", "Place", "answer_child", "inheritable_end", "parse_place", "place_of"]

DESCRIPTOR = "fd:"
DESCRIPTOR_MAX = (1 << 31) - 1
SETTINGS = ("transport", "framing", "codec", "capacity", "prefix", "inode")
# How often a parent looks after a child for which the system gives no handle to wait for.
LOOK_SECONDS = 0.02


@dataclass(frozen=True)
class Place:
    """Where a child's channel is, and how to speak on it.

    Attributes:
        where: "fd:7", an address, or a name.
        settings: What stands behind the "?", checked to be known.
    """

    where: str
    settings: dict[str, str]

    @property
    def text(self) -> str:
        """What the variable holds."""
        settings = "&".join(f"{name}={value}" for name, value in self.settings.items())
        return f"{self.where}?{settings}" if settings else self.where

    @property
    def descriptor(self) -> int | None:
        """The inherited descriptor, None where the place is an address or a name."""
        return int(self.where[len(DESCRIPTOR) :]) if self.where.startswith(DESCRIPTOR) else None

    @property
    def is_stdio(self) -> bool:
        """Whether the channel goes over the standard input and output of the process."""
        return self.where.startswith("stdio:")

    @property
    def wants_ring(self) -> bool:
        """Whether the channel goes through shared memory."""
        return self.settings.get("transport") == "shm" or self.where.startswith("shm://")


def parse_place(text: str) -> Place:
    """Read what the variable holds.

    Raises:
        ValueError: It is of none of the forms above.
    """
    where, separator, rest = text.rpartition("?")
    pairs = [pair.partition("=") for pair in rest.split("&")] if separator else []
    if any(name not in SETTINGS or not equals for name, equals, _ in pairs):
        raise ValueError(f"{rest!r} has other settings than {', '.join(SETTINGS)}")
    settings = {name: value for name, _, value in pairs}
    if not separator:
        where = text
    if where.startswith("tcp:"):
        raise ValueError(
            "a variable carries no secret, without which anybody may be there: use ipcfast.connect"
        )
    if where.startswith(DESCRIPTOR):
        number = where[len(DESCRIPTOR) :]
        if not number.isdecimal() or int(number) > DESCRIPTOR_MAX:
            raise ValueError(f"{where!r} names no descriptor")
    if not all(settings.get(name, "0").isdecimal() for name in ("capacity", "inode")):
        raise ValueError(f"{rest!r} has a capacity or an inode that is no number")
    return Place(where, settings)


# ---- the parent's side


@contextmanager
def inheritable_end(end: StreamChannel) -> Iterator[int]:
    """Give a descriptor of ``end`` that a child can inherit; both are closed here at the end of the block."""
    handle = end.handle()
    try:
        if end.framing != OWN_FRAMING:
            # Any program may be at the other end, and expects a socket to wait; ipcfast asks for its own way.
            os.set_blocking(handle, True)
        # 0 to 2 belong to the child's standard streams, also where this process has closed its own
        descriptor = handle if handle > 2 else above_standard(handle)
        try:
            yield descriptor
        finally:
            if descriptor != handle:
                os.close(descriptor)
    finally:
        end.abandon()  # without a word: the connection is the child's


def above_standard(handle: int) -> int:
    """Return a copy of a descriptor whose number is 3 or more."""
    import fcntl  # not on Windows, where handles have no such numbers

    return fcntl.fcntl(handle, fcntl.F_DUPFD_CLOEXEC, 3)


def place_of(descriptor: int, options: Options, *, ring: bool) -> Place:
    """Return the place that a descriptor of ours becomes for the child that inherits it."""
    return Place(
        f"{DESCRIPTOR}{descriptor}",
        {
            "transport": "shm" if ring else "local",
            "framing": options.framing,
            "codec": options.codec,
            "capacity": str(options.capacity),
            # by which the child knows that the descriptor is still what we gave it
            "inode": str(os.fstat(descriptor).st_ino),
        },
    )


def answer_child(
    connection: StreamChannel,
    options: Options,
    timeout: float | None,
    has_ended: Callable[[], bool],
    handles: Sequence[int],
) -> tuple[Opened, int] | None:
    """Wait for the child's hello and answer it.

    Args:
        connection: Our end; it is taken over when this succeeds.
        options: What to agree to.
        timeout: Seconds; None waits for ever.
        has_ended: Whether the child's process has ended.
        handles: What becomes ready when that happens; none where the system cannot tell.

    Returns:
        The transport, and the process that the child says it is. None: it has ended without a hello.

    Raises:
        ChannelTimeout: There was no hello in time.
        ConnectError: Nothing could be agreed on; the child was told.
        Disconnected: The child hung up.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        ended = has_ended()  # asked first: a hello may be its last word
        try:
            kind, body, received = connection.receive_handles(0.0)
            break
        except ChannelTimeout:
            if ended:
                return None
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            raise ChannelTimeout(f"the child did not call connect_parent() within {timeout:g} s")
        look = left if handles else min(LOOK_SECONDS, LOOK_SECONDS if left is None else left)
        if wait_any([connection.handle(), *handles], look) > 0 and not has_ended():
            handles = ()  # ready for good, but a debugger is to be told first
    close_handles(received)
    try:
        return answer_hello(connection, kind, body, options), decode(body).pid
    except Refused as refused:
        with contextlib.suppress(IpcChannelError):  # it may be gone already
            connection.send_handles(KIND_REFUSAL, encode_refusal(str(refused)), [], 0.0)
        raise ConnectError(f"nothing could be agreed on with the child: {refused}") from refused


# ---- the child's side


class Greeting:
    """The child's side of the handshake: hello is said at once, the answer waited for in as many calls."""

    def __init__(self, place: Place, options: Options) -> None:
        """Take over the descriptor that was inherited, and say hello on it.

        Raises:
            ConnectError: The descriptor is not what the parent has given, or the parent is gone.
        """
        descriptor = place.descriptor
        assert descriptor is not None
        check_descriptor(descriptor, place)
        try:
            connection = StreamChannel.adopt(descriptor, framing=options.framing, **limits(options))
        except (IoError, ValueError) as error:
            raise ConnectError(f"descriptor {descriptor} is no connection: {error}") from error
        self._begun: Opening | Opened
        if options.framing == OWN_FRAMING:
            address = Address(place.where, "shm" if place.wants_ring else "local", place.where)
            self._begun = Opening(address, options)
            self._begun.greet(connection)
            return
        try:
            connection.watch_peer()
        except BaseException:
            connection.close()
            raise
        self._begun = Opened(connection, is_ring=False, framing=options.framing)

    def advance(self, timeout: float | None) -> Opened:
        """Wait for the parent's answer, and return the transport, which is the caller's.

        Raises:
            ChannelTimeout: The parent did not answer in time. The next call goes on.
            ConnectError: It refused, or has ended.
        """
        if isinstance(self._begun, Opened):
            return self._begun
        return self._begun.advance(timeout, timeout, never)


def check_descriptor(descriptor: int, place: Place) -> None:
    """Make sure that nobody in between has closed the descriptor, and that it is not another's by now."""
    try:
        found = os.fstat(descriptor)
    except OSError as error:
        raise ConnectError(
            f"descriptor {descriptor} is not open here: a program between this one and the one that made the "
            "channel has closed it, as subprocess does (give it pass_fds, or start this program directly)",
            errno=error.errno,
        ) from error
    inode = place.settings.get("inode")
    if not stat.S_ISSOCK(found.st_mode) or inode not in (None, str(found.st_ino)):
        raise ConnectError(
            f"descriptor {descriptor} is not the connection that was made for this process, but something "
            "opened later: a program between this one and the one that made the channel has closed it"
        )
