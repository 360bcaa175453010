# SPDX-License-Identifier: MIT
"""Tells who the user is on Windows: the security identifier that the names of private pipes carry."""

from __future__ import annotations

import sys

__all__ = ["current_user_sid", "sid_text"]

SID_HEADER = 8
AUTHORITY_SIZE = 6
TOKEN_QUERY = 0x0008
TOKEN_USER = 1


def sid_text(sid: bytes) -> str:
    """Return the text of a binary security identifier, such as ``S-1-5-21-…``.

    Layout: revision (1 byte), number of parts (1 byte), authority (6 bytes, big-endian), parts (4 bytes each,
    little-endian).

    Raises:
        ValueError: There are fewer bytes than it says.
    """
    if len(sid) < SID_HEADER or len(sid) < SID_HEADER + 4 * sid[1]:
        raise ValueError(f"a security identifier of {len(sid)} bytes is cut short")
    authority = int.from_bytes(sid[2 : 2 + AUTHORITY_SIZE], "big")
    parts = [
        int.from_bytes(sid[start : start + 4], "little")
        for start in range(SID_HEADER, SID_HEADER + 4 * sid[1], 4)
    ]
    return "-".join(["S", str(sid[0]), str(authority), *map(str, parts)])


def current_user_sid() -> str:
    """Return the security identifier of the user that this process runs as.

    Raises:
        OSError: The system refused, or this is not Windows.
    """
    if sys.platform != "win32":
        raise OSError("security identifiers exist on Windows only")
    import ctypes
    from ctypes import wintypes

    kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    security = ctypes.WinDLL("advapi32", use_last_error=True)
    kernel.GetCurrentProcess.restype = wintypes.HANDLE
    kernel.CloseHandle.argtypes = [wintypes.HANDLE]
    security.OpenProcessToken.argtypes = [wintypes.HANDLE, wintypes.DWORD, ctypes.POINTER(wintypes.HANDLE)]
    security.GetTokenInformation.argtypes = [
        wintypes.HANDLE,
        ctypes.c_int,
        ctypes.c_void_p,
        wintypes.DWORD,
        ctypes.POINTER(wintypes.DWORD),
    ]
    security.GetLengthSid.argtypes = [ctypes.c_void_p]
    security.GetLengthSid.restype = wintypes.DWORD

    token = wintypes.HANDLE()
    if not security.OpenProcessToken(kernel.GetCurrentProcess(), TOKEN_QUERY, ctypes.byref(token)):
        raise ctypes.WinError(ctypes.get_last_error())
    try:
        size = wintypes.DWORD()
        security.GetTokenInformation(token, TOKEN_USER, None, 0, ctypes.byref(size))
        information = ctypes.create_string_buffer(size.value)
        if not security.GetTokenInformation(token, TOKEN_USER, information, size, ctypes.byref(size)):
            raise ctypes.WinError(ctypes.get_last_error())
    finally:
        kernel.CloseHandle(token)
    # TOKEN_USER starts with the pointer to the identifier, which lies behind it in the same buffer.
    place = ctypes.c_void_p.from_buffer(information)
    return sid_text(ctypes.string_at(place.value, security.GetLengthSid(place)))
