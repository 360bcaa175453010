# SPDX-License-Identifier: MIT
"""Shows that both transports have the methods of the contract, and that options are checked."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from ipcfast._native.ring_channel import RingChannel
from ipcfast._native.stream_channel import StreamChannel
from ipcfast.transports.address import parse_address
from ipcfast.transports.connecting import ConnectingTransport
from ipcfast.transports.contract import Options, Transport, checked_timeout

SECRET = b"16 bytes are it."
METHODS = [name for name in vars(Transport) if not name.startswith("_")]


@pytest.mark.parametrize("kind", [StreamChannel, RingChannel, ConnectingTransport])
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
        ({"capacity_limit": 4095}, "capacity_limit is 4095, must be between 4096"),
        ({"spin_us": -1}, "spin_us is -1"),
        ({"secret": b"15 bytes: short"}, "secret has 15 bytes, must have at least 16"),
        ({"secret": SECRET, "framing": "lines"}, "secret needs framing 'length', not 'lines'"),
    ],
)
def test_an_option_that_is_none_is_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Options(**options)


def test_a_secret_is_not_shown() -> None:
    options = Options(secret=SECRET)
    assert options.secret == SECRET
    assert "secret" not in repr(options)
    assert "bytes" not in repr(options)


@pytest.mark.parametrize(
    "address, options, text",
    [
        ("tcp://host:1", {"codec": "pickle"}, "'pickle' runs what the peer sends"),
        ("tcp://host:1", {"codec": "pickle", "secret": SECRET}, "'pickle' runs what the peer sends"),
        ("local://name", {"secret": SECRET}, "a secret is for tcp:// only"),
        ("thread://name", {"secret": SECRET}, "a secret is for tcp:// only"),
    ],
)
def test_options_go_with_the_address(address: str, options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Options(**options).check_for(parse_address(address))
    Options(codec="pickle").check_for(parse_address("local://name"))
    Options(secret=SECRET).check_for(parse_address("tcp://host:1"))


@pytest.mark.parametrize(
    "name", ["message_limit", "read_ahead_limit", "spin_us", "capacity", "capacity_limit"]
)
@pytest.mark.parametrize("value", [5000.5, 5000.0, "5000", None])
def test_a_number_that_is_not_whole_is_refused(name: str, value: object) -> None:
    with pytest.raises(TypeError, match=f"{name} is {value!r}, must be a whole number"):
        Options(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("timeout", "seconds"),
    [
        (None, None),
        (0, 0.0),
        (-1, 0.0),
        (float("-inf"), 0.0),
        (2, 2.0),
        (0.5, 0.5),
        (float("inf"), float("inf")),
    ],
)
def test_timeouts(timeout: float | None, seconds: float | None) -> None:
    assert checked_timeout(timeout) == seconds


@pytest.mark.parametrize(
    ("timeout", "kind"), [(float("nan"), ValueError), ("1", TypeError), ([], TypeError), (b"1", TypeError)]
)
def test_a_timeout_that_is_none_is_refused_as_the_native_channels_do(
    timeout: Any, kind: type[Exception]
) -> None:
    one, other = StreamChannel.pair()
    for function in (checked_timeout, one.recv_bytes):
        with pytest.raises(kind):
            function(timeout)
    one.close()
    other.close()
