# SPDX-License-Identifier: MIT
"""Every exception that ipcfast raises on purpose, in one tree.

::

    IpcChannelError
    ├── Disconnected         + ConnectionError, EOFError   the peer closed or died (.peer_died)
    ├── ChannelClosed                                      this side was closed, or is the parent's
    ├── ChannelTimeout       + TimeoutError                the timeout has passed (.begun .sent)
    ├── ShuttingDown                                       shutdown() was called on this side
    ├── SendFailed                                         the message cannot be sent here (.sent)
    ├── ReceiveFailed                                      the message at the head is of another kind
    ├── MessageTooLarge      + ValueError                  above the limit (.size .limit)
    ├── SerializationError   + ValueError                  not a value that the codec carries (.field)
    ├── FrameError           + ValueError                  the peer's bytes are not ours (.expected .found)
    └── IoError              + OSError                     the operating system refused (.errno .filename)
        ├── SpawnFailed                                the program could not be started (.step)
        │   ├── SpawnNotFound + FileNotFoundError          it, or its directory, does not exist
        │   └── SpawnNotPermitted + PermissionError        it, or its directory, may not be used so
        └── ConnectError                                   no connection, or no listener, at this address
            ├── AddressInUse                               a live server owns the address
            ├── AddressNotFound + FileNotFoundError        nobody listens there
            ├── PermissionDenied + PermissionError         the address belongs to another user
            ├── ChildExited                                the child ended before it connected (.exit_code)
            └── NotSpawned                                 nobody gave this process a channel (.variable)

Each also inherits the standard class that one would catch without knowing ipcfast. The text says what
happened, with the numbers, and what to do; the fields say the same for programs. All of them can be pickled,
fields included (R3).
"""

from __future__ import annotations

import errno as _errno
import os as _os
from typing import Any, TypeVar

__all__ = [
    "AddressInUse",
    "AddressNotFound",
    "ChannelClosed",
    "ChannelTimeout",
    "ChildExited",
    "ConnectError",
    "Disconnected",
    "FrameError",
    "IoError",
    "IpcChannelError",
    "MessageTooLarge",
    "NotSpawned",
    "PermissionDenied",
    "ReceiveFailed",
    "SendFailed",
    "SerializationError",
    "ShuttingDown",
    "SpawnFailed",
    "SpawnNotFound",
    "SpawnNotPermitted",
]

_ErrorT = TypeVar("_ErrorT", bound="IpcChannelError")

# OSError keeps these outside of __dict__, so pickling has to name them.
_OS_FIELDS = ("errno", "strerror", "filename")


def _rebuild(kind: type[_ErrorT], args: tuple[Any, ...]) -> _ErrorT:
    """Make an error from its pickle without calling __init__, whose parameters subclasses may change."""
    error = kind.__new__(kind, *args)
    error.args = args
    return error


class IpcChannelError(Exception):
    """The root of the tree: catch this to catch everything of ipcfast (R44)."""

    def __init__(self, message: str) -> None:
        super().__init__(message)

    def __str__(self) -> str:
        # OSError would put "[Errno n]" and the file's name around a text that has them already.
        return str(self.args[0]) if self.args else type(self).__name__

    def __reduce__(self) -> tuple[Any, ...]:
        state = dict(self.__dict__)
        if isinstance(self, OSError):
            state.update((name, getattr(self, name)) for name in _OS_FIELDS)
        return _rebuild, (type(self), self.args), state


class Disconnected(IpcChannelError, ConnectionError, EOFError):
    """The peer has left, and everything that it sent has been received (R45).

    Attributes:
        peer_died: True when it ended without goodbye, False when it said goodbye, None where the wire
            cannot tell.
    """

    def __init__(self, message: str, *, peer_died: bool | None = None) -> None:
        super().__init__(message)
        self.peer_died = peer_died


class ChannelClosed(IpcChannelError):
    """This end was closed, or was opened by the process that this one was forked from."""


class ChannelTimeout(IpcChannelError, TimeoutError):
    """The timeout has passed (R48). The channel stays usable.

    Attributes:
        begun: Sending only. The message is on its way and will be finished by the next send: do not send
            it again.
        sent: ``send_many`` only: how many of the messages were handed over, the begun one included.
    """

    def __init__(self, message: str, *, begun: bool = False, sent: int | None = None) -> None:
        super().__init__(message)
        self.begun = begun
        self.sent = sent


class ShuttingDown(IpcChannelError):
    """``shutdown()`` was called on this side (R49, R52)."""


class SendFailed(IpcChannelError):
    """The message cannot be sent on this channel (R46).

    Attributes:
        sent: ``send_many`` only: how many of the messages went before it.
    """

    def __init__(self, message: str, *, sent: int | None = None) -> None:
        super().__init__(message)
        self.sent = sent


class ReceiveFailed(IpcChannelError):
    """The message at the head is not of the kind asked for, or does not fit; it stays queued (R47)."""


class MessageTooLarge(IpcChannelError, ValueError):
    """A message is above the limit; the channel goes on with the next one.

    Attributes:
        size: Bytes of the message, or as many of them as were seen (lines do not tell their size beforehand).
        limit: Bytes allowed.
    """

    def __init__(self, message: str, *, size: int | None = None, limit: int | None = None) -> None:
        super().__init__(message)
        self.size = size
        self.limit = limit


class SerializationError(IpcChannelError, ValueError):
    """A value cannot be encoded, or a message cannot be decoded (R50).

    Attributes:
        field: The field of the message that is at fault, None when it is the whole.
    """

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class FrameError(IpcChannelError, ValueError):
    """The peer's bytes, or what it wrote into shared memory, follow no rule of ours: the channel has ended.

    Attributes:
        expected: What was due at that place.
        found: What was read there.
    """

    def __init__(self, message: str, *, expected: object = None, found: object = None) -> None:
        super().__init__(message)
        self.expected = expected
        self.found = found


class IoError(IpcChannelError, OSError):
    """The operating system refused (R51). ``__cause__`` is its own OSError, where it gave a number.

    Attributes:
        errno: The system's number, None where it gave none.
        strerror: The system's text for it.
        filename: The path or address concerned, None where there is none.
    """

    _default_errno: int | None = None

    def __init__(self, message: str, *, errno: int | None = None, filename: str | None = None) -> None:
        super().__init__(message)
        self.errno = self._default_errno if errno is None else errno
        self.strerror = None if self.errno is None else _os.strerror(self.errno)
        self.filename = filename


class ConnectError(IoError):
    """There is no connection, or no listener, at this address."""


class AddressInUse(ConnectError):
    """A live server owns the address; it was left alone."""

    _default_errno = _errno.EADDRINUSE


class AddressNotFound(ConnectError, FileNotFoundError):
    """Nobody listens at the address."""

    _default_errno = _errno.ENOENT


class PermissionDenied(ConnectError, PermissionError):
    """The address, its directory or the process at the other end is another user's, or open to others."""

    _default_errno = _errno.EACCES


class ChildExited(ConnectError):
    """A child process ended before it had connected to its parent.

    Attributes:
        exit_code: Its exit status, or minus the signal that ended it.
    """

    def __init__(self, message: str, *, exit_code: int | None = None, errno: int | None = None) -> None:
        super().__init__(message, errno=errno)
        self.exit_code = exit_code


class NotSpawned(ConnectError):
    """This process was not given a channel by the one that started it, or has taken it already (R98).

    Attributes:
        variable: The environment variable that would have named the channel.
    """

    def __init__(self, message: str, *, variable: str | None = None, errno: int | None = None) -> None:
        super().__init__(message, errno=errno)
        self.variable = variable


class SpawnFailed(IoError):
    """A program could not be started; ``filename`` is the program, or the directory it was to start in.

    Attributes:
        step: What failed: "exec", "chdir", or another step of starting it.
    """

    def __init__(
        self, message: str, *, errno: int | None = None, filename: str | None = None, step: str | None = None
    ) -> None:
        super().__init__(message, errno=errno, filename=filename)
        self.step = step


class SpawnNotFound(SpawnFailed, FileNotFoundError):
    """The program, or the directory that it was to start in, does not exist."""

    _default_errno = _errno.ENOENT


class SpawnNotPermitted(SpawnFailed, PermissionError):
    """The program may not be executed, or the directory that it was to start in not be entered."""

    _default_errno = _errno.EACCES
