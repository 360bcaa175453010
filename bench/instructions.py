# SPDX-License-Identifier: MIT
"""Counts the instructions of the hot loops by cachegrind and holds them to the budgets of budgets.json.

Counts repeat where times do not: to 1 % in C and to 5 % through Python, however busy the machine is. They
depend on the compiler, so each combination of tools has budgets; ``--record`` writes those of this machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.limit import missing as no_compiler
from bench.limit import program

__all__ = ["Loop", "exceeded", "main"]

BUDGETS = Path(__file__).resolve().parent / "budgets.json"
COUNTED = re.compile(r"I\s+refs:\s+([\d,]+)")


@dataclass(frozen=True)
class Loop:
    """A loop to count.

    Attributes:
        title: Its name in budgets.json.
        command: Returns what runs it that many times.
        counts: Two numbers of turns: the difference is free of what starting and ending cost.
        tolerance: How far above the budget it may be, as a part of it.
    """

    title: str
    command: Callable[[int], list[str]]
    counts: tuple[int, int]
    tolerance: float


def in_python(title: str, kind: str, work: str) -> Loop:
    """Return a loop of straight.py."""

    def command(count: int) -> list[str]:
        return [sys.executable, "-m", "bench.straight", kind, work, str(count)]

    return Loop(title, command, (500, 4_500), 0.05)


def loops() -> list[Loop]:
    """Return all that are counted; that of messages is another loop with each release of msgspec."""
    found = [
        Loop("ring, C", lambda count: [str(program("straight")), str(count)], (10_000, 110_000), 0.01),
        in_python("ring, send_bytes and recv_bytes", "shm", "bytes"),
        in_python("local socket, send_bytes and recv_bytes", "local", "bytes"),
        in_python("threads, send_bytes and recv_bytes", "thread", "bytes"),
    ]
    try:
        import msgspec
    except ImportError:
        return found
    return [*found, in_python(f"ring, send and recv, msgspec {msgspec.__version__}", "shm", "messages")]


def instructions_each(loop: Loop) -> float:
    """Return the instructions of one turn."""
    few, many = loop.counts
    return (instructions(loop.command(many)) - instructions(loop.command(few))) / (many - few)


def instructions(command: Sequence[str]) -> int:
    """Return the instructions that a program executes, those of the kernel not included.

    Raises:
        subprocess.CalledProcessError: It failed; its own words are on stderr.
    """
    with tempfile.TemporaryDirectory(prefix="ipcf-") as place:
        log = Path(place) / "log"
        valgrind = ["valgrind", "--tool=cachegrind", "--cache-sim=no", f"--log-file={log}"]
        subprocess.run(
            [*valgrind, f"--cachegrind-out-file={place}/out", *command],
            check=True,
            cwd=BUDGETS.parent.parent,
            # One order of every set, and no runtime directory of somebody else.
            env={**os.environ, "PYTHONHASHSEED": "0", "IPCFAST_RUNTIME_DIR": place},
        )
        counted = COUNTED.search(log.read_text(encoding="utf-8"))
    assert counted is not None, "cachegrind has no line of counts"
    return int(counted[1].replace(",", ""))


def tools() -> str:
    """Return what decides about the counts: architecture, C library, compiler, and Python as it was built."""
    compiler = subprocess.run(["cc", "--version"], check=True, capture_output=True, text=True)
    try:
        library = os.confstr("CS_GNU_LIBC_VERSION")
    except (ValueError, OSError):
        library = "another C library"
    is_tuned = "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or "")
    python = (
        f"{platform.python_implementation()} {platform.python_version()}{' optimized' if is_tuned else ''}"
    )
    return f"{platform.machine()}, {library}, {compiler.stdout.splitlines()[0]}, {python}"


def exceeded(loop: Loop, found: float, budget: float | None) -> bool:
    """Print one line, and return whether the budget is exceeded."""
    if budget is None:
        print(f"  {loop.title:48}{found:>10,.1f}  no budget")
        return False
    change = found / budget - 1
    mark = "  EXCEEDED" if change > loop.tolerance else ""
    mark = "  less: record it" if change < -loop.tolerance else mark
    print(
        f"  {loop.title:48}{found:>10,.1f}  budget {budget:,.1f}, {change:+.2%} of {loop.tolerance:.0%}{mark}"
    )
    return change > loop.tolerance


def main(argv: Sequence[str] | None = None) -> int:
    """Count everything; return 1 when a budget is exceeded, and in CI when nothing could be counted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--record", action="store_true", help="make what is found now the budgets of these tools"
    )
    options = parser.parse_args(argv)
    lacking = no_compiler() or ("" if shutil.which("valgrind") else "needs valgrind")
    if lacking:
        print(f"instructions: not counted: {lacking}")
        return 1 if os.environ.get("CI") else 0
    budgets: dict[str, dict[str, float]] = json.loads(BUDGETS.read_text(encoding="utf-8"))
    key = tools()
    known = budgets.get(key, {})
    print(f"instructions of one send and receive, {key}{'' if known else ': NO BUDGETS, nothing is held'}")
    found: dict[str, float] = {}
    over = False
    for loop in loops():
        found[loop.title] = round(instructions_each(loop), 1)
        over |= exceeded(loop, found[loop.title], known.get(loop.title))
    if options.record:
        budgets[key] = found
        BUDGETS.write_text(json.dumps(budgets, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        return 0
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
