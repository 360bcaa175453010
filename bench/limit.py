# SPDX-License-Identifier: MIT
"""The limit: the same loops in C over the same channels, built from bench/c and driven line by line."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from bench.measure import Block, Job, Placement

__all__ = ["CLoop", "missing", "program"]

HERE = Path(__file__).resolve().parent
STOP_SECONDS = 5.0


def missing() -> str:
    """Return why the C loops cannot be built here; empty when they can."""
    tools = [tool for tool in ("make", "cc") if shutil.which(tool) is None]
    if tools:
        return f"needs {' and '.join(tools)}"
    if not (HERE.parent / "csrc").is_dir():
        return "needs the source tree"
    return ""


def program(name: str = "limit") -> Path:
    """Build a program of bench/c where that is needed, and return its path.

    Raises:
        subprocess.CalledProcessError: They do not compile; the compiler's words are on stderr.
    """
    build = HERE.parent / "build" / "bench"
    command = ["make", "--silent", "-C", str(HERE / "c"), "CC=cc", f"BUILD={build}", f"{build}/{name}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return build / name


class CLoop:
    """A contestant whose two processes are both C; it verifies by itself what it moves."""

    def __init__(self, name: str, kind: str) -> None:
        self.name = name
        self._process = subprocess.Popen(
            [program(), kind], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def can(self, job: Job) -> bool:
        """Whether there is such a loop."""
        return job.work in ("round_trip", "one_way", "batches")

    def place(self, placement: Placement) -> None:
        """Pin both processes."""
        self._ask(f"{'estrange' if placement.strangers else 'place'} {placement.here} {placement.peer}")

    def run(self, job: Job, count: int, *, timed: bool = False) -> Block:
        """Do the job."""
        elapsed, *samples = self._ask(f"{'timed' if timed else job.work} {job.size} {count}")
        return Block(count, elapsed, tuple(samples))

    def close(self) -> None:
        """End both processes."""
        with self._process as process:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(STOP_SECONDS)
            finally:
                process.kill()

    def _ask(self, order: str) -> list[int]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(order + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline().split()
        if not answer:
            raise RuntimeError(f"{self.name} ended at {order!r} with exit status {self._process.wait()}")
        return [int(number) for number in answer]
