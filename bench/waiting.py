# SPDX-License-Identifier: MIT
"""What waiting costs and how long it takes: readings of one channel, with a partner in another process."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection

import ipcfast
from bench.measure import Reading
from ipcfast.cli.trial.figures import percentile
from ipcfast.cli.trial.process import listen_at_free_name

__all__ = ["readings"]

MESSAGE = b"." * 64
# So few that they fit into every transport's buffers.
QUEUED = 150
DRAINS = 40
CONNECT_SECONDS = 30.0


def readings(scheme: str, name: str, *, deaths: int = 60) -> list[Reading]:
    """Return all readings of the channel that ``scheme`` (``shm`` or ``local``) leads to."""
    with partner(scheme) as (channel, ask):
        found = queued_receive(channel.recv_bytes, ask, name)
        found += [other_work(channel, name), idle_cpu(channel, name), overshoot(channel, name)]
    return found + death_notice(scheme, name, deaths)


def pipe_readings() -> list[Reading]:
    """Return what can be compared of multiprocessing.Pipe."""
    ours, theirs = multiprocessing.Pipe()
    with partner_process(theirs) as ask, ours:
        return queued_receive(ours.recv_bytes, ask, "multiprocessing.Pipe")


def queued_receive(recv: Callable[[], bytes], ask: Callable[[int], None], name: str) -> list[Reading]:
    """Measure a receive of what is there already, alone and while another thread computes."""
    found = []
    for title, at_most in (("queued receive", None), ("queued receive beside a CPU-bound thread", 1.0)):
        with busy_thread() if at_most else contextlib.nullcontext():
            # The mean: what counts is how often a receive loses the GIL, which it then waits 5 ms for.
            each = statistics.fmean(drain(recv, ask) for _ in range(DRAINS))
        # The goal is ipcfast's.
        found.append(Reading(title, name, each / 1e3, "us", at_most if name.startswith("ipcfast") else None))
    return found


def drain(recv: Callable[[], bytes], ask: Callable[[int], None]) -> float:
    """Return the nanoseconds of each of a row of receives, all of which are queued when the clock starts."""
    ask(QUEUED)
    started = time.perf_counter_ns()
    received = [recv() for _ in range(QUEUED)]
    elapsed = time.perf_counter_ns() - started
    if received != [MESSAGE] * QUEUED:
        raise RuntimeError("messages were lost or altered")
    return elapsed / QUEUED


def other_work(channel: ipcfast.IpcChannel, name: str) -> Reading:
    """Measure how much another thread gets done while this one waits, against when it sleeps."""

    def wait() -> None:
        with contextlib.suppress(ipcfast.ChannelTimeout):
            channel.recv_bytes(0.25)

    shares = []
    for _ in range(5):
        asleep = work_done_during(lambda: time.sleep(0.25))
        shares.append(work_done_during(wait) / asleep)
    return Reading("another thread's work during a blocked receive", name, statistics.median(shares), "of it")


def work_done_during(action: Callable[[], None]) -> float:
    """Return the rate of a computing thread while ``action`` runs."""
    with busy_thread() as turns:
        started, before = time.perf_counter(), turns[0]
        action()
        return (turns[0] - before) / (time.perf_counter() - started)


@contextlib.contextmanager
def busy_thread() -> Iterator[list[int]]:
    """Let a thread compute in Python; the list holds the number of its turns."""
    turns = [0]
    stop = threading.Event()
    running = threading.Event()

    def compute() -> None:
        running.set()
        while not stop.is_set():
            turns[0] += 1

    thread = threading.Thread(target=compute, daemon=True)
    thread.start()
    running.wait()
    try:
        yield turns
    finally:
        stop.set()
        thread.join()


def idle_cpu(channel: ipcfast.IpcChannel, name: str) -> Reading:
    """Measure the CPU time that a blocked receive takes in its second second."""
    samples: list[float] = []

    def sample() -> None:
        for _ in range(2):
            time.sleep(1.0)
            samples.append(time.process_time())

    sampler = threading.Thread(target=sample)
    sampler.start()
    with contextlib.suppress(ipcfast.ChannelTimeout):
        channel.recv_bytes(2.2)
    sampler.join()
    used_ms = (samples[1] - samples[0]) * 1e3
    return Reading("CPU time of a blocked receive in its second second", name, used_ms, "ms", 10.0)


def overshoot(channel: ipcfast.IpcChannel, name: str) -> Reading:
    """Measure how much later than asked a timeout comes."""
    late = []
    for _ in range(25):
        started = time.perf_counter()
        with contextlib.suppress(ipcfast.ChannelTimeout):
            channel.recv_bytes(0.02)
        late.append(time.perf_counter() - started - 0.02)
    if min(late) < 0:
        raise RuntimeError(f"a timeout came {-min(late) * 1e6:.0f} us early")
    return Reading("timeout overshoot, median", name, statistics.median(late) * 1e6, "us")


def death_notice(scheme: str, name: str, count: int) -> list[Reading]:
    """Measure how long after SIGKILL a blocked receive says that the peer is gone."""
    delays = sorted(one_death(scheme) for _ in range(count))
    return [
        Reading("death notice after SIGKILL, p50", name, percentile(delays, 50) / 1e6, "ms"),
        Reading("death notice after SIGKILL, p99", name, percentile(delays, 99) / 1e6, "ms", 15.0),
    ]


def one_death(scheme: str) -> int:
    """Return the nanoseconds between one kill and its notice."""
    killed_at: list[int] = []
    with listen_at_free_name(f"{scheme}://bench") as listener:
        child = os.fork()
        if child == 0:
            connection = ipcfast.connect(listener.address, timeout=CONNECT_SECONDS)
            connection.send_bytes(b"here")
            signal.pause()
        channel = listener.accept(timeout=CONNECT_SECONDS)
    with channel:
        channel.recv_bytes(CONNECT_SECONDS)

        def kill() -> None:
            # Long enough for the receive to have gone to sleep.
            time.sleep(0.005)
            killed_at.append(time.perf_counter_ns())
            os.kill(child, signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        try:
            channel.recv_bytes(CONNECT_SECONDS)
        except ipcfast.Disconnected:
            noticed_at = time.perf_counter_ns()
        killer.join()
    os.waitpid(child, 0)
    return noticed_at - killed_at[0]


@contextlib.contextmanager
def partner(scheme: str) -> Iterator[tuple[ipcfast.IpcChannel, Callable[[int], None]]]:
    """Connect with another process; calling the second value lets it send that many messages."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(listen_at_free_name(f"{scheme}://bench"))
        ask = stack.enter_context(partner_process(listener.address))
        yield stack.enter_context(listener.accept(timeout=CONNECT_SECONDS)), ask


@contextlib.contextmanager
def partner_process(end: str | Connection) -> Iterator[Callable[[int], None]]:
    """Start the other process with an address, or with an end of a pipe."""
    control, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=obey, args=(end, theirs), daemon=True)
    process.start()
    theirs.close()

    def ask(count: int) -> None:
        control.send(count)
        control.recv()

    try:
        yield ask
    finally:
        control.close()
        process.join(CONNECT_SECONDS)


def obey(end: str | Connection, control: Connection) -> None:
    """Be the other process: send as many messages as ``control`` says, until it is closed."""
    channel = ipcfast.connect(end, timeout=CONNECT_SECONDS) if isinstance(end, str) else end
    with contextlib.suppress(EOFError), channel:
        while True:
            for _ in range(control.recv()):
                channel.send_bytes(MESSAGE)
            control.send("sent")
