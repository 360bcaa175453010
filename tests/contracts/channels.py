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
# another process; messages are documents of a codec, with a limit; a large message passes in pieces; there is
# an address to listen at; messages and bytes are told apart; the wire has a goodbye; the system tells who the
# peer is.
FEATURES = frozenset({"processes", "documents", "pieces", "addresses", "kinds", "goodbye", "known peer"})


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
        close_ends_the_wire: Whether the peer reads the end when another process closes and lives on.
    """

    kind: ClassVar[str]
    capacity: ClassVar[int] = 1 << 18
    framing: ClassVar[str] = "length"
    options: ClassVar[dict[str, Any]] = {}
    capabilities: ClassVar[set[str]] = {"messages", "bytes"}
    features: ClassVar[frozenset[str]] = FEATURES
    close_ends_the_wire: ClassVar[bool] = True

    @property
    def after_goodbye(self) -> bool | None:
        """What ``peer_died`` says of a peer that ended in order."""
        return False if "goodbye" in self.features else None

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for name in dir(cls):
            if getattr(getattr(cls, name), "needs", set()) - cls.features:
                setattr(cls, name, None)

    def ends(self, **options: Any) -> Pair:
        """Both ends within this process; whoever asks closes them."""
        return ipcfast.pair(
            self.kind, **{"capacity": self.capacity, "framing": self.framing, **self.options, **options}
        )

    def place(self, name: str) -> str:
        """An address to listen at; the listener says which one it has become."""
        return f"{self.kind}://{name}"

    @pytest.fixture
    def pair(self) -> Iterator[Pair]:
        """Both ends within this process."""
        one, other = self.ends()
        with one, other:
            yield one, other

    @pytest.fixture
    def address(self) -> str:
        """An address that nobody listens at."""
        return f"{self.kind}://contract"

    @contextmanager
    def peer(self, role: str, *arguments: object) -> Iterator[tuple[IpcChannel, PeerProcess]]:
        """A second process in one of the roles of tests/peers.py, and our end of the channel to it."""
        with (
            ipcfast.listen(self.place("contract-peer")) as listener,
            PeerProcess(role, listener.address, *arguments) as process,
        ):
            with listener.accept(HANG) as channel:
                yield channel, process
