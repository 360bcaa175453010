# SPDX-License-Identifier: MIT
"""What can end a trial early; the text of each is the line that the user reads."""

from __future__ import annotations

__all__ = ["Mismatch", "NoAnswer", "TrialFailed", "WorkerDied"]


class TrialFailed(Exception):
    """Something was wrong that makes the figures of the trial worthless."""


class Mismatch(TrialFailed):
    """An answer of the worker differs from what this process found itself."""


class WorkerDied(TrialFailed):
    """The worker process ended in the middle of its work."""


class NoAnswer(TrialFailed):
    """The worker lives, but did not answer in time."""
