# SPDX-License-Identifier: MIT
"""Holds rates, percentiles and ratios against figures worked out by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcfast.cli.trial.figures import Tally, percentile, rows_of, table


@pytest.mark.parametrize(
    ("values", "percent", "due"),
    [
        ([7], 50, 7),
        ([7], 99, 7),
        ([1, 2], 50, 1),
        ([1, 2, 3], 50, 2),
        (range(1, 101), 99, 99),
        (range(1, 102), 99, 100),
    ],
)
def test_percentile(values: list[int], percent: float, due: int) -> None:
    assert percentile(list(values), percent) == due


@given(st.lists(st.integers(0, 10**9), min_size=1), st.integers(1, 100))
def test_that_part_of_all_values_is_not_above_the_percentile(values: list[int], percent: int) -> None:
    values.sort()
    found = percentile(values, percent)
    assert found in values
    assert 100 * sum(value <= found for value in values) >= percent * len(values)
    assert 100 * sum(value < found for value in values) < percent * len(values)


def tally(*durations_ns: int, payload: int = 500) -> Tally:
    made = Tally()
    for duration in durations_ns:
        made.add_round_trip(duration, payload, worker_ns=3)
    return made


def test_a_row_says_what_was_measured() -> None:
    ours, theirs = tally(1000, 3000), tally(10_000, 30_000)
    row, base = rows_of("files", {"ring": ours, "pipe": theirs}, base=theirs)
    assert (row.messages, row.payload_bytes) == (2, 1000)
    assert row.messages_per_s == pytest.approx(500_000)
    assert row.mb_per_s == pytest.approx(250)
    assert (row.p50_us, row.p99_us) == (1.0, 3.0)
    assert row.ratio == pytest.approx(10)
    assert base.ratio == pytest.approx(1)
    assert row.worker_s == pytest.approx(6e-9)


def test_one_way_traffic_has_no_percentiles() -> None:
    poured = Tally()
    poured.add_one_way(1_000_000, 64_000, 1000)
    (row,) = rows_of("one way", {"ring": poured}, base=poured)
    assert row.messages_per_s == pytest.approx(1_000_000)
    assert (row.p50_us, row.p99_us) == (None, None)


def test_a_wire_that_did_nothing_has_no_row() -> None:
    assert rows_of("files", {"ring": Tally(), "pipe": Tally()}, base=Tally()) == []


def test_the_table_is_aligned_and_names_a_workload_once() -> None:
    theirs = tally(2_000_000)
    rows = rows_of("64 B", {"ring": tally(1000), "pipe": theirs}, base=theirs)
    heading, first, second = table(rows).splitlines()
    assert heading.split("  ")[0] == "workload"
    assert first.startswith("64 B")
    assert second.startswith("    ")
    assert len(heading) == len(first) == len(second)
    assert first.split()[-1] == "2000.00"
    assert second.split()[-1] == "1.00"
