"""Accepting on an address, and waiting for handles: the binding of csrc/ipcf/stream.h and wait.h."""

from collections.abc import Sequence
from typing import final

from ipcfast._native.stream_channel import StreamChannel

def wait_any(handles: Sequence[int], timeout: float | None = None) -> int:
    """Sleep until one of the handles is ready for reading.

    Returns the index of the first ready one, -1 on timeout. At most 64 handles. Signal handlers run.
    """

@final
class StreamListener:
    """Own an address and accept connections on it. Nothing here blocks."""

    def __new__(cls, path: str, *, backlog: int = 128, require_same_user: bool = True) -> StreamListener: ...
    @property
    def path(self) -> str: ...
    @property
    def closed(self) -> bool: ...
    def handle(self) -> int:
        """Return the handle to wait for; ready when try_accept has something to do."""
    def try_accept(
        self,
        *,
        framing: str = "length",
        sniff: bool = False,
        skip_noise: bool = False,
        message_limit: int = 67108864,
        read_ahead_limit: int = 134217728,
        spin_us: int = 80,
    ) -> StreamChannel | None: ...
    def close(self) -> None: ...
    def abandon(self) -> None:
        """Forget the listener in a forked child: close descriptors, unlink nothing."""
