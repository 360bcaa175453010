# SPDX-License-Identifier: MIT
"""Turn a status of the C core into an exception of ipcfast.errors, and a timeout into a deadline."""

from libc.stdint cimport uint64_t
from libc.string cimport strcmp

import errno
import os

from ipcfast import errors

from ipcfast._native.csrc cimport (
    IPCF_DISCONNECTED, IPCF_ENDING_DIED, IPCF_ENDING_GOODBYE, IPCF_NEVER, IPCF_NO_WAIT, IPCF_SHUT_DOWN,
    IPCF_STATE_SHUT_DOWN, IPCF_STATUS_COUNT, ipcf_channel, ipcf_deadline_in, ipcf_error, ipcf_status, ipcf_status_name,
)

STATUS_NAMES = tuple(
    (<bytes>ipcf_status_name(<ipcf_status>code)).decode() for code in range(IPCF_STATUS_COUNT)
)


def _timeout(action, failure):
    if failure["begun"]:
        text = (
            f"{action}: the timeout passed in the middle of the message; the rest of it goes out before the"
            " next one, so do not send it again"
        )
    else:
        text = f"{action}: the timeout passed; the channel is still usable, try again"
    return errors.ChannelTimeout(text, begun=failure["begun"], sent=failure["sent"])


def _disconnected(action, failure):
    died = failure["peer_died"]
    how = {True: "the peer died or hung up without a goodbye", False: "the peer closed the connection"}
    text = how.get(died, "the connection was closed by the peer")
    detail = f" ({failure['what']})" if failure["what"] else ""
    return errors.Disconnected(f"{action}: {text}{detail}; connect again to go on", peer_died=died)


def _closed(action, failure):
    return errors.ChannelClosed(f"{action}: this channel is closed; open a new one")


def _shut_down(action, failure):
    return errors.ShuttingDown(f"{action}: shutdown() was called on this channel; open a new one")


def _forked(action, failure):
    return errors.ChannelClosed(
        f"{action}: this channel was opened by the parent process and cannot be used after fork; open one in"
        " this process"
    )


def _too_large(action, failure):
    size, limit = failure["found"], failure["expected"]
    return errors.MessageTooLarge(
        f"{action}: {failure['what'] or 'message'} of {size} bytes is above the limit of {limit} bytes;"
        " raise the limit or send less at once",
        size=size,
        limit=limit,
    )


def _bad_frame(action, failure):
    expected, found = failure["expected"], failure["found"]
    return errors.FrameError(
        f"{action}: the peer's bytes are not a valid frame: {failure['what'] or 'frame'}: expected"
        f" {expected:#x}, found {found:#x}; the channel has ended, check that both ends use the same framing",
        expected=expected,
        found=found,
    )


def _corrupt(action, failure):
    expected, found = failure["expected"], failure["found"]
    return errors.FrameError(
        f"{action}: the shared memory holds values that no correct peer writes: {failure['what'] or 'ring'}:"
        f" expected {expected:#x}, found {found:#x}; the channel has ended, do not trust this peer",
        expected=expected,
        found=found,
    )


def _noise(action, failure):
    return errors.ReceiveFailed(
        f"{action}: {failure['found']} bytes that belong to no message come next; receive passes over them"
    )


def _no_memory(action, failure):
    return MemoryError(f"{action}: out of memory ({failure['what']}, {failure['expected']} bytes)")


def _interrupted(action, failure):
    return InterruptedError(errno.EINTR, f"{action}: interrupted by a signal")


def _invalid(action, failure):
    if failure["what"] == "body that is not one line":
        return errors.SendFailed(
            f"{action}: this message of {failure['found']} bytes is no single line with something in it, and"
            " the framing 'lines' carries nothing else; use another framing",
            sent=failure["sent"],
        )
    return ValueError(f"{action}: {failure['what']} is out of range (got {failure['found']})")


def _os_error(kind, text, *, always=None, fallback=None):
    """Make errors of a kind. always: its number, whichever the system gave. fallback: for when it gave none."""
    def make(action, failure):
        given = failure["os_error"]
        code = given or always or fallback
        detail = f"{failure['what']}: " if failure["what"] else ""
        reason = f" ({detail}{errno.errorcode.get(code, code)})" if code else ""
        error = kind(f"{action}: {text}{reason}", errno=always or code, filename=failure["path"])
        if given:
            error.__cause__ = OSError(given, os.strerror(given), failure["path"])
        return error

    return make


def _address_in_use(action, failure):
    what, text = failure["what"], "a live server owns this address; stop it or choose another"
    if what in ("the path exists and is not a socket",
                "the lock file's place is taken by something that is no plain file"):
        text, failure = f"{what}; remove it or choose another address", {**failure, "what": None}
    return _os_error(errors.AddressInUse, text, always=errno.EADDRINUSE)(action, failure)


_EXPLAIN = {
    "AGAIN": _timeout,
    "TIMEOUT": _timeout,
    "INTERRUPTED": _interrupted,
    "DISCONNECTED": _disconnected,
    "CLOSED": _closed,
    "SHUT_DOWN": _shut_down,
    "FORKED": _forked,
    "TOO_LARGE": _too_large,
    "BAD_FRAME": _bad_frame,
    "CORRUPT": _corrupt,
    "NOISE": _noise,
    "NO_MEMORY": _no_memory,
    "OS_ERROR": _os_error(errors.IoError, "the operating system refused"),
    "ADDRESS_IN_USE": _address_in_use,
    "ADDRESS_NOT_FOUND": _os_error(
        errors.AddressNotFound, "nobody listens at this address; start the server first", fallback=errno.ENOENT
    ),
    "PERMISSION_DENIED": _os_error(
        errors.PermissionDenied, "the address or the peer belongs to another user", fallback=errno.EACCES
    ),
    "INVALID": _invalid,
    "UNSUPPORTED": _os_error(errors.IoError, "this system cannot do that", fallback=errno.ENOTSUP),
}


def error_for(
    str status, str action, *, what=None, os_error=0, expected=0, found=0, begun=False, sent=None,
    peer_died=None, path=None,
):
    if status not in _EXPLAIN:
        return SystemError(f"{action}: no error is known for the status {status}")
    return _EXPLAIN[status](
        action,
        {
            "what": what,
            "os_error": os_error,
            "expected": expected,
            "found": found,
            "begun": begun,
            "sent": sent,
            "peer_died": peer_died,
            "path": path,
        },
    )


cdef bint is_begun(const ipcf_error *error) noexcept nogil:
    return error != NULL and error.what != NULL and strcmp(error.what, b"begun") == 0


cdef int raise_status(ipcf_status status, const ipcf_error *error, str action, object peer_died=None,
                      object sent=None, object path=None) except -1:
    cdef str name = (<bytes>ipcf_status_name(status)).decode()
    if error == NULL:
        raise error_for(name, action, sent=sent, peer_died=peer_died, path=path)
    raise error_for(
        name,
        action,
        what=None if error.what == NULL else (<bytes>error.what).decode(),
        os_error=error.os_error,
        expected=error.expected,
        found=error.found,
        begun=is_begun(error),
        sent=sent,
        peer_died=peer_died,
        path=path,
    )


cdef int raise_at(ipcf_status status, const ipcf_error *error, str action, str path) except -1:
    raise_status(status, error, f"{action} {path}", None, None, path)


cdef object peer_died(const ipcf_channel *channel):
    if channel.ending == IPCF_ENDING_GOODBYE:
        return False
    return True if channel.ending == IPCF_ENDING_DIED else None


cdef int raise_for_channel(const ipcf_channel *channel, ipcf_status status, const ipcf_error *error,
                           str action, object sent=None) except -1:
    if status == IPCF_DISCONNECTED and channel.state == IPCF_STATE_SHUT_DOWN:
        # Both ends are shut down here, and the peer's end was found first.
        return raise_status(IPCF_SHUT_DOWN, NULL, action)
    raise_status(status, error, action, peer_died(channel), sent)


cdef uint64_t deadline_of(object timeout) except? 0:
    cdef double seconds
    if timeout is None:
        return IPCF_NEVER
    seconds = timeout
    if seconds != seconds:
        raise ValueError("timeout: NaN is no number of seconds; pass None to wait for ever")
    if seconds <= 0.0:
        return IPCF_NO_WAIT
    return ipcf_deadline_in(seconds)
