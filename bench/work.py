# SPDX-License-Identifier: MIT
"""The work that every Python contestant does: the two sides of each job, the same loop for all."""

from __future__ import annotations

import hashlib
import itertools
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from bench.measure import Block, Job
from ipcfast.cli.trial.wires import Wire

__all__ = ["OtherSide", "WrongContents", "do", "messages", "serve"]

# What comes back and is larger than this is not kept until the clock has stopped: lengths are checked for
# all, contents for the last message of each block, for the warm-up, and where each message is timed.
KEPT_BYTES = 4096
BATCH_BYTES = 64 << 10
DISTINCT = 1024

OBJECT = {
    "method": "scene.set_attribute",
    "path": "/world/camera1",
    "values": [0.25, 1.5, -3.0],
    "frame": 1001,
    "options": {"undo": True, "label": "Größe"},
}


class WrongContents(Exception):
    """Something was lost, doubled, out of order, or altered: the figures are void."""


class OtherSide(Protocol):
    """What this side may ask of the other one while a job runs."""

    def wait_until_done(self) -> None:
        """Wait until the other side has received everything."""

    def report(self) -> dict[str, Any]:
        """Return what it received."""


def messages(size: int, count: int) -> list[bytes]:
    """Return ``count`` messages; 1,024 (or what fits into 4 MiB) differ, then they repeat."""
    distinct = max(min(count, DISTINCT, (4 << 20) // max(size, 1)), 1)
    made = [number.to_bytes(8, "little") * (size // 8) + b"." * (size % 8) for number in range(distinct)]
    return list(itertools.islice(itertools.cycle(made), count))


def checksum(received: Sequence[bytes]) -> str:
    """Return a checksum of the order and the contents."""
    digest = hashlib.sha256()
    for message in received:
        digest.update(message)
    return digest.hexdigest()


def do(wire: Wire, job: Job, count: int, other: OtherSide, *, timed: bool) -> Block:
    """Do this side's part of a job, and check what arrived.

    Raises:
        WrongContents: Something is missing or altered.
    """
    if job.work == "objects_one_way":
        return objects_one_way(wire, values(job.size, count), other)
    if job.work in ("one_way", "batches"):
        return one_way(wire, messages(job.size, count), other, in_batches=job.work == "batches")
    if job.work == "objects":
        block = objects(wire, values(job.size, count), timed=timed)
    elif timed:
        block = timed_round_trips(wire, messages(job.size, count))
    else:
        block = round_trips(wire, messages(job.size, count), keep=job.size <= KEPT_BYTES or count <= 4)
    other.wait_until_done()
    other.report()
    return block


def round_trips(wire: Wire, payload: list[bytes], *, keep: bool) -> Block:
    """Send each message and wait until it is back."""
    send, recv = wire.send_bytes, wire.recv_bytes
    returned = []
    total = 0
    started = time.perf_counter_ns()
    if keep:
        for message in payload:
            send(message)
            returned.append(recv())
    else:
        for message in payload:
            send(message)
            last = recv()
            total += len(last)
    elapsed = time.perf_counter_ns() - started
    whole = returned == payload if keep else last == payload[-1] and total == sum(map(len, payload))
    if not whole:
        raise WrongContents(f"{len(payload)} messages came back altered")
    return Block(len(payload), elapsed)


def timed_round_trips(wire: Wire, payload: list[bytes]) -> Block:
    """As ``round_trips``, with the time of each; all are compared, outside of the clock."""
    samples = []
    clock = time.perf_counter_ns
    for message in payload:
        started = clock()
        wire.send_bytes(message)
        returned = wire.recv_bytes()
        samples.append(clock() - started)
        if returned != message:
            raise WrongContents("a message came back altered")
    return Block(len(payload), sum(samples), tuple(samples))


def values(size: int, count: int) -> list[dict[str, Any]]:
    """Return ``count`` dicts; 1,024 differ, then they repeat."""
    if size:
        return [{"text": "x" * size}] * count
    made = [{**OBJECT, "frame": number} for number in range(min(count, DISTINCT))]
    return list(itertools.islice(itertools.cycle(made), count))


def objects(wire: Wire, payload: list[dict[str, Any]], *, timed: bool) -> Block:
    """Send a dict and wait until it is back; all are compared, outside of the clock."""
    samples = []
    returned = []
    clock = time.perf_counter_ns
    began = clock()
    for value in payload:
        started = clock() if timed else 0
        wire.send_json(value)
        returned.append(wire.recv_json())
        if timed:
            samples.append(clock() - started)
    elapsed = clock() - began
    if returned != payload:
        raise WrongContents(f"{len(payload)} dicts came back altered")
    return Block(len(payload), elapsed, tuple(samples))


def objects_one_way(wire: Wire, payload: list[dict[str, Any]], other: OtherSide) -> Block:
    """Send dicts without waiting; the clock stops when all have arrived."""
    send = wire.send_json
    used, started = time.process_time_ns(), time.perf_counter_ns()
    for value in payload:
        send(value)
    other.wait_until_done()
    elapsed, used = time.perf_counter_ns() - started, time.process_time_ns() - used
    due = {"count": len(payload), "checksum": checksum([repr(value).encode() for value in payload])}
    report = other.report()
    used += report.pop("cpu_ns")
    if report != due:
        raise WrongContents(f"sent {due}, the other side has {report}")
    return Block(len(payload), elapsed, cpu_ns=used)


def one_way(wire: Wire, payload: list[bytes], other: OtherSide, *, in_batches: bool) -> Block:
    """Send without waiting, a message or 64 KiB with each call; the clock stops when all have arrived."""
    step = max(BATCH_BYTES // max(len(payload[0]), 1), 1)
    groups = [payload[start : start + step] for start in range(0, len(payload), step)] if in_batches else []
    started = time.perf_counter_ns()
    if in_batches:
        assert wire.send_many is not None
        for group in groups:
            wire.send_many(group)
    else:
        send = wire.send_bytes
        for message in payload:
            send(message)
    other.wait_until_done()
    elapsed = time.perf_counter_ns() - started
    due = {"count": len(payload), "checksum": checksum(payload)}
    if (report := other.report()) != due:
        raise WrongContents(f"sent {due}, the other side has {report}")
    return Block(len(payload), elapsed)


def serve(wire: Wire, job: Job, count: int) -> Callable[[], dict[str, Any]]:
    """Do the other side's part of a job, and return what makes the report, to be called off the clock."""
    if job.work == "round_trip":
        send, recv = wire.send_bytes, wire.recv_bytes
        for _ in range(count):
            send(recv())
        return dict
    if job.work == "objects":
        for _ in range(count):
            wire.send_json(wire.recv_json())
        return dict
    if job.work == "objects_one_way":
        take = wire.recv_json
        began = time.process_time_ns()
        taken = [take() for _ in range(count)]
        used = time.process_time_ns() - began
        return lambda: {
            "count": len(taken),
            "checksum": checksum([repr(value).encode() for value in taken]),
            "cpu_ns": used,
        }
    received: list[bytes] = []
    if job.work == "batches":
        assert wire.recv_many is not None
        while len(received) < count:
            received += wire.recv_many()
    else:
        recv = wire.recv_bytes
        received = [recv() for _ in range(count)]
    return lambda: {"count": len(received), "checksum": checksum(received)}
