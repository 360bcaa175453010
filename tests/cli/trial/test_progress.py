# SPDX-License-Identifier: MIT
"""Holds what is shown on a terminal, and what is written elsewhere."""

from __future__ import annotations

import io

from ipcfast.cli.trial.progress import CLEAR_LINE, Progress


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_elsewhere_each_new_work_is_one_line() -> None:
    stream = io.StringIO()
    progress = Progress(stream)
    for done in range(1000):
        progress.step("files", done, 1000)
    progress.step("large", 0, 0)
    progress.clear()
    assert stream.getvalue() == "files: 0 of 1,000 (0 %)\nlarge: 0 of 0 (100 %)\n"


def test_on_a_terminal_one_line_is_written_over() -> None:
    stream = Terminal()
    progress = Progress(stream)
    progress.step("files", 0, 10)
    progress.step("large", 5, 10)
    assert stream.getvalue() == f"{CLEAR_LINE}files: 0 of 10 (0 %){CLEAR_LINE}large: 5 of 10 (50 %)"


def test_on_a_terminal_a_line_that_stays_takes_the_place_of_the_other() -> None:
    stream = Terminal()
    progress = Progress(stream)
    progress.step("files", 1, 10)
    progress.line("skipped: x")
    assert stream.getvalue().endswith(f"{CLEAR_LINE}skipped: x\n")
    progress.clear()
    assert stream.getvalue().endswith("skipped: x\n")
