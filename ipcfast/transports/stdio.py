# SPDX-License-Identifier: MIT
"""Makes transports over two descriptors, and lends out this process' standard input and output to one."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import threading
from typing import IO, Union

from ipcfast._native.c_streams import flush_standard_output
from ipcfast._native.stream_channel import StreamChannel
from ipcfast.errors import AddressInUse, IoError
from ipcfast.transports.contract import Options
from ipcfast.transports.stream import limits

__all__ = ["Descriptor", "StandardStreams", "over_descriptors", "take_over"]

# A descriptor, or what has one.
Descriptor = Union[int, IO[bytes], IO[str]]

STANDARD_INPUT, STANDARD_OUTPUT, STANDARD_ERROR = range(3)


def over_descriptors(
    reading: int, writing: int, options: Options, *, skip_noise: bool = False
) -> StreamChannel:
    """Return a transport that owns both descriptors; when this raises they are closed.

    Raises:
        ValueError: One of them is not open for its direction, or is nothing that carries bytes.
        IoError: The system refused, or cannot do that (Windows).
    """
    return StreamChannel.adopt_pair(
        reading, writing, framing=options.framing, skip_noise=skip_noise, **limits(options)
    )


def take_over(reader: Descriptor, writer: Descriptor, options: Options, *, skip_noise: bool) -> StreamChannel:
    """Return a transport over two descriptors or file objects; the latter are closed.

    Raises:
        ValueError, IoError: As ``over_descriptors``; nothing was closed.
    """
    own: list[int] = []
    try:
        for thing in (reader, writer):
            if not isinstance(thing, int) and thing is writer and hasattr(thing, "flush"):
                thing.flush()
            own.append(os.dup(thing if isinstance(thing, int) else thing.fileno()))
        reading, writing = own
        own = []  # from here on somebody else closes them
        transport = over_descriptors(reading, writing, options, skip_noise=skip_noise)
    except BaseException as error:
        for descriptor in own:
            os.close(descriptor)
        if isinstance(error, OSError) and not isinstance(error, IoError):
            raise IoError(
                f"cannot take {reader!r} and {writer!r} over: {error}", errno=error.errno
            ) from error
        raise
    for thing in {id(thing): thing for thing in (reader, writer)}.values():
        # What a file object still holds has been written, or has no reader: closing has nothing to say.
        with contextlib.suppress(OSError):
            os.close(thing) if isinstance(thing, int) else thing.close()
    return transport


class StandardStreams:
    """Standard input and output of this process, moved to where nobody else can write into them (R2).

    From the constructor on, descriptor 1 is standard error and descriptor 0 the null device, for this
    process, its C code and all that it starts; ``reading`` and ``writing`` are what they were. There is one
    of these at a time. Safe from several threads.

    Attributes:
        reading: What was standard input.
        writing: What was standard output.
    """

    _taken: StandardStreams | None = None
    _ended = False
    _taking = threading.RLock()

    def __init__(self) -> None:
        with StandardStreams._taking:
            if StandardStreams._taken is not None:
                raise AddressInUse(
                    "standard input and output of this process carry another channel: close that first",
                    filename="stdio://",
                )
            if StandardStreams._ended:
                raise IoError(
                    "standard input and output of this process have been shut down, or belong to the parent",
                    errno=errno.EPIPE,
                    filename="stdio://",
                )
            self._lock = threading.RLock()
            self._saved: list[int] = []
            self.reading = self.writing = -1
            try:
                self._move()
            except BaseException as error:
                self._undo()
                if isinstance(error, OSError):
                    raise IoError(
                        f"standard input and output cannot carry a channel: {error.strerror}; are they open?",
                        errno=error.errno,
                        filename="stdio://",
                    ) from error
                raise
            StandardStreams._taken = self

    def _move(self) -> None:
        flush_printed()
        self.reading = private(STANDARD_INPUT)
        self.writing = private(STANDARD_OUTPUT)
        saved = [private(STANDARD_INPUT)]
        try:
            saved.append(private(STANDARD_OUTPUT))
        finally:
            self._saved = saved
        null = os.open(os.devnull, os.O_RDWR)
        try:
            os.dup2(null, STANDARD_INPUT, inheritable=True)
            os.dup2(STANDARD_ERROR if is_open(STANDARD_ERROR) else null, STANDARD_OUTPUT, inheritable=True)
        finally:
            os.close(null)
        # Text that is buffered by the block, because there was a pipe, would appear long after what it tells.
        self._buffered_lines = getattr(sys.stdout, "line_buffering", None)
        set_line_buffering(True)

    def end(self) -> None:
        """Let go of what they were, whose other side reads the end; they stay where they are. Idempotent."""
        with self._lock:
            saved, self._saved = self._saved, []
        for descriptor in saved:
            os.close(descriptor)
        with StandardStreams._taking:
            if StandardStreams._taken is self:
                StandardStreams._ended = True

    def _undo(self) -> None:
        """Leave nothing of an attempt that failed."""
        self._put_back()
        for descriptor in (self.reading, self.writing):
            if descriptor >= 0:
                os.close(descriptor)

    def restore(self) -> None:
        """Make them what they were, unless ``end`` was called. Idempotent."""
        with self._lock:
            self._put_back()
        with StandardStreams._taking:
            if StandardStreams._taken is self:
                StandardStreams._taken = None

    def _put_back(self) -> None:
        saved, self._saved = self._saved, []
        if not saved:
            return
        flush_printed()  # which was meant for standard error
        for target, descriptor in enumerate(saved):
            os.dup2(descriptor, target, inheritable=True)
            os.close(descriptor)
        if getattr(self, "_buffered_lines", None) is not None:
            set_line_buffering(bool(self._buffered_lines))

    @classmethod
    def abandon(cls) -> None:
        """In a forked child: they are the parent's wire, which this process must not hold open."""
        cls._taking = threading.RLock()
        taken = cls._taken
        if taken is not None:
            cls._taken, cls._ended = None, True
            taken._lock = threading.RLock()
            saved, taken._saved = taken._saved, []
            for descriptor in saved:
                os.close(descriptor)


def private(descriptor: int) -> int:
    """Return a duplicate that no program started from here inherits, beyond the three standard numbers."""
    if sys.platform == "win32":
        return os.dup(descriptor)
    import fcntl

    return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, STANDARD_ERROR + 1)


def is_open(descriptor: int) -> bool:
    """Return whether the descriptor stands for anything."""
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def flush_printed() -> None:
    """Write out what Python and C code have printed; what cannot be written must not stop us."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stdout.flush()
    flush_standard_output()


def set_line_buffering(is_on: bool) -> None:
    """Let ``print`` write line by line, or not; other objects in place of sys.stdout are left alone."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stdout.reconfigure(line_buffering=is_on)  # type: ignore[union-attr]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=StandardStreams.abandon)
