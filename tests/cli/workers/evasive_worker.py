# SPDX-License-Identifier: MIT
"""A worker that answers files with something else than it was asked for."""

from __future__ import annotations

from collections.abc import Sequence

from ipcfast.cli.trial import worker
from ipcfast.cli.trial.wires import Wire


class EvasiveService(worker.Service):
    """Answers, but not the question."""

    def answer(self, wire: Wire, count: int) -> None:
        """Say that there was an error, as a peer of another version might."""
        for _ in range(count):
            wire.recv_bytes()
            wire.send_json({"error": "no such work"})


def main(arguments: Sequence[str]) -> int:
    """Run as a worker."""
    return worker.main(arguments, EvasiveService())
