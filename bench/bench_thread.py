# SPDX-License-Identifier: MIT
"""The channel between threads: round trips and one-way traffic beside the queues of the standard library."""

from __future__ import annotations

import sys

from bench.measure import Goal, Job
from bench.suite import Outcome, Suite, by_itself, run_suite

THREAD, SIMPLE, QUEUE = "ipcfast thread", "queue.SimpleQueue", "queue.Queue"
SMALL = Job("round_trip", 64)
ONE_WAY = Job("one_way", 64)
OBJECTS = Job("objects", 0)
PLACES = ("same", "split")

SUITE = Suite(
    peers=(THREAD, SIMPLE, QUEUE),
    jobs=(SMALL, OBJECTS, ONE_WAY),
    goals=(
        *(Goal(SMALL, place, THREAD, SIMPLE, 3.5) for place in PLACES),
        *(Goal(SMALL, place, THREAD, QUEUE, 6) for place in PLACES),
    ),
    base=SIMPLE,
)


def run(rounds: int, block_seconds: float) -> Outcome:
    """Measure everything."""
    return run_suite(SUITE, rounds=rounds, block_seconds=block_seconds)


if __name__ == "__main__":
    sys.exit(by_itself(__doc__, run))
