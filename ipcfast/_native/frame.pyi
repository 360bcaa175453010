"""Frames on a stream of bytes, without any input or output: the binding of csrc/ipcf/frame.h.

The grammar of each framing is docs/spec/framing.md. Framings: ``"length"`` (ipcfast's own), ``"u32be"``,
``"lines"``, ``"content-length"``; for decoders also ``"sniff"``, where the first byte decides.
"""

from collections.abc import Iterable
from typing import final

from typing_extensions import Buffer

from ipcfast.errors import FrameError, MessageTooLarge

# The names that stand for a framing, "sniff" not among them, and the C core's number of each.
FRAMINGS: dict[str, int]

@final
class FrameDecoder:
    """Cut a stream that comes in pieces of any size into frames (R180, R269).

    Memory: at most the unfinished frame is held, copied from what was fed; it grows as bytes arrive, never to
    a size that a header tells, and stays below twice (``limit`` + 8 KiB + one piece). Bodies handed out are
    the caller's.

    Threads: one at a time (``RuntimeError`` otherwise). The GIL is kept, but for copies of 32 KiB and more.

    Args:
        framing: One of the framings, or ``"sniff"``.
        limit: Bytes of the largest body accepted; 0 to 2**62 - 1.
        skip_noise: With ``"lines"`` and ``"content-length"``: lines that cannot start a frame are reported in
            ``notices`` and skipped, where they would otherwise be bodies or end the stream.

    Raises:
        ValueError: An unknown framing, or a limit out of range.
    """

    def __new__(cls, framing: str, *, limit: int = 67108864, skip_noise: bool = False) -> FrameDecoder: ...
    def feed(self, data: Buffer) -> list[bytes]:
        """Take in the next bytes of the stream; return the bodies of the frames that are now whole, in order.

        Everything else goes past the list, so that the usual path costs nothing more: after the bodies look
        at ``notices`` for what was dropped, and at ``error`` for the end of the stream::

            for body in decoder.feed(data):
                ...
            for index, notice in decoder.notices:
                ...
            if decoder.error is not None:
                raise decoder.error

        Args:
            data: Contiguous bytes; not needed any more after the call.

        Raises:
            FrameError: The bytes are no frame. What came before in the same piece is delivered first: when
                this call has bodies or notices, it returns them, and the next call raises. Every later
                call raises again.
            RuntimeError: Another thread is feeding the decoder.
            MemoryError: Bytes were lost; every later call raises it again.
        """
    def feed_frames(self, data: Buffer) -> list[tuple[int, bytes]]:
        """Do what ``feed`` does, and return each body with its kind (0 where the wire does not say)."""
    @property
    def notices(self) -> list[tuple[int, bytes | MessageTooLarge]]:
        """What the last ``feed`` met beside bodies, in order; empty as a rule.

        Each with the number of bodies of that feed that came before it. ``bytes`` are noise: a line, its end
        included, or a piece of 8192 bytes of a longer one. ``MessageTooLarge`` stands for a frame beyond
        the limit that was dropped (``size`` in bytes; for lines limit + 1, which means "at least").
        """
    @property
    def error(self) -> FrameError | MemoryError | None:
        """The error that has ended the stream, as soon as it has been found."""
    @property
    def framing(self) -> str | None:
        """The framing; None while it is to be sniffed and nothing has come."""
    @property
    def pending(self) -> int:
        """Bytes held of an unfinished frame: when the stream ends and this is not 0, it was cut off."""

__pyx_capi__: dict[str, object]  # for the other bindings

def encode_frame(framing: str, body: Buffer, *, kind: int = 2) -> bytes:
    """Return the frame that carries ``body``: header, body and trailer (R180, R269).

    Args:
        framing: One of the framings, not ``"sniff"``.
        body: Any bytes; for ``"lines"`` without newline, not blank, not ending in a carriage return.
        kind: What the body is, for ``"length"`` only: 0 any, 1 message, 2 bytes, 0xF0 goodbye (no body),
            0xF1 to 0xF3 of the handshake.

    Raises:
        ValueError: An unknown framing or kind, or a body that would not arrive as it was.
        MessageTooLarge: The framing cannot tell a size like that (``"u32be"``: from 2**32 bytes on).
    """

def encode_frames(framing: str, bodies: Iterable[Buffer], *, kind: int = 2) -> bytes:
    """Return the frames that carry the bodies, one after the other; as ``encode_frame``, but all or none."""
