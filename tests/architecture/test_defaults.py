# SPDX-License-Identifier: MIT
"""Holds the defaults that the bindings repeat to the ones that users get: transports/contract.py::Options."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ipcfast.transports.contract import Options

NATIVE = Path(__file__).resolve().parents[2] / "ipcfast" / "_native"
# capacities stand there by the direction of the ring
NAMES = {
    "message_limit": "message_limit",
    "read_ahead_limit": "read_ahead_limit",
    "spin_us": "spin_us",
    "inbound": "capacity",
    "outbound": "capacity",
}
DEFAULT = re.compile(rf"\b({'|'.join(NAMES)})(?:: int)? ?= ?(\d+)")


@pytest.mark.parametrize(
    ("file", "least"),
    [("stream_channel", 9), ("stream_listener", 3), ("ring_channel", 5)],
)
@pytest.mark.parametrize("suffix", ["pyx", "pyi"])
def test_the_bindings_have_the_same_defaults(file: str, least: int, suffix: str) -> None:
    found = DEFAULT.findall((NATIVE / f"{file}.{suffix}").read_text(encoding="utf-8"))
    assert len(found) >= least
    for name, value in found:
        assert int(value) == getattr(Options, NAMES[name]), name


def test_the_framing_is_the_same() -> None:
    for path in NATIVE.glob("stream_*.py[xi]"):
        for framing in re.findall(r'framing(?:: str)? ?= ?"(.+?)"', path.read_text(encoding="utf-8")):
            assert framing == Options.framing, path.name
