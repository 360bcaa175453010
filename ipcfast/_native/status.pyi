"""What a status of the C core means as an exception."""

STATUS_NAMES: tuple[str, ...]
__pyx_capi__: dict[str, object]  # for the other bindings

def error_for(
    status: str,
    action: str,
    *,
    what: str | None = None,
    os_error: int = 0,
    expected: int = 0,
    found: int = 0,
    begun: bool = False,
    sent: int | None = None,
    peer_died: bool | None = None,
    path: str | None = None,
) -> Exception:
    """Make the exception for a status of ``STATUS_NAMES``.

    Args:
        status: The name of the status, "TIMEOUT" for example.
        action: What was being done; starts the message.
        what: The field or system call at fault.
        os_error: The system's error number, 0 for none. Of an IoError it becomes ``errno``, except that
            ADDRESS_IN_USE always has EADDRINUSE, and ``__cause__``, an OSError.
        expected: TOO_LARGE: the limit in bytes. BAD_FRAME, CORRUPT: the value that was due.
        found: TOO_LARGE: the size in bytes. BAD_FRAME, CORRUPT: the value that was read. NOISE: bytes.
        begun: TIMEOUT of a send: its first bytes are out.
        sent: TIMEOUT and INVALID of send_many: messages handed over.
        peer_died: DISCONNECTED: whether the peer died; None where that is not known.
        path: Of an IoError: its ``filename``.

    Returns:
        The exception, not raised; SystemError for "OK" and for names that are none.
    """
