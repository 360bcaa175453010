# SPDX-License-Identifier: MIT
"""Frames of 100 B cut out of a stream: Content-Length beside Python parsers, lines beside bytes.split.

This measures the private binding of the decoders, ``ipcfast._native.frame``: channels are built on the same,
but cutting by itself has no public name.
"""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Callable, Sequence

from bench.measure import Block, Figure, Goal, Job, Placement, compare
from bench.report import print_figures
from bench.suite import Outcome, by_itself
from ipcfast._native.frame import FrameDecoder, encode_frames

BODY_SIZE = 100
FRAME_COUNT = 2000  # of one pass: what they become stays in the cache
CHUNK_SIZE = 65536  # what one read of a socket or pipe brings

OURS, BY_HAND, PYLSP, SPLIT = "ipcfast", "bytearray parser", "python-lsp-jsonrpc", "bytes.split"
CONTENT_LENGTH = Job("content-length", BODY_SIZE)
LINES = Job("lines", BODY_SIZE)
GOALS = (
    Goal(CONTENT_LENGTH, "same", OURS, BY_HAND, 12),
    Goal(CONTENT_LENGTH, "same", OURS, PYLSP, 15),
    Goal(LINES, "same", OURS, SPLIT, 2.5),
)

Decode = Callable[[Sequence[bytes]], list[bytes]]


class FrameReader:
    """A contestant: turns the pieces of a stream into bodies, in this process."""

    def __init__(self, name: str, job: Job, decode: Decode) -> None:
        self.name = name
        self._job = job
        self._decode = decode
        self._bodies = [b'{"jsonrpc":"2.0","id":%d}' % index for index in range(FRAME_COUNT)]
        self._bodies = [body.ljust(BODY_SIZE - 1) + b"\x7d" for body in self._bodies]
        wire = encode_frames(job.work, self._bodies)
        self._chunks = [wire[start : start + CHUNK_SIZE] for start in range(0, len(wire), CHUNK_SIZE)]

    def can(self, job: Job) -> bool:
        """Whether this contestant takes part in the job."""
        return job == self._job

    def place(self, placement: Placement) -> None:
        """There is no other process to place."""

    def run(self, job: Job, count: int, *, timed: bool = False) -> Block:
        """Decode about ``count`` frames; what comes out is compared off the clock."""
        passes = max(count // FRAME_COUNT, 1)
        elapsed_ns = 0
        for _ in range(passes):
            started_ns = time.perf_counter_ns()
            bodies = self._decode(self._chunks)
            elapsed_ns += time.perf_counter_ns() - started_ns
            if bodies != self._bodies:
                raise RuntimeError(f"{self.name} lost or altered a frame of {job.title}")
        return Block(passes * FRAME_COUNT, elapsed_ns)

    def close(self) -> None:
        """There is nothing to end."""


def ours(framing: str) -> Decode:
    """Return the decoder of ipcfast."""

    def decode(chunks: Sequence[bytes]) -> list[bytes]:
        decoder = FrameDecoder(framing)
        bodies: list[bytes] = []
        for chunk in chunks:
            bodies += decoder.feed(chunk)
        return bodies

    return decode


def by_hand(chunks: Sequence[bytes]) -> list[bytes]:
    """Do what one writes by hand who minds the time: a bytearray, a cursor, a short way for plain headers."""
    buffer = bytearray()
    bodies = []
    for chunk in chunks:
        buffer += chunk
        start = 0
        while True:
            head_end = buffer.find(b"\r\n\r\n", start)
            if head_end < 0:
                break
            if buffer.startswith(b"Content-Length: ", start) and buffer.find(b"\r\n", start, head_end) < 0:
                length = int(buffer[start + 16 : head_end])
            else:
                lines = [line.partition(b":") for line in bytes(buffer[start:head_end]).split(b"\r\n")]
                length = int(next(value for name, _, value in lines if name.lower() == b"content-length"))
            end = head_end + 4 + length
            if len(buffer) < end:
                break
            bodies.append(bytes(buffer[head_end + 4 : end]))
            start = end
        del buffer[:start]
    return bodies


def split_lines(chunks: Sequence[bytes]) -> list[bytes]:
    """Cut with bytes.split and carry the unfinished line over."""
    bodies: list[bytes] = []
    rest = b""
    for chunk in chunks:
        lines = (rest + chunk).split(b"\n")
        rest = lines.pop()
        bodies += lines
    return bodies


def with_pylsp() -> Decode | None:
    """Return the reader of python-lsp-jsonrpc without its JSON part, None where it is not installed."""
    try:
        from pylsp_jsonrpc.streams import JsonRpcStreamReader  # type: ignore[import-untyped,unused-ignore]
    except ImportError:
        return None

    def decode(chunks: Sequence[bytes]) -> list[bytes]:
        reader = JsonRpcStreamReader(io.BytesIO(b"".join(chunks)))
        return list(iter(reader._read_message, None))

    return decode


def contestants() -> list[FrameReader]:
    """Return all that can be had here."""
    readers = [
        FrameReader(OURS, CONTENT_LENGTH, ours("content-length")),
        FrameReader(BY_HAND, CONTENT_LENGTH, by_hand),
        FrameReader(OURS, LINES, ours("lines")),
        FrameReader(SPLIT, LINES, split_lines),
    ]
    pylsp = with_pylsp()
    if pylsp is None:
        print(f"left out: {PYLSP}: it is not installed")
    else:
        readers.append(FrameReader(PYLSP, CONTENT_LENGTH, pylsp))
    return readers


def run(rounds: int, block_seconds: float) -> Outcome:
    """Measure everything, on one CPU: there is only one process."""
    cpu = min(os.sched_getaffinity(0))
    running = contestants()
    figures: list[Figure] = []
    for job, base in ((CONTENT_LENGTH, BY_HAND), (LINES, SPLIT)):
        found = compare(running, job, Placement("same", cpu, cpu), rounds=rounds, block_seconds=block_seconds)
        print_figures(found, base=base)
        figures += found
    return Outcome(figures=figures, goals=list(GOALS))


if __name__ == "__main__":
    sys.exit(by_itself(__doc__, run))
