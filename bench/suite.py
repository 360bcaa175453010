# SPDX-License-Identifier: MIT
"""Runs a set of jobs in all placements with all contestants, and holds the goals against the outcome."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.measure import (
    BLOCK_SECONDS,
    ROUNDS,
    Figure,
    Goal,
    Job,
    Reading,
    Verdict,
    compare,
    placements,
    verdicts,
)
from bench.processes import contestants
from bench.report import print_figures, print_readings, print_verdicts, write_json

__all__ = ["Outcome", "Suite", "parsed", "run_suite", "tell"]


@dataclass(frozen=True)
class Suite:
    """Contestants (files of ``bench/peers``) and what they do; ratios are printed to ``base``.

    ``stranger_jobs`` are those that are done in the placement ``strangers`` as well.
    """

    peers: tuple[str, ...]
    jobs: tuple[Job, ...]
    goals: tuple[Goal, ...]
    stranger_jobs: tuple[Job, ...] = ()
    base: str = "multiprocessing.Pipe"


@dataclass
class Outcome:
    """All that was measured."""

    figures: list[Figure] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)


def run_suite(
    suite: Suite, *, rounds: int = ROUNDS, block_seconds: float = BLOCK_SECONDS, slack: float = 1.0
) -> Outcome:
    """Measure everything and print each table as soon as it is complete."""
    warn_of_load()
    outcome = Outcome()
    with contestants(*suite.peers) as running:
        for placement in placements():
            for job in suite.stranger_jobs if placement.strangers else suite.jobs:
                figures = compare(running, job, placement, rounds=rounds, block_seconds=block_seconds)
                print_figures(figures, base=suite.base)
                outcome.figures += figures
    outcome.verdicts = verdicts(outcome.figures, suite.goals, slack=slack)
    return outcome


def warn_of_load() -> None:
    """Say so when others use the CPUs: what is measured then is how they are shared."""
    load, cpus = os.getloadavg()[0], len(os.sched_getaffinity(0))
    if load > cpus / 2:
        print(f"WARNING: load {load:.1f} on {cpus} CPUs: others are at work, these figures mean little")


def parsed(description: str | None, argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the arguments that all benches have."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--rounds", type=int, default=ROUNDS, help="interleaved rounds (default: %(default)s)"
    )
    parser.add_argument(
        "--block", type=float, default=BLOCK_SECONDS, help="seconds of each block (default: %(default)s)"
    )
    parser.add_argument("--json", metavar="PATH", help="write everything to a file")
    return parser.parse_args(argv)


def tell(outcome: Outcome, json_path: str | None = None) -> int:
    """Print the goals and the readings; return 1 when one was missed."""
    print_readings(outcome.readings)
    print_verdicts(outcome.verdicts)
    if json_path is not None:
        write_json(outcome.figures, outcome.verdicts, outcome.readings, json_path)
    met = [verdict.is_met for verdict in outcome.verdicts] + [reading.is_met for reading in outcome.readings]
    return 0 if all(met) else 1
