# SPDX-License-Identifier: MIT
"""Shows how goals are held against figures, and that one without figures is not forgotten."""

from __future__ import annotations

from bench.measure import Figure, Goal, Job, unmeasured, verdicts

JOB, OTHER_JOB = Job("one_way", 64), Job("batches", 64)


def figure(contestant: str, *rounds_ns: float, job: Job = JOB, placement: str = "same") -> Figure:
    return Figure(job, placement, contestant, rounds_ns, None, None)


def test_a_ratio_is_the_median_of_the_rounds_compared_one_by_one() -> None:
    figures = [figure("ours", 1.0, 2.0, 4.0), figure("theirs", 4.0, 4.0, 4.0)]
    (verdict,) = verdicts(figures, [Goal(JOB, "same", "ours", "theirs", 2.5)])
    assert (verdict.reached, verdict.is_met) == (2.0, False)
    (loose,) = verdicts(figures, [Goal(JOB, "same", "ours", "theirs", 2.5)], slack=0.8)
    assert loose.is_met


def test_their_job_may_be_another_one() -> None:
    figures = [figure("ours", 1.0), figure("theirs", 3.0, job=OTHER_JOB)]
    (verdict,) = verdicts(figures, [Goal(JOB, "same", "ours", "theirs", 2, OTHER_JOB)])
    assert verdict.reached == 3.0
    assert unmeasured(figures, [verdict.goal]) == []


def test_a_goal_is_judged_or_told_to_be_unmeasured() -> None:
    figures = [figure("ours", 1.0), figure("theirs", 2.0)]
    goals = [
        Goal(JOB, "same", "ours", "theirs", 1),
        Goal(JOB, "same", "ours", "absent", 1),
        Goal(JOB, "split", "ours", "theirs", 1),
        Goal(OTHER_JOB, "same", "ours", "theirs", 1),
        Goal(JOB, "same", "ours", "theirs", 1, OTHER_JOB),
    ]
    assert [verdict.goal for verdict in verdicts(figures, goals)] == goals[:1]
    assert unmeasured(figures, goals) == goals[1:]
