# SPDX-License-Identifier: MIT
"""A child's standard input and output: JSON lines as the documents have them, and a channel of ipcfast.

The former is the baseline of document 000: ``print(json.dumps(x), flush=True)`` and ``readline``, no more.
"""

from __future__ import annotations

import functools
import json
import multiprocessing
import subprocess
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import IO, Any, NoReturn

from bench.contestants import Peer
from bench.measure import Job
from bench.processes import TwoProcesses, other_process
from ipcfast.channels.stdio import StdioChannel
from ipcfast.cli.trial.wires import Wire, channel_wire

LINES = "stdin/stdout lines"
CHANNEL = "ipcfast stdio"


def no_bytes(*_: Any) -> NoReturn:
    """Refuse: a line cannot carry every byte."""
    raise NotImplementedError("lines carry JSON only")


def wire_of_json(send: Callable[[Any], None], recv: Callable[[], Any], close: Callable[[], None]) -> Wire:
    """Return a wire that carries JSON and nothing else."""
    return Wire(
        send_bytes=no_bytes,
        recv_bytes=no_bytes,
        send_json=send,
        recv_json=recv,
        send_many=None,
        recv_many=None,
        close=close,
    )


def plain_wire(reader: IO[str], writer: IO[str]) -> Wire:
    """Return what a program without any library has."""

    def send(value: Any) -> None:
        print(json.dumps(value, ensure_ascii=False), file=writer, flush=True)

    def recv() -> Any:
        line = reader.readline()
        if not line:
            raise EOFError
        return json.loads(line)

    return wire_of_json(send, recv, writer.close)


def connect(kind: str) -> Wire:
    """Return the child's end."""
    if kind == LINES:
        return plain_wire(sys.stdin, sys.stdout)
    wire = channel_wire(StdioChannel())
    return wire_of_json(wire.send_json, wire.recv_json, wire.close)


class Child(TwoProcesses):
    """A child that is spoken to over its standard input and output; orders come by a pipe beside them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._control, theirs = multiprocessing.Pipe()
        pipe = subprocess.PIPE
        is_plain = name == LINES
        child = subprocess.Popen(
            [sys.executable, "-m", __name__, name, str(theirs.fileno())],
            stdin=pipe,
            stdout=pipe,
            pass_fds=(theirs.fileno(),),
            text=is_plain,
            encoding="utf-8" if is_plain else None,
        )
        theirs.close()
        assert child.stdin is not None
        assert child.stdout is not None
        self._child = child
        self._process = Popened(child)
        if is_plain:
            self._wire = plain_wire(child.stdout, child.stdin)
        else:
            wire = channel_wire(StdioChannel.of(child.stdout, child.stdin))
            self._wire = wire_of_json(wire.send_json, wire.recv_json, wire.close)

    def can(self, job: Job) -> bool:
        """Whether the job is about JSON."""
        return job.work in ("objects", "objects_one_way")

    def close(self) -> None:
        """End the child, and close what was read from."""
        super().close()
        for stream in (self._child.stdin, self._child.stdout):
            if stream is not None:
                stream.close()


class Popened:
    """A child with the methods that a process of multiprocessing has."""

    def __init__(self, child: subprocess.Popen[Any]) -> None:
        self._child = child

    def start(self) -> None:
        """Nothing: it runs."""

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end, or for so many seconds."""
        try:
            self._child.wait(timeout)
        except subprocess.TimeoutExpired:
            return

    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._child.poll() is None

    def kill(self) -> None:
        """End it."""
        self._child.kill()


PEERS = tuple(Peer(name, functools.partial(Child, name)) for name in (LINES, CHANNEL))

if __name__ == "__main__":
    other_process("bench.peers.stdio", sys.argv[1], Connection(int(sys.argv[2])))
