# SPDX-License-Identifier: MIT
"""Two Python processes with a wire between them: how every Python contestant is run, whatever the wire."""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any

from bench.measure import Block, Contestant, Job, Placement, pin
from bench.work import Wire, do, serve

__all__ = ["TwoProcesses", "contestants"]

STOP_SECONDS = 5.0


class TwoProcesses:
    """A contestant made of two Python processes; a file of ``bench/peers`` that starts one has two functions.

    ``listen()`` is called here. It returns what the other process needs (pickled into a spawned process), and
    what to call when that process runs, which returns this side's wire. ``connect(argument)`` is called in
    the other process with what ``listen`` returned, and returns that side's wire.
    """

    def __init__(self, name: str, module: str, listen: Callable[[], tuple[Any, Callable[[], Wire]]]) -> None:
        self.name = name
        argument, finish = listen()
        self._control, theirs = multiprocessing.Pipe()
        spawn = multiprocessing.get_context("spawn")
        self._process = spawn.Process(target=other_process, args=(module, argument, theirs), daemon=True)
        self._process.start()
        theirs.close()
        self._wire = finish()

    def can(self, job: Job) -> bool:
        """Whether the wire has what the job needs."""
        needed = {"batches": self._wire.send_many, "objects": self._wire.send_object}
        return needed.get(job.work, self._wire.send) is not None

    def place(self, placement: Placement) -> None:
        """Pin the other process; this one is pinned by the instrument."""
        self._control.send(placement)
        self._control.recv()

    def run(self, job: Job, count: int, *, timed: bool = False) -> Block:
        """Do the job with the other process."""
        self._control.send((job, count))
        self._control.recv()
        return do(self._wire, job, count, self, timed=timed)

    def wait_until_done(self) -> None:
        """Wait until the other process has done its part of the job."""
        self._control.recv()

    def report(self) -> dict[str, Any]:
        """Return what the other process says it received."""
        found: dict[str, Any] = self._control.recv()
        return found

    def close(self) -> None:
        """End the other process."""
        self._control.close()
        self._wire.close()
        self._process.join(STOP_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def other_process(module: str, argument: Any, control: Connection) -> None:
    """What the spawned process runs: one job after the other, until this side closes ``control``."""
    wire = importlib.import_module(module).connect(argument)
    try:
        while True:
            order = control.recv()
            if isinstance(order, Placement):
                settle(order)
                control.send("settled")
                continue
            control.send("ready")
            job, count = order
            report = serve(wire, job, count)
            control.send("done")
            control.send(report())
    except (EOFError, ConnectionError):
        wire.close()


def settle(placement: Placement) -> None:
    """Go where the placement wants the other process to be."""
    pin({placement.peer})
    if placement.strangers and os.getsid(0) != os.getpid():
        os.setsid()


@contextlib.contextmanager
def contestants(*names: str) -> Iterator[Sequence[Contestant]]:
    """Start the named files of ``bench/peers``; those that cannot take part here are named and left out."""
    running: list[Contestant] = []
    try:
        for name in names:
            module = importlib.import_module(f"bench.peers.{name}")
            if module.MISSING:
                print(f"left out: {module.NAME}: {module.MISSING}")
            else:
                running.append(module.start())
        yield running
    finally:
        for contestant in running:
            contestant.close()
