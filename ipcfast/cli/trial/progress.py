# SPDX-License-Identifier: MIT
"""Shows how far the work is: one line that is written over on a terminal, few lines elsewhere."""

from __future__ import annotations

import time
from typing import TextIO

__all__ = ["Progress"]

TERMINAL_INTERVAL = 0.1
LOG_INTERVAL = 5.0
CLEAR_LINE = "\r\x1b[K"


class Progress:
    """Tell the reader of ``stream`` what is being done. Not for use from several threads."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_terminal = stream.isatty()
        self._interval = TERMINAL_INTERVAL if self._is_terminal else LOG_INTERVAL
        self._work = ""
        self._next = 0.0
        self._line_is_open = False

    def step(self, work: str, done: int, total: int) -> None:
        """Say that ``done`` of ``total`` are done; shown only now and then, and when ``work`` is new."""
        now = time.monotonic()
        if work == self._work and now < self._next:
            return
        self._work = work
        self._next = now + self._interval
        percent = 100 * done // total if total else 100
        text = f"{work}: {done:,} of {total:,} ({percent} %)"
        if self._is_terminal:
            self._stream.write(CLEAR_LINE + text)
            self._line_is_open = True
        else:
            self._stream.write(text + "\n")
        self._stream.flush()

    def line(self, text: str) -> None:
        """Write a line that stays."""
        self.clear()
        self._stream.write(text + "\n")
        self._stream.flush()

    def clear(self) -> None:
        """Take the updating line away."""
        if self._line_is_open:
            self._stream.write(CLEAR_LINE)
            self._stream.flush()
            self._line_is_open = False
