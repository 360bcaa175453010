# SPDX-License-Identifier: MIT
"""A worker that sends large buffers back with their last byte changed."""

from __future__ import annotations

from collections.abc import Sequence

from ipcfast.cli.trial import worker
from ipcfast.cli.trial.wires import Wire


class AlteringService(worker.Service):
    """Echoes small messages right, and large ones wrong."""

    def echo(self, wire: Wire, count: int) -> None:
        """Send each message back, as a transport would that loses the end."""
        for _ in range(count):
            data = wire.recv_bytes()
            wire.send_bytes(data if len(data) <= 64 else data[:-1] + bytes([data[-1] ^ 1]))


def main(arguments: Sequence[str]) -> int:
    """Run as a worker."""
    return worker.main(arguments, AlteringService())
