# SPDX-License-Identifier: MIT
"""What every part of the conformance suite stands on: channels within this process, and to a second one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, TypeVar

import pytest

import ipcfast
from ipcfast import IpcChannel
from tests.peers import HANG, PeerProcess

__all__ = ["Channels", "Pair", "needs"]

Pair = tuple[IpcChannel, IpcChannel]
Test = TypeVar("Test", bound=Callable[..., Any])

# What not every kind of channel has, by the names that `needs` and `Channels.features` use: the peer may be
# another process; messages are documents of a codec, with a limit; a large message passes in pieces.
FEATURES = frozenset({"processes", "documents", "pieces"})


def needs(*features: str) -> Callable[[Test], Test]:
    """Say what a channel must have for this test to mean something."""
    assert FEATURES.issuperset(features)

    def mark(test: Test) -> Test:
        test.needs = set(features)  # type: ignore[attr-defined]
        return test

    return mark


class Channels:
    """A suite sets ``kind``, and gets channels of that kind.

    Attributes:
        kind: For ``ipcfast.pair``, and the scheme of addresses.
        capacity: Bytes that surely fill what lies between the two ends: the ring, or half of it and more.
        framing: Of the pairs within this process.
        options: More for ``ipcfast.pair``.
        capabilities: What channels of that kind must say that they carry.
        features: What they have; tests that need more are no part of their suite.
    """

    kind: ClassVar[str]
    capacity: ClassVar[int] = 1 << 18
    framing: ClassVar[str] = "length"
    options: ClassVar[dict[str, Any]] = {}
    capabilities: ClassVar[set[str]] = {"messages", "bytes"}
    features: ClassVar[frozenset[str]] = FEATURES

    def __init_subclass__(cls) -> None:
        for name in dir(cls):
            if getattr(getattr(cls, name), "needs", set()) - cls.features:
                setattr(cls, name, None)

    @pytest.fixture
    def pair(self) -> Iterator[Pair]:
        """Both ends within this process."""
        one, other = ipcfast.pair(self.kind, capacity=self.capacity, framing=self.framing, **self.options)
        with one, other:
            yield one, other

    @pytest.fixture
    def address(self) -> str:
        """An address that nobody listens at."""
        return f"{self.kind}://contract"

    @contextmanager
    def peer(self, role: str, *arguments: object) -> Iterator[tuple[IpcChannel, PeerProcess]]:
        """A second process in one of the roles of tests/peers.py, and our end of the channel to it."""
        address = f"{self.kind}://contract-peer"
        with ipcfast.listen(address) as listener, PeerProcess(role, address, *arguments) as process:
            with listener.accept(HANG) as channel:
                yield channel, process
