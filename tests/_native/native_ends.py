# SPDX-License-Identifier: MIT
"""What the tests of the native channels share: bare peers, calls in threads, and bounds."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from typing import Any

from ipcfast._native.stream_channel import KIND_BYTES, StreamChannel

MIB = 1 << 20
# No call that works takes nearly as long.
HANG = 20.0


class Raw:
    """A channel whose peer is a bare socket."""

    def __init__(self, **options: Any) -> None:
        ours, self.socket = socket.socketpair()
        self.channel = StreamChannel.adopt(ours.detach(), **options)

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self.channel.close()
        self.socket.close()


def header(size: int, kind: int = KIND_BYTES) -> bytes:
    return bytes([0xF1, 0x9C, 1, kind, 0, 0, 0xFF, 0xFF]) + size.to_bytes(8, "little")


def in_thread(call: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    """Run the call in a thread; the list gets its result, or the exception."""
    results: list[object] = []

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, results


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"))
