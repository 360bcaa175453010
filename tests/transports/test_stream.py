# SPDX-License-Identifier: MIT
"""Shows that options reach the stream transports."""

from __future__ import annotations

import pytest

from ipcfast.errors import AddressNotFound, MessageTooLarge
from ipcfast.transports.contract import Options
from ipcfast.transports.stream import connect_stream, stream_pair


def test_a_pair_has_the_options() -> None:
    one, other = stream_pair(Options(framing="u32be", message_limit=2000))
    assert one.framing == other.framing == "u32be"
    one.send_bytes(bytes(2001))
    with pytest.raises(MessageTooLarge):
        other.recv_bytes(30)
    one.send_bytes(bytes(2000))
    assert other.recv_bytes(30) == bytes(2000)
    one.close()
    other.close()


def test_nobody_to_connect_to() -> None:
    with pytest.raises(AddressNotFound):
        connect_stream("/nowhere/at/all", Options())
