# SPDX-License-Identifier: MIT
"""``ipcfast demo``: sends real files to a worker over every transport, verifies all answers, and compares."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import ipcfast
from ipcfast.cli.trial.failures import TrialFailed
from ipcfast.cli.trial.figures import table
from ipcfast.cli.trial.files import find_files, library_directory, packages_beside_library, reason, shown
from ipcfast.cli.trial.process import WORKER_MODULE, WorkerProcess
from ipcfast.cli.trial.progress import Progress
from ipcfast.cli.trial.run import FULL, QUICK, Plan, Result, Trial

__all__ = ["add_command", "demonstrate"]

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2

DESCRIPTION = """\
Start a worker process and send it every file under DIR over each transport: the shared-memory ring, the
local socket and, for comparison, multiprocessing.Pipe, block by block in turn. The worker answers each file
with JSON (SHA-256, size, number of lines), which is compared with what this process finds itself. Then large
buffers go there and back. Exit status: 0, 1 after a mismatch or when the worker dies, 2 when DIR cannot be
read, 130 after Ctrl-C.
"""
DIRECTORY_HELP = """\
default: the running Python's standard library with its __pycache__ directories, but without the packages
installed beside it (site-packages, dist-packages). Of a DIR that is given, nothing is left out. Links to
directories are not followed; what is no regular file is reported and skipped
"""
NOTES = """\
Times are of the transport alone: the parent hashes outside of the clock, and the time that the worker spends
on hashing and counting is taken off each round trip. The clock runs from the call that sends until the answer
is decoded. MB = 1,000,000 bytes, without the answers; "there and back" counts both ways. "x Pipe" =
messages/s divided by that of multiprocessing.Pipe in this run. The processes are not pinned to CPUs, so where
the system puts them decides about much of the latency."""


@dataclass(frozen=True)
class Report:
    """What is shown at the end."""

    directory: Path
    left_out: frozenset[Path]
    seconds: float
    result: Result
    skipped: list[tuple[str, str]] = field(default_factory=list)

    def as_json(self) -> str:
        """Return everything for programs."""
        return json.dumps(
            {
                "ipcfast": ipcfast.__version__,
                "python": platform.python_version(),
                "system": f"{platform.system()} {platform.machine()}",
                "cpus": os.cpu_count(),
                "directory": str(self.directory),
                "left_out": sorted(str(path) for path in self.left_out),
                "files": self.result.files,
                "file_bytes": self.result.file_bytes,
                "skipped": [{"path": path, "reason": why} for path, why in self.skipped],
                "seconds": self.seconds,
                "rows": [row.as_dict() for row in self.result.rows],
            },
            indent=2,
        )

    def as_text(self) -> str:
        """Return everything for a reader."""
        result = self.result
        place = shown(str(self.directory))
        summary = (
            f"{result.files:,} files, {result.file_bytes / 1e6:,.1f} MB, from {place} over each wire:"
            f" every answer verified. {len(self.skipped):,} skipped. {self.seconds:.1f} s."
        )
        hashing = ", ".join(f"{row.worker_s:.2f} s" for row in result.rows if row.workload == "files")
        notes = NOTES + (f"\nThe worker's own work on the files, not counted: {hashing}." if hashing else "")
        return "\n\n".join((table(result.rows), notes, summary))


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``demo`` to the commands of the program."""
    parser = commands.add_parser(
        "demo", help="send real files over every transport, verify, and compare", description=DESCRIPTION
    )
    parser.add_argument("directory", metavar="DIR", nargs="?", type=Path, help=DIRECTORY_HELP)
    parser.add_argument("--json", action="store_true", help="write the figures as JSON to stdout")
    parser.add_argument(
        "--quick", action="store_true", help="all files, but few small messages and buffers of 1 and 4 MiB"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command with parsed arguments."""
    return demonstrate(arguments.directory, plan=QUICK if arguments.quick else FULL, as_json=arguments.json)


def demonstrate(
    directory: Path | None,
    *,
    plan: Plan = FULL,
    as_json: bool = False,
    progress: Progress | None = None,
    worker_module: str = WORKER_MODULE,
) -> int:
    """Send the files under ``directory`` over every wire and print the figures.

    Args:
        directory: ``None`` for the running Python's standard library.
        plan: How much beside the files.
        as_json: Whether stdout gets JSON in place of the table.
        progress: Where to show progress; ``None`` for stderr.
        worker_module: What the worker process runs.

    Returns:
        The exit status: 0, 1 after a mismatch or a worker's death, 2 when the directory cannot be read.
    """
    started = time.monotonic()
    progress = progress or Progress(sys.stderr)
    left_out = packages_beside_library(library_directory()) if directory is None else frozenset()
    directory = library_directory() if directory is None else directory
    skipped: list[tuple[str, str]] = []

    def on_skip(path: str, why: str) -> None:
        skipped.append((path, why))
        progress.line(f"skipped: {shown(path)}: {why}")

    try:
        paths = find_files(directory, leave_out=left_out, on_skip=on_skip)
    except OSError as error:
        progress.line(f"ipcfast demo: cannot read the directory {shown(str(directory))}: {reason(error)}")
        return EXIT_USAGE
    progress.line(f"{len(paths):,} files under {shown(str(directory))}{without(left_out)}")
    try:
        with WorkerProcess(worker_module) as worker:
            result = Trial(worker, progress, on_skip).run(paths, plan)
    except (TrialFailed, ipcfast.IpcChannelError) as error:
        progress.line(f"ipcfast demo: {error}")
        return EXIT_FAILED
    finally:
        progress.clear()
    report = Report(directory, left_out, time.monotonic() - started, result, skipped)
    print(report.as_json() if as_json else report.as_text())
    return EXIT_OK


def without(left_out: frozenset[Path]) -> str:
    """Return what to say about directories that were left out."""
    if not left_out:
        return ""
    return " (left out: " + ", ".join(sorted(path.name for path in left_out)) + ")"
