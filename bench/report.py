# SPDX-License-Identifier: MIT
"""Prints what was measured as tables, and writes it as JSON."""

from __future__ import annotations

import dataclasses
import json
import platform
import sys
import time
from collections.abc import Sequence

from bench.measure import Figure, Goal, Reading, Verdict, median_ratio

__all__ = ["print_figures", "print_readings", "print_unmeasured", "print_verdicts", "write_json"]


def print_figures(figures: Sequence[Figure], *, base: str) -> None:
    """Print a table; the last column says how many times as fast as ``base`` each contestant is."""
    groups = list(dict.fromkeys((figure.job, figure.placement) for figure in figures))
    for job, placement in groups:
        group = [figure for figure in figures if (figure.job, figure.placement) == (job, placement)]
        reference = next((figure for figure in group if figure.contestant == base), None)
        print(f"\n{job.title}, {placement}")
        heading = f"{'us each':>12}{'p50':>11}{'p99':>11}{'messages/s':>14}{'MB/s':>11}{'x ' + base:>24}"
        print(f"  {'':22}{heading}")
        for figure in sorted(group, key=lambda figure: figure.median_ns):
            print("  " + figure_line(figure, reference))


def figure_line(figure: Figure, reference: Figure | None) -> str:
    """Return one line of the table."""
    rate = 1e9 / figure.median_ns
    p50 = "" if figure.p50_ns is None else f"{figure.p50_ns / 1e3:,.2f}"
    p99 = "" if figure.p99_ns is None else f"{figure.p99_ns / 1e3:,.2f}"
    megabytes = f"{rate * figure.job.size / 1e6:,.1f}" if figure.job.size else ""
    ratio = "" if reference is None else f"{median_ratio(figure, reference):.2f}"
    each = f"{figure.median_ns / 1e3:,.3f}"
    return f"{figure.contestant:22}{each:>12}{p50:>11}{p99:>11}{rate:>14,.0f}{megabytes:>11}{ratio:>24}"


def print_verdicts(found: Sequence[Verdict]) -> None:
    """Print each goal with what was reached."""
    if not found:
        return
    print(f"\n{'':6}{'reached':>9}{'limit':>8}{'goal':>8}")
    for verdict in found:
        goal = verdict.goal
        mark = "ok" if verdict.is_met else "MISSED"
        print(f"{mark:6}{verdict.reached:>9.2f}{verdict.limit:>8.2f}{goal.factor:>8.2f}  {goal.title}")


def print_unmeasured(goals: Sequence[Goal]) -> None:
    """Name the goals that nothing was measured for."""
    for goal in goals:
        print(f"not measured: {goal.title}")


def print_readings(readings: Sequence[Reading]) -> None:
    """Print the figures that are no race."""
    for reading in readings:
        limit = "" if reading.at_most is None else f"  (goal: at most {reading.at_most:g})"
        mark = "" if reading.is_met else "  MISSED"
        print(
            f"  {reading.title:58}{reading.contestant:22}{reading.value:>12,.3f} {reading.unit}{limit}{mark}"
        )


def write_json(
    figures: Sequence[Figure], found: Sequence[Verdict], readings: Sequence[Reading], path: str
) -> None:
    """Write all figures, and the system they come from, to ``path`` (``-`` is stdout)."""
    document = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "python": platform.python_version(),
        "system": platform.platform(),
        "figures": [{**dataclasses.asdict(figure), "median_ns": figure.median_ns} for figure in figures],
        "goals": [
            {**dataclasses.asdict(verdict.goal), "reached": verdict.reached, "is_met": verdict.is_met}
            for verdict in found
        ],
        "readings": [dataclasses.asdict(reading) for reading in readings],
    }
    if path == "-":
        json.dump(document, sys.stdout, indent=1)
        return
    with open(path, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=1)
