# SPDX-License-Identifier: MIT
"""The methods that every transport has, and the options that all of them share."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from ipcfast._native.frame import FRAMINGS
from ipcfast._native.stop import StoppableTimeout
from ipcfast.transports.handshake import CAPACITY_MIN

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from ipcfast.transports.address import Address

__all__ = ["OWN_FRAMING", "Opened", "Options", "Transport", "checked_timeout"]

OWN_FRAMING = "length"

# The handshake's frames must pass: the longest is a refusal.
MESSAGE_LIMIT_MIN = 1024
QUEUE_CAPACITY_MAX = 1 << 30
# A shorter one could be found by trying on what somebody has seen of one connection being made.
SECRET_MIN = 16
_MIB = 1 << 20
_LIMIT_MAX = (1 << 63) - 1


class Transport(Protocol):
    """Whole messages as bytes, both ways, safe from several threads.

    ``_native.StreamChannel`` and ``_native.RingChannel`` are transports; so is ``_native.QueueChannel``,
    whose documents are objects of any kind. ``timeout`` is in seconds, None is for ever, 0 a single attempt
    that never sleeps. Every blocked call ends with the timeout, Ctrl-C, ``close`` or ``shutdown`` from any
    thread, and the peer's end.
    """

    def send_bytes(self, data: Buffer, timeout: float | None = None) -> None:
        """Send one message of kind BYTES."""

    def send_message(self, data: Buffer, timeout: float | None = None) -> None:
        """Send one message of kind MESSAGE: the document of a codec."""

    def send_many(self, items: Sequence[Buffer], timeout: float | None = None) -> None:
        """Send several of kind BYTES, in order."""

    def recv_bytes(self, timeout: float | None = None) -> bytes:
        """Return the next message, which must be of kind BYTES or ANY."""
        ...

    def recv_message(self, timeout: float | None = None) -> bytes:
        """Return the next message, which must be of kind MESSAGE or ANY."""
        ...

    def try_recv_bytes(self) -> bytes | None:
        """Return what ``recv_bytes`` would, or None where it would wait."""
        ...

    def try_recv_message(self) -> bytes | None:
        """Return what ``recv_message`` would, or None where it would wait."""
        ...

    def recv_bytes_into(self, buffer: Buffer, timeout: float | None = None) -> int:
        """Receive into ``buffer``; return the size in bytes."""
        ...

    def recv_many(self, max_bytes: int = 65536, timeout: float | None = None) -> list[bytes]:
        """Return at least one message and whatever else is there, up to ``max_bytes`` in all."""
        ...

    def poll(self, timeout: float | None = 0.0) -> bool:
        """Return whether a receive would not wait, the peer's end included."""
        ...

    def stoppable(self, seconds: float) -> StoppableTimeout:
        """Return a timeout for ``recv_bytes`` and ``recv_message`` that another thread can end."""
        ...

    def drain(self, timeout: float | None = None) -> None:
        """Wait until the operations that are under way have left, or raise ChannelTimeout."""

    def fileno(self) -> int:
        """Return a descriptor that is readable while ``poll`` is true. POSIX only."""
        ...

    @property
    def peer_pid(self) -> int | None:
        """The peer's process, as the system says."""
        ...

    @property
    def peer_uid(self) -> int | None:
        """The peer's user, as the system says."""
        ...

    @property
    def peer_died(self) -> bool | None:
        """Whether the peer ended without goodbye; None while it lives or where the wire cannot tell."""
        ...

    @property
    def has_ended(self) -> bool:
        """Whether a receive has told of the peer's end, or of a fault of it: nothing will come any more."""
        ...

    @property
    def closed(self) -> bool:
        """Whether ``close`` was called, or this is a forked child."""
        ...

    def metrics(self) -> Mapping[str, int]:
        """Return what has been counted, by the names of ``ipcf_metrics`` (csrc/ipcf/metrics.h)."""
        ...

    def is_shutdown(self) -> bool:
        """Return whether ``shutdown`` was called."""
        ...

    def announce_shutdown(self) -> None:
        """Do the first half of ``shutdown``: calls raise ShuttingDown, but the peer learns nothing of it."""

    def shutdown(self) -> None:
        """End both directions: the peer receives what was sent, then the end."""

    def close(self) -> None:
        """Shut down and free everything. Idempotent."""

    def abandon(self) -> None:
        """In a forked child: close descriptors without a word to the peer."""


@dataclass(frozen=True)
class Options:
    """How a transport is made: chosen by name, checked once, the same for listening and connecting.

    Attributes:
        framing: How messages are cut out of the stream: "length" (ipcfast's own, with handshake), "lines",
            "content-length" or "u32be".
        codec: Name of the codec; the handshake compares it.
        message_limit: Bytes of one received message, at least 1024; a larger one raises MessageTooLarge and
            is skipped.
        read_ahead_limit: Bytes taken in while a send waits for room.
        spin_us: Microseconds of looking before sleeping; 0 sleeps at once.
        capacity: Bytes of each of the two rings of shared memory that this side asks for.
        capacity_limit: Bytes of each of the two rings that a listener gives at most, at least 4096; a client
            that asks for more gets the largest power of two within it.
        queue_capacity: Messages of each direction that a queue between threads holds.
        secret: What both sides of a TCP connection prove to each other that they know, at least 16 bytes;
            None: nothing.
    """

    framing: str = OWN_FRAMING
    codec: str = "json"
    message_limit: int = 64 * _MIB
    read_ahead_limit: int = 128 * _MIB
    spin_us: int = 80
    capacity: int = _MIB // 4
    capacity_limit: int = 4 * _MIB
    queue_capacity: int = 10_000
    secret: bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.framing not in FRAMINGS:
            raise ValueError(f"framing {self.framing!r} is not one of {', '.join(FRAMINGS)}")
        if self.codec == "pickle" and self.framing != OWN_FRAMING:
            # Without the handshake nobody knows what the peer sends, and pickle runs what it is sent.
            raise ValueError(
                f"codec 'pickle' needs framing {OWN_FRAMING!r}, whose handshake makes both sides name it"
            )
        if self.secret is not None:
            if not isinstance(self.secret, bytes):
                raise TypeError(f"secret must be bytes, not {type(self.secret).__name__}")
            if len(self.secret) < SECRET_MIN:
                raise ValueError(
                    f"secret has {len(self.secret)} bytes, must have at least {SECRET_MIN}: take"
                    " secrets.token_bytes(32)"
                )
            if self.framing != OWN_FRAMING:
                raise ValueError(f"secret needs framing {OWN_FRAMING!r}, not {self.framing!r}")
        for name, least in (
            ("message_limit", MESSAGE_LIMIT_MIN),
            ("read_ahead_limit", 1),
            ("spin_us", 0),
            ("capacity", 1),
            ("capacity_limit", CAPACITY_MIN),
        ):
            check_number(name, getattr(self, name), least)
        check_number("queue_capacity", self.queue_capacity, 1, QUEUE_CAPACITY_MAX)

    def check_for(self, address: Address) -> None:
        """Refuse what does not go with that address.

        Raises:
            ValueError: With the reason.
        """
        if self.secret is not None and not address.is_tcp:
            raise ValueError(f"a secret is for tcp:// only: {address.text} is known to be this user's")
        if self.codec == "pickle" and address.is_tcp:
            # With a secret too: whoever sits on the way can write what he likes behind the proofs.
            raise ValueError(
                f"codec 'pickle' runs what the peer sends, and who that is nobody knows at {address.text}: "
                "use 'json' or 'msgpack', or an address of this user's such as local://name"
            )


def check_number(name: str, value: object, least: int, most: int = _LIMIT_MAX) -> None:
    """Refuse what is no whole number, or out of range.

    Raises:
        TypeError, ValueError: With the reason.
    """
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name} is {value!r}, must be a whole number") from None
    if not least <= number <= most:
        raise ValueError(f"{name} is {number}, must be between {least} and {most}")


def checked_timeout(timeout: float | None) -> float | None:
    """Return the seconds of a timeout as the native channels read it: below 0 is 0, None is for ever.

    Raises:
        TypeError: It is no number.
        ValueError: It is NaN.
    """
    if timeout is None:
        return None
    if math.isnan(timeout):
        raise ValueError("timeout: NaN is no number of seconds; pass None to wait for ever")
    return max(0.0, float(timeout))


@dataclass(frozen=True)
class Opened:
    """A transport that is ready for messages.

    Attributes:
        transport: What moves the messages.
        is_ring: Whether they move through shared memory.
        framing: The framing of sending on a stream.
        is_tcp: Whether they move through TCP.
    """

    transport: Transport
    is_ring: bool
    framing: str
    is_tcp: bool = False
