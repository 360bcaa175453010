# SPDX-License-Identifier: MIT
"""A worker that reports one-way messages in another order than they were sent."""

from __future__ import annotations

from collections.abc import Sequence

from ipcfast.cli.trial import worker
from ipcfast.cli.trial.wires import Wire


class SwappingService(worker.Service):
    """Receives all of them, but the first two the other way round."""

    def report(self, wire: Wire, received: list[bytes]) -> None:
        """Report what a transport without order would have delivered."""
        super().report(wire, [received[1], received[0], *received[2:]])


def main(arguments: Sequence[str]) -> int:
    """Run as a worker."""
    return worker.main(arguments, SwappingService())
