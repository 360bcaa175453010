# SPDX-License-Identifier: MIT
"""The limit of both transports: the same loops in C over csrc's channels."""

from __future__ import annotations

import functools

from bench.contestants import Peer
from bench.limit import CLoop, missing

PEERS = tuple(
    Peer(name, functools.partial(CLoop, name, kind), missing())
    for name, kind in (("C ring", "ring"), ("C local", "stream"))
)
