# SPDX-License-Identifier: MIT
"""What the second and third processes of these tests do, by name, and how the first one hears of them."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import IO, NoReturn

import ipcfast
from ipcfast.processes.process import PIPE, STDOUT, Process
from ipcfast.processes.tree import terminate_tree
from tests.peers import HANG, ROOT, say, until, wait_for_word

__all__ = ["environment", "line_of", "program", "read_to_end"]


def program(role: str, *arguments: object) -> list[str]:
    """The command of a role from below."""
    return [sys.executable, "-m", "tests.processes.children", role, *map(str, arguments)]


def environment(**more: str) -> dict[str, str]:
    """An environment in which the command finds this module."""
    paths = [str(ROOT), *filter(None, sys.path)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **more}


def line_of(stream: IO[bytes] | None) -> str:
    """Wait for the next line that a process prints."""
    assert stream is not None
    line = bytearray()
    while not line.endswith(b"\n"):
        assert select.select([stream], [], [], HANG)[0], f"the process says nothing after {line!r}"
        byte = os.read(stream.fileno(), 1)
        assert byte, f"the process has ended after {line!r}"
        line += byte
    return line.decode().rstrip("\n")


def read_to_end(stream: IO[bytes] | None) -> bytes:
    """Wait until everybody who holds the other end of a pipe has ended."""
    assert stream is not None
    text = b""
    while True:
        assert select.select([stream], [], [], HANG)[0], f"somebody lives on, after {text!r}"
        more = os.read(stream.fileno(), 65536)
        if not more:
            return text
        text += more


# ---- roles


def stay() -> NoReturn:
    """Stay, whatever happens but SIGKILL and the end of the parent."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.alarm(100)  # should the test fail that would end it
    say("stays")
    while True:
        signal.pause()


def echo(timeout: float | None = HANG) -> None:
    """Answer every message with its data, until the parent has left; then say how."""
    channel = ipcfast.connect_parent(timeout)
    try:
        for message in channel:
            channel.send(ipcfast.IpcMessage("response", message.data, id=message.id))
    except ipcfast.Disconnected:
        pass
    say(f"peer died: {channel.peer_died}")


def echo_bytes() -> None:
    """The same with bytes, and any codec."""
    channel = ipcfast.connect_parent(HANG)
    channel.send_bytes(channel.recv_bytes(HANG))
    channel.poll(HANG)


def report() -> None:
    """Tell the parent what this process has, before and after it has connected."""
    descriptors = sorted(int(name) for name in os.listdir("/proc/self/fd"))
    variable = os.environ["IPCFAST_CHANNEL"]
    channel = ipcfast.connect_parent(HANG)
    grandchild = subprocess.run(
        ["/bin/sh", "-c", 'ls /proc/self/fd; echo "$IPCFAST_CHANNEL$AURORAVIEW_IPC_CHANNEL"'],
        close_fds=False,  # so that CLOEXEC alone decides
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    channel.send_json(
        {
            "descriptors": descriptors,
            "variable": variable,
            "grandchild": grandchild.stdout.split(),
            "stdin": sys.stdin.read(),
            "directory": os.getcwd(),
            "extra": os.environ.get("IPCFAST_EXTRA"),
            "session": os.getsid(0) == os.getpid(),
            "peer": channel.peer.pid == os.getppid(),
            "packed": ipcfast.is_packed_mode(),
        }
    )
    channel.poll(HANG)


def context() -> None:
    """Get the channel that fits, and tell the mode before and after."""
    before = ipcfast.IpcChannelFactory.auto_detect().value
    with ipcfast.IpcChannelFactory.create_for_context(timeout=HANG) as channel:
        channel.send_json([before, ipcfast.IpcChannelFactory.auto_detect().value])
        channel.poll(HANG)


def late() -> None:
    """Connect when told to."""
    wait_for_word()
    echo()


def patient() -> None:
    """Try to connect in vain, then wait as long as it takes."""
    for _ in range(3):
        try:
            ipcfast.connect_parent(0.01)
        except ipcfast.ChannelTimeout as error:
            say(type(error).__name__)
    echo(None)


def closing_in_a_handler(*name: str) -> None:
    """Wait for a child that does not come, until a signal handler has closed its channel."""
    child = ipcfast.spawn(["/bin/sleep", "100"], timeout=None, name=name[0] if name else None)

    def use_and_close(number: int, frame: object) -> None:
        tell_error()
        child.close()

    def tell_error() -> None:
        try:
            _ = child.channel
        except ipcfast.IpcChannelError as error:
            say(type(error).__name__)

    signal.signal(signal.SIGUSR1, use_and_close)
    say("ready")
    tell_error()
    tell_error()
    say(child.terminate(0))


def deaf() -> None:
    """Close what was inherited, and stay."""
    os.closerange(3, 100)
    stay()


def leaving_a_fork() -> None:
    """Leave a forked process behind that holds the connection and everything else, and never connect."""
    if os.fork() == 0:
        stay()
    sys.exit(4)


def held() -> None:
    """Connect, and leave a process behind that holds the connection as only a program of its own does."""
    channel = ipcfast.connect_parent(HANG)
    os.set_inheritable(channel._transport.fileno(), True)  # type: ignore[union-attr]
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and os.path.exists(f"/proc/self/fd/{name}"):
            os.set_inheritable(int(name), True)
    subprocess.Popen(["/bin/sleep", "100"], close_fds=False)
    channel.send_json("held")
    signal.alarm(100)
    signal.pause()


def parent(dies: str, *roles: str) -> None:
    """Spawn the next one of the roles, which do the same, then stay."""
    child = ipcfast.spawn(
        program("parent", dies, *roles[1:]) if roles[1:] else program(roles[0]),
        dies_with_parent=dies == "dies",
        env=environment(),
    )
    if not roles[1:] and roles[0] == "echo":
        child.channel.send_json("hello")
        say(child.channel.recv(HANG).type)
    stay()


def ignoring(name: str) -> None:
    """Ignore a signal, and tell what a child ignores then."""
    signal.signal(getattr(signal, name), signal.SIG_IGN)
    Process(["/bin/sed", "-n", "s/SigIgn://p", "/proc/self/status"]).wait(HANG)


def collected(way: str) -> None:
    """Start processes whose ends are collected by somebody else, and end them all the same."""

    def until_collected(process: Process) -> Process:
        if way == "collected":
            os.waitpid(-1, 0)
        until(lambda: not os.path.exists(f"/proc/{process.pid}"))
        return process

    if way == "ignored":
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    say(until_collected(Process("/bin/true")).wait(HANG))
    say(terminate_tree(until_collected(Process("/bin/true")), 0))
    say(terminate_tree(until_collected(Process("/bin/true")), HANG))
    child = ipcfast.spawn("/bin/true", timeout=None)
    until_collected(child.process)
    try:
        _ = child.channel
    except ipcfast.ChildExited as error:
        phrase = "somebody else here has waited for it"
        say(f"ChildExited: {phrase}" if phrase in str(error) else error)


def without_standard_handles() -> None:
    """Close what others have at 0 to 2, start children, and tell what they have there."""
    told = os.dup(1)
    os.closerange(0, 3)

    def tell(process: Process) -> None:
        names = [os.readlink(f"/proc/{process.pid}/fd/{number}") for number in range(3)]
        os.write(told, (" ".join(name.partition(":")[0] for name in names) + "\n").encode())
        process.kill()
        process.wait(HANG)
        process.close_pipes()

    sleep = ["/bin/sleep", "100"]
    tell(Process(sleep, stdin=PIPE))
    tell(Process(sleep, stdout=PIPE))
    tell(Process(sleep, stderr=STDOUT))
    with ipcfast.spawn(sleep, timeout=None) as child:
        tell(child.process)
    with ipcfast.spawn(sleep, timeout=None, transport="local", stdin=None) as child:
        tell(child.process)
    with ipcfast.spawn(
        ["/bin/sh", "-c", 'echo noise; echo noise >&2; exec "$@"', "", *program("echo")]
    ) as child:
        child.channel.send(ipcfast.IpcMessage("request", 8))
        os.write(told, b"%d\n" % child.channel.recv(HANG).data)


def from_a_thread() -> None:
    """Start a process from a thread that ends, and tell how it is afterwards."""
    started: list[Process] = []
    thread = threading.Thread(target=lambda: started.append(Process(["/bin/cat"], stdin=PIPE, stdout=PIPE)))
    thread.start()
    thread.join()
    process = started[0]
    assert process.stdin is not None
    for _ in range(3):
        process.stdin.write(b"still here\n")
        process.stdin.flush()
        say(line_of(process.stdout))
    process.stdin.close()
    say(process.wait(HANG))


def forking() -> None:
    """Fork after a process was started; both sides go on with their own."""
    process = Process(["/bin/cat"], stdin=PIPE)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        calls: list[Callable[[], object]] = [
            process.poll,
            process.wait,
            process.kill,
            lambda: process.sentinel,
        ]
        calls.append(lambda: terminate_tree(process))
        words = []
        for call in calls:
            try:
                words.append(str(call()))
            except ipcfast.IoError as error:
                words.append(str(error.errno))
        with Process(["/bin/sh", "-c", "exit 5"]) as own:
            pass
        os.write(writing, f"{' '.join(words)} {own.returncode}".encode())
        os._exit(0)
    os.waitpid(child, 0)
    say(os.read(reading, 1000).decode())
    say(process.poll())
    assert process.stdin is not None
    process.stdin.close()
    say(process.wait(HANG))


def forking_with_a_channel() -> None:
    """Fork with a spawned child; the end of its block in the forked process leaves the child alone."""
    with ipcfast.spawn(program("echo"), env=environment(), stdout=subprocess.DEVNULL) as child:
        child.channel.send({"type": "request", "id": "1"})
        child.channel.recv(HANG)
        process = os.fork()
        if process == 0:
            child.__exit__(None, None, None)
            os._exit(0)
        os.waitpid(process, 0)
        child.channel.send({"type": "request", "id": "2"})
        say(child.channel.recv(HANG).id)
    say(child.process.returncode)


def interrupted(call: str) -> None:
    """Block in a call until Ctrl-C, then show that all is as before."""
    child = ipcfast.spawn(program("stay"), env=environment(), stdout=PIPE, timeout=None)
    line_of(child.process.stdout)
    calls: dict[str, Callable[[], object]] = {
        "wait": child.wait,
        "channel": lambda: child.channel,
        "terminate": lambda: child.terminate(1000),
        "exit": lambda: child.__exit__(None, None, None),
    }
    say("ready")
    try:
        calls[call]()
    except KeyboardInterrupt:
        say("interrupted")
    if call in ("wait", "channel"):
        say(child.process.poll())
        child.close()
        say(child.terminate(0))
    else:
        say(child.wait(HANG))
        say(child.process.poll())
    read_to_end_and_close(child)


def read_to_end_and_close(child: ipcfast.Child) -> None:
    """Nothing of a child is left."""
    if child.process.stdout is not None and not child.process.stdout.closed:
        read_to_end(child.process.stdout)
    child.close()


def plain_lines() -> None:
    """A client as the documents have it: JSON lines on /tmp/auroraview_<name>, ready first."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(f"/tmp/auroraview_{os.environ['AURORAVIEW_IPC_CHANNEL']}")
        connection.sendall(b'{"type": "ready", "data": {"handlers": []}}\n')
        with connection.makefile("rwb") as lines:
            lines.write(lines.readline())
            lines.flush()
            lines.readline()


if __name__ == "__main__":
    role, *rest = sys.argv[1:]
    globals()[role](*rest)
