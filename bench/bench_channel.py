# SPDX-License-Identifier: MIT
"""Channels as programs use them: JSON round trips, and what waiting costs beside other threads."""

from __future__ import annotations

import sys

from bench import waiting
from bench.measure import Goal, Job
from bench.suite import Outcome, Suite, by_itself, run_suite

OBJECTS = Job("objects", 0)
RING, LOCAL, PIPE, PAIR, ZMQ = (
    "ipcfast ring",
    "ipcfast local",
    "multiprocessing.Pipe",
    "socketpair",
    "pyzmq ipc",
)

SUITE = Suite(
    peers=(RING, LOCAL, PIPE, PAIR, ZMQ),
    jobs=(OBJECTS,),
    goals=(Goal(OBJECTS, "same", RING, PAIR, 2.5), Goal(OBJECTS, "same", RING, PIPE, 4.5)),
)


def run(rounds: int, block_seconds: float) -> Outcome:
    """Measure everything."""
    outcome = run_suite(SUITE, rounds=rounds, block_seconds=block_seconds)
    outcome.readings = [
        *waiting.readings("shm", RING),
        *waiting.readings("local", LOCAL),
        *waiting.pipe_readings(),
    ]
    return outcome


if __name__ == "__main__":
    sys.exit(by_itself(__doc__, run))
