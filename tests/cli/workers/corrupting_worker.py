# SPDX-License-Identifier: MIT
"""A worker that examines other bytes than it was sent, once in a while."""

from __future__ import annotations

from collections.abc import Sequence

from ipcfast.cli.trial import worker
from ipcfast.cli.trial.files import Facts


class CorruptingService(worker.Service):
    """Finds the facts of what a broken transport would have delivered."""

    def examine(self, data: bytes) -> Facts:
        """Flip one bit of the messages that have a zero in their middle."""
        middle = len(data) // 2
        if data and data[middle] == 0:
            data = data[:middle] + b"\x01" + data[middle + 1 :]
        return super().examine(data)


def main(arguments: Sequence[str]) -> int:
    """Run as a worker."""
    return worker.main(arguments, CorruptingService())
