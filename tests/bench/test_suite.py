# SPDX-License-Identifier: MIT
"""Shows what a bench's program tells, and when its exit status says that a goal was missed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.measure import Figure, Goal, Job, Reading
from bench.suite import Outcome, by_itself

JOB = Job("round_trip", 64)


def outcome(factor: float, *readings: Reading) -> Outcome:
    figures = [
        Figure(JOB, "same", "ours", (1.0,), None, None),
        Figure(JOB, "same", "theirs", (2.0,), None, None),
    ]
    goals = [Goal(JOB, "same", "ours", "theirs", factor), Goal(JOB, "split", "ours", "theirs", factor)]
    return Outcome(figures, goals, list(readings))


def test_a_missed_goal_fails_unless_a_report_is_all_that_is_wanted() -> None:
    assert by_itself("", lambda rounds, block: outcome(2.0), []) == 0
    assert by_itself("", lambda rounds, block: outcome(2.1), []) == 1
    assert by_itself("", lambda rounds, block: outcome(2.1), ["--report-only"]) == 0


def test_a_missed_reading_fails() -> None:
    late = Reading("delay", "ours", 16.0, "ms", at_most=15.0)
    assert by_itself("", lambda rounds, block: outcome(2.0, late), []) == 1


def test_a_goal_without_figures_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    by_itself("", lambda rounds, block: outcome(2.0), [])
    assert "not measured: round trip 64 B, split: ours / theirs" in capsys.readouterr().out


def test_the_arguments_reach_the_bench_and_the_file(tmp_path: Path) -> None:
    given: list[tuple[int, float]] = []

    def run(rounds: int, block_seconds: float) -> Outcome:
        given.append((rounds, block_seconds))
        return outcome(2.0)

    path = tmp_path / "out.json"
    by_itself("", run, ["--rounds", "3", "--block", "0.5", "--json", str(path)])
    assert given == [(3, 0.5)]
    (goal,) = json.loads(path.read_text(encoding="utf-8"))["goals"]
    assert (goal["reached"], goal["is_met"]) == (2.0, True)


def test_outcomes_add_up() -> None:
    whole = Outcome()
    whole.add(outcome(2.0))
    whole.add(outcome(3.0))
    assert [verdict.is_met for verdict in whole.verdicts] == [True, False]
    assert len(whole.unmeasured) == 2
