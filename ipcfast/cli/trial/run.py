# SPDX-License-Identifier: MIT
"""Runs the workloads of a trial: block by block over one wire after the other, every message verified."""

from __future__ import annotations

import hashlib
import itertools
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import ipcfast
from ipcfast.cli.trial.failures import Mismatch, NoAnswer
from ipcfast.cli.trial.figures import Row, Tally, rows_of
from ipcfast.cli.trial.files import OnSkip, Part, blocks
from ipcfast.cli.trial.process import WorkerProcess
from ipcfast.cli.trial.progress import Progress
from ipcfast.cli.trial.wires import LOCAL, PIPE, RING, TITLES, Wire

__all__ = ["FULL", "QUICK", "Plan", "Trial"]

WIRES = (RING, LOCAL, PIPE)
SMALL_BYTES = 64
MIB = 1 << 20


@dataclass(frozen=True)
class Plan:
    """How much of each workload, beside the files: counts of messages for each wire, split into blocks."""

    round_trips: int
    one_way: int
    blocks: int
    large: tuple[tuple[int, int], ...]  # (size in bytes, how often)


FULL = Plan(round_trips=20_000, one_way=100_000, blocks=10, large=((MIB, 40), (16 * MIB, 8), (64 * MIB, 4)))
QUICK = Plan(round_trips=600, one_way=3_000, blocks=3, large=((MIB, 3), (4 * MIB, 2)))


@dataclass
class Result:
    """What a trial found. ``files`` were sent whole, ``file_bytes`` is what they hold."""

    rows: list[Row] = field(default_factory=list)
    files: int = 0
    file_bytes: int = 0


class Trial:
    """The workloads, in the order in which the table shows them.

    Raises, from every method: Mismatch, WorkerDied, NoAnswer.
    """

    def __init__(self, worker: WorkerProcess, progress: Progress, on_skip: OnSkip) -> None:
        self._worker = worker
        self._progress = progress
        self._on_skip = on_skip
        self._turns = itertools.count()
        self.result = Result()

    def run(self, paths: list[str], plan: Plan) -> Result:
        """Do everything."""
        try:
            self.small_round_trips(plan.round_trips, plan.blocks)
            self.one_way(plan.one_way, plan.blocks)
            self.files(paths)
            for size, rounds in plan.large:
                self.large(size, rounds)
        except (EOFError, ConnectionError):
            raise self._worker.death() from None
        except ipcfast.ChannelTimeout as error:
            raise NoAnswer(f"the worker (pid {self._worker.pid}) does not answer: {error}") from error
        return self.result

    def small_round_trips(self, count: int, block_count: int) -> None:
        """Send small messages that come back as they are: the latency of a transport and nothing else."""
        tallies = self._tallies()
        per_block = count // block_count
        for block in range(block_count):
            for name in self._in_turn():
                self._progress.step("64 B round trips", block * per_block, count)
                wire = self._worker.order("echo", name, per_block)
                for number in range(per_block):
                    self._echo(name, wire, small_message(number), tallies[name])
        self._add_rows("64 B round trip", tallies)

    def one_way(self, count: int, block_count: int) -> None:
        """Send small messages without waiting for answers, one with each call and in batches."""
        per_call, batched = self._tallies(), self._tallies()
        payload = [small_message(number) for number in range(count // block_count)]
        checksum = hashlib.sha256(b"".join(payload)).hexdigest()
        for block in range(block_count):
            for name in self._in_turn():
                self._progress.step("64 B one way", block * len(payload), count)
                wire = self._worker.order("collect", name, len(payload))
                self._pour(name, wire, payload, checksum, per_call[name], in_batches=False)
                if wire.send_many is not None:
                    wire = self._worker.order("collect_batches", name, len(payload))
                    self._pour(name, wire, payload, checksum, batched[name], in_batches=True)
        self._add_rows("64 B one way", per_call)
        self._add_rows("64 B one way, batched", batched, base=per_call[PIPE])

    def files(self, paths: list[str]) -> None:
        """Send every file; the worker answers each with its facts, which must be those found here."""
        tallies = self._tallies()
        skipped = 0

        def on_skip(path: str, reason: str) -> None:
            nonlocal skipped
            skipped += 1
            self._on_skip(path, reason)

        counted = _Counted(paths)
        for block in blocks(counted, on_skip):
            for name in self._in_turn():
                self._progress.step("files", counted.taken, len(paths))
                wire = self._worker.order("answer", name, len(block))
                for part in block:
                    self._ask(name, wire, part, tallies[name])
            self.result.file_bytes += sum(part.facts.size for part in block)
        self.result.files = len(paths) - skipped
        self._add_rows("files", tallies)

    def large(self, size: int, rounds: int) -> None:
        """Send a large buffer there and back; all of it must return unchanged."""
        tallies = self._tallies()
        title = f"{size // MIB} MiB there and back"
        contents = bytearray(os.urandom(size))
        for number in range(rounds):
            contents[:8] = number.to_bytes(8, "little")
            payload = bytes(contents)
            for name in self._in_turn():
                self._progress.step(title, number, rounds)
                self._echo(
                    name, self._worker.order("echo", name, 1), payload, tallies[name], bytes_moved=2 * size
                )
        self._add_rows(title, tallies)

    def _echo(
        self, name: str, wire: Wire, payload: bytes, tally: Tally, *, bytes_moved: int = SMALL_BYTES
    ) -> None:
        started = time.perf_counter_ns()
        wire.send_bytes(payload)
        returned = wire.recv_bytes()
        duration = time.perf_counter_ns() - started
        if returned != payload:
            raise Mismatch(
                f"{TITLES[name]}: {len(payload):,} bytes came back altered, as {len(returned):,} bytes"
            )
        tally.add_round_trip(duration, bytes_moved)

    def _ask(self, name: str, wire: Wire, part: Part, tally: Tally) -> None:
        started = time.perf_counter_ns()
        wire.send_bytes(part.data)
        answer = wire.recv_json()
        duration = time.perf_counter_ns() - started
        worked = number_in(answer, "worked_ns", name)
        del answer["worked_ns"]
        due = {"sha256": part.facts.sha256, "size": part.facts.size, "lines": part.facts.lines}
        if answer != due:
            raise Mismatch(f"{TITLES[name]}: {part.name!r}: the worker found {answer}, but it is {due}")
        tally.add_round_trip(max(duration - worked, 0), part.facts.size, worker_ns=worked)

    def _pour(
        self, name: str, wire: Wire, payload: list[bytes], checksum: str, tally: Tally, *, in_batches: bool
    ) -> None:
        started = time.perf_counter_ns()
        if in_batches:
            assert wire.send_many is not None
            wire.send_many(payload)
        else:
            for message in payload:
                wire.send_bytes(message)
        arrived = wire.recv_json()
        duration = time.perf_counter_ns() - started
        found: Any = (number_in(arrived, "count", name), wire.recv_json())
        due: Any = (len(payload), {"sha256": checksum})
        if found != due:
            raise Mismatch(f"{TITLES[name]}: sent {due}, but the worker received {found}")
        tally.add_one_way(duration, len(payload) * SMALL_BYTES, len(payload))

    def _in_turn(self) -> Iterator[str]:
        # Each block begins with another wire, so that none always finds the caches warm.
        first = next(self._turns) % len(WIRES)
        return iter(WIRES[first:] + WIRES[:first])

    def _tallies(self) -> dict[str, Tally]:
        return {name: Tally() for name in WIRES}

    def _add_rows(self, workload: str, tallies: dict[str, Tally], *, base: Tally | None = None) -> None:
        titled = {TITLES[name]: tally for name, tally in tallies.items()}
        self.result.rows += rows_of(workload, titled, base=base or tallies[PIPE])


class _Counted(Iterable[str]):
    """The paths, and how many of them have been taken so far."""

    def __init__(self, paths: list[str]) -> None:
        self._paths = paths
        self.taken = 0

    def __iter__(self) -> Iterator[str]:
        for path in self._paths:
            yield path
            self.taken += 1


def number_in(answer: Any, key: str, name: str) -> int:
    """Return a number that a worker's answer must hold.

    Raises:
        Mismatch: It does not.
    """
    number = answer.get(key) if isinstance(answer, dict) else None
    if type(number) is not int:
        raise Mismatch(f"{TITLES[name]}: the worker answered {answer!r:.200}, without the number {key!r}")
    return number


def small_message(number: int) -> bytes:
    """Return 64 bytes that differ for each number."""
    return number.to_bytes(8, "little") * (SMALL_BYTES // 8)
