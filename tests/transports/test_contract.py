# SPDX-License-Identifier: MIT
"""Shows that both transports have the methods of the contract, and that options are checked."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from ipcfast._native.ring_channel import RingChannel
from ipcfast._native.stream_channel import StreamChannel
from ipcfast.transports.contract import Options, Transport

METHODS = [name for name in vars(Transport) if not name.startswith("_")]


@pytest.mark.parametrize("kind", [StreamChannel, RingChannel])
@pytest.mark.parametrize("name", METHODS)
def test_a_transport_has_every_method(kind: type, name: str) -> None:
    declared, found = inspect.getattr_static(Transport, name), getattr(kind, name)
    assert callable(found) is not isinstance(declared, property)


@pytest.mark.parametrize(
    "options, text",
    [
        ({"framing": "json"}, "framing 'json' is not one of length, lines, content-length, u32be"),
        ({"framing": "lines", "codec": "pickle"}, "handshake"),
        ({"message_limit": 1023}, "message_limit is 1023, must be between 1024"),
        ({"read_ahead_limit": 1 << 64}, "read_ahead_limit"),
        ({"capacity": -1}, "capacity is -1"),
        ({"spin_us": -1}, "spin_us is -1"),
    ],
)
def test_an_option_that_is_none_is_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Options(**options)
