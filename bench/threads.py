# SPDX-License-Identifier: MIT
"""Two threads of this process with a wire between them: how contestants between threads are run."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable
from typing import Any

from bench.measure import Block, Job, Placement
from bench.work import do, serve
from ipcfast.cli.trial.wires import Wire

__all__ = ["TwoThreads"]

STOP_SECONDS = 5.0


class TwoThreads:
    """A contestant made of this thread and another one; ``connect`` returns both ends of the wire."""

    def __init__(self, name: str, connect: Callable[[], tuple[Wire, Wire]]) -> None:
        self.name = name
        self._wire, self._theirs = connect()
        # Neither is used while a job is under way, but for the word at its end.
        self._orders: queue.SimpleQueue[tuple[Job, int] | None] = queue.SimpleQueue()
        self._words: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def can(self, job: Job) -> bool:
        """Whether the wire has what the job needs."""
        return job.work != "batches" or self._wire.send_many is not None

    def place(self, placement: Placement) -> None:
        """Pin the other thread; this one is pinned by the instrument."""
        assert self._thread.native_id is not None
        os.sched_setaffinity(self._thread.native_id, {placement.peer})

    def run(self, job: Job, count: int, *, timed: bool = False) -> Block:
        """Do the job with the other thread."""
        self._orders.put((job, count))
        self._words.get()
        return do(self._wire, job, count, self, timed=timed)

    def wait_until_done(self) -> None:
        """Wait until the other thread has done its part of the job."""
        self._words.get()

    def report(self) -> dict[str, Any]:
        """Return what the other thread says it received."""
        found: dict[str, Any] = self._words.get()
        return found

    def close(self) -> None:
        """End the other thread."""
        self._orders.put(None)
        self._thread.join(STOP_SECONDS)
        self._wire.close()
        self._theirs.close()

    def _work(self) -> None:
        while (order := self._orders.get()) is not None:
            self._words.put("ready")
            report = serve(self._theirs, *order)
            self._words.put("done")
            self._words.put(report())
