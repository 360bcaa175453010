# SPDX-License-Identifier: MIT
"""The worker process of a trial: connects by address, and answers what the parent sends over each wire."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

import ipcfast
from ipcfast.cli.trial.files import Facts, facts_of
from ipcfast.cli.trial.wires import LOCAL, PIPE, RING, Wire, channel_wire, pipe_wire

__all__ = ["Service", "main", "serve"]

CONNECT_TIMEOUT = 30.0


class Service:
    """Does the work. Each method serves ``count`` messages of one wire and then returns."""

    def examine(self, data: bytes) -> Facts:
        """Return the facts of one message."""
        return facts_of(data)

    def answer(self, wire: Wire, count: int) -> None:
        """Answer each message with its facts as JSON, and with the time that finding them took."""
        for _ in range(count):
            data = wire.recv_bytes()
            started = time.perf_counter_ns()
            facts = self.examine(data)
            worked_ns = time.perf_counter_ns() - started
            wire.send_json(
                {"sha256": facts.sha256, "size": facts.size, "lines": facts.lines, "worked_ns": worked_ns}
            )

    def echo(self, wire: Wire, count: int) -> None:
        """Send each message back."""
        for _ in range(count):
            wire.send_bytes(wire.recv_bytes())

    def collect(self, wire: Wire, count: int) -> None:
        """Take messages without answering, then say how many came, then what they were."""
        self.report(wire, [wire.recv_bytes() for _ in range(count)])

    def collect_batches(self, wire: Wire, count: int) -> None:
        """As ``collect``, as many with each call as are there."""
        received: list[bytes] = []
        assert wire.recv_many is not None
        while len(received) < count:
            received += wire.recv_many()
        self.report(wire, received)

    def report(self, wire: Wire, received: list[bytes]) -> None:
        """Say the count at once, because the parent's clock runs until then, and the checksum afterwards."""
        wire.send_json({"count": len(received)})
        wire.send_json({"sha256": hashlib.sha256(b"".join(received)).hexdigest()})


def serve(service: Service, control: Wire, wires: dict[str, Wire]) -> None:
    """Do what the parent asks for over ``control``, until it leaves."""
    while True:
        order: dict[str, Any] = control.recv_json()
        work = getattr(service, order["work"])
        control.send_json({"ready": order["work"]})
        work(wires[order["wire"]], order["count"])


def main(arguments: Sequence[str], service: Service | None = None) -> int:
    """Run the worker; ``arguments`` are the name of the parent's listener and our end of the pipe."""
    name, pipe = arguments
    wires: dict[str, Wire] = {}
    try:
        wires[PIPE] = pipe_wire(Connection(int(pipe)))
        control = channel_wire(ipcfast.connect(f"local://{name}", timeout=CONNECT_TIMEOUT), timeout=None)
        wires[LOCAL] = channel_wire(ipcfast.connect(f"local://{name}", timeout=CONNECT_TIMEOUT), timeout=None)
        wires[RING] = channel_wire(ipcfast.connect(f"shm://{name}", timeout=CONNECT_TIMEOUT), timeout=None)
        serve(service or Service(), control, wires)
    except (EOFError, ConnectionError):
        # The parent has finished, or has died: in both cases there is nobody left to work for.
        return 0
    return 0
