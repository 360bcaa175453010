# SPDX-License-Identifier: MIT
"""Holds the demo to what a user sees: the table, one clear line for each problem, and the exit status."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ipcfast.cli import main
from ipcfast.cli.demo import demonstrate
from ipcfast.cli.trial.progress import Progress
from ipcfast.cli.trial.run import QUICK

HANG = 60.0
COMMAND = [sys.executable, "-m", "ipcfast", "demo"]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    place = tmp_path / "files"
    (place / "inner").mkdir(parents=True)
    (place / "text.txt").write_text("one\ntwo\nthree", encoding="utf-8")
    (place / "empty").write_bytes(b"")
    (place / "inner" / "zeros").write_bytes(bytes(300_000))
    return place


def demo(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=HANG, check=False)


def test_success_ends_with_a_table(directory: Path) -> None:
    done = demo("--quick", directory)
    assert done.returncode == 0, done.stderr
    heading, *lines = done.stdout.splitlines()
    assert re.split(r"  +", heading) == [
        "workload",
        "wire",
        "messages/s",
        "MB/s",
        "p50 us",
        "p99 us",
        "x Pipe",
    ]
    files = [line for line in lines[: lines.index("")] if line.startswith("files")]
    assert len(files) == 1
    for wire in ("shared-memory ring", "local socket", "multiprocessing.Pipe"):
        assert sum(wire in line for line in lines[: lines.index("")]) >= 5
    assert "every answer verified. 0 skipped." in lines[-1]
    assert lines[-1].startswith("3 files, 0.3 MB")
    assert "3 files under" in done.stderr
    assert "files: 3 of 3 (100 %)" in done.stderr


def test_json_says_the_same(directory: Path) -> None:
    done = demo("--quick", "--json", directory)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["directory"] == str(directory)
    assert (report["files"], report["file_bytes"], report["skipped"]) == (3, 300_013, [])
    rows = {(row["workload"], row["wire"]): row for row in report["rows"]}
    for (workload, _), row in rows.items():
        base = rows[workload.replace(", batched", ""), "multiprocessing.Pipe"]
        assert row["ratio"] == pytest.approx(row["messages_per_s"] / base["messages_per_s"])


def test_what_cannot_be_sent_is_reported_and_skipped(directory: Path) -> None:
    os.mkfifo(directory / "fifo")
    (directory / "dangling").symlink_to("nowhere")
    done = demo("--quick", "--json", directory)
    assert done.returncode == 0, done.stderr
    assert f"skipped: {directory / 'fifo'}: not a regular file" in done.stderr.splitlines()
    assert f"skipped: {directory / 'dangling'}: no such file or directory" in done.stderr.splitlines()
    report = json.loads(done.stdout)
    assert report["files"] == 3
    assert {Path(entry["path"]).name for entry in report["skipped"]} == {"fifo", "dangling"}


class Deleting(Progress):
    """Deletes a file as soon as the work has begun: after the walk, before the file's turn."""

    def __init__(self, victim: Path) -> None:
        super().__init__(sys.stderr)
        self._victim = victim

    def step(self, work: str, done: int, total: int) -> None:
        self._victim.unlink(missing_ok=True)
        super().step(work, done, total)


def test_a_file_that_vanishes_meanwhile_is_reported_and_skipped(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    victim = directory / "text.txt"
    assert demonstrate(directory, plan=QUICK, progress=Deleting(victim)) == 0
    printed = capsys.readouterr()
    assert f"skipped: {victim}: no such file or directory" in printed.err
    assert "2 files" in printed.out
    assert "1 skipped." in printed.out


@pytest.mark.parametrize(
    ("name", "reason"), [("missing", "no such file or directory"), ("text.txt", "not a directory")]
)
def test_no_directory_is_one_line_and_status_2(directory: Path, name: str, reason: str) -> None:
    done = demo(directory / name)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == f"ipcfast demo: cannot read the directory {directory / name}: {reason}\n"


def test_a_directory_that_may_not_be_read_is_one_line_and_status_2(
    tmp_path: Path, as_nobody: None, capsys: pytest.CaptureFixture[str]
) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0)
    assert main(["demo", str(locked)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == f"ipcfast demo: cannot read the directory {locked}: permission denied\n"


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("corrupting_worker", "zeros': the worker found"),
        ("altering_worker", "came back altered"),
        ("swapping_worker", "but the worker received"),
        ("evasive_worker", "without the number 'worked_ns'"),
        ("dying_worker", "was killed by SIGKILL"),
        ("refusing_worker", "ended early with exit status 3"),
    ],
)
def test_a_failure_is_one_line_and_status_1(
    directory: Path, odd_workers: None, capsys: pytest.CaptureFixture[str], module: str, text: str
) -> None:
    shown = io.StringIO()
    assert demonstrate(directory, plan=QUICK, worker_module=module, progress=Progress(shown)) == 1
    (line,) = [line for line in shown.getvalue().splitlines() if line.startswith("ipcfast demo:")]
    assert text in line
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "Traceback" not in printed.err


@pytest.fixture
def running(directory: Path) -> Iterator[subprocess.Popen[str]]:
    """A demo in a session of its own, that has begun its work."""
    # Far more files than are sent before the test interrupts.
    for number in range(3000):
        (directory / f"file{number}").write_bytes(b"x" * 5000)
    with subprocess.Popen(
        [*COMMAND, directory],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        yield process
        process.kill()


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize("work", ["64 B round trips", "files"])
def test_ctrl_c_is_clean(running: subprocess.Popen[str], work: str) -> None:
    assert running.stderr is not None
    for line in running.stderr:
        if line.startswith(work):
            break
    workers = children_of(running.pid)
    assert len(workers) == 1
    os.killpg(running.pid, signal.SIGINT)
    out, err = running.communicate(timeout=HANG)
    assert running.returncode == 130
    assert out == ""
    assert err.splitlines()[-1] == "ipcfast: interrupted"
    assert "Traceback" not in err
    assert not Path(f"/proc/{workers[0]}").exists()


def test_a_reader_that_leaves_early_is_no_trouble(directory: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, "--quick", directory], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        err = process.stderr.read()
    assert process.returncode == 1
    assert "Traceback" not in err
    assert "Broken pipe" not in err
