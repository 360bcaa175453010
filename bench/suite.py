# SPDX-License-Identifier: MIT
"""Runs a set of jobs in all placements with all contestants, holds the goals against it, and tells."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench.contestants import contestants
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
    unmeasured,
    verdicts,
)
from bench.report import print_figures, print_readings, print_unmeasured, print_verdicts, write_json

__all__ = ["Outcome", "Suite", "by_itself", "run_suite"]


@dataclass(frozen=True)
class Suite:
    """Contestants (names of ``bench/peers``) and what they do; ratios are printed to ``base``.

    ``stranger_jobs`` are those that are done in the placement ``strangers`` as well.
    """

    peers: tuple[str, ...]
    jobs: tuple[Job, ...]
    goals: tuple[Goal, ...]
    stranger_jobs: tuple[Job, ...] = ()
    base: str = "multiprocessing.Pipe"


@dataclass
class Outcome:
    """All that was measured, and what was to be reached."""

    figures: list[Figure] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)

    @property
    def verdicts(self) -> list[Verdict]:
        """The goals that can be judged."""
        return verdicts(self.figures, self.goals)

    @property
    def unmeasured(self) -> list[Goal]:
        """The goals that cannot."""
        return unmeasured(self.figures, self.goals)

    def add(self, part: Outcome) -> None:
        """Take in what another bench has measured."""
        self.figures += part.figures
        self.goals += part.goals
        self.readings += part.readings


def run_suite(suite: Suite, *, rounds: int = ROUNDS, block_seconds: float = BLOCK_SECONDS) -> Outcome:
    """Measure everything and print each table as soon as it is complete."""
    warn_of_load()
    outcome = Outcome(goals=list(suite.goals))
    with contestants(*suite.peers) as running:
        for placement in placements():
            for job in suite.stranger_jobs if placement.strangers else suite.jobs:
                figures = compare(running, job, placement, rounds=rounds, block_seconds=block_seconds)
                print_figures(figures, base=suite.base)
                outcome.figures += figures
    return outcome


def warn_of_load() -> None:
    """Say so when others use the CPUs: what is measured then is how they are shared."""
    load, cpus = os.getloadavg()[0], len(os.sched_getaffinity(0))
    if load > cpus / 2:
        print(f"WARNING: load {load:.1f} on {cpus} CPUs: others are at work, these figures mean little")


def by_itself(
    description: str | None, run: Callable[[int, float], Outcome], argv: Sequence[str] | None = None
) -> int:
    """Be the program of a bench: read the arguments, run it, tell; return 1 when a goal was missed."""
    options = parsed(description, argv)
    outcome = run(options.rounds, options.block)
    all_met = tell(outcome, options.json)
    return 0 if all_met or options.report_only else 1


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
    parser.add_argument(
        "--report-only", action="store_true", help="exit with status 0 even when a goal was missed"
    )
    return parser.parse_args(argv)


def tell(outcome: Outcome, json_path: str | None = None) -> bool:
    """Print the goals and the readings; return whether none was missed."""
    found = outcome.verdicts
    print_readings(outcome.readings)
    print_verdicts(found)
    print_unmeasured(outcome.unmeasured)
    if json_path is not None:
        write_json(outcome.figures, found, outcome.readings, json_path)
    return all(verdict.is_met for verdict in found) and all(reading.is_met for reading in outcome.readings)
