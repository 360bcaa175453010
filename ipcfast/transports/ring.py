# SPDX-License-Identifier: MIT
"""Makes ring transports: two rings in shared memory, and the control connection that watches the peer."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from ipcfast._native.ring_channel import HANDLE_COUNT, LAYOUT_VERSION, RingChannel, RingSegment
from ipcfast._native.stream_channel import KIND_WELCOME, StreamChannel
from ipcfast.errors import FrameError
from ipcfast.transports.contract import Options
from ipcfast.transports.handshake import RING, TIMES, Hello, chosen_capacity, encode
from ipcfast.transports.stream import limits

__all__ = ["LAYOUT_VERSION", "adopt_ring", "close_handles", "make_segment", "offer_ring", "ring_pair"]


def make_segment(answer: Hello) -> RingSegment:
    """As the acceptor: make the rings that a welcome is going to describe.

    Raises:
        IoError, MemoryError: There is no memory, or are no descriptors, for them.
    """
    return RingSegment.create(inbound=answer.to_server, outbound=answer.to_client)


def offer_ring(
    control: StreamChannel, segment: RingSegment, answer: Hello, options: Options, *, timeout: float
) -> RingChannel:
    """As the acceptor: send the rings along with the welcome, and move over to them.

    Takes over ``control`` and the segment.

    Raises:
        Disconnected, ChannelTimeout: The welcome could not be handed over.
        FrameError: The client has sent more than its hello.
        IoError: The system refused, after the welcome was sent.
    """
    try:
        control.send_handles(KIND_WELCOME, encode(answer), segment.handles, timeout)
        return RingChannel(control, segment, times=bool(answer.features & TIMES), **limits(options))
    except BaseException:
        segment.close()
        raise


def adopt_ring(
    control: StreamChannel, answer: Hello, handles: Sequence[int], options: Options
) -> RingChannel:
    """As the client: map the rings that came with the welcome, and move over to them.

    Takes over ``control`` and the handles.

    Raises:
        FrameError: The handles are not what a correct acceptor sends.
    """
    if len(handles) != HANDLE_COUNT:
        close_handles(handles)
        raise FrameError(
            f"{len(handles)} handles came with the rings, {HANDLE_COUNT} are due",
            expected=HANDLE_COUNT,
            found=len(handles),
        )
    segment = RingSegment.adopt(handles, inbound=answer.to_client, outbound=answer.to_server)
    try:
        return RingChannel(control, segment, times=bool(answer.features & TIMES), **limits(options))
    except BaseException:
        segment.close()
        raise


def ring_pair(options: Options) -> tuple[RingChannel, RingChannel]:
    """Return both ends of two rings within this process, made the same way as between two."""
    one, other = StreamChannel.pair()
    capacity = chosen_capacity(options.capacity)
    answer = Hello(
        RING, options.codec, to_server=capacity, to_client=capacity, layout=LAYOUT_VERSION, features=TIMES
    )
    first: RingChannel | None = None
    try:
        first = offer_ring(one, make_segment(answer), answer, options, timeout=0.0)
        _, _, handles = other.receive_handles(0.0)
        return first, adopt_ring(other, answer, handles, options)
    except BaseException:
        for end in (first, one, other):
            if end is not None:
                end.close()
        raise


def close_handles(handles: Sequence[int]) -> None:
    """Close what came from a peer and is not wanted."""
    for handle in handles:
        if sys.platform == "win32":
            import _winapi

            _winapi.CloseHandle(handle)
        else:
            os.close(handle)
