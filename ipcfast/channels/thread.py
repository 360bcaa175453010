# SPDX-License-Identifier: MIT
"""Channels between the threads of one process: objects pass as they are (R68-R73, D13)."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

from ipcfast._native.queue import QueueChannel
from ipcfast.channels.ipc_channel import IpcChannel
from ipcfast.channels.shutdown import ShutdownState
from ipcfast.errors import SerializationError
from ipcfast.protocol.messages import IpcMessage
from ipcfast.transports.contract import Options
from ipcfast.transports.thread import thread_loop, thread_pair

__all__ = ["ThreadChannel"]

_ChannelT = TypeVar("_ChannelT", bound="ThreadChannel")


class ThreadChannel(IpcChannel):
    """A bounded channel between threads (R68), many times faster than a ``queue.Queue`` that is waited on.

    A channel made by the constructor is its own peer (D13): any thread receives what any thread sends.
    ``pair`` gives two ends. ``ipcfast.listen`` and ``connect`` with ``thread://name`` give channels of this
    class, so that a program changes between threads and processes by its addresses.

    Nothing is encoded or copied: ``recv`` gives the very IpcMessage that was sent, or one made of the very
    dict, and ``recv_json`` the very object, of any type. So what was sent belongs to the receiver from then
    on; a sender that goes on changing it changes the receiver's. ``send_bytes`` copies what is not ``bytes``.

    A sender waits while ``capacity`` messages are on their way (R72). A message that was not sent in time was
    not sent: ``ChannelTimeout.begun`` is never true.

    Where a ShutdownState is given, or shared with the peer as by ``pair``, what was sent before the shutdown
    can still be received after it; then come ShuttingDown and, from ``receive``, None. With a state of its
    own a channel ends at once as every other.

    Args:
        name: For people; any text.
        capacity: Messages that may be on their way, in each direction (R73).
        spin_us: Microseconds of looking before sleeping; 0 sleeps at once.
        shutdown_state: What the channel ends with.
        transport: What moves the messages, where there is a connection already.
    """

    _metrics_type: ClassVar[str] = "thread"

    def __init__(
        self,
        name: str,
        capacity: int = Options.queue_capacity,
        *,
        spin_us: int = Options.spin_us,
        shutdown_state: ShutdownState | None = None,
        transport: QueueChannel | None = None,
    ) -> None:
        # Its own peer receives what it has sent, also after its shutdown.
        self._drains = shutdown_state is not None or transport is None
        self._queues = transport or thread_loop(Options(queue_capacity=capacity, spin_us=spin_us))
        self._put = self._queues.send_message
        self._take = self._queues.recv_message
        self._try_take = self._queues.try_recv_message
        super().__init__(name, transport=self._queues, shutdown_state=shutdown_state)

    @classmethod
    def pair(
        cls: type[_ChannelT],
        name: str,
        capacity: int = Options.queue_capacity,
        *,
        spin_us: int = Options.spin_us,
        shutdown_state: ShutdownState | None = None,
    ) -> tuple[_ChannelT, _ChannelT]:
        """Return two connected ends, ``<name>_a`` and ``<name>_b`` (R69), that share one ShutdownState (R70).

        Raises:
            ValueError: The capacity or the time is none.
        """
        state = ShutdownState() if shutdown_state is None else shutdown_state
        one, other = thread_pair(Options(queue_capacity=capacity, spin_us=spin_us))
        return (
            cls(f"{name}_a", shutdown_state=state, transport=one),
            cls(f"{name}_b", shutdown_state=state, transport=other),
        )

    def send(self, message: IpcMessage | dict[str, Any], timeout: float | None = None) -> bool:
        """Hand one message over: the IpcMessage or dict itself, which is the receiver's from then on.

        Returns:
            True. Whatever goes wrong raises (D3).

        Raises:
            SerializationError: It is neither.
        """
        if not isinstance(message, (IpcMessage, dict)):
            raise SerializationError(
                f"send takes an IpcMessage or a dict, not {type(message).__name__}: use send_json"
            )
        self._put(message, timeout)
        return True

    def recv(self, timeout: float | None = None) -> IpcMessage:
        """Return the next message: the IpcMessage that was sent, or one made of the dict.

        Raises:
            ChannelTimeout: With a timeout, none came in time (R71).
            Disconnected: The peer has ended, and everything that it sent was received (R71).
            SerializationError: The dict is not a message; it was taken off the channel, which goes on.
            ReceiveFailed: Bytes come next, and stay there: use ``recv_bytes``.
        """
        message = self._take(timeout)
        return message if isinstance(message, IpcMessage) else IpcMessage.from_dict(message)

    def try_recv(self) -> IpcMessage | None:
        """Return what ``recv`` would, or None when none is there. Never waits.

        Raises:
            SerializationError, ReceiveFailed: As ``recv``.
        """
        message = self._try_take()
        if message is None or isinstance(message, IpcMessage):
            return message
        return IpcMessage.from_dict(message)

    def send_json(self, value: Any, timeout: float | None = None) -> None:
        """Hand any object over as the data of a message of type "data"."""
        self._put({"type": "data", "data": value}, timeout)

    def recv_json(self, timeout: float | None = None) -> Any:
        """Return the data of the next message if its type is "data", any other message as a dict.

        Raises:
            ReceiveFailed: Bytes come next, and stay there: use ``recv_bytes``.
        """
        message = self._take(timeout)
        if isinstance(message, IpcMessage):
            return message.data if message.type == "data" else message.to_dict()
        return message.get("data", {}) if message.get("type") == "data" else message

    def _announce_end(self) -> None:
        self._queues.announce_shutdown(self._drains)

    def _end_gracefully(self) -> None:
        self._is_shutdown = True
        self._queues.shutdown(self._drains)

    @property
    def capabilities(self) -> frozenset[str]:
        """What the channel carries: "messages", "bytes" and "objects", which are of any type."""
        return frozenset({"messages", "bytes", "objects"})
