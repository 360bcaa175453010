# SPDX-License-Identifier: MIT
"""Makes transports over two descriptors, and lends out this process' standard input and output to one."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import threading
from collections.abc import Callable, Iterable
from typing import IO, Any, Union

from ipcfast._native.c_streams import flush_standard_output
from ipcfast._native.stream_channel import StreamChannel
from ipcfast.errors import AddressInUse, IoError
from ipcfast.transports.contract import Options
from ipcfast.transports.stream import limits

__all__ = ["Descriptor", "StandardStreams", "over_descriptors", "take_over"]

# A descriptor, or what has one.
Descriptor = Union[int, IO[bytes], IO[str]]

STANDARD_INPUT, STANDARD_OUTPUT, STANDARD_ERROR = range(3)
OUTPUTS, ERRORS = ("stdout", "__stdout__"), ("stderr", "__stderr__")

# Held while descriptors change hands, and by a thread that forks: its child finds nothing half moved, and
# every duplicate in the hands of somebody who closes it there.
_moving = threading.RLock()


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
    """Return a transport over two descriptors or file objects; both are closed, once where they are one.

    Raises:
        ValueError, IoError: As ``over_descriptors``; nothing was closed.
    """
    check_system()
    try:
        if not isinstance(writer, int) and hasattr(writer, "flush"):
            writer.flush()
        numbers = [thing if isinstance(thing, int) else thing.fileno() for thing in (reader, writer)]
        with _moving:
            reading, writing = duplicates(numbers, os.dup)
            transport = over_descriptors(reading, writing, options, skip_noise=skip_noise)
            let_go(reader, writer)
            return transport
    except OSError as error:
        if isinstance(error, IoError):
            raise
        raise IoError(f"cannot take {reader!r} and {writer!r} over: {error}", errno=error.errno) from error


def let_go(*things: Descriptor) -> None:
    """Close what has been taken over: once, also where the same is given twice."""
    for thing in {thing if isinstance(thing, int) else id(thing): thing for thing in things}.values():
        # What a file object still holds has been written, or has no reader: closing has nothing to say.
        with contextlib.suppress(OSError):
            os.close(thing) if isinstance(thing, int) else thing.close()


class StandardStreams:
    """Standard input and output of this process, moved to where nobody else can write into them (R2).

    From the constructor on, descriptor 1 is standard error and descriptor 0 the null device, for this
    process, its C code and all that it starts. Where standard error is the wire as well (``2>&1``), 1 and 2
    are the null device. There is one of these at a time. Safe from several threads.

    Attributes:
        transport: Speaks over what standard input and output were.
        is_merged: Whether standard error was the wire as well.
    """

    _taken: StandardStreams | None = None
    _ended = False

    def __init__(self, options: Options, *, skip_noise: bool) -> None:
        check_system()
        with _moving:
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
            self.is_merged = False
            self._saved: dict[int, int] = {}
            self._line_buffered: list[tuple[Any, bool]] = []
            try:
                self.transport = self._move(options, skip_noise)
            except BaseException as error:
                self._put_back()
                if isinstance(error, OSError) and not isinstance(error, IoError):
                    raise IoError(
                        f"standard input and output cannot carry a channel: {error.strerror}; are they open?",
                        errno=error.errno,
                        filename="stdio://",
                    ) from error
                raise
            StandardStreams._taken = self

    def _move(self, options: Options, skip_noise: bool) -> StreamChannel:
        flush_printed(*OUTPUTS)
        reading, writing = duplicates((STANDARD_INPUT, STANDARD_OUTPUT), private)
        try:
            self._divert()
        except BaseException:
            os.close(reading)
            os.close(writing)
            raise
        # Text that is buffered by the block, because there was a pipe, would appear long after what it tells.
        for stream in objects_named(*OUTPUTS):
            self._line_buffered.append((stream, getattr(stream, "line_buffering", False)))
            set_line_buffering(stream, True)
        return over_descriptors(reading, writing, options, skip_noise=skip_noise)

    def _divert(self) -> None:
        has_errors = is_open(STANDARD_ERROR)
        if has_errors and not os.isatty(STANDARD_OUTPUT):
            self.is_merged = os.path.sameopenfile(STANDARD_OUTPUT, STANDARD_ERROR)
        null = os.open(os.devnull, os.O_RDWR)
        try:
            self._replace(STANDARD_INPUT, null)
            self._replace(STANDARD_OUTPUT, STANDARD_ERROR if has_errors and not self.is_merged else null)
            if self.is_merged:
                self._replace(STANDARD_ERROR, null)
        finally:
            os.close(null)

    def _replace(self, descriptor: int, substitute: int) -> None:
        self._saved[descriptor] = private(descriptor)
        os.dup2(substitute, descriptor, inheritable=True)

    def end(self) -> None:
        """Let go of what they were, whose other side reads the end; they stay where they are. Idempotent."""
        with _moving:
            self._let_go()
            if StandardStreams._taken is self:
                StandardStreams._ended = True

    def give_back(self) -> None:
        """Close the transport, and make them what they were, unless ``end`` was called. Idempotent.

        A message that stays unfinished is the end: what is printed next would be taken for the rest of it.
        """
        with _moving:
            self.transport.close()
            if self.transport.cut_short:
                self.end()
            self._put_back()
            if StandardStreams._taken is self:
                StandardStreams._taken = None

    def _put_back(self) -> None:
        if not self._saved:
            return
        flush_printed(*OUTPUTS, *ERRORS)  # what was meant for standard error, or nobody
        for descriptor, saved in self._saved.items():
            os.dup2(saved, descriptor, inheritable=True)
        self._let_go()
        for stream, was_on in self._line_buffered:
            set_line_buffering(stream, was_on)

    def _let_go(self) -> None:
        saved, self._saved = self._saved, {}
        for descriptor in saved.values():
            os.close(descriptor)

    @classmethod
    def abandon(cls) -> None:
        """In a forked child: they are the parent's wire, which this process must not hold open."""
        taken, cls._taken = cls._taken, None
        if taken is not None:
            cls._ended = True
            taken._let_go()


def check_system() -> None:
    """Refuse systems where two descriptors cannot carry a channel, before anything is touched.

    Raises:
        IoError: This is one.
    """
    if sys.platform == "win32":
        raise IoError("two descriptors cannot carry a channel on Windows yet", errno=errno.ENOTSUP)


def duplicates(descriptors: Iterable[int], duplicate: Callable[[int], int]) -> list[int]:
    """Return a duplicate of each, or raise and leave none."""
    made: list[int] = []
    try:
        for descriptor in descriptors:
            made.append(duplicate(descriptor))
    except BaseException:
        for descriptor in made:
            os.close(descriptor)
        raise
    return made


def private(descriptor: int) -> int:
    """Return a duplicate that no program started from here inherits, beyond the three standard numbers."""
    import fcntl

    return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, STANDARD_ERROR + 1)


def is_open(descriptor: int) -> bool:
    """Return whether the descriptor stands for anything."""
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def objects_named(*names: str) -> list[Any]:
    """Return those objects of sys, each once.

    Something may stand in place of sys.stdout, and what it was may still be printed to.
    """
    return list({id(stream): stream for stream in (getattr(sys, name, None) for name in names)}.values())


def flush_printed(*names: str) -> None:
    """Write out what Python and C code have printed; what cannot be written must not stop us."""
    for stream in objects_named(*names):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    flush_standard_output()


def set_line_buffering(stream: Any, is_on: bool) -> None:
    """Let ``print`` write line by line, or not; what is no text file is left alone."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        stream.reconfigure(line_buffering=is_on)


def after_fork_in_child() -> None:
    """Let go of what is the parent's."""
    global _moving
    _moving = threading.RLock()
    StandardStreams.abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=lambda: _moving.acquire(),
        after_in_parent=lambda: _moving.release(),
        after_in_child=after_fork_in_child,
    )
