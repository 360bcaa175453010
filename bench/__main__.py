# SPDX-License-Identifier: MIT
"""Runs all benches: ``python -m bench``."""

from __future__ import annotations

import sys

from bench import bench_channel, bench_frame, bench_ring, bench_stdio, bench_stream, bench_thread
from bench.suite import Outcome, by_itself


def run(rounds: int, block_seconds: float) -> Outcome:
    """Run one bench after the other."""
    whole = Outcome()
    for bench in (bench_ring, bench_stream, bench_stdio, bench_channel, bench_thread, bench_frame):
        print(f"\n{bench.__doc__}")
        whole.add(bench.run(rounds, block_seconds))
    print()
    return whole


if __name__ == "__main__":
    sys.exit(by_itself(__doc__, run))
