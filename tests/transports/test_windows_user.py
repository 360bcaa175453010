# SPDX-License-Identifier: MIT
"""Shows that a binary security identifier becomes its text."""

from __future__ import annotations

import re
import struct
import sys

import pytest

from ipcfast.transports.windows_user import current_user_sid, sid_text


def binary(authority: int, *parts: int) -> bytes:
    return bytes([1, len(parts)]) + authority.to_bytes(6, "big") + struct.pack(f"<{len(parts)}I", *parts)


@pytest.mark.parametrize(
    "sid, text",
    [
        (binary(5, 18), "S-1-5-18"),
        (binary(5, 21, 4_000_000_000, 2, 3, 1001), "S-1-5-21-4000000000-2-3-1001"),
        (binary(1), "S-1-1"),
        (binary(5, 18) + b"what follows", "S-1-5-18"),
    ],
)
def test_text(sid: bytes, text: str) -> None:
    assert sid_text(sid) == text


@pytest.mark.parametrize("size", range(12))
def test_a_cut_one_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="cut short"):
        sid_text(binary(5, 18)[:size])


def test_the_own_one_exists_on_windows_only() -> None:
    if sys.platform == "win32":
        assert re.fullmatch(r"S-1-\d+(-\d+)+", current_user_sid())
    else:
        with pytest.raises(OSError, match="Windows"):
            current_user_sid()
