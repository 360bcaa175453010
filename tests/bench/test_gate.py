# SPDX-License-Identifier: MIT
"""Shows when the gate passes: what was measured holds, and something was measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from bench import gate
from bench.measure import Figure, Goal, Job
from bench.suite import Outcome

JOB = Job("round_trip", 64)
GOAL = Goal(JOB, "same", "ours", "theirs", 4)
ABSENT = Goal(JOB, "split", "ours", "theirs", 4)


def measure_of(*ratios: float, goals: tuple[Goal, ...] = (GOAL,)) -> Callable[[], Outcome]:
    """Reaches one ratio after the other."""
    coming: Iterator[float] = iter(ratios)

    def measure() -> Outcome:
        theirs_ns = next(coming)
        figures = [
            Figure(JOB, "same", "ours", (1.0,), None, None),
            Figure(JOB, "same", "theirs", (theirs_ns,), None, None),
        ]
        return Outcome(figures=figures, goals=list(goals))

    return measure


@pytest.fixture(autouse=True)
def outside_of_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)


def test_half_of_a_goal_suffices(capsys: pytest.CaptureFixture[str]) -> None:
    assert gate.main([measure_of(2.0)]) == 0
    assert "1 goals (x 0.5) held, 0 missed, 0 not measured" in capsys.readouterr().out


def test_what_is_missed_once_is_measured_again() -> None:
    assert gate.main([measure_of(1.9, 2.0, 2.0)]) == 0


def test_what_is_missed_twice_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert gate.main([measure_of(1.9, 2.0, 1.9)]) == 1
    assert "0 goals (x 0.5) held, 1 missed, 0 not measured" in capsys.readouterr().out


def test_what_is_not_measured_is_named_and_fails_in_ci(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    measure = measure_of(2.0, 2.0, goals=(GOAL, ABSENT))
    assert gate.main([measure]) == 0
    printed = capsys.readouterr().out
    assert "1 goals (x 0.5) held, 0 missed, 1 not measured" in printed
    assert "not measured: round trip 64 B, split: ours / theirs" in printed
    monkeypatch.setenv("CI", "true")
    assert gate.main([measure]) == 1


def test_measuring_nothing_fails() -> None:
    assert gate.main([]) == 1
    assert gate.main([Outcome]) == 1


def test_nothing_is_demanded_that_the_gate_does_not_measure() -> None:
    for suite in gate.SUITES:
        assert suite.goals
        for goal in suite.goals:
            assert {goal.ours, goal.theirs} <= set(suite.peers)
            assert {goal.job, goal.their_job or goal.job} <= {*suite.jobs, *suite.stranger_jobs}
