# SPDX-License-Identifier: MIT
"""The instrument: places processes on CPUs, lets contestants take turns, and condenses what it saw."""

from __future__ import annotations

import contextlib
import os
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ipcfast.cli.trial.figures import percentile

__all__ = [
    "Block",
    "Contestant",
    "Figure",
    "Goal",
    "Job",
    "Placement",
    "Reading",
    "Verdict",
    "compare",
    "median_ratio",
    "pin",
    "placements",
    "unmeasured",
    "verdicts",
]

ROUNDS = 9
BLOCK_SECONDS = 0.04
# Timing a single round trip costs two clock readings: blocks that give rates are timed as a whole.
TIMED_COUNT = 400


@dataclass(frozen=True)
class Placement:
    """Where the two processes run: ``here`` is the CPU of this one, ``peer`` that of the other.

    ``strangers``: the other process gets a session of its own, as services, containers and terminals have.
    Linux then shares a CPU between the sessions first, and yielding it does not reach the other process.
    """

    name: str
    here: int
    peer: int
    strangers: bool = False


@dataclass(frozen=True)
class Job:
    """What is done: ``work`` is one of round_trip, one_way, batches, objects, objects_one_way.

    ``size`` is in bytes; of objects it is that of a text within, 0 for a small dict of several values.
    """

    work: str
    size: int

    @property
    def title(self) -> str:
        """The name of the job in tables."""
        name = {"objects": "JSON dict round trip", "objects_one_way": "JSON dict one way"}.get(
            self.work, self.work.replace("_", " ")
        )
        if not self.size:
            return name
        unit = f"{self.size} B" if self.size < 1024 else f"{self.size // 1024} KiB"
        unit = f"{self.size >> 20} MiB" if self.size >= 1 << 20 else unit
        return f"{name} {unit}"


@dataclass(frozen=True)
class Block:
    """One turn of a contestant, verified by it.

    ``samples_ns`` has the time of each message, when that was asked for; ``cpu_ns`` is the CPU time of both
    processes while the clock ran, of jobs that tell it.
    """

    count: int
    elapsed_ns: int
    samples_ns: tuple[int, ...] = ()
    cpu_ns: int = 0


class Contestant(Protocol):
    """Something that can do jobs between this process (or one of its own) and another."""

    name: str

    def can(self, job: Job) -> bool:
        """Whether it can do the job at all."""

    def place(self, placement: Placement) -> None:
        """Pin both processes."""

    def run(self, job: Job, count: int, *, timed: bool = False) -> Block:
        """Do the job ``count`` times, and raise unless everything arrived whole and in order."""

    def close(self) -> None:
        """End the other process."""


@dataclass(frozen=True)
class Figure:
    """What one contestant reached at one job in one placement; times are nanoseconds for each message."""

    job: Job
    placement: str
    contestant: str
    rounds_ns: tuple[float, ...]
    p50_ns: float | None
    p99_ns: float | None

    @property
    def median_ns(self) -> float:
        """The median round."""
        return statistics.median(self.rounds_ns)


@dataclass(frozen=True)
class Goal:
    """A ratio to reach: ``ours`` shall be at least ``factor`` times as fast as ``theirs``.

    A factor below 1 is for a limit that cannot be beaten: 1 / 1.5 means at most 1.5 times as slow.
    """

    job: Job
    placement: str
    ours: str
    theirs: str
    factor: float
    their_job: Job | None = None  # where it is another one than ours

    @property
    def title(self) -> str:
        """What is compared, where, and with whom."""
        other = f" {self.their_job.title}" if self.their_job else ""
        return f"{self.job.title}, {self.placement}: {self.ours} / {self.theirs}{other}"


@dataclass(frozen=True)
class Verdict:
    """A goal, and the ratio that was reached."""

    goal: Goal
    reached: float
    limit: float

    @property
    def is_met(self) -> bool:
        """Whether the ratio is at least the limit."""
        return self.reached >= self.limit


@dataclass(frozen=True)
class Reading:
    """A figure that is no race: a cost, a share, a delay. ``at_most`` is the goal, in the same unit."""

    title: str
    contestant: str
    value: float
    unit: str
    at_most: float | None = None

    @property
    def is_met(self) -> bool:
        """Whether the goal is reached, if there is one."""
        return self.at_most is None or self.value <= self.at_most


def placements() -> list[Placement]:
    """Return ``same``, with two CPUs ``split``, and last, because it cannot be undone, ``strangers``."""
    cpus = sorted(os.sched_getaffinity(0))
    found = [Placement("same", cpus[0], cpus[0]), Placement("strangers", cpus[0], cpus[0], strangers=True)]
    if len(cpus) > 1:
        found.insert(1, Placement("split", cpus[0], cpus[1]))
    return found


def pin(cpus: set[int]) -> None:
    """Let every thread of this process run on these CPUs only: a library may have threads of its own."""
    for thread in os.listdir("/proc/self/task"):
        # A thread that has ended meanwhile needs no place.
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(int(thread), cpus)


def compare(
    contestants: Sequence[Contestant],
    job: Job,
    placement: Placement,
    *,
    rounds: int = ROUNDS,
    block_seconds: float = BLOCK_SECONDS,
) -> list[Figure]:
    """Let all contestants do the job in interleaved blocks: A B C A B C.

    This process is pinned while it measures, and gets its CPUs back afterwards.
    """
    able = [contestant for contestant in contestants if contestant.can(job)]
    allowed = os.sched_getaffinity(0)
    pin({placement.here})
    try:
        for contestant in able:
            contestant.place(placement)
        counts = [calibrated(contestant, job, block_seconds) for contestant in able]
        per_message: list[list[float]] = [[] for _ in able]
        samples: list[list[int]] = [[] for _ in able]
        for _ in range(rounds):
            for index, contestant in enumerate(able):
                block = contestant.run(job, counts[index])
                per_message[index].append(block.elapsed_ns / block.count)
            if job.work in ("round_trip", "objects"):
                for index, contestant in enumerate(able):
                    timed = contestant.run(job, min(counts[index], TIMED_COUNT), timed=True)
                    samples[index] += timed.samples_ns
    finally:
        pin(allowed)
    for taken in samples:
        taken.sort()
    return [
        Figure(
            job,
            placement.name,
            contestant.name,
            tuple(per_message[index]),
            percentile(samples[index], 50) if samples[index] else None,
            percentile(samples[index], 99) if samples[index] else None,
        )
        for index, contestant in enumerate(able)
    ]


def calibrated(contestant: Contestant, job: Job, block_seconds: float) -> int:
    """Return how many messages fill a block; this is the warm-up too."""
    count = 4
    while True:
        # The fastest of three: one that was interrupted says nothing about the count. Half a block: what a
        # block costs beside its messages (an order, a wake-up) must not be taken for their cost.
        fastest = min(contestant.run(job, count).elapsed_ns for _ in range(3))
        if fastest > block_seconds * 1e9 / 2:
            return max(int(count * block_seconds * 1e9 / fastest), 4)
        count *= 4


def median_ratio(ours: Figure, theirs: Figure) -> float:
    """Return how many times as fast ``ours`` is: the median of the rounds, compared one by one."""
    return statistics.median(b / a for a, b in zip(ours.rounds_ns, theirs.rounds_ns))


def verdicts(figures: Sequence[Figure], goals: Iterable[Goal], *, slack: float = 1.0) -> list[Verdict]:
    """Hold the goals against the figures; those that nothing was measured for are told by ``unmeasured``.

    Args:
        figures: What was measured.
        goals: What shall be reached.
        slack: The part of the factor that is demanded; 0.7 for a loose gate.
    """
    result = []
    for goal in goals:
        sides = sides_of(goal, figures)
        if sides is not None:
            result.append(Verdict(goal, median_ratio(*sides), goal.factor * slack))
    return result


def unmeasured(figures: Sequence[Figure], goals: Iterable[Goal]) -> list[Goal]:
    """Return the goals that the figures say nothing about: a contestant or a placement was missing."""
    return [goal for goal in goals if sides_of(goal, figures) is None]


def sides_of(goal: Goal, figures: Sequence[Figure]) -> tuple[Figure, Figure] | None:
    """Return our figure and theirs, None where one is missing."""
    found = {(figure.job, figure.placement, figure.contestant): figure for figure in figures}
    ours = found.get((goal.job, goal.placement, goal.ours))
    theirs = found.get((goal.their_job or goal.job, goal.placement, goal.theirs))
    return None if ours is None or theirs is None else (ours, theirs)
