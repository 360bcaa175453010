# SPDX-License-Identifier: MIT
"""Shows how clients wait for a server, and what they are told when it has not come."""

from __future__ import annotations

import errno
import time

import pytest

from ipcfast.errors import ChannelClosed
from ipcfast.transports.address import parse_address
from ipcfast.transports.retrying import (
    RETRY_FIRST_SECONDS,
    RETRY_LONGEST_SECONDS,
    check_wanted,
    longer_pause,
    nobody_listens,
    remaining,
    waited,
)

ADDRESS = parse_address("local://somewhere")


def test_pauses_grow_to_a_limit() -> None:
    pauses = [RETRY_FIRST_SECONDS]
    while longer_pause(pauses[-1]) != pauses[-1]:
        pauses.append(longer_pause(pauses[-1]))
    assert pauses == sorted(pauses)
    assert pauses[1] == 2 * RETRY_FIRST_SECONDS
    assert pauses[-1] == RETRY_LONGEST_SECONDS


def test_what_is_left() -> None:
    assert remaining(None) is None
    assert remaining(time.monotonic() - 1.0) == 0.0
    left = remaining(time.monotonic() + 1000.0)
    assert left is not None
    assert 0.0 < left <= 1000.0


def test_who_is_not_wanted_any_more_is_told() -> None:
    check_wanted(ADDRESS, lambda: False)
    with pytest.raises(ChannelClosed, match="local://somewhere"):
        check_wanted(ADDRESS, lambda: True)


def test_nobody_listens() -> None:
    assert waited(None) == waited(0) == ""
    bare = nobody_listens(ADDRESS, None)
    assert str(bare) == (
        "nobody listens at local://somewhere: start the server first, or connect with a longer timeout"
    )
    assert (bare.errno, bare.filename) == (errno.ENOENT, "local://somewhere")
    full = nobody_listens(ADDRESS, 0.5, path="/x", where=" here", hint="; or not", errno=errno.ECONNREFUSED)
    assert str(full) == (
        "nobody listens at local://somewhere (/x) here, waited for 0.5 s: start the server first, "
        "or connect with a longer timeout; or not"
    )
    assert (full.errno, full.filename) == (errno.ECONNREFUSED, "/x")
