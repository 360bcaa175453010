# SPDX-License-Identifier: MIT
"""The queues of the standard library between two threads: SimpleQueue has no bound, Queue has ours."""

from __future__ import annotations

import functools
import queue
from collections.abc import Callable
from typing import Any, Protocol

from bench.contestants import Peer
from bench.threads import TwoThreads
from ipcfast.cli.trial.wires import Wire

CAPACITY = 10_000


class AnyQueue(Protocol):
    """What both have."""

    def put(self, item: Any, /) -> None:
        """Hand an object over."""

    def get(self) -> Any:
        """Wait for one."""


def wire(outbound: AnyQueue, inbound: AnyQueue) -> Wire:
    """Return one end; objects pass as the bytes do, nothing is encoded."""
    return Wire(
        send_bytes=outbound.put,
        recv_bytes=inbound.get,
        send_json=outbound.put,
        recv_json=inbound.get,
        send_many=None,
        recv_many=None,
        close=lambda: None,
    )


def connect(make: Callable[[], AnyQueue]) -> tuple[Wire, Wire]:
    """Return both ends of two queues."""
    one, other = make(), make()
    return wire(one, other), wire(other, one)


def bounded() -> AnyQueue:
    """Return a queue that holds as many messages as ours."""
    return queue.Queue(CAPACITY)


PEERS = tuple(
    Peer(name, functools.partial(TwoThreads, name, functools.partial(connect, make)))
    for name, make in (("queue.SimpleQueue", queue.SimpleQueue), ("queue.Queue", bounded))
)
