"""The transport between threads of one process: the binding of csrc/ipcf/queue.h."""

from collections.abc import Callable, Sequence
from typing import Any, final

from typing_extensions import Buffer

from ipcfast._native.stop import StoppableTimeout

@final
class QueueChannel:
    """One end of two bounded queues of objects. Made by pair and loop only. Safe from several threads.

    What send_message is given is what recv_message returns: the same object, not a copy. The queue owns a
    reference to it meanwhile. send_bytes hands over bytes as they are, and a copy of other buffers.
    ``capacity`` is in messages of each direction. Else as _native.MessageChannel, but that no message is ever
    begun: one that timed out was not sent.
    """

    @staticmethod
    def pair(*, capacity: int = 10000, spin_us: int = 80) -> tuple[QueueChannel, QueueChannel]: ...
    @staticmethod
    def loop(*, capacity: int = 10000, spin_us: int = 80) -> QueueChannel:
        """Make an end that is its own peer: what it sends it receives."""
    def send_message(self, data: Any, timeout: float | None = None) -> None: ...
    def send_bytes(self, data: Buffer, timeout: float | None = None) -> None: ...
    def send_many(
        self,
        items: Sequence[Buffer],
        timeout: float | None = None,
        *,
        tell: Callable[[], object] | None = None,
    ) -> None:
        """Send in order. tell: called after some were sent, before a wait for room and at the end."""
    def recv_message(self, timeout: float | None = None) -> Any: ...
    def recv_bytes(self, timeout: float | None = None) -> bytes: ...
    def try_recv_message(self) -> Any: ...
    def try_recv_bytes(self) -> bytes | None: ...
    def recv_bytes_into(self, buffer: Buffer, timeout: float | None = None) -> int: ...
    def recv_many(self, max_bytes: int = 65536, timeout: float | None = None) -> list[bytes]: ...
    def poll(self, timeout: float | None = 0.0) -> bool: ...
    def stoppable(self, seconds: float) -> StoppableTimeout:
        """Make a timeout for ``recv_message`` and ``recv_bytes`` that can be stopped."""
    def wake_receivers(self) -> None:
        """Make receives that wait look for a stop: the second half of StoppableTimeout.stop."""
    def drain(self, timeout: float | None = None) -> None:
        """Wait until no call of this end waits any more."""
    def fileno(self) -> int: ...
    @property
    def peer_pid(self) -> int: ...
    @property
    def peer_uid(self) -> int | None: ...
    @property
    def peer_died(self) -> bool | None:
        """False once the peer has ended; None before."""
    @property
    def has_ended(self) -> bool:
        """Whether a receive has told of the end: nothing will come any more."""
    @property
    def lengths(self) -> tuple[int, int]:
        """Messages that wait at present: to be received here, to be received by the peer."""
    @property
    def peak_lengths(self) -> tuple[int, int]:
        """The most of them there ever were."""
    def metrics(self) -> dict[str, int]:
        """Return what has been counted, by the names of ipcf_metrics (csrc/ipcf/metrics.h). At any time.

        Bytes are those of raw messages: an object has none.
        """
    @property
    def closed(self) -> bool: ...
    def is_shutdown(self) -> bool: ...
    def announce_shutdown(self, drains: bool = False) -> None:
        """Do the first half of ``shutdown``, of which the peer learns nothing."""
    def shutdown(self, drains: bool = False) -> None:
        """End both directions. drains: what has come already can still be received, else it is released."""
    def close(self) -> None: ...
    def abandon(self) -> None:
        """Forget the channel in a forked child."""
