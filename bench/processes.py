# SPDX-License-Identifier: MIT
"""Two Python processes with a wire between them: how every Python contestant is run, whatever the wire."""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, Protocol

from bench.measure import Block, Job, Placement, pin
from bench.work import do, serve
from ipcfast.cli.trial.wires import Wire

try:
    import msgspec
except ImportError:
    msgspec = None  # type: ignore[assignment, unused-ignore]

__all__ = ["TwoProcesses", "wire_of_bytes"]

STOP_SECONDS = 5.0


class OtherProcess(Protocol):
    """What a contestant needs of the process at the other end."""

    def start(self) -> None:
        """Start it."""

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end."""

    def is_alive(self) -> bool:
        """Whether it runs."""

    def kill(self) -> None:
        """End it."""


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
        self._process: OtherProcess = spawn.Process(
            target=other_process, args=(module, argument, theirs), daemon=True
        )
        self._process.start()
        theirs.close()
        self._wire = finish()

    def can(self, job: Job) -> bool:
        """Whether the wire has what the job needs."""
        return job.work != "batches" or self._wire.send_many is not None

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

    def peak_memory(self) -> int:
        """Return the most memory that the other process ever had, in bytes."""
        self._control.send("peak memory")
        found: int = self._control.recv()
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
            if order == "peak memory":
                control.send(peak_memory())
                continue
            control.send("ready")
            job, count = order
            report = serve(wire, job, count)
            control.send("done")
            control.send(report())
    except (EOFError, ConnectionError):
        wire.close()


def peak_memory() -> int:
    """Return the most memory that this process ever had, in bytes, but not what it was forked from had."""
    with open("/proc/self/status", encoding="ascii") as status:
        found = dict(line.split(":", 1) for line in status)
    return int(found["VmHWM"].split()[0]) * 1024


def settle(placement: Placement) -> None:
    """Go where the placement wants the other process to be."""
    pin({placement.peer})
    if placement.strangers and os.getsid(0) != os.getpid():
        os.setsid()


def wire_of_bytes(send: Callable[[bytes], Any], recv: Callable[[], bytes], close: Callable[[], Any]) -> Wire:
    """Return the wire of what carries bytes only: for JSON everyone has the same encoder and decoder."""
    encode, decode = json_functions()
    return Wire(
        send_bytes=send,
        recv_bytes=recv,
        send_json=lambda value: send(encode(value)),
        recv_json=lambda: decode(recv()),
        send_many=None,
        recv_many=None,
        close=close,
    )


def json_functions() -> tuple[Callable[[Any], bytes], Callable[[bytes], Any]]:
    """Return the fastest encoder and decoder that are here; ipcfast's codec is built on the same."""
    if msgspec is not None:
        return msgspec.json.Encoder().encode, msgspec.json.Decoder().decode
    return lambda value: json.dumps(value).encode(), json.loads
