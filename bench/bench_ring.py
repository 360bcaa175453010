# SPDX-License-Identifier: MIT
"""The shared-memory ring: round trips from 64 B to 1 MiB, and one-way traffic, beside its peers and C."""

from __future__ import annotations

import sys

from bench.measure import Goal, Job
from bench.suite import Outcome, Suite, by_itself, run_suite

RING, LOCAL, PIPE, PAIR, ZMQ, SLOTS, LIMIT = (
    "ipcfast ring",
    "ipcfast local",
    "multiprocessing.Pipe",
    "socketpair",
    "pyzmq ipc",
    "shm + semaphore",
    "C ring",
)
SMALL = Job("round_trip", 64)
KIB = Job("round_trip", 1 << 10)
MEDIUM = Job("round_trip", 64 << 10)
LARGE = Job("round_trip", 1 << 20)
ONE_WAY = Job("one_way", 64)
BATCHES = Job("batches", 64)


def in_both(job: Job, theirs: str, factor: float, their_job: Job | None = None) -> tuple[Goal, Goal]:
    """Return the same goal for both placements."""
    same, split = (Goal(job, place, RING, theirs, factor, their_job) for place in ("same", "split"))
    return same, split


SUITE = Suite(
    peers=(RING, LOCAL, PIPE, PAIR, ZMQ, SLOTS, LIMIT),
    jobs=(SMALL, KIB, MEDIUM, LARGE, ONE_WAY, BATCHES),
    stranger_jobs=(SMALL,),
    goals=(
        Goal(SMALL, "strangers", RING, PIPE, 1),
        Goal(SMALL, "strangers", RING, PAIR, 1),
        Goal(SMALL, "same", RING, SLOTS, 2.5),
        Goal(SMALL, "same", RING, PAIR, 3.5),
        Goal(SMALL, "same", RING, PIPE, 6),
        Goal(SMALL, "same", RING, ZMQ, 10),
        Goal(SMALL, "same", RING, LIMIT, 1 / 1.5),
        Goal(SMALL, "split", RING, SLOTS, 50),
        Goal(SMALL, "split", RING, PAIR, 50),
        Goal(SMALL, "split", RING, PIPE, 50),
        Goal(SMALL, "split", RING, ZMQ, 50),
        Goal(SMALL, "split", RING, LIMIT, 1 / 1.2),
        *in_both(KIB, SLOTS, 2.3),
        *in_both(KIB, PAIR, 2.3),
        *in_both(KIB, ZMQ, 9),
        Goal(KIB, "same", RING, LIMIT, 1 / 1.55),
        Goal(KIB, "split", RING, LIMIT, 1 / 1.25),
        Goal(MEDIUM, "same", RING, PAIR, 1.8),
        Goal(MEDIUM, "same", RING, PIPE, 2.7),
        Goal(MEDIUM, "same", RING, LIMIT, 1 / 1.1),
        Goal(LARGE, "same", RING, PAIR, 1.15),
        Goal(LARGE, "same", RING, PIPE, 3.5),
        Goal(LARGE, "same", RING, LIMIT, 1 / 1.6),
        *in_both(ONE_WAY, PIPE, 20),
        *in_both(ONE_WAY, PAIR, 4, BATCHES),
        *in_both(ONE_WAY, ZMQ, 7.5),
        *in_both(ONE_WAY, LIMIT, 0.5),
        *in_both(BATCHES, PAIR, 7),
        *in_both(BATCHES, ZMQ, 13, ONE_WAY),
        *in_both(BATCHES, LIMIT, 0.5),
    ),
)


def run(rounds: int, block_seconds: float) -> Outcome:
    """Measure everything."""
    return run_suite(SUITE, rounds=rounds, block_seconds=block_seconds)


if __name__ == "__main__":
    sys.exit(by_itself(__doc__, run))
