# SPDX-License-Identifier: MIT
"""Holds the workloads of a trial with real processes: figures that agree, and every lie found."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from ipcfast.cli.trial.failures import Mismatch, WorkerDied
from ipcfast.cli.trial.process import WORKER_MODULE, WorkerProcess
from ipcfast.cli.trial.progress import Progress
from ipcfast.cli.trial.run import MIB, Plan, Result, Trial, number_in
from ipcfast.cli.trial.wires import LOCAL, PIPE, RING, TITLES

SMALL = Plan(round_trips=60, one_way=300, blocks=3, large=((MIB, 2),))


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    """Some files, with every size that matters to a frame or a ring."""
    made = []
    for size in (0, 1, 100, 4096, 65_536, 262_143, 262_144, 300_000, 1_500_000):
        path = tmp_path / str(size)
        path.write_bytes((bytes(range(256)) * (size // 256 + 1))[:size])
        made.append(str(path))
    return made


def tried(paths: list[str], plan: Plan = SMALL, module: str = WORKER_MODULE) -> tuple[Result, list[str]]:
    skipped: list[str] = []
    with WorkerProcess(module) as worker:
        trial = Trial(worker, Progress(io.StringIO()), lambda path, why: skipped.append(path))
        return trial.run(paths, plan), skipped


def test_every_workload_has_a_row_for_every_wire(paths: list[str]) -> None:
    result, skipped = tried(paths)
    assert skipped == []
    workloads = dict.fromkeys(row.workload for row in result.rows)
    assert list(workloads) == [
        "64 B round trip",
        "64 B one way",
        "64 B one way, batched",
        "files",
        "1 MiB there and back",
    ]
    for workload in workloads:
        wires = [row.wire for row in result.rows if row.workload == workload]
        due = [RING, LOCAL] if "batched" in workload else [RING, LOCAL, PIPE]
        assert wires == [TITLES[name] for name in due]


def test_the_figures_agree_with_each_other(paths: list[str]) -> None:
    result, _ = tried(paths)
    assert result.files == len(paths)
    assert result.file_bytes == sum(Path(path).stat().st_size for path in paths)
    counts = {"64 B round trip": 60, "64 B one way": 300, "files": len(paths), "1 MiB there and back": 2}
    base = {row.workload: row for row in result.rows if row.wire == TITLES[PIPE]}
    base["64 B one way, batched"] = base["64 B one way"]
    for row in result.rows:
        assert row.messages == counts.get(row.workload, 300)
        assert row.mb_per_s == pytest.approx(row.messages_per_s * row.payload_bytes / row.messages / 1e6)
        assert row.ratio == pytest.approx(row.messages_per_s / base[row.workload].messages_per_s)
        if row.p50_us is not None:
            assert row.p99_us is not None
            assert 0 < row.p50_us <= row.p99_us
            assert row.p50_us <= 2e6 / row.messages_per_s * 1.001
    files = [row for row in result.rows if row.workload == "files"]
    assert {row.payload_bytes for row in files} == {result.file_bytes}
    assert all(row.worker_s > 0 for row in files)
    large = [row for row in result.rows if row.workload == "1 MiB there and back"]
    assert {row.payload_bytes for row in large} == {2 * 2 * MIB}


def test_without_files_there_is_no_row_for_them() -> None:
    result, _ = tried([], Plan(round_trips=3, one_way=3, blocks=1, large=()))
    assert {row.workload for row in result.rows} == {
        "64 B round trip",
        "64 B one way",
        "64 B one way, batched",
    }
    assert result.files == 0


def test_what_vanishes_is_not_counted(paths: list[str]) -> None:
    Path(paths[2]).unlink()
    result, skipped = tried(paths)
    assert skipped == [paths[2]]
    assert result.files == len(paths) - 1


@pytest.mark.parametrize("answer", [None, 7, [], {}, {"count": "7"}, {"count": None}, {"count": True}])
def test_an_answer_without_its_number_is_a_mismatch(answer: object) -> None:
    with pytest.raises(Mismatch, match="without the number 'count'"):
        number_in(answer, "count", RING)
    assert number_in({"count": 7}, "count", RING) == 7


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("corrupting_worker", "the worker found"),
        ("altering_worker", "came back altered"),
        ("swapping_worker", "but the worker received"),
        ("evasive_worker", "without the number 'worked_ns'"),
    ],
)
def test_wrong_contents_are_found(paths: list[str], odd_workers: None, module: str, text: str) -> None:
    with pytest.raises(Mismatch, match=text):
        tried(paths, module=module)


def test_the_death_of_the_worker_is_told(paths: list[str], odd_workers: None) -> None:
    with pytest.raises(WorkerDied, match="was killed by SIGKILL"):
        tried(paths, module="dying_worker")
