"""Channels over local sockets: the binding of csrc/ipcf/stream_channel.h."""

from collections.abc import Sequence
from typing import final

from typing_extensions import Buffer

from ipcfast._native.message_channel import MessageChannel

KIND_ANY: int
KIND_MESSAGE: int
KIND_BYTES: int
KIND_HELLO: int
KIND_WELCOME: int
KIND_REFUSAL: int
__pyx_capi__: dict[str, object]  # for the other bindings

@final
class StreamChannel(MessageChannel):
    """One connection over a socket or pipe, with one of four framings (docs/spec/framing.md).

    ``framing`` is "length" (ipcfast's own), "u32be", "lines" or "content-length". With ``sniff`` the peer's
    first byte decides how receiving is framed.
    """

    @staticmethod
    def connect(
        path: str,
        *,
        require_same_user: bool = True,
        framing: str = "length",
        sniff: bool = False,
        skip_noise: bool = False,
        message_limit: int = 67108864,
        read_ahead_limit: int = 134217728,
        spin_us: int = 80,
    ) -> StreamChannel | None:
        """Connect at once. None when the server's backlog is full: try again later."""
    @staticmethod
    def adopt(
        handle: int,
        *,
        framing: str = "length",
        sniff: bool = False,
        skip_noise: bool = False,
        message_limit: int = 67108864,
        read_ahead_limit: int = 134217728,
        spin_us: int = 80,
    ) -> StreamChannel:
        """Take over an open descriptor or handle; on failure it stays the caller's."""
    @staticmethod
    def adopt_pair(
        read_handle: int,
        write_handle: int,
        *,
        framing: str = "length",
        skip_noise: bool = False,
        message_limit: int = 67108864,
        read_ahead_limit: int = 134217728,
        spin_us: int = 80,
    ) -> StreamChannel:
        """Take over two open descriptors or handles of any kind; they are closed when this raises."""
    @staticmethod
    def pair(
        *,
        framing: str = "length",
        message_limit: int = 67108864,
        read_ahead_limit: int = 134217728,
        spin_us: int = 80,
    ) -> tuple[StreamChannel, StreamChannel]: ...
    def handle(self) -> int:
        """Return the handle to wait for; ready when sniff or a receive has something to read."""
    def sniff(self) -> str | None:
        """Find out the framing of receiving, without waiting; None while the peer has not said anything.

        Raises:
            Disconnected: The peer left without a byte.
            FrameError: The first byte starts no framing.
        """
    def send_handles(
        self, kind: int, body: Buffer, handles: Sequence[int], timeout: float | None = None
    ) -> None:
        """Send a handshake frame; the handles travel with it and stay the caller's."""
    def receive_handles(self, timeout: float | None = None) -> tuple[int, bytes, list[int]]:
        """Return kind, body (at most 4096 bytes) and the handles that came along, which are the caller's."""
    def watch_peer(self) -> None:
        """Notice the death of the peer's process even when a forked child of it keeps the socket.

        Call it before the channel is shared between threads and before fileno().
        """
    def use_times(self) -> None:
        """Let messages tell when they were sent: both ends have agreed on it, in framing "length".

        Call it right after the handshake, before the channel is used.
        """
    def set_send_framing(self, framing: str) -> None: ...
    @property
    def framing(self) -> str:
        """The framing of sending."""
    @property
    def cut_short(self) -> bool:
        """Whether close left a message unfinished: what is written behind it would be taken for its rest."""
