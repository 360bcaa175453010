# SPDX-License-Identifier: MIT
"""Second processes and threads for tests: run, wait for, interrupt and kill them without guessing."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, TypeVar

import ipcfast

__all__ = [
    "HANG",
    "ROOT",
    "Background",
    "PeerProcess",
    "connected",
    "open_descriptors",
    "until",
    "until_asleep",
]

# Nothing that is waited for takes longer unless it hangs, on however busy a machine.
HANG = 30.0

ROOT = Path(__file__).resolve().parents[1]
Result = TypeVar("Result")


class Background(threading.Thread, Generic[Result]):
    """Runs a function in a thread; ``result`` gives what it returned, or raises what it raised."""

    def __init__(self, function: Callable[..., Result], *arguments: Any) -> None:
        super().__init__(daemon=True)
        self._function = function
        self._arguments = arguments
        self._value: Result
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self._value = self._function(*self._arguments)
        except BaseException as error:  # handed to whoever asks for the result
            self._error = error

    def result(self, timeout: float = HANG) -> Result:
        self.join(timeout)
        assert not self.is_alive(), f"{self._function} hangs"
        if self._error is not None:
            raise self._error
        return self._value


def until(condition: Callable[[], bool]) -> None:
    """Wait for what no event tells of."""
    deadline = time.monotonic() + HANG
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.001)


def until_asleep(process: int, thread: int | None = None) -> None:
    """Wait until a thread (by default the main one) of a process sleeps, as it does once it is blocked."""
    stat = Path(f"/proc/{process}/task/{process if thread is None else thread}/stat")
    if not stat.exists():
        time.sleep(0.2)  # no /proc: a guess is all there is
        return
    in_a_row = 0

    def is_asleep() -> bool:
        nonlocal in_a_row
        in_a_row = in_a_row + 1 if stat.read_text().rpartition(")")[2].split()[0] == "S" else 0
        return in_a_row == 5  # a thread that hands over the GIL sleeps too, but not for long

    until(is_asleep)


def open_descriptors() -> set[str]:
    """What this process has open, by number and kind."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{name} {os.readlink(f'/proc/self/fd/{name}')}")
        except FileNotFoundError:
            continue  # the descriptor of the listing itself
    return found


@contextmanager
def connected(address: str, **options: Any) -> Iterator[tuple[ipcfast.IpcChannel, ipcfast.IpcChannel]]:
    """The accepted and the connecting end of a channel through a listener of this process."""
    with ipcfast.listen(address) as listener:
        client = Background(lambda: ipcfast.connect(address, timeout=HANG, **options))
        with listener.accept(HANG) as server, client.result() as other:
            yield server, other


class PeerProcess:
    """A process that runs a role from below with a channel to ``address``. Killed at the end of the block.

    Attributes:
        pid: The process.
        wire: Its standard output and input, to read from and to write to.
    """

    def __init__(self, role: str, address: str, *arguments: object) -> None:
        paths = [str(ROOT), *filter(None, sys.path)]
        # Beside standard input and output, which may be the channel.
        (self._hears, says), (hears, self._says) = os.pipe(), os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.peers", role, address, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=(says, hears),
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(paths),
                "IPCFAST_TEST_PIPES": f"{says} {hears}",
            },
            start_new_session=True,
        )
        os.close(says)
        os.close(hears)
        self.pid = self._process.pid
        assert self._process.stdout is not None
        assert self._process.stdin is not None
        self.wire = (self._process.stdout, self._process.stdin)

    def __enter__(self) -> PeerProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        for stream in self.wire:
            stream.close()
        os.close(self._hears)
        os.close(self._says)

    def line(self) -> str:
        """Wait for the next line that the peer prints."""
        line = bytearray()
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([self._hears], [], [], HANG)
            assert ready, "the peer says nothing"
            byte = os.read(self._hears, 1)
            assert byte, f"the peer has ended: {line!r}"
            line += byte
        return line.decode().rstrip("\n")

    def tell(self) -> None:
        """Let a peer go on that waits for us."""
        os.write(self._says, b"\n")

    def interrupt(self) -> None:
        self._process.send_signal(signal.SIGINT)

    def stop(self) -> None:
        """SIGSTOP: from now on it does nothing until it is killed."""
        self._process.send_signal(signal.SIGSTOP)

    def kill(self) -> None:
        """SIGKILL, and no zombie."""
        self._process.kill()
        self._process.wait(HANG)

    def wait(self) -> int:
        """Wait for its end; the exit status."""
        return self._process.wait(HANG)


# ---- what the second process does


def pipes() -> tuple[int, int]:
    """Where to say something, and where to wait for a word: standard output and input by default."""
    says, hears = map(int, os.environ.get("IPCFAST_TEST_PIPES", "1 0").split())
    return says, hears


def say(line: object) -> None:
    os.write(pipes()[0], f"{line}\n".encode())


def wait_for_word() -> None:
    while os.read(pipes()[1], 1) not in (b"\n", b""):
        pass


def numbered(channel: ipcfast.IpcChannel, count: str) -> None:
    """Sends numbers, one message each, then says how many."""
    send = channel.send_bytes
    for number in range(int(count)):
        send(number.to_bytes(8, "little"))
    channel.send_json(int(count))


def numbered_in_batches(channel: ipcfast.IpcChannel, count: str) -> None:
    """The same with send_many."""
    for first in range(0, int(count), 1000):
        channel.send_many([number.to_bytes(8, "little") for number in range(first, first + 1000)])
    channel.send_json(int(count))


def events(channel: ipcfast.IpcChannel, count: str) -> None:
    """Sends numbered events."""
    for number in range(int(count)):
        channel.emit("number", number)


def counting(channel: ipcfast.IpcChannel, count: str) -> None:
    """Receives numbers and says how many came in order."""
    receive = channel.recv_bytes
    for number in range(int(count)):
        if receive() != number.to_bytes(8, "little"):
            channel.send_json(f"wrong at {number}")
            return
    channel.send_json(int(count))


def counting_in_batches(channel: ipcfast.IpcChannel, count: str) -> None:
    """The same with recv_many."""
    number = 0
    while number < int(count):
        for body in channel.recv_many():
            if body != number.to_bytes(8, "little"):
                channel.send_json(f"wrong at {number}")
                return
            number += 1
    channel.send_json(number)


def echo(channel: ipcfast.IpcChannel) -> None:
    """Sends every message back, until the end."""
    while True:
        channel.send_bytes(channel.recv_bytes())


def large_both_ways(channel: ipcfast.IpcChannel, size: str) -> None:
    """Sends a large message before it receives one, as the other side does."""
    channel.send_bytes(b"p" * int(size))
    data = channel.recv_bytes()
    channel.send_json([len(data), data.count(b"o")])


def idle(channel: ipcfast.IpcChannel, count: str) -> None:
    """Sends some messages, then does nothing with the channel."""
    for number in range(int(count)):
        channel.send_bytes(number.to_bytes(8, "little"))
    say("ready")
    wait_for_word()


def blocked(channel: ipcfast.IpcChannel, count: str) -> None:
    """Sends some messages, then receives what never comes."""
    for number in range(int(count)):
        channel.send_bytes(number.to_bytes(8, "little"))
    say("ready")
    channel.recv_bytes()


def mid_message(channel: ipcfast.IpcChannel, count: str, size: str) -> None:
    """Sends some messages, then gets stuck in the middle of a large one."""
    for number in range(int(count)):
        channel.send_bytes(number.to_bytes(8, "little"))
    say("ready")
    channel.send_bytes(bytes(int(size)))


def flooding(channel: ipcfast.IpcChannel) -> None:
    """Sends numbered messages of many sizes as fast as it can."""
    number = 0
    say("ready")
    while True:
        channel.send_bytes(number.to_bytes(8, "little") * (1 + number % 97))
        number += 1


def finishing(channel: ipcfast.IpcChannel, count: str, ending: str) -> None:
    """Sends some messages and ends at once, in one of three ways."""
    for number in range(int(count)):
        channel.send_bytes(number.to_bytes(8, "little"))
    if ending != "exit":
        getattr(channel, ending)()
        say("ended")
        wait_for_word()


def interrupted(channel: ipcfast.IpcChannel, call: str) -> None:
    """Blocks in a call until Ctrl-C."""
    calls: dict[str, Callable[[], object]] = {
        "recv": channel.recv,
        "recv_bytes": channel.recv_bytes,
        "recv_many": channel.recv_many,
        "poll": lambda: channel.poll(None),
        "send_bytes": lambda: channel.send_bytes(bytes(32 << 20)),
    }
    say("ready")
    try:
        calls[call]()
    except KeyboardInterrupt:
        say("interrupted")
    # It is not broken by that: a begun message goes out whole, and then this one.
    channel.send_bytes(b"still here")


def with_child(channel: ipcfast.IpcChannel) -> None:
    """Leaves a forked child behind that keeps every descriptor it can."""
    child = os.fork()
    if child == 0:
        os.close(pipes()[0])
        wait_for_word()
        os._exit(0)
    say(child)
    wait_for_word()


def forked(channel: ipcfast.IpcChannel) -> None:
    """Tries everything in a forked child, then shows that the parent's end is untouched."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        calls: list[Callable[[], object]] = [
            lambda: channel.send_bytes(b"x"),
            lambda: channel.send_many([b"x"]),
            lambda: channel.send({}),
            lambda: channel.recv_bytes(timeout=1),
            lambda: channel.recv(timeout=1),
            lambda: channel.recv_bytes_into(bytearray(1), 1),
            lambda: channel.recv_many(timeout=1),
            lambda: channel.try_recv_bytes(),
            lambda: channel.poll(1),
            lambda: channel.fileno(),
        ]
        names = []
        for call in calls:
            try:
                names.append(repr(call()))
            except Exception as error:
                names.append(type(error).__name__)
        state = repr(channel).rstrip(">").rpartition(" ")[2]
        flags = ["closed"] * channel.closed + ["shutdown"] * channel.is_shutdown()
        channel.shutdown()
        channel.close()
        os.write(writing, f"{','.join(names)}\n{' '.join([*flags, state])}".encode())
        os._exit(0)
    os.waitpid(child, 0)
    say(os.read(reading, 4096).decode())
    channel.send_bytes(channel.recv_bytes(timeout=HANG))


def holder(address: str, count: str) -> None:
    """Listens, takes some clients, and holds on to the address."""
    with ipcfast.listen(address) as listener:
        say("listening")
        channels = [listener.accept(HANG) for _ in range(int(count))]
        say("accepted")
        wait_for_word()
        for channel in channels:
            channel.close()


def leaving(address: str) -> None:
    """Ends without closing anything, while threads are blocked in every kind of call."""
    channel = ipcfast.connect(address, timeout=HANG)
    calls: list[Callable[[], object]] = [
        channel.recv,
        lambda: channel.poll(None),
        lambda: channel.send_bytes(bytes(32 << 20)),
    ]
    for thread in [Background(call) for call in calls]:
        until_asleep(os.getpid(), thread.native_id)
    say("blocked")


def main() -> None:
    role, address, *arguments = sys.argv[1:]
    if role in ("holder", "leaving"):  # these make their channels by themselves
        globals()[role](address, *arguments)
        return
    function: Callable[..., None] = globals()[role]
    with ipcfast.connect(address, timeout=HANG) as channel:
        try:
            function(channel, *arguments)
        except ipcfast.Disconnected:
            return
        if role not in ("finishing", "idle", "with_child"):
            channel.poll(HANG)  # until the other side has read everything and closes


if __name__ == "__main__":
    main()
