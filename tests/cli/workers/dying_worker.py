# SPDX-License-Identifier: MIT
"""A worker that is killed while it examines a file."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence

from ipcfast.cli.trial import worker
from ipcfast.cli.trial.files import Facts


class DyingService(worker.Service):
    """Does not survive its first file."""

    def examine(self, data: bytes) -> Facts:
        """End at once, without a goodbye."""
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("not reached")


def main(arguments: Sequence[str]) -> int:
    """Run as a worker."""
    return worker.main(arguments, DyingService())
