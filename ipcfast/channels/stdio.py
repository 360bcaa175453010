# SPDX-License-Identifier: MIT
"""Channels over standard input and output, and over any other two descriptors (R2, R117)."""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, ClassVar

from ipcfast._native.stream_channel import StreamChannel
from ipcfast.channels.ipc_channel import IpcChannel
from ipcfast.channels.shutdown import ShutdownState, join
from ipcfast.errors import ChannelTimeout, IoError, SerializationError
from ipcfast.protocol.codec import codec_named
from ipcfast.protocol.messages import IpcMessage
from ipcfast.transports.contract import Options
from ipcfast.transports.stdio import Descriptor, StandardStreams, take_over

__all__ = ["NOISE_LINE_MAX", "StdioChannel", "connect_stdio", "stdio_pair"]

logger = logging.getLogger(__name__)

FRAMING = "lines"
# What is handed out of one line of noise (IPCF_NOISE_PIECE_MAX).
NOISE_LINE_MAX = 8192
# What a line that is no message is read as, and how many are passed over once the time is up.
NOISE = object()
NOISE_AT_ONCE = 64
# Framings in which a line that nobody meant for the wire can be told from a message.
NOISY_FRAMINGS = ("lines", "content-length")


class StdioChannel(IpcChannel):
    r"""A channel over two descriptors: this process' standard input and output, or those of a child (R2).

    *In a child*, ``StdioChannel()`` or ``ipcfast.connect("stdio://")`` takes standard input and output away
    from everybody else: the wire moves to private descriptors, descriptor 1 becomes standard error and
    descriptor 0 the null device. So ``print()``, C's ``printf`` and programs started from here cannot write
    into the wire, nor read from it: what they print appears on standard error, and reading finds the end.
    Where the parent has made standard error the wire, too (``2>&1``), what is printed goes nowhere, which is
    logged as a warning.

    ``close`` gives both back, as does garbage collection; the peer reads the end when this process ends.
    Messages that had come and were not received are lost then: the channel reads ahead, so whoever reads
    standard input next, a new channel included, finds what comes behind them. ``shutdown`` ends the wire for
    good: the peer reads the end at once, and standard output stays standard error. So it does when ``close``
    leaves a message unfinished, and at the interpreter's exit: what handlers, threads and C code print last
    is no part of the wire. There can be one such channel in a process at a time. Open it before anything
    reads from ``sys.stdin``, which reads ahead, and at the end of a line: half a line that was printed before
    is read as the beginning of the first message.

    *In a parent*, ``StdioChannel.of(child.stdout, child.stdin)`` speaks to a child. Lines that are no
    messages ("noise", from a child that prints into its wire) are passed over, counted and handed to
    ``on_noise``: with framing "lines" every line that begins with neither "{" nor "[", so no number or text
    by itself is a message, with "content-length" every line before a header that is none. ``recv`` and
    ``recv_json`` pass over lines that cannot be decoded as well; ``recv_bytes``, ``recv_many`` and ``poll``
    do not decode. The rest of a message's own line is never noise.

    With "lines" a message of bytes is one line of text without its end. None of the framings but "length"
    tells messages from bytes, or says goodbye, so ``peer_died`` is None after an ordinary end. Who the peer
    is the system does not tell.

    Threads, timeouts and errors are those of IpcChannel. POSIX only.

    Args:
        reader: What to read from: a descriptor or a file object; None for standard input. Nothing may have
            been read through it. The channel takes it over: a file object is closed, a descriptor's number is
            free again.
        writer: What to write to, likewise; None for standard output. Both are given, or neither is.
        name: The channel's name.
        framing: "lines", "content-length", "u32be", or "length", which is ipcfast's own without a handshake.
        codec: "json", "msgpack", "raw" or, with framing "length", "pickle"; the peer has to use the same.
            With "pickle" whoever writes to the reader can run code in this process.
        message_limit: As for ``ipcfast.listen``.
        read_ahead_limit: As for ``ipcfast.listen``.
        spin_us: As for ``ipcfast.listen``.
        skip_noise: Whether to pass over lines that are no messages. None: with JSON in a parent. Where it is
            off such a line raises SerializationError ("lines"), or ends the channel with FrameError.
        on_noise: Called with each line of noise, without its end and cut after 8192 bytes, in the thread
            that receives or polls. What it raises is logged.
        shutdown_state: What the channel ends with.

    Raises:
        AddressInUse: Another channel of this process has standard input and output.
        IoError: The system refused, for instance because standard output is closed.
        ShuttingDown: ``shutdown_state`` is shut down already, and standard input and output were asked for.
        ValueError: An option is none, or a descriptor is not open for its direction.
    """

    _metrics_type: ClassVar[str] = "stdio"

    def __init__(
        self,
        reader: Descriptor | None = None,
        writer: Descriptor | None = None,
        *,
        name: str = "stdio",
        framing: str = FRAMING,
        codec: str = Options.codec,
        message_limit: int = Options.message_limit,
        read_ahead_limit: int = Options.read_ahead_limit,
        spin_us: int = Options.spin_us,
        skip_noise: bool | None = None,
        on_noise: Callable[[bytes], object] | None = None,
        shutdown_state: ShutdownState | None = None,
    ) -> None:
        super().__init__(name, codec=codec)
        if (reader is None) != (writer is None):
            raise ValueError("StdioChannel takes a reader and a writer, or neither")
        options = Options(framing, codec, message_limit, read_ahead_limit, spin_us)
        if skip_noise is None:
            skip_noise = reader is not None and codec_named(codec).name == "json"
        skip_noise = skip_noise and framing in NOISY_FRAMINGS
        self._framing = framing
        self._noise = Noise(on_noise)
        self._skips_lines = skip_noise and framing == "lines"
        self._standard: StandardStreams | None = None
        if reader is not None and writer is not None:
            transport = take_over(reader, writer, options, skip_noise=skip_noise)
        else:
            if shutdown_state is not None:
                shutdown_state.check()  # else they would be taken to be ended at once, for the whole process
            transport = self._take_standard_streams(options, skip_noise)
        if skip_noise:
            transport.on_noise = self._noise.taker()
        self._attach(transport)
        join(self, shutdown_state)

    def _take_standard_streams(self, options: Options, skip_noise: bool) -> StreamChannel:
        self._standard = standard = StandardStreams(options, skip_noise=skip_noise)
        # When nobody closes the channel. At the interpreter's exit the wire is only ended: what is printed
        # after that must not get there.
        weakref.finalize(self, standard.give_back).atexit = False
        weakref.finalize(self, standard.transport.close)
        if standard.is_merged:
            logger.warning(
                "standard error is the same as standard output, which is the wire now: what is printed goes "
                "nowhere until the channel is closed; the parent should leave the two apart"
            )
        return standard.transport

    @classmethod
    def of(cls, reader: Descriptor, writer: Descriptor, **options: Any) -> StdioChannel:
        """Speak over two descriptors or file objects, such as a child's ``stdout`` and ``stdin``.

        Args:
            reader: What to read from; taken over, as by the constructor.
            writer: What to write to; likewise.
            options: As for the constructor.

        Raises:
            ValueError, IoError: As the constructor; both stay the caller's then.
        """
        return cls(reader, writer, **options)

    # ---- noise

    @property
    def noise_count(self) -> int:
        """How many lines have been passed over because they were no messages."""
        return self._noise.count

    def recv(self, timeout: float | None = None) -> IpcMessage:
        """Return the next message (R15); noise before it is passed over.

        Raises:
            SerializationError: It is no message; it was taken off the channel, which goes on.
            ReceiveFailed: Bytes come next, and stay there: use ``recv_bytes``.
        """
        return IpcMessage.from_dict(self._value(timeout))

    def try_recv(self) -> IpcMessage | None:
        """Return the next message, or None when none is there (R16). Never waits.

        Raises:
            SerializationError, ReceiveFailed: As ``recv``.
        """
        for _ in range(NOISE_AT_ONCE):
            document = self._try_recv_message()
            if document is None:
                return None
            value = self._read(document)
            if value is not NOISE:
                return IpcMessage.from_dict(value)
        return None

    def recv_json(self, timeout: float | None = None) -> Any:
        """Return the data of the next message if its type is "data", any other value whole (R18, D11).

        Raises:
            SerializationError: It cannot be decoded; it was taken off the channel, which goes on.
            ReceiveFailed: Bytes come next, and stay there: use ``recv_bytes``.
        """
        value = self._value(timeout)
        if type(value) is dict and value.get("type") == "data":
            return value.get("data", {})
        return value

    def _value(self, timeout: float | None) -> Any:
        """Return what the next message holds."""
        if not self._skips_lines:
            return self._decode(self._recv_message(timeout))
        deadline = None if timeout is None else time.monotonic() + timeout
        passed = 0
        while True:
            value = self._read(self._recv_message(timeout))
            if value is not NOISE:
                return value
            passed += 1
            if deadline is not None:
                timeout = max(0.0, deadline - time.monotonic())
                if timeout == 0.0 and passed >= NOISE_AT_ONCE:
                    raise ChannelTimeout(
                        "recv: the timeout passed; nothing came but lines that are no messages"
                    )

    def _read(self, document: bytes) -> Any:
        """Return what a document holds; NOISE for one that is none, where such lines are passed over."""
        try:
            return self._decode(document)
        except SerializationError:
            if not self._skips_lines:
                raise
            self._noise.tell(document)
            return NOISE

    # ---- life

    def _end_gracefully(self) -> None:
        """Shut this channel down alone, and let go of what standard input and output were."""
        super()._end_gracefully()
        if self._standard is not None:
            self._standard.end()

    def close(self) -> None:
        """Free everything, and give standard input and output back, but for what is said above (R28).

        Blocked calls raise ChannelClosed. Idempotent, never fails.
        """
        super().close()
        if self._standard is not None:
            self._standard.give_back()

    @property
    def framing(self) -> str:
        """How messages are cut out of the stream of bytes."""
        return self._framing


def connect_stdio(
    address: str,
    options: Options,
    framing: str | None,
    prefix: str | None,
    shutdown_state: ShutdownState | None,
) -> StdioChannel:
    """Return the channel over standard input and output that ``stdio://`` names: "lines" by default.

    Raises:
        AddressInUse, IoError: As StdioChannel.
        ValueError: The address has another form, or a framing of its own beside ``framing``.
    """
    place, mark, query = address.partition("?")
    key, _, named = query.partition("=")
    if place != "stdio://" or (mark and key != "framing"):
        raise ValueError(f"address {address!r} is not stdio:// or stdio://?framing=content-length")
    if options.secret is not None or prefix is not None:
        raise ValueError("stdio:// takes neither a secret, which is for tcp://, nor a prefix")
    if mark and framing is not None:
        raise ValueError(f"address {address!r} names a framing, and framing={framing!r} another: give one")
    return StdioChannel(
        framing=named if mark else framing or FRAMING,
        codec=options.codec,
        message_limit=options.message_limit,
        read_ahead_limit=options.read_ahead_limit,
        spin_us=options.spin_us,
        shutdown_state=shutdown_state,
    )


def stdio_pair(
    options: Options, shutdown_state: ShutdownState | None = None
) -> tuple[StdioChannel, StdioChannel]:
    """Return both ends of two pipes within this process.

    Raises:
        IoError: The system refused.
    """
    pipes: list[int] = []
    channels: list[StdioChannel] = []
    try:
        pipes += os.pipe()
        pipes += os.pipe()
        for name, reader, writer in (("stdio_a", 2, 1), ("stdio_b", 0, 3)):
            channel = StdioChannel(
                pipes[reader],
                pipes[writer],
                name=name,
                framing=options.framing,
                codec=options.codec,
                message_limit=options.message_limit,
                read_ahead_limit=options.read_ahead_limit,
                spin_us=options.spin_us,
                shutdown_state=shutdown_state,
            )
            channels.append(channel)
    except BaseException as error:
        for made in channels:
            made.close()
        for position in (0, 3) if channels else range(len(pipes)):
            os.close(pipes[position])
        if isinstance(error, OSError) and not isinstance(error, IoError):
            raise IoError(f"pipes within this process: {error.strerror}", errno=error.errno) from error
        raise
    return channels[0], channels[1]


class Noise:
    """Counts lines of noise and hands them out."""

    def __init__(self, on_noise: Callable[[bytes], object] | None) -> None:
        self._on_noise = on_noise
        self._lock = threading.Lock()
        self._in_line = False
        self.count = 0

    def taker(self) -> Callable[[bytes], None]:
        """Return ``take`` for a transport, which may outlive its channel and must not keep it alive."""
        method = weakref.WeakMethod(self.take)

        def take(piece: bytes) -> None:
            if (living := method()) is not None:
                living(piece)

        return take

    def take(self, piece: bytes) -> None:
        """Take a piece that the transport found; only the first one of a line is handed out."""
        with self._lock:
            is_first, self._in_line = not self._in_line, not piece.endswith(b"\n")
        if is_first:
            self.tell(piece.rstrip(b"\r\n"))

    def tell(self, line: bytes) -> None:
        """Count one line, and hand it out as far as that goes."""
        with self._lock:
            self.count += 1
        line = line[:NOISE_LINE_MAX]
        if self._on_noise is None:
            logger.debug("passed over a line that is no message: %r", line)
            return
        try:
            self._on_noise(line)
        except Exception:
            logger.exception("on_noise failed")
