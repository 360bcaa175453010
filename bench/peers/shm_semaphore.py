# SPDX-License-Identifier: MIT
"""multiprocessing.shared_memory with a semaphore for each direction: one slot, one message at a time."""

from __future__ import annotations

import functools
import multiprocessing
import struct
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.shared_memory import SharedMemory
from multiprocessing.synchronize import Semaphore

from bench.contestants import Peer
from bench.processes import TwoProcesses, wire_of_bytes
from ipcfast.cli.trial.wires import Wire

SLOT_BYTES = 4 << 20
HEADER = struct.Struct("<I")


@dataclass(frozen=True)
class Halves:
    """The memory's name, and who waits for what: ``full`` and ``free`` of each half."""

    name: str
    there_full: Semaphore
    there_free: Semaphore
    back_full: Semaphore
    back_free: Semaphore


def listen() -> tuple[Halves, Callable[[], Wire]]:
    """Make the memory and the semaphores."""
    memory = SharedMemory(create=True, size=2 * SLOT_BYTES)
    spawn = multiprocessing.get_context("spawn")
    halves = Halves(
        memory.name, spawn.Semaphore(0), spawn.Semaphore(1), spawn.Semaphore(0), spawn.Semaphore(1)
    )

    def finish() -> Wire:
        def close() -> None:
            memory.close()
            memory.unlink()

        return wire_of_bytes(
            sender(memory, 0, halves.there_full, halves.there_free),
            receiver(memory, SLOT_BYTES, halves.back_full, halves.back_free),
            close,
        )

    return halves, finish


def connect(halves: Halves) -> Wire:
    """Return the other end."""
    memory = SharedMemory(name=halves.name)
    return wire_of_bytes(
        sender(memory, SLOT_BYTES, halves.back_full, halves.back_free),
        receiver(memory, 0, halves.there_full, halves.there_free),
        memory.close,
    )


def sender(memory: SharedMemory, start: int, full: Semaphore, free: Semaphore) -> Callable[[bytes], None]:
    """Return a function that puts a message into the slot at ``start`` when it is free."""
    buffer = memory.buf
    assert buffer is not None
    body = start + HEADER.size

    def send(message: bytes) -> None:
        free.acquire()
        HEADER.pack_into(buffer, start, len(message))
        buffer[body : body + len(message)] = message
        full.release()

    return send


def receiver(memory: SharedMemory, start: int, full: Semaphore, free: Semaphore) -> Callable[[], bytes]:
    """Return a function that takes the message out of the slot at ``start`` when it is full."""
    buffer = memory.buf
    assert buffer is not None
    body = start + HEADER.size

    def recv() -> bytes:
        full.acquire()
        (size,) = HEADER.unpack_from(buffer, start)
        message = bytes(buffer[body : body + size])
        free.release()
        return message

    return recv


NAME = "shm + semaphore"
PEERS = (Peer(NAME, functools.partial(TwoProcesses, NAME, __name__, listen)),)
