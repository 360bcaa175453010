# SPDX-License-Identifier: MIT
"""The channel between threads of ipcfast, through the public API."""

from __future__ import annotations

import functools

import ipcfast
from bench.contestants import Peer
from bench.threads import TwoThreads
from ipcfast.cli.trial.wires import Wire, channel_wire


def connect() -> tuple[Wire, Wire]:
    """Return both ends of a pair."""
    one, other = ipcfast.ThreadChannel.pair("bench")
    return channel_wire(one), channel_wire(other)


NAME = "ipcfast thread"
PEERS = (Peer(NAME, functools.partial(TwoThreads, NAME, connect)),)
