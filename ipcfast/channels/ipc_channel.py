# SPDX-License-Identifier: MIT
"""The channel: a transport and a codec, messages and bytes both ways, from open to closed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, ClassVar, NamedTuple, NoReturn, TypeVar

from ipcfast.channels.forwarding import OF_THE_TRANSPORT, Forwarding
from ipcfast.channels.metrics import IpcChannelMetrics
from ipcfast.channels.receiving import BackgroundReceiving
from ipcfast.channels.shutdown import ShutdownState, join, state_of
from ipcfast.errors import (
    ChannelClosed,
    ChannelTimeout,
    Disconnected,
    ReceiveFailed,
    SerializationError,
    ShuttingDown,
)
from ipcfast.protocol.codec import codec_named
from ipcfast.protocol.messages import IpcMessage
from ipcfast.transports.contract import Transport, checked_timeout
from ipcfast.transports.waiting import deadline_after

__all__ = ["IpcChannel", "Peer"]

_SelfT = TypeVar("_SelfT", bound="IpcChannel")


class Peer(NamedTuple):
    """Who sits at the other end, as the operating system says.

    Attributes:
        pid: Its process; None where the system does not tell.
        uid: Its user; None where the system does not tell.
    """

    pid: int | None
    uid: int | None


class IpcChannel(Forwarding, BackgroundReceiving):
    """One connection that carries messages and bytes, both ways (R1, R13, R14-R29).

    Channels come from ``ipcfast.connect``, ``ipcfast.listen`` and ``ipcfast.pair``, and from the
    constructors of the subclasses. A class of your own may inherit from this one: give ``__init__`` a name
    and override what you need; what is not overridden raises NotImplementedError (R29).

    Threads: every method may be called from any thread (R25). One thread may send while another receives;
    several senders, or receivers, take turns and never interleave. ``close`` and ``shutdown`` from any
    thread, Ctrl-C, the timeout, and the peer's end interrupt every blocked call.

    Timeouts are in seconds: None waits for ever, 0 tries once without sleeping. They are never early. A
    receive that timed out has lost nothing. A send that timed out with ``ChannelTimeout.begun`` is on its
    way: the next send finishes it, so do not send it again. Where nothing else is to be sent,
    ``send_many([])`` finishes it.

    Signals: handlers run while a call is blocked. An exception from one, such as KeyboardInterrupt, ends the
    call, and the channel stays usable. It cannot say whether a send had begun: if so, the next send finishes
    it, else the message is not sent. Where that matters, number the messages.

    Errors: Disconnected once the peer has ended and everything that it sent was received; ChannelClosed after
    ``close`` and in a forked child; ShuttingDown after ``shutdown``; ChannelTimeout; MessageTooLarge for a
    message above the limit, which is skipped; FrameError when the peer breaks the protocol, which ends the
    channel; and below those that are particular to a method.
    """

    # IpcChannelMetrics.channel_type
    _metrics_type: ClassVar[str] = "other"

    def __init__(
        self,
        name: str = "",
        *,
        transport: Transport | None = None,
        codec: str = "json",
        shutdown_state: ShutdownState | None = None,
    ) -> None:
        self._name = name
        self._created_at = time.monotonic()
        self._codec = codec_named(codec)
        self._transport: Transport | None = None
        self._is_shutdown = False
        self._has_ended = False
        self._is_closed = False
        self._shutdown_state: ShutdownState | None = None
        if transport is not None:
            self._attach(transport)
        join(self, shutdown_state)

    def _attach(self, transport: Transport) -> None:
        """Begin to use a transport."""
        self._transport = transport
        self._send_message = transport.send_message
        self._recv_message = transport.recv_message
        self._try_recv_message = transport.try_recv_message
        if not self._codec.carries_messages:
            # A foreign framing does not tell messages from bytes: looking would take the message off.
            self._recv_message = self._try_recv_message = _no_messages
        self._encode = self._codec.encode
        self._decode = self._codec.decode
        for method in OF_THE_TRANSPORT:
            if getattr(type(self), method) is getattr(IpcChannel, method):
                setattr(self, method, getattr(transport, method))

    def _opened(self) -> Transport:
        """Return the transport; a subclass that connects on first use does so here."""
        if self._transport is not None:
            return self._transport
        if self._is_closed:
            raise ChannelClosed(f"{self!r} was closed")
        raise NotImplementedError(f"{type(self).__name__} has no transport: override this method")

    def __getattr__(self, attribute: str) -> Any:
        # Reached only before _attach: opens a channel that connects on first use.
        if attribute in ("_send_message", "_recv_message", "_try_recv_message", "_encode", "_decode"):
            self._opened()
            return self.__dict__[attribute]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {attribute!r}")

    # ---- messages
    # ---------------------------------------------------------------------------------------------

    def send(self, message: IpcMessage | dict[str, Any], timeout: float | None = None) -> bool:
        """Send one message: an IpcMessage, or a dict that is sent as it is (R14, R26, D11).

        Returns:
            True. Whatever goes wrong raises (D3).

        Raises:
            SerializationError: The codec cannot carry it; nothing was sent.
        """
        if isinstance(message, IpcMessage):
            message = message.to_dict()
        elif not isinstance(message, dict):
            raise SerializationError(
                f"send takes an IpcMessage or a dict, not {type(message).__name__}: use send_json"
            )
        self._send_message(self._encode(message), timeout)
        return True

    def recv(self, timeout: float | None = None) -> IpcMessage:
        """Return the next message (R15).

        Raises:
            SerializationError: It is not a message; it was taken off the channel, which goes on.
            ReceiveFailed: Bytes come next, and stay there, or the codec is "raw": use ``recv_bytes``.
        """
        return IpcMessage.from_dict(self._decode(self._recv_message(timeout)))

    def try_recv(self) -> IpcMessage | None:
        """Return the next message, or None when none is there (R16). Never waits.

        Raises:
            SerializationError, ReceiveFailed: As ``recv``.
        """
        document = self._try_recv_message()
        return None if document is None else IpcMessage.from_dict(self._decode(document))

    def receive(self, timeout: float | None = None) -> IpcMessage | None:
        """Return the next message, or None when none came in time or the channel has ended (R27, R53, D3).

        After the end it returns None at once, and ``is_shutdown`` is true: a loop around it ends with
        ``while not channel.is_shutdown()``, be it this side that has ended or the peer (R95, R99).

        Raises:
            SerializationError, ReceiveFailed: As ``recv``.
        """
        try:
            return self.recv(timeout)
        except Disconnected:
            self._has_ended = True  # where there is no transport to tell
            return None
        except (ChannelTimeout, ShuttingDown, ChannelClosed):
            return None

    def send_json(self, value: Any, timeout: float | None = None) -> None:
        """Send any value as a message of type "data" (R17, D11).

        Raises:
            SerializationError: The codec cannot carry it; nothing was sent.
        """
        self._send_message(self._encode({"type": "data", "data": value}), timeout)

    def emit(self, event: str, data: Any = None, timeout: float | None = None) -> bool:
        """Send an event (R20): a message of type "event"; without data an empty object goes along.

        Returns:
            True, as ``send``.

        Raises:
            SerializationError: The codec cannot carry the data, or the event has no name; nothing was sent.
        """
        if not isinstance(event, str) or not event:
            raise SerializationError(f"emit: the event is {event!r}, must be its name", field="event")
        data = {} if data is None else data
        return self.send(IpcMessage(type="event", event=event, data=data), timeout)

    def recv_json(self, timeout: float | None = None) -> Any:
        """Return the data of the next message if its type is "data", any other value whole (R18, D11).

        Raises:
            SerializationError: It cannot be decoded; it was taken off the channel, which goes on.
            ReceiveFailed: Bytes come next, and stay there: use ``recv_bytes``.
        """
        value = self._decode(self._recv_message(timeout))
        if type(value) is dict and value.get("type") == "data":
            return value.get("data", {})
        return value

    def __iter__(self) -> Iterator[IpcMessage]:
        """Give message after message, until the peer or this side ends the channel.

        Raises:
            SerializationError, MessageTooLarge: A message had to be skipped, as in ``recv``. This ends the
                loop, because nothing may be lost without a word; the channel goes on, and so does a new loop.
            ReceiveFailed: As ``recv``.
        """
        while True:
            try:
                message = self.recv()
            except (Disconnected, ShuttingDown, ChannelClosed):
                return
            yield message

    # ---- life
    # -------------------------------------------------------------------------------------------------

    def _stoppable(self, seconds: float) -> float:
        return seconds if self._transport is None else self._transport.stoppable(seconds)

    def shutdown(self) -> None:
        """End both directions gracefully (R21): the peer receives all that was sent, then Disconnected.

        On this side every call, also one that is blocked, raises ShuttingDown at once. Everything that has
        the same ShutdownState ends as well (R87). Idempotent.
        """
        if self._shutdown_state is not None:
            self._shutdown_state.shutdown()
        self._end_gracefully()

    def _announce_end(self) -> None:
        """Know that all members of the ShutdownState end now: the peer may be one, and end first."""
        if self._transport is not None:
            self._transport.announce_shutdown()

    def _end_gracefully(self) -> None:
        """Shut this channel down alone: what its ShutdownState does with each of its channels."""
        self._is_shutdown = True
        if self._transport is not None:
            self._transport.shutdown()

    @property
    def shutdown_state(self) -> ShutdownState:
        """What the channel ends with: what it was made with, else a state of its own (R85)."""
        return state_of(self)

    def wait_for_drain(self, timeout: float | None = None) -> None:
        """Wait until the calls that are under way on this side have returned (R23).

        So has the handler that the loop of ``start_receiving`` is calling with a message, unless it is that
        handler which calls this. Handlers that a ``MainThreadPump`` calls do not count.

        Most useful after ``shutdown``: then no new ones begin. What ``begin_operation`` of the state guards
        is waited for by ``ShutdownState.drain``.

        Args:
            timeout: Seconds; None waits for ever, 0 looks once.

        Raises:
            ChannelTimeout: A call is still under way: a receive that waits, for instance.
        """
        deadline = deadline_after(checked_timeout(timeout))
        turn = self._turn_under_way()  # first: what is received from now on does not count
        if self._transport is not None:
            self._transport.drain(timeout)
        self._await_turn(turn, deadline)

    _drain = wait_for_drain

    def is_shutdown(self) -> bool:
        """Return whether nothing will be received any more (R22).

        So it is after ``shutdown`` and ``close`` on this side, and in a forked child; and once a receive has
        told that the peer has ended (``receive`` by None), which it does after everything that was sent, or
        that the peer has broken the protocol. ``shutdown_state.is_shutdown()`` tells of this side alone.
        """
        return self._has_ended_here() or self._has_ended or self._peer_has_ended()

    def _has_ended_here(self) -> bool:
        return self._is_shutdown or self.closed

    def _peer_has_ended(self) -> bool:
        return self._transport is not None and self._transport.has_ended

    def close(self) -> None:
        """Shut down and free everything (R28). Blocked calls raise ChannelClosed. Idempotent, never fails."""
        self._is_shutdown = self._is_closed = True
        if self._transport is not None:
            self._transport.close()

    @property
    def closed(self) -> bool:
        """Whether ``close`` was called on this side, or the channel is that of the parent of this process."""
        return self._is_closed or (self._transport is not None and self._transport.closed)

    def __enter__(self: _SelfT) -> _SelfT:
        """Return the channel; it is closed at the end of the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the channel."""
        self.close()

    # ---- what it is
    # -------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The name that the channel was made with (R24)."""
        return self._name

    @property
    def peer(self) -> Peer:
        """The process and the user at the other end."""
        transport = self._opened()
        return Peer(transport.peer_pid, transport.peer_uid)

    @property
    def peer_died(self) -> bool | None:
        """Whether the peer ended without goodbye; None while it lives, or where the wire cannot tell."""
        return self._opened().peer_died

    @property
    def metrics(self) -> IpcChannelMetrics:
        """What the channel has counted: live, and by ``snapshot`` (R104-R115). Never fails, nor connects."""
        return IpcChannelMetrics(self._name, self._metrics_type, self._created_at, self._counted)

    def _counted(self) -> Mapping[str, int]:
        return {} if self._transport is None else self._transport.metrics()

    @property
    def capabilities(self) -> frozenset[str]:
        """What the channel carries: "messages" (not with codec "raw") and "bytes"."""
        return frozenset({"messages", "bytes"} if self._codec.carries_messages else {"bytes"})

    def __repr__(self) -> str:
        """Return the class, the name and the state."""
        state = "closed" if self.closed else "shut down" if self._is_shutdown else "open"
        return f"<{type(self).__name__} {self._name!r} {state}>"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied: two objects would own one connection."""
        raise TypeError("a channel cannot be pickled or copied: connect in the other process")


def _no_messages(timeout: float | None = None) -> NoReturn:
    """Stand in for receiving messages where the codec has none."""
    raise ReceiveFailed("codec 'raw' carries bytes only: use recv_bytes, or another codec for messages")
