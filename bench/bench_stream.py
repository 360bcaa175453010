# SPDX-License-Identifier: MIT
"""The local socket: round trips and one-way traffic, beside blocking sockets and the same in C."""

from __future__ import annotations

import sys

from bench.measure import Goal, Job
from bench.suite import Outcome, Suite, by_itself, run_suite

LOCAL, PIPE, PAIR, ZMQ, LIMIT = "ipcfast local", "multiprocessing.Pipe", "socketpair", "pyzmq ipc", "C local"
SMALL = Job("round_trip", 64)
KIB = Job("round_trip", 1 << 10)

SUITE = Suite(
    peers=(LOCAL, PIPE, PAIR, ZMQ, LIMIT),
    jobs=(
        SMALL,
        KIB,
        Job("round_trip", 64 << 10),
        Job("round_trip", 1 << 20),
        Job("one_way", 64),
        Job("batches", 64),
    ),
    stranger_jobs=(SMALL,),
    goals=(
        Goal(SMALL, "strangers", LOCAL, PIPE, 1),
        Goal(SMALL, "strangers", LOCAL, PAIR, 1),
        Goal(SMALL, "same", LOCAL, PAIR, 1),
        Goal(SMALL, "split", LOCAL, PAIR, 10),
        Goal(SMALL, "split", LOCAL, PIPE, 10),
        Goal(SMALL, "same", LOCAL, LIMIT, 1 / 1.5),
        Goal(SMALL, "split", LOCAL, LIMIT, 1 / 1.5),
        Goal(KIB, "same", LOCAL, PAIR, 1),
        Goal(KIB, "split", LOCAL, PAIR, 10),
    ),
)


def run(rounds: int, block_seconds: float) -> Outcome:
    """Measure everything."""
    return run_suite(SUITE, rounds=rounds, block_seconds=block_seconds)


if __name__ == "__main__":
    sys.exit(by_itself(__doc__, run))
