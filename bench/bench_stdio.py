# SPDX-License-Identifier: MIT
"""The comparison of document 000: channels against JSON lines over a child's standard input and output."""

from __future__ import annotations

import contextlib
import os
import statistics
import sys
from collections.abc import Iterator

from bench.contestants import contestants
from bench.measure import Contestant, Goal, Job, Reading, pin, placements
from bench.peers.stdio import CHANNEL, LINES
from bench.processes import TwoProcesses
from bench.suite import Outcome, Suite, by_itself, run_suite

LATENCY, THROUGHPUT = Job("objects", 0), Job("objects_one_way", 0)
LARGE = Job("objects", 16 << 20)
RING, LOCAL = "ipcfast ring", "ipcfast local"
NAMES = (LINES, RING, LOCAL, CHANNEL)
# R125, R126: ten times each. R127: a third less CPU time, a fifth less memory.
TIMES = 10
CPU_SHARE, MEMORY_SHARE = 0.7, 0.8
MESSAGES = 20_000
REPEATS = 3

SUITE = Suite(
    peers=(RING, LOCAL, CHANNEL, LINES),
    jobs=(LATENCY, THROUGHPUT),
    goals=tuple(
        Goal(job, placement, ours, LINES, TIMES)
        for job in (LATENCY, THROUGHPUT)
        for placement in ("same", "split")
        for ours in (RING, LOCAL)
    ),
    base=LINES,
)


def run(rounds: int, block_seconds: float) -> Outcome:
    """Measure everything."""
    outcome = run_suite(SUITE, rounds=rounds, block_seconds=block_seconds)
    outcome.readings = costs()
    return outcome


def costs() -> list[Reading]:
    """Measure what the same messages cost in CPU time of both processes, and a large one in memory."""
    found = []
    for placement in placements():
        if placement.strangers:
            continue
        figures = {}
        for name in NAMES:
            with contestants(name) as (contestant,), pinned_to(placement.here):
                contestant.place(placement)
                figures[name] = statistics.median(cpu_of(contestant) for _ in range(REPEATS))
        title = f"CPU time of both sides for a JSON dict one way, {placement.name}"
        found += readings(title, figures, "us", CPU_SHARE)
    figures = {}
    for name in NAMES:
        with contestants(name) as (contestant,):
            figures[name] = memory_of(contestant)
    return found + readings("peak memory of returning 16 MiB of JSON", figures, "MiB", MEMORY_SHARE)


def readings(title: str, figures: dict[str, float], unit: str, share: float) -> list[Reading]:
    """Return the figures, with the goal for those that have one: that share of the lines' figure."""
    goal = round(share * figures[LINES], 3)
    return [
        Reading(title, name, figure, unit, goal if name in (RING, LOCAL) else None)
        for name, figure in figures.items()
    ]


@contextlib.contextmanager
def pinned_to(cpu: int) -> Iterator[None]:
    """Keep this process on one CPU during the block."""
    allowed = os.sched_getaffinity(0)
    pin({cpu})
    try:
        yield
    finally:
        pin(allowed)


def cpu_of(contestant: Contestant) -> float:
    """Return the microseconds of CPU that one message takes of both processes; checking it is not in that."""
    contestant.run(THROUGHPUT, 100)
    return contestant.run(THROUGHPUT, MESSAGES).cpu_ns / MESSAGES / 1000


def memory_of(contestant: Contestant) -> float:
    """Return by how many MiB a large message makes the other process grow at most."""
    assert isinstance(contestant, TwoProcesses)
    contestant.run(LATENCY, 10)
    before = contestant.peak_memory()
    contestant.run(LARGE, REPEATS)
    return (contestant.peak_memory() - before) / (1 << 20)


if __name__ == "__main__":
    sys.exit(by_itself(__doc__, run))
