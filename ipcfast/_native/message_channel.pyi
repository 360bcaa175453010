"""What every native channel does with messages: the binding of csrc/ipcf/channel.h."""

from collections.abc import Callable, Sequence

from typing_extensions import Buffer, disjoint_base

from ipcfast._native.stop import StoppableTimeout

@disjoint_base
class MessageChannel:
    """One connection that carries whole messages. Made by its subclasses only. Safe from several threads.

    Timeouts are in seconds, None waits for ever. recv_bytes takes raw bytes, recv_message documents of a
    codec; a wire that does not tell them apart gives either. Another kind at the head raises ReceiveFailed
    and stays there. What is returned is the caller's; what is passed in is read before the call returns.

    Attributes:
        on_noise: Called in the thread that receives or polls with each piece of noise, at most 8192 bytes
            that end with their line, when the channel was made with skip_noise. None: noise is dropped. What
            it raises the receiving call raises.
    """

    on_noise: Callable[[bytes], object] | None

    def __init__(self, *args: object, **kwargs: object) -> None:
        """Refuse to be made other than by a subclass."""
    def send_bytes(self, data: Buffer, timeout: float | None = None) -> None: ...
    def send_message(self, data: Buffer, timeout: float | None = None) -> None: ...
    def send_many(self, items: Sequence[Buffer], timeout: float | None = None) -> None: ...
    def recv_bytes(self, timeout: float | None = None) -> bytes: ...
    def recv_message(self, timeout: float | None = None) -> bytes: ...
    def try_recv_bytes(self) -> bytes | None: ...
    def try_recv_message(self) -> bytes | None: ...
    def recv_bytes_into(self, buffer: Buffer, timeout: float | None = None) -> int: ...
    def recv_many(self, max_bytes: int = 65536, timeout: float | None = None) -> list[bytes]: ...
    def poll(self, timeout: float | None = 0.0) -> bool: ...
    def stoppable(self, seconds: float) -> StoppableTimeout:
        """Make a timeout for ``recv_message`` and ``recv_bytes`` that can be stopped."""
    def wake_receivers(self) -> None:
        """Make receives that wait look for a stop: the second half of StoppableTimeout.stop."""
    def drain(self, timeout: float | None = None) -> None:
        """Wait until the operations that are under way in both directions have left."""
    def fileno(self) -> int: ...
    @property
    def peer_pid(self) -> int | None: ...
    @property
    def peer_uid(self) -> int | None: ...
    def set_peer(self, pid: int | None, uid: int | None, process: int | None) -> None:
        """Say who the peer is, where the system cannot tell: this process made both ends.

        ``process`` is a handle that tells of its end, and is taken over. Call it before the channel is shared
        between threads and before fileno().
        """
    @property
    def peer_died(self) -> bool | None:
        """Whether the peer ended without goodbye; None while it lives or where the wire cannot tell."""
    @property
    def has_ended(self) -> bool:
        """Whether a receive has told of the peer's end, or of a fault of it: nothing will come any more."""
    @property
    def closed(self) -> bool: ...
    def metrics(self) -> dict[str, int]:
        """Return what has been counted, by the names of ipcf_metrics (csrc/ipcf/metrics.h). At any time."""
    def is_shutdown(self) -> bool: ...
    def announce_shutdown(self) -> None:
        """Do the first half of ``shutdown``, of which the peer learns nothing."""
    def shutdown(self) -> None: ...
    def close(self) -> None: ...
    def abandon(self) -> None:
        """Forget the channel in a forked child: close descriptors without a word to the peer."""
