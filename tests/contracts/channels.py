# SPDX-License-Identifier: MIT
"""What every part of the conformance suite stands on: channels within this process, and to a second one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import pytest

import ipcfast
from ipcfast import IpcChannel
from tests.peers import HANG, PeerProcess

__all__ = ["Channels", "Pair"]

Pair = tuple[IpcChannel, IpcChannel]


class Channels:
    """A suite sets ``kind``, and gets channels of that kind.

    Attributes:
        kind: For ``ipcfast.pair``, and the scheme of addresses.
        capacity: Bytes that surely fill what lies between the two ends: the ring, or half of it and more.
        framing: Of the pairs within this process.
    """

    kind: ClassVar[str]
    capacity: ClassVar[int] = 1 << 18
    framing: ClassVar[str] = "length"

    @pytest.fixture
    def pair(self) -> Iterator[Pair]:
        """Both ends within this process."""
        one, other = ipcfast.pair(self.kind, capacity=self.capacity, framing=self.framing)
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
