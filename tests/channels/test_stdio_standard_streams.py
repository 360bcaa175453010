# SPDX-License-Identifier: MIT
"""Shows what becomes of standard input and output meanwhile and afterwards: nobody else is on the wire."""

from __future__ import annotations

import subprocess

import pytest

from tests.channels.test_stdio import child
from tests.peers import HANG, Background

ENDING = """
import sys, ipcfast
from tests.peers import say, wait_for_word
channel = ipcfast.connect("stdio://")
try:
    ipcfast.connect("stdio://")
except ipcfast.AddressInUse as error:
    channel.send_json(str(error))
how = sys.argv[1]
if how in ("close", "shutdown"):
    getattr(channel, how)()
elif how == "drop":
    del channel
print("printed afterwards", flush=True)
if how == "reopen":
    channel.close()
    print("between")
    with ipcfast.connect("stdio://") as again:
        again.send_json("again")
if how == "shutdown":
    channel.close()
    print("still", flush=True)
    try:
        ipcfast.connect("stdio://")
    except ipcfast.IoError as error:
        print("refused:", type(error).__name__, flush=True)
"""


@pytest.mark.parametrize("close", ["channel.close()", ""])
def test_a_channel_is_freed_though_its_handler_holds_it(close: str) -> None:
    program = f"""
import gc, weakref, ipcfast
held = []
channel = ipcfast.StdioChannel(skip_noise=True, on_noise=lambda line, held=held: held[0])
held.append(channel)
watch = weakref.ref(channel)
{close}
del channel, held
gc.collect()
print("freed" if watch() is None else "kept")
"""
    with child(program) as process:
        wire, _ = process.communicate(timeout=HANG)
    assert wire == b"freed\n"


@pytest.mark.parametrize(
    "how, on_wire, on_error",
    [
        ("close", b"printed afterwards\n", b""),
        ("drop", b"printed afterwards\n", b""),
        ("exit", b"", b"printed afterwards\n"),
        ("reopen", b'between\n{"type":"data","data":"again"}\n', b"printed afterwards\n"),
        ("shutdown", b"", b"printed afterwards\nstill\nrefused: IoError\n"),
    ],
)
def test_standard_streams_come_back_in_the_end(how: str, on_wire: bytes, on_error: bytes) -> None:
    with child(ENDING, how) as process:
        wire, errors = process.communicate(timeout=HANG)
    told, _, rest = wire.partition(b"\n")
    assert b"close that first" in told
    assert (rest, errors) == (on_wire, on_error)


MERGED = """
import logging, os, subprocess, sys
sys.stderr.write("half a line, which would become a part of the first message")
print("before the channel")
warned = []
logging.getLogger("ipcfast.channels.stdio").addFilter(lambda record: warned.append(record.levelname))
import ipcfast
with ipcfast.connect("stdio://") as channel:
    print("printed")
    print("to standard error", file=sys.stderr)
    sys.stderr.write("without an end of line")
    os.write(2, b"directly")
    subprocess.run([sys.executable, "-c", "print('from a grandchild')"], check=True)
    channel.send_json(warned)
print("after the channel", file=sys.stderr)
"""


def test_standard_error_that_is_the_wire_too_is_kept_out_of_it() -> None:
    with child(MERGED, stderr=subprocess.STDOUT) as process:
        wire, _ = process.communicate(timeout=HANG)
    assert wire.splitlines() == [
        b"before the channel",
        b'{"type":"data","data":["WARNING"]}',
        b"after the channel",
    ]


def test_what_stands_in_place_of_standard_output_hides_nothing() -> None:
    program = """
import contextlib, io, sys, ipcfast
sys.__stdout__.write("before\\n")
with contextlib.redirect_stdout(io.StringIO()), ipcfast.connect("stdio://") as channel:
    sys.__stdout__.write("meanwhile\\n")
    sys.__stdout__.write("to the end")
    channel.send_json(1)
print("after")
"""
    with child(program) as process:
        wire, errors = process.communicate(timeout=HANG)
    assert wire.splitlines() == [b"before", b'{"type":"data","data":1}', b"after"]
    assert errors.splitlines() == [b"meanwhile", b"to the end"]


@pytest.mark.parametrize("framing", ["lines", "length"])
def test_what_is_printed_at_the_very_end_is_not_for_the_wire(framing: str) -> None:
    program = """
import atexit, ctypes, os, sys
atexit.register(lambda: os.write(1, b"from a handler\\n"))
import ipcfast
channel = ipcfast.connect("stdio://", framing=sys.argv[1])
ctypes.pythonapi.Py_IncRef(ctypes.py_object(channel))  # as a daemon's thread would hold it
channel.send_json(1)
ctypes.CDLL(None).puts(b"from C")
print("from Python")
"""
    with child(program, framing) as process:
        wire, errors = process.communicate(timeout=HANG)
    assert sorted(errors.splitlines()) == [b"from C", b"from Python", b"from a handler"]
    before, document, after = wire.partition(b'{"type":"data","data":1}')
    assert document
    if framing == "lines":
        assert (before, after) == (b"", b"\n")
    else:
        assert (len(before), len(after)) == (16, 16)
        assert after[3] == 0xF0  # the goodbye: leaving in order


def test_nothing_is_written_behind_a_message_that_stays_unfinished() -> None:
    program = """
import ipcfast
channel = ipcfast.connect("stdio://")
try:
    channel.send_json("x" * 10_000_000, 0)
except ipcfast.ChannelTimeout as error:
    assert error.begun
channel.close()
print("printed", flush=True)
try:
    ipcfast.connect("stdio://")
except ipcfast.AddressInUse:
    print("is closed, and said to be open")
except ipcfast.IoError:
    print("refused")
"""
    with child(program) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        printed = Background(process.stderr.read)
        try:
            assert printed.result() == b"printed\nrefused\n"
        finally:
            process.kill()
        wire = process.stdout.read()
    assert wire.startswith(b'{"type":"data","data":"x')
    assert set(wire[24:]) == {ord("x")}


def test_what_was_read_ahead_ends_with_the_channel() -> None:
    program = """
import ipcfast
for _ in range(2):
    with ipcfast.connect("stdio://") as channel:
        message = channel.receive()
        channel.send_json(None if message is None else message.data)
"""
    with child(program) as process:
        wire, errors = process.communicate(b'{"data": 1}\n{"data": 2}\n', timeout=HANG)
    assert wire.splitlines() == [b'{"type":"data","data":1}', b'{"type":"data","data":null}']
    assert errors == b""


def test_a_state_that_has_ended_does_not_end_the_streams() -> None:
    program = """
import ipcfast
state = ipcfast.ShutdownState()
state.shutdown()
try:
    ipcfast.StdioChannel(shutdown_state=state)
except ipcfast.ShuttingDown:
    print("refused")
with ipcfast.StdioChannel() as channel:
    channel.send_json(1)
"""
    with child(program) as process:
        wire, errors = process.communicate(timeout=HANG)
    assert (wire, errors) == (b'refused\n{"type":"data","data":1}\n', b"")


# What cannot work without waiting in the wrong place hangs, so it does in a process with an end.
BOTH_ENDS = """
import os, socket, sys, threading, tty, ipcfast
if sys.argv[1] == "terminal":
    user, program = os.openpty()
    tty.setraw(program)
else:
    user, program = (end.detach() for end in socket.socketpair())
was_out = os.dup(1)
for number in (0, 1):
    os.dup2(program, number)
shared = [os.dup(user), os.dup(program)]
os.close(program)
parent = ipcfast.StdioChannel.of(user, user)
child = ipcfast.connect("stdio://")
print("printed")
def echo():
    for message in child:
        child.send(message)
thread = threading.Thread(target=echo)
thread.start()
assert parent.receive(0.01) is None
text = "x" * 200_000
for number in range(3):
    parent.send_json(text)
    assert parent.recv_json() == text
assert [os.get_blocking(end) for end in shared] == [True, True]
child.shutdown()
thread.join()
assert [os.get_blocking(end) for end in shared] == [True, True]
os.write(was_out, b"done")
"""


@pytest.mark.parametrize("kind", ["terminal", "socket"])
def test_standard_streams_of_every_kind_are_shared_in_peace(kind: str) -> None:
    """A terminal of a user, the socket of inetd or Node.js: both belong to others as well."""
    with child(BOTH_ENDS, kind) as process:
        try:
            assert process.communicate(timeout=HANG) == (b"done", b"printed\n")
        finally:
            process.kill()


FORKED = """
import os, sys, threading, ipcfast
from ipcfast.transports import stdio

def inodes(numbers):
    found = []
    for number in numbers:
        try:
            found.append(os.fstat(number).st_ino)
        except OSError:
            pass  # what has listed them
    return found

moving, forking, forked = threading.Event(), threading.Event(), threading.Event()
over_descriptors = stdio.over_descriptors
def slowly(*arguments, **options):
    moving.set()
    forking.wait()
    forked.wait(0.1)  # nobody says so, unless the fork has not waited for us
    return over_descriptors(*arguments, **options)
stdio.over_descriptors = slowly
os.register_at_fork(before=forking.set)
pipe = os.pipe() if sys.argv[1] == "pipe" else None
wire = set(inodes(pipe or (0, 1)))
made = []
thread = threading.Thread(target=lambda: made.append(ipcfast.StdioChannel(*(pipe or (None, None)))))
thread.start()
moving.wait()
process = os.fork()
if process == 0:
    held = [number for number in map(int, os.listdir("/proc/self/fd")) if wire & set(inodes([number]))]
    os._exit(len(held))
forked.set()
thread.join()
print("held:", os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), file=sys.stderr)
"""


@pytest.mark.parametrize("where", ["standard streams", "pipe"])
def test_a_fork_meanwhile_takes_no_part_of_the_wire_along(where: str) -> None:
    with child(FORKED, where) as process:
        wire, errors = process.communicate(timeout=HANG)
    assert (wire, errors) == (b"", b"held: 0\n")


def test_closed_standard_streams_are_told() -> None:
    program = """
import os, sys, ipcfast
os.close(1)
before = os.listdir("/dev/fd")
try:
    ipcfast.connect("stdio://")
except ipcfast.IoError as error:
    print(error, file=sys.stderr)
assert os.listdir("/dev/fd") == before
os.dup2(2, 1)
os.write(1, b"free again ")
ipcfast.connect("stdio://").close()
"""
    with child(program) as process:
        _, errors = process.communicate(timeout=HANG)
    assert b"are they open" in errors
    assert b"free again" in errors
    assert b"Traceback" not in errors


def test_a_variable_that_names_no_framing_means_lines() -> None:
    program = """
import os, ipcfast
os.environ["IPCFAST_CHANNEL"] = "stdio://"
with ipcfast.connect_parent() as channel:
    channel.send_json(1)
"""
    with child(program) as process:
        wire, errors = process.communicate(timeout=HANG)
    assert (wire, errors) == (b'{"type":"data","data":1}\n', b"")
