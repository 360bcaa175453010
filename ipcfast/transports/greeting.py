# SPDX-License-Identifier: MIT
"""The acceptor's answer to one hello: the transport that was agreed on (docs/spec/handshake.md)."""

from __future__ import annotations

from collections.abc import Collection

from ipcfast._native.stream_channel import KIND_HELLO, KIND_WELCOME, StreamChannel
from ipcfast.errors import FrameError, IoError
from ipcfast.transports.contract import OWN_FRAMING, Opened, Options
from ipcfast.transports.handshake import RING, STREAM, TIMES, Refused, decode, encode, welcome
from ipcfast.transports.ring import LAYOUT_VERSION, make_segment, offer_ring

__all__ = ["answer_hello"]


def answer_hello(
    connection: StreamChannel,
    kind: int,
    body: bytes,
    options: Options,
    offers: Collection[int] = (STREAM, RING),
    features: int = TIMES,
) -> Opened:
    """Answer the first frame of a client and make the transport; takes over ``connection``.

    Args:
        connection: To the client.
        kind: Of the frame.
        body: Of the frame.
        options: What the acceptor can do.
        offers: The transports that it offers.
        features: The feature bits that this connection can have; no TIMES where it can lead to another
            machine.

    Raises:
        Refused: Nothing could be agreed on; the client has not been told yet.
        Disconnected, ChannelTimeout: The answer could not be handed over.
    """
    try:
        if kind != KIND_HELLO:
            raise FrameError(
                f"the first frame is of kind {kind:#x}, not a hello", expected=KIND_HELLO, found=kind
            )
        answer = welcome(
            decode(body),
            codec=options.codec,
            layout=LAYOUT_VERSION,
            offers=offers,
            features=features,
            capacity_limit=options.capacity_limit,
        )
    except FrameError as error:
        raise Refused(str(error)) from error
    try:
        # All that may be wanting is got before the welcome. (A ring watches the peer by itself, with the
        # descriptor that this one gives back.)
        connection.watch_peer()
        segment = make_segment(answer) if answer.transport == RING else None
    except (IoError, MemoryError) as error:
        raise Refused(f"no descriptors or no memory left for another client: {error}") from error
    if segment is None:
        connection.send_handles(KIND_WELCOME, encode(answer), [], 0.0)
        if answer.features & TIMES:
            connection.use_times()
        return Opened(connection, is_ring=False, framing=OWN_FRAMING)
    transport = offer_ring(connection, segment, answer, options, timeout=0.0)
    return Opened(transport, is_ring=True, framing=OWN_FRAMING)
