# SPDX-License-Identifier: MIT
"""What a channel leaves to its transport as it is: bytes as messages, and waiting for what comes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ipcfast.transports.contract import Transport

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["OF_THE_TRANSPORT", "Forwarding"]

# The transport does these as they are, so a channel holds the transport's own methods: no call is forwarded
# (65 ns against 86 ns). What a subclass overrides stays overridden.
OF_THE_TRANSPORT = (
    "send_bytes",
    "send_many",
    "recv_bytes",
    "try_recv_bytes",
    "recv_bytes_into",
    "recv_many",
    "poll",
    "fileno",
)


class Forwarding:
    """The methods of IpcChannel that it replaces by the transport's own once it has one."""

    def _opened(self) -> Transport:
        """Return the transport, or raise why there is none."""
        raise NotImplementedError

    # ---- bytes
    # ------------------------------------------------------------------------------------------------

    def send_bytes(self, data: Buffer, timeout: float | None = None) -> None:
        """Send bytes as one message, without a codec. The buffer may be reused when this returns."""
        self._opened().send_bytes(data, timeout)

    def send_many(self, items: Sequence[Buffer], timeout: float | None = None) -> None:
        """Send several byte messages in order; for small ones several times faster than one by one.

        Of no items it finishes a message that an earlier send has begun (``ChannelTimeout.begun``).

        Raises:
            ChannelTimeout: ``.sent`` says how many were handed over, the begun one included.
            SendFailed: One of them cannot travel in this framing; ``.sent`` says how many went before it.
            TypeError, BufferError: One of them is no buffer; none was sent.
        """
        self._opened().send_many(items, timeout)

    def recv_bytes(self, timeout: float | None = None) -> bytes:
        """Return the next byte message.

        Raises:
            ReceiveFailed: A message of a codec comes next, and stays there: use ``recv``.
        """
        return self._opened().recv_bytes(timeout)

    def try_recv_bytes(self) -> bytes | None:
        """Return the next byte message, or None when none is there. Never waits.

        Raises:
            ReceiveFailed: As ``recv_bytes``.
        """
        return self._opened().try_recv_bytes()

    def recv_bytes_into(self, buffer: Buffer, timeout: float | None = None) -> int:
        """Receive the next byte message into a writable buffer of yours.

        Returns:
            Its size in bytes.

        Raises:
            MessageTooLarge: It is larger than the buffer; it stays there.
            ReceiveFailed: As ``recv_bytes``.
        """
        return self._opened().recv_bytes_into(buffer, timeout)

    def recv_many(self, max_bytes: int = 65536, timeout: float | None = None) -> list[bytes]:
        """Wait for one byte message; return it and those there behind it, up to ``max_bytes`` in all.

        The first one is returned whatever its size.

        Raises:
            ReceiveFailed: As ``recv_bytes``, for the first one.
            ValueError: ``max_bytes`` is negative.
        """
        return self._opened().recv_many(max_bytes, timeout)

    # ---- waiting
    # ----------------------------------------------------------------------------------------------

    def poll(self, timeout: float | None = 0.0) -> bool:
        """Return whether a receive would not wait: a message is there, or the end is."""
        return self._opened().poll(timeout)

    def fileno(self) -> int:
        """Return a descriptor for select, asyncio and Qt: readable while ``poll`` is true.

        It belongs to the channel: never read from it. POSIX only.
        """
        return self._opened().fileno()
