# SPDX-License-Identifier: MIT
"""Tests of _native/status.pyx: every status of the C core becomes an exception that explains itself."""

from __future__ import annotations

import errno

import pytest

from ipcfast import errors
from ipcfast._native.status import STATUS_NAMES, error_for
from ipcfast._native.stream_channel import StreamChannel
from ipcfast._native.stream_listener import wait_any

KINDS: dict[str, type[BaseException]] = {
    "AGAIN": errors.ChannelTimeout,
    "TIMEOUT": errors.ChannelTimeout,
    "INTERRUPTED": InterruptedError,
    "DISCONNECTED": errors.Disconnected,
    "CLOSED": errors.ChannelClosed,
    "SHUT_DOWN": errors.ShuttingDown,
    "FORKED": errors.ChannelClosed,
    "TOO_LARGE": errors.MessageTooLarge,
    "BAD_FRAME": errors.FrameError,
    "CORRUPT": errors.FrameError,
    "NOISE": errors.ReceiveFailed,
    "NO_MEMORY": MemoryError,
    "OS_ERROR": errors.IoError,
    "ADDRESS_IN_USE": errors.AddressInUse,
    "ADDRESS_NOT_FOUND": errors.AddressNotFound,
    "PERMISSION_DENIED": errors.PermissionDenied,
    "INVALID": ValueError,
    "UNSUPPORTED": errors.IoError,
}


def test_the_table_covers_every_status_of_the_core() -> None:
    assert set(STATUS_NAMES) == {*KINDS, "OK"}


@pytest.mark.parametrize("status", KINDS)
def test_every_status_has_its_exception(status: str) -> None:
    error = error_for(status, "recv_bytes", what="field", os_error=errno.EIO, expected=3, found=4)
    assert type(error) is KINDS[status]
    assert "recv_bytes" in str(error)


def test_ok_and_unknown_names_are_no_failures_to_explain() -> None:
    assert type(error_for("OK", "send")) is SystemError
    assert type(error_for("NEVER_HEARD_OF", "send")) is SystemError


def test_the_fields_carry_the_numbers() -> None:
    large = error_for("TOO_LARGE", "recv", expected=1000, found=5000)
    assert isinstance(large, errors.MessageTooLarge)
    assert (large.limit, large.size) == (1000, 5000)
    assert "5000" in str(large)
    assert "1000" in str(large)
    frame = error_for("BAD_FRAME", "recv", what="version", expected=1, found=9)
    assert isinstance(frame, errors.FrameError)
    assert (frame.expected, frame.found) == (1, 9)
    assert "version" in str(frame)
    refused = error_for("OS_ERROR", "listen", what="bind", os_error=errno.ENOSPC)
    assert isinstance(refused, errors.IoError)
    assert refused.errno == errno.ENOSPC
    assert "bind" in str(refused)
    assert "ENOSPC" in str(refused)


def test_an_io_error_has_the_systems_own_as_its_cause() -> None:
    refused = error_for("OS_ERROR", "listen at /x", os_error=errno.ENOSPC, path="/x")
    assert isinstance(refused, errors.IoError)
    assert refused.filename == "/x"
    cause = refused.__cause__
    assert isinstance(cause, OSError)
    assert not isinstance(cause, errors.IpcChannelError)
    assert (cause.errno, cause.strerror, cause.filename) == (errno.ENOSPC, refused.strerror, "/x")
    assert error_for("PERMISSION_DENIED", "connect").__cause__ is None  # we refused, not the system


def test_an_address_in_use_has_that_number_whatever_the_system_said() -> None:
    for given in (0, errno.EAGAIN, errno.EADDRINUSE):
        used = error_for("ADDRESS_IN_USE", "listen", os_error=given)
        assert isinstance(used, errors.AddressInUse)
        assert used.errno == errno.EADDRINUSE
    assert isinstance(error_for("ADDRESS_IN_USE", "listen", os_error=errno.EAGAIN).__cause__, BlockingIOError)


def test_what_cannot_be_sent_says_how_many_went_before() -> None:
    error = error_for("INVALID", "send_many", what="body that is not one line", sent=3)
    assert isinstance(error, errors.SendFailed)
    assert error.sent == 3


@pytest.mark.parametrize("died", [True, False, None])
def test_disconnected_tells_a_death_from_a_goodbye(died: bool | None) -> None:
    error = error_for("DISCONNECTED", "recv", peer_died=died)
    assert isinstance(error, errors.Disconnected)
    assert error.peer_died is died
    assert ("died" in str(error)) == (died is True)


def test_a_begun_send_says_that_it_must_not_be_repeated() -> None:
    begun = error_for("TIMEOUT", "send_many", begun=True, sent=7)
    assert isinstance(begun, errors.ChannelTimeout)
    assert (begun.begun, begun.sent) == (True, 7)
    assert "do not send it again" in str(begun)
    plain = error_for("TIMEOUT", "send_many")
    assert isinstance(plain, errors.ChannelTimeout)
    assert (plain.begun, plain.sent) == (False, None)


def test_forked_names_the_parent_process() -> None:
    assert "parent process" in str(error_for("FORKED", "send"))


@pytest.mark.parametrize(
    ("timeout", "kind"), [(float("nan"), ValueError), ("soon", TypeError), ([1.0], TypeError)]
)
def test_a_timeout_that_is_no_number_is_refused(timeout: object, kind: type[Exception]) -> None:
    one, other = StreamChannel.pair()
    with pytest.raises(kind):
        one.recv_bytes(timeout)  # type: ignore[arg-type]
    one.close()
    other.close()


@pytest.mark.parametrize("timeout", [0, 0.0, -1.0, float("-inf"), 1e-9])
def test_a_timeout_in_the_past_does_not_wait(timeout: float) -> None:
    one, other = StreamChannel.pair()
    assert wait_any([one.handle()], timeout) == -1
    other.send_bytes(b"x")
    assert wait_any([one.handle()], float("inf")) == 0
    one.close()
    other.close()
