# SPDX-License-Identifier: MIT
"""Shows that every error says what it should, is caught as what it is, and survives pickling."""

from __future__ import annotations

import errno
import pickle

import pytest

from ipcfast import errors
from ipcfast.errors import (
    AddressInUse,
    AddressNotFound,
    ChannelClosed,
    ChannelTimeout,
    ChildExited,
    ConnectError,
    Disconnected,
    FrameError,
    IoError,
    IpcChannelError,
    MessageTooLarge,
    NotSpawned,
    PermissionDenied,
    SerializationError,
    ShuttingDown,
    SpawnFailed,
    SpawnNotFound,
    SpawnNotPermitted,
)

EXAMPLES: list[tuple[IpcChannelError, dict[str, object]]] = [
    (Disconnected("the peer died", peer_died=True), {"peer_died": True}),
    (Disconnected("no goodbye on this wire"), {"peer_died": None}),
    (ChannelClosed("closed"), {}),
    (ChannelTimeout("too late", begun=True, sent=3), {"begun": True, "sent": 3}),
    (ShuttingDown("shut down"), {}),
    (errors.SendFailed("no", sent=2), {"sent": 2}),
    (errors.ReceiveFailed("no"), {}),
    (MessageTooLarge("9 > 8", size=9, limit=8), {"size": 9, "limit": 8}),
    (SerializationError("not text", field="id"), {"field": "id"}),
    (FrameError("magic", expected=1, found=2), {"expected": 1, "found": 2}),
    (IoError("disk", errno=errno.EIO, filename="/x"), {"errno": errno.EIO, "filename": "/x"}),
    (ConnectError("refused"), {"errno": None}),
    (AddressInUse("used", filename="/y"), {"errno": errno.EADDRINUSE, "filename": "/y"}),
    (AddressNotFound("absent"), {"errno": errno.ENOENT}),
    (AddressNotFound("refused", errno=errno.ECONNREFUSED), {"errno": errno.ECONNREFUSED}),
    (PermissionDenied("not yours"), {"errno": errno.EACCES}),
    (ChildExited("too early", exit_code=-9), {"exit_code": -9, "errno": None}),
    (NotSpawned("alone", variable="X"), {"variable": "X"}),
    (SpawnFailed("no", errno=errno.ENOEXEC, filename="/z", step="exec"), {"step": "exec", "filename": "/z"}),
    (SpawnNotFound("absent", step="chdir"), {"step": "chdir", "errno": errno.ENOENT}),
    (SpawnNotPermitted("no"), {"step": None, "errno": errno.EACCES}),
]


def test_the_examples_are_all_of_the_tree() -> None:
    assert {type(error).__name__ for error, _ in EXAMPLES} | {"IpcChannelError"} == set(errors.__all__)


@pytest.mark.parametrize("error, fields", EXAMPLES, ids=lambda value: type(value).__name__)
def test_fields_and_text_survive_pickling(error: IpcChannelError, fields: dict[str, object]) -> None:
    again = pickle.loads(pickle.dumps(error))
    for copy in (error, again):
        assert type(copy) is type(error)
        assert str(copy) == error.args[0]
        assert {name: getattr(copy, name) for name in fields} == fields
    if isinstance(error, OSError):
        assert again.strerror == error.strerror


@pytest.mark.parametrize(
    "kind, standard",
    [
        (Disconnected, ConnectionError),
        (Disconnected, EOFError),
        (ChannelTimeout, TimeoutError),
        (MessageTooLarge, ValueError),
        (SerializationError, ValueError),
        (FrameError, ValueError),
        (IoError, OSError),
        (ConnectError, IoError),
        (AddressInUse, ConnectError),
        (AddressNotFound, ConnectError),
        (AddressNotFound, FileNotFoundError),
        (PermissionDenied, ConnectError),
        (PermissionDenied, PermissionError),
        (ChildExited, ConnectError),
        (NotSpawned, ConnectError),
        (SpawnFailed, IoError),
        (SpawnNotFound, SpawnFailed),
        (SpawnNotFound, FileNotFoundError),
        (SpawnNotPermitted, SpawnFailed),
        (SpawnNotPermitted, PermissionError),
    ],
)
def test_each_is_caught_as_its_standard_class(kind: type[IpcChannelError], standard: type[Exception]) -> None:
    with pytest.raises(standard):
        raise kind("text")


def test_a_subclass_with_other_parameters_is_pickled_too() -> None:
    error = pickle.loads(pickle.dumps(Particular(7)))
    assert isinstance(error, Particular)
    assert (str(error), error.number, error.begun) == ("number 7", 7, True)


class Particular(ChannelTimeout):
    """Takes what no other error takes."""

    def __init__(self, number: int) -> None:
        super().__init__(f"number {number}", begun=True)
        self.number = number


def test_an_error_without_text_has_a_name() -> None:
    assert str(IpcChannelError.__new__(IpcChannelError)) == "IpcChannelError"
