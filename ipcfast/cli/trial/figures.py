# SPDX-License-Identifier: MIT
"""Collects what was measured, and turns it into rows with rates, percentiles and ratios."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

__all__ = ["Row", "Tally", "percentile", "rows_of", "table"]

MEGABYTE = 1e6
HEADINGS = ("workload", "wire", "messages/s", "MB/s", "p50 us", "p99 us", "x Pipe")


def percentile(ordered: Sequence[int], percent: float) -> int:
    """Return the value of ``ordered`` (not empty) that ``percent`` of all do not exceed (nearest rank)."""
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(int(rank), 1) - 1]


@dataclass
class Tally:
    """What one wire did for one workload.

    Attributes:
        messages: Messages sent and verified; with its answer, or with its way back, each is one.
        payload_bytes: Bytes of these messages, without answers.
        total_ns: Time for all of them, without the work of either side on the contents.
        worker_ns: Time that the worker spent on the contents, not part of ``total_ns``.
        round_trips_ns: Of each message, where each was waited for; empty for one-way traffic.
    """

    messages: int = 0
    payload_bytes: int = 0
    total_ns: int = 0
    worker_ns: int = 0
    round_trips_ns: list[int] = field(default_factory=list)

    def add_round_trip(
        self, duration_ns: int, payload_bytes: int, *, worker_ns: int = 0, messages: int = 1
    ) -> None:
        """Count one message that was waited for; ``duration_ns`` is without the worker's own work."""
        self.messages += messages
        self.payload_bytes += payload_bytes
        self.total_ns += duration_ns
        self.worker_ns += worker_ns
        self.round_trips_ns.append(duration_ns)

    def add_one_way(self, duration_ns: int, payload_bytes: int, messages: int) -> None:
        """Count a run of messages that were not answered one by one."""
        self.messages += messages
        self.payload_bytes += payload_bytes
        self.total_ns += duration_ns


@dataclass(frozen=True)
class Row:
    """One line of the table. Times in microseconds, rates per second, MB = 1,000,000 bytes."""

    workload: str
    wire: str
    messages: int
    payload_bytes: int
    messages_per_s: float
    mb_per_s: float
    p50_us: float | None
    p99_us: float | None
    ratio: float | None
    worker_s: float

    def as_dict(self) -> dict[str, object]:
        """Return the fields for JSON."""
        return dataclasses.asdict(self)


def rows_of(workload: str, tallies: dict[str, Tally], *, base: Tally) -> list[Row]:
    """Return a row for each wire; the ratio is its rate of messages divided by that of ``base``."""
    base_rate = rate(base)
    return [
        Row(
            workload=workload,
            wire=wire,
            messages=tally.messages,
            payload_bytes=tally.payload_bytes,
            messages_per_s=rate(tally),
            mb_per_s=tally.payload_bytes / MEGABYTE / (tally.total_ns / 1e9),
            p50_us=microseconds(tally.round_trips_ns, 50),
            p99_us=microseconds(tally.round_trips_ns, 99),
            ratio=rate(tally) / base_rate if base_rate else None,
            worker_s=tally.worker_ns / 1e9,
        )
        for wire, tally in tallies.items()
        if tally.messages
    ]


def rate(tally: Tally) -> float:
    """Return messages per second, 0 where nothing was sent."""
    return tally.messages * 1e9 / tally.total_ns if tally.total_ns else 0.0


def microseconds(durations_ns: Iterable[int], percent: float) -> float | None:
    """Return a percentile in microseconds, None of nothing."""
    ordered = sorted(durations_ns)
    return percentile(ordered, percent) / 1e3 if ordered else None


def table(rows: Sequence[Row]) -> str:
    """Return the rows as text; the name of a workload stands in its first line only."""
    lines = [HEADINGS]
    previous = ""
    for row in rows:
        lines.append(
            (
                "" if row.workload == previous else row.workload,
                row.wire,
                f"{row.messages_per_s:,.0f}",
                f"{row.mb_per_s:,.1f}",
                "" if row.p50_us is None else f"{row.p50_us:,.1f}",
                "" if row.p99_us is None else f"{row.p99_us:,.1f}",
                "" if row.ratio is None else f"{row.ratio:.2f}",
            )
        )
        previous = row.workload
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths))
        ).rstrip()
        for line in lines
    )
