# SPDX-License-Identifier: MIT
"""Warnings that others can cause, as many as they like: one a second is logged, and how many were not."""

from __future__ import annotations

import logging
import time

__all__ = ["SparseLog"]

# Clients that come only to be dropped must not fill the log.
WARNING_SECONDS = 1.0


class SparseLog:
    """Logs at most one warning a second, and before the next one how many were left out."""

    def __init__(self, logger: logging.Logger, about: str) -> None:
        self._logger = logger
        self._about = about
        self._silent_until = 0.0
        self._left_out = 0

    def warn(self, text: str) -> None:
        """Log one line, or count it."""
        now = time.monotonic()
        if now < self._silent_until:
            self._left_out += 1
            return
        self.tell_left_out()
        self._silent_until = now + WARNING_SECONDS
        self._logger.warning("%s: %s", self._about, text)

    def tell_left_out(self) -> None:
        """Log how many were left out since the last line, if any."""
        if self._left_out:
            self._logger.warning("%s: %d more warnings were left out", self._about, self._left_out)
            self._left_out = 0
