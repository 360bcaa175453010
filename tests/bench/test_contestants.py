# SPDX-License-Identifier: MIT
"""Holds the roster: every name in a suite or in a goal is somebody's, and who cannot come is told."""

from __future__ import annotations

import os

import pytest

from bench import bench_channel, bench_ring, bench_stdio, bench_stream, contestants
from bench.measure import Job, Placement
from bench.suite import Suite

SUITES = [bench_ring.SUITE, bench_stream.SUITE, bench_channel.SUITE, bench_stdio.SUITE]


@pytest.mark.parametrize("suite", SUITES, ids=["ring", "stream", "channel", "stdio"])
def test_suites_and_their_goals_name_who_is_on_the_roster(suite: Suite) -> None:
    assert set(suite.peers) <= set(contestants.roster())
    assert suite.base in suite.peers
    for goal in suite.goals:
        assert {goal.ours, goal.theirs} <= set(suite.peers)
        assert {goal.job, goal.their_job or goal.job} <= set(suite.jobs)


def test_who_cannot_take_part_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    peer = contestants.Peer("somebody", start=lambda: pytest.fail("started"), missing="is ill")
    monkeypatch.setattr(contestants, "roster", lambda: {"somebody": peer})
    with contestants.contestants("somebody") as running:
        assert running == []
    assert capsys.readouterr().out == "left out: somebody: is ill\n"


@pytest.mark.parametrize("name", [name for name, peer in contestants.roster().items() if not peer.missing])
def test_everyone_does_what_they_say_they_can(name: str) -> None:
    works = ("round_trip", "one_way", "batches", "objects", "objects_one_way")
    cpu = min(os.sched_getaffinity(0))
    with contestants.contestants(name) as (contestant,):
        contestant.place(Placement("same", cpu, cpu))
        able = [job for job in (Job(work, 64) for work in works) if contestant.can(job)]
        assert [contestant.run(job, 3).count for job in able] == [3] * len(able)
        timed_jobs = [job for job in (Job("round_trip", 8192), Job("objects", 8192)) if contestant.can(job)]
        timed = contestant.run(timed_jobs[0], 5, timed=True)
        assert len(timed.samples_ns) == 5
