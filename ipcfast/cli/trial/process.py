# SPDX-License-Identifier: MIT
"""Starts the worker process, connects with it over every wire, and leaves nothing of it behind."""

from __future__ import annotations

import contextlib
import itertools
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from types import TracebackType

import ipcfast
from ipcfast.cli.trial.failures import NoAnswer, WorkerDied
from ipcfast.cli.trial.wires import LOCAL, PIPE, RING, Wire, channel_wire, pipe_wire

__all__ = ["WORKER_MODULE", "WorkerProcess", "listen_at_free_name"]

WORKER_MODULE = "ipcfast.cli.trial.worker"
# Orders travel over a local socket of their own, which takes no part in the measurements.
CONTROL = "control"
START_TIMEOUT = 30.0
ANSWER_TIMEOUT = 60.0
STOP_TIMEOUT = 2.0
# How often a start is looked after: a worker that dies before it connects must not be waited for.
LOOK_INTERVAL = 0.25

# The worker looks for modules where this process does, however this one was started.
BOOTSTRAP = """
import importlib, json, sys
sys.path[:] = json.loads(sys.argv[1])
sys.exit(importlib.import_module(sys.argv[2]).main(sys.argv[3:]))
"""


class WorkerProcess:
    """A second Python process and one connection to it for each wire.

    A context manager: on exit, whatever has happened, the connections are closed and the process has ended.

    """

    def __init__(self, module: str = WORKER_MODULE) -> None:
        self._module = module
        self._process: subprocess.Popen[bytes] | None = None
        self._wires: dict[str, Wire] = {}

    def __enter__(self) -> WorkerProcess:
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    @property
    def pid(self) -> int:
        """The process id of the worker."""
        assert self._process is not None
        return self._process.pid

    def order(self, work: str, wire: str, count: int) -> Wire:
        """Let the worker do ``work`` (a method of ``Service``) for ``count`` messages; return the wire."""
        control = self._wires[CONTROL]
        control.send_json({"work": work, "wire": wire, "count": count})
        control.recv_json()
        return self._wires[wire]

    def death(self) -> WorkerDied:
        """Return the error that says how the worker ended."""
        assert self._process is not None
        try:
            status = self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            return WorkerDied(f"the worker (pid {self.pid}) has closed its connection")
        if status < 0:
            return WorkerDied(f"the worker (pid {self.pid}) was killed by {signal.Signals(-status).name}")
        return WorkerDied(f"the worker (pid {self.pid}) ended early with exit status {status}")

    def _start(self) -> None:
        ours, theirs = multiprocessing.Pipe()
        self._wires[PIPE] = pipe_wire(ours)
        with theirs, listen_at_free_name() as listener:
            name = listener.address.partition("://")[2]
            arguments = [json.dumps(sys.path), self._module, name, str(theirs.fileno())]
            # A process group of its own: Ctrl-C in the terminal is for this process, which ends the worker.
            # No session of its own: Linux would schedule the two as strangers.
            self._process = subprocess.Popen(
                [sys.executable, "-c", BOOTSTRAP, *arguments],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                preexec_fn=os.setpgrp,  # process_group= came with Python 3.11
            )
            theirs.close()
            # The worker connects in this order.
            for wire in (CONTROL, LOCAL, RING):
                self._wires[wire] = self._accept(listener)

    def _accept(self, listener: ipcfast.Listener) -> Wire:
        assert self._process is not None
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            try:
                return channel_wire(listener.accept(timeout=LOOK_INTERVAL), timeout=ANSWER_TIMEOUT)
            except ipcfast.ChannelTimeout:
                if self._process.poll() is not None:
                    raise self.death() from None
        raise NoAnswer(f"the worker (pid {self.pid}) did not connect within {START_TIMEOUT:.0f} s")

    def _stop(self) -> None:
        process = self._process
        try:
            for wire in self._wires.values():
                wire.close()
            if process is not None:
                process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            pass
        finally:
            # Reached by a second Ctrl-C as well.
            if process is not None and process.returncode is None:
                process.kill()
                process.wait()


def listen_at_free_name(stem: str = "local://demo") -> ipcfast.Listener:
    """Listen at the first of ``stem-0``, ``stem-1``, ... that is free.

    Each leaves an empty lock file, so there shall be few. Who runs at the same time gets the next one.
    """
    for number in itertools.count():
        with contextlib.suppress(ipcfast.AddressInUse):
            return ipcfast.listen(f"{stem}-{number}")
    raise AssertionError("not reached: the numbers do not end")
