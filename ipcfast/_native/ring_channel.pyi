"""Whole messages through shared memory: the binding of csrc/ipcf/ring_channel.h."""

from collections.abc import Sequence
from typing import final

from ipcfast._native.message_channel import MessageChannel
from ipcfast._native.stream_channel import StreamChannel

LAYOUT_VERSION: int
HANDLE_COUNT: int

@final
class RingSegment:
    """Two rings and their doorbells, before a channel is made of them.

    ``inbound`` is the capacity in bytes of the ring that this side reads, ``outbound`` of the one it writes;
    both are powers of two between 4096 and 2**30, else ValueError.
    """

    @staticmethod
    def create(*, inbound: int = 262144, outbound: int = 262144) -> RingSegment: ...
    @staticmethod
    def adopt(handles: Sequence[int], *, inbound: int, outbound: int) -> RingSegment:
        """Take over the handles that the creator sent. They are closed when that fails, with FrameError."""
    @property
    def handles(self) -> list[int]:
        """The handles to send to the peer; they stay the segment's."""
    def close(self) -> None: ...

@final
class RingChannel(MessageChannel):
    """One connection through two rings (docs/spec/ring.md)."""

    def __new__(
        cls,
        control: StreamChannel,
        segment: RingSegment,
        *,
        message_limit: int = 67108864,
        read_ahead_limit: int = 134217728,
        spin_us: int = 80,
        times: bool = False,
    ) -> RingChannel:
        """Take over the control connection and the segment; both are unusable afterwards.

        times: Both ends have agreed that messages may tell when they were sent.

        FrameError when bytes have arrived on the control connection that belong to no handshake.
        """
