# SPDX-License-Identifier: MIT
"""The roster: who can take part, by the name that stands in the tables."""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bench import peers
from bench.measure import Contestant

__all__ = ["Peer", "contestants", "roster"]


@dataclass(frozen=True)
class Peer:
    """Someone who can be asked to take part.

    Attributes:
        name: As it stands in the tables, in suites and in goals.
        start: Starts its processes.
        missing: Why it cannot take part on this machine; empty when it can.
    """

    name: str
    start: Callable[[], Contestant]
    missing: str = ""


def roster() -> dict[str, Peer]:
    """Return everyone of ``bench/peers``."""
    modules = [
        importlib.import_module(f"{peers.__name__}.{found.name}")
        for found in pkgutil.iter_modules(peers.__path__)
    ]
    return {peer.name: peer for module in modules for peer in module.PEERS}


@contextlib.contextmanager
def contestants(*names: str) -> Iterator[Sequence[Contestant]]:
    """Start those named; who cannot take part here is printed with the reason, and left out."""
    known = roster()
    with contextlib.ExitStack() as stack:
        running: list[Contestant] = []
        for name in names:
            peer = known[name]
            if peer.missing:
                print(f"left out: {name}: {peer.missing}")
                continue
            running.append(peer.start())
            stack.callback(running[-1].close)
        yield running
