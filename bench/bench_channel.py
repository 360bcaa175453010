# SPDX-License-Identifier: MIT
"""Channels as programs use them: JSON round trips, and what waiting costs beside other threads."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from bench import waiting
from bench.measure import Goal, Job
from bench.suite import Outcome, Suite, parsed, run_suite, tell

OBJECTS = Job("objects", 0)
RING, LOCAL, PIPE, PAIR = "ipcfast ring", "ipcfast local", "multiprocessing.Pipe", "socketpair"

SUITE = Suite(
    peers=("ipcfast_ring", "ipcfast_local", "mp_pipe", "socketpair", "zmq_ipc"),
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


def main(argv: Sequence[str] | None = None) -> int:
    """Run by itself."""
    options = parsed(__doc__, argv)
    return tell(run(options.rounds, options.block), options.json)


if __name__ == "__main__":
    sys.exit(main())
