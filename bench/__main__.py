# SPDX-License-Identifier: MIT
"""Runs all benches: ``python -m bench``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from bench import bench_channel, bench_frame, bench_ring, bench_stream
from bench.suite import Outcome, parsed, tell


def main(argv: Sequence[str] | None = None) -> int:
    """Run one bench after the other and show the goals of all at the end."""
    options = parsed(__doc__, argv)
    whole = Outcome()
    for bench in (bench_ring, bench_stream, bench_channel, bench_frame):
        print(f"\n{bench.__doc__}")
        part = bench.run(options.rounds, options.block)
        whole.figures += part.figures
        whole.verdicts += part.verdicts
        whole.readings += part.readings
    print()
    return tell(whole, options.json)


if __name__ == "__main__":
    sys.exit(main())
