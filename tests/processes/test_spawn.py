# SPDX-License-Identifier: MIT
"""Spawned children: their channel, what they inherit, how they end, and that they end with us."""

from __future__ import annotations

import gc
import os
import re
import select
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

import ipcfast
from ipcfast.processes import spawn as module
from ipcfast.processes.process import PIPE, Process
from tests.peers import HANG, Background, open_descriptors, until, until_asleep
from tests.processes.children import environment, line_of, program, read_to_end

WAYS = [
    {},
    {"transport": "local"},
    {"transport": "local", "framing": "lines"},
    {"transport": "local", "framing": "content-length"},
]
NAMED = [{"name": "named"}, {"name": "named", "transport": "local"}]


def spawn(role: str, *arguments: object, **options: Any) -> ipcfast.Child:
    options.setdefault("timeout", HANG)
    if options.get("transport") != "stdio":
        options.setdefault("stdout", PIPE)
    return ipcfast.spawn(program(role, *arguments), env=options.pop("env", environment()), **options)


def ask(child: ipcfast.Child, data: object) -> object:
    child.channel.send({"type": "request", "id": "7", "data": data})
    answer = child.channel.recv(HANG)
    assert answer.id == "7"
    return answer.data


@pytest.fixture
def own_name() -> str:
    return f"ipcf-test-{os.getpid()}"


@pytest.mark.parametrize("options", WAYS, ids=str)
def test_parent_and_child_talk(options: dict[str, str]) -> None:
    with spawn("echo", **options) as child:
        assert ask(child, ["\N{SNOWMAN}", 1]) == ["\N{SNOWMAN}", 1]
        ring = not options
        assert type(child.channel).__name__ == ("SharedMemoryChannel" if ring else "LocalSocketChannel")
        assert child.channel is child.channel
        assert child.pid == child.process.pid
        if options.get("framing") is None:
            assert child.channel.peer == (child.pid, os.geteuid())
    assert child.channel.closed
    assert child.process.returncode == 0


def test_the_child_is_told_how_to_speak() -> None:
    with spawn("echo_bytes", codec="raw", capacity=4096) as child:
        child.channel.send_bytes(bytes(100_000), HANG)
        assert child.channel.recv_bytes(HANG) == bytes(100_000)
        assert child.channel.capabilities == {"bytes"}


def test_what_a_child_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.set_inheritable(reading, True)
    monkeypatch.setenv("AURORAVIEW_IPC_CHANNEL", "of somebody else")
    try:
        with spawn("report", cwd=tmp_path, env=environment(IPCFAST_EXTRA="there")) as child:
            told = child.channel.recv_json(HANG)
    finally:
        os.close(reading)
        os.close(writing)
    found = re.fullmatch(
        r"fd:(\d+)\?transport=shm&framing=length&codec=json&capacity=262144&inode=\d+", told["variable"]
    )
    assert found, told
    inherited = int(found[1])
    descriptors = told.pop("descriptors")
    descriptors.remove(inherited)
    assert len(descriptors) == 4  # and the one of the listing
    assert descriptors[:3] == [0, 1, 2]
    assert told.pop("grandchild") == ["0", "1", "2", "3"]
    del told["variable"]
    assert told == {
        "stdin": "",
        "directory": str(tmp_path),
        "extra": "there",
        "session": True,
        "peer": True,
        "packed": True,
    }


def test_no_descriptor_is_left() -> None:
    def one_of_each() -> None:
        with spawn("echo") as child:
            ask(child, 1)
        with spawn("echo"):
            pass  # never used
        with spawn("echo", transport="stdio") as child:
            ask(child, 1)
        with spawn("echo", transport="stdio"):
            pass
        with ipcfast.spawn(["/bin/sh", "-c", "exit 3"]) as child, pytest.raises(ipcfast.ChildExited):
            child.channel.close()
        with pytest.raises(ipcfast.SpawnNotFound):
            ipcfast.spawn(["/nowhere/x"])

    one_of_each()
    gc.collect()
    before = open_descriptors()
    one_of_each()
    gc.collect()
    assert open_descriptors() == before


# ---- over standard input and output


@pytest.mark.parametrize("framing", [None, "length", "lines", "content-length", "u32be"])
def test_a_child_talks_over_its_standard_streams_and_prints(framing: str | None) -> None:
    with spawn("echo", transport="stdio", framing=framing, stderr=PIPE) as child:
        assert type(child.channel) is ipcfast.StdioChannel
        assert child.channel.framing == (framing or "lines")
        assert child.channel.name == f"child_{child.pid}"
        assert ask(child, ["\N{SNOWMAN}", 1]) == ["\N{SNOWMAN}", 1]
        child.channel.close()
        died = False if framing == "length" else None
        assert line_of(child.process.stderr) == f"peer died: {died}"  # what it prints at its end
        assert child.wait(HANG) == 0


PLAIN = """
import json, sys
print("a library says hello", flush=True)
for line in sys.stdin:
    message = json.loads(line)
    print(json.dumps({"type": "response", "id": message["id"], "data": message["data"]}), flush=True)
print("end of input", file=sys.stderr)
"""


def test_a_program_that_knows_nothing_of_channels(tmp_path: Path) -> None:
    command = [sys.executable, "-I", "-S", "-c", PLAIN]
    with ipcfast.spawn(command, transport="stdio", stderr=PIPE) as child:
        assert ask(child, "日本") == "日本"
        assert child.channel.noise_count == 1
        child.close()
        assert line_of(child.process.stderr) == "end of input"
    assert child.process.returncode == 0


def test_a_child_whose_standard_streams_were_not_used_reads_their_end() -> None:
    with ipcfast.spawn(["/bin/cat"], transport="stdio") as child:
        child.close()
        assert child.wait(HANG) == 0
        with pytest.raises(ipcfast.ChannelClosed):
            _ = child.channel


def test_the_end_of_a_child_over_standard_streams_is_the_end_of_the_channel() -> None:
    with ipcfast.spawn(["/bin/sh", "-c", "read line; exit 3"], transport="stdio") as child:
        waiting = Background(child.channel.recv)
        child.channel.send({"type": "stop"})
        with pytest.raises(ipcfast.Disconnected):
            waiting.result()
        assert child.wait(HANG) == 3


@pytest.mark.parametrize("option", [{"stdin": PIPE}, {"stdout": PIPE}, {"name": "x"}], ids=str)
def test_standard_streams_that_are_the_channel_are_nothing_else(option: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="stdio"):
        ipcfast.spawn(["/bin/cat"], transport="stdio", **option)


# ---- children that do not connect


@pytest.mark.parametrize("options", [*WAYS[:2], *NAMED], ids=str)
@pytest.mark.parametrize(("script", "code"), [("exit 3", 3), ("kill -9 $$", -9), ("exec true", 0)])
def test_a_child_that_ends_before_it_connects_is_told_at_once(
    options: dict[str, str], script: str, code: int, own_name: str
) -> None:
    if "name" in options:
        options = {**options, "name": own_name}
    with ipcfast.spawn(["/bin/sh", "-c", script], timeout=None, **options) as child:
        for _ in range(2):
            with pytest.raises(ipcfast.ChildExited) as caught:
                _ = child.channel
            assert caught.value.exit_code == code
            assert (f"by signal {-code} " if code < 0 else f"exit code {code} ") in str(caught.value)


def test_a_fork_that_holds_the_connection_does_not_hide_the_end() -> None:
    with spawn("leaving_a_fork", timeout=None) as child:
        with pytest.raises(ipcfast.ChildExited) as caught:
            _ = child.channel
        assert caught.value.exit_code == 4
        assert child.terminate(0) == 4
        read_to_end(child.process.stdout)


def test_a_child_that_is_late_can_still_be_waited_for() -> None:
    with spawn("late", timeout=0.05, stdin=PIPE) as child:
        with pytest.raises(ipcfast.ChannelTimeout, match="connect_parent"):
            _ = child.channel
        assert child.process.stdin is not None
        child.process.stdin.write(b"\n")
        child.process.stdin.flush()
        until(lambda: is_there(child))
        assert ask(child, 5) == 5


def is_there(child: ipcfast.Child) -> bool:
    try:
        return not child.channel.closed
    except ipcfast.ChannelTimeout:
        return False


def test_a_child_that_comes_early_is_there_when_it_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    with spawn("patient") as child:
        for _ in range(3):
            assert line_of(child.process.stdout) == "ChannelTimeout"
        assert ask(child, 6) == 6


def test_a_child_that_hangs_up_and_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ipcfast.processes.opening.HANG_UP_SECONDS", 0.05)
    monkeypatch.setattr(module, "GRACE_SECONDS", 0.05)
    with spawn("deaf") as child:
        with pytest.raises(ipcfast.ConnectError, match="has closed the connection"):
            _ = child.channel
        child.terminate(0)


@pytest.mark.parametrize("options", [{}, NAMED[0]], ids=str)
def test_a_signal_handler_may_close_what_it_has_interrupted(options: dict[str, str], own_name: str) -> None:
    if options:
        options = {"name": own_name}
    with Process(
        program("closing_in_a_handler", *options.values()), env=environment(), stdout=PIPE
    ) as process:
        assert line_of(process.stdout) == "ready"
        until_asleep(process.pid)
        process.send_signal(signal.SIGUSR1)
        lines = read_to_end(process.stdout).decode().splitlines()
    kind = "ChannelClosed" if options else "ShuttingDown"
    assert lines == ["IpcChannelError", kind, "ChannelClosed", "-9"]


def test_a_fork_while_another_thread_waits_for_the_child() -> None:
    with spawn("late", timeout=None, stdin=PIPE) as child:
        waiting = Background(lambda: child.channel)
        until(lambda: waiting.native_id is not None)
        until_asleep(os.getpid(), waiting.native_id)
        reading, writing = os.pipe()
        process = os.fork()
        if process == 0:
            try:
                _ = child.channel
            except BaseException as error:
                os.write(writing, type(error).__name__.encode())
            child.__exit__(None, None, None)
            os.close(writing)
            os._exit(0)
        os.close(writing)
        for due in (b"ChannelClosed", b""):  # and the end of the block has not waited either
            assert select.select([reading], [], [], HANG)[0]
            assert os.read(reading, 100) == due
        os.close(reading)
        os.waitpid(process, 0)
        assert child.process.stdin is not None
        child.process.stdin.write(b"\n")
        child.process.stdin.flush()
        assert waiting.result() is child.channel
        assert ask(child, 7) == 7


@pytest.mark.parametrize("end", ["close", "terminate"])
def test_waiting_for_a_child_ends_with(end: str) -> None:
    with spawn("stay", timeout=None) as child:
        line_of(child.process.stdout)
        waiting = Background(lambda: child.channel)
        until(lambda: waiting.native_id is not None)
        until_asleep(os.getpid(), waiting.native_id)
        if end == "terminate":
            child.terminate(0)
        else:
            child.close()
        kind = ipcfast.ChildExited if end == "terminate" else (ipcfast.ShuttingDown, ipcfast.ChannelClosed)
        with pytest.raises(kind):
            waiting.result()
        child.terminate(0)
        child.close()
    with pytest.raises(ipcfast.ChannelClosed):
        _ = child.channel


# ---- a shared state


@pytest.mark.parametrize("options", [*WAYS, *NAMED], ids=str)
def test_the_channel_ends_with_its_state(options: dict[str, str], own_name: str) -> None:
    if "name" in options:
        options = {**options, "name": own_name}
    state = ipcfast.ShutdownState()
    with spawn("echo", shutdown_state=state, **options) as child:
        assert ask(child, 1) == 1
        assert child.channel.shutdown_state is state
        state.shutdown()
        assert child.channel.is_shutdown()
        with pytest.raises(ipcfast.ShuttingDown):
            child.channel.send({})
        state.drain(HANG)
        assert child.wait(HANG) == 0  # it has found the end


@pytest.mark.parametrize("options", [{}, NAMED[0]], ids=str)
def test_waiting_for_a_child_ends_with_the_state(options: dict[str, str], own_name: str) -> None:
    if "name" in options:
        options = {**options, "name": own_name}
    state = ipcfast.ShutdownState()
    with spawn("stay", timeout=None, shutdown_state=state, **options) as child:
        line_of(child.process.stdout)
        waiting = Background(lambda: child.channel)
        until(lambda: waiting.native_id is not None)
        until_asleep(os.getpid(), waiting.native_id)
        state.shutdown()
        with pytest.raises(ipcfast.ShuttingDown):
            waiting.result()
        with pytest.raises(ipcfast.ShuttingDown):
            _ = child.channel
        assert child.process.poll() is None
        state.drain(HANG)
        child.terminate(0)


def test_nothing_is_started_with_a_state_that_has_ended(tmp_path: Path) -> None:
    state = ipcfast.ShutdownState()
    state.shutdown()
    with pytest.raises(ipcfast.ShuttingDown):
        ipcfast.spawn(["/bin/sh", "-c", f"touch {tmp_path}/started"], shutdown_state=state)
    assert list(tmp_path.iterdir()) == []


# ---- ends


def test_the_end_of_the_block_lets_the_child_finish() -> None:
    with spawn("echo") as child:
        child.channel.send({"type": "request", "id": "1"})
        child.channel.recv(HANG)
        text = Background(read_to_end, child.process.stdout)
        child.channel.close()
        assert text.result() == b"peer died: False\n"
    assert child.process.returncode == 0
    assert "closed" in repr(child)
    assert "ended with 0" in repr(child)


def test_the_end_of_the_block_ends_a_stubborn_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GRACE_SECONDS", 0.05)
    with spawn("stay") as child:
        line_of(child.process.stdout)
        assert "not used yet" in repr(child)
        with pytest.raises(ipcfast.ChannelTimeout):
            child.wait(0.01)
    assert child.process.returncode == -signal.SIGKILL


def test_a_block_left_by_an_error_ends_the_child_too() -> None:
    child = spawn("echo")
    ask(child, 1)
    with pytest.raises(KeyError), child:
        raise KeyError
    assert child.process.returncode == 0


def test_the_death_of_the_child_is_noticed_behind_a_held_connection() -> None:
    with spawn("held") as child:
        assert child.channel.recv_json(HANG) == "held"
        waiting = Background(child.channel.recv)
        until(lambda: waiting.native_id is not None)
        until_asleep(os.getpid(), waiting.native_id)
        child.process.kill()
        with pytest.raises(ipcfast.Disconnected) as caught:
            waiting.result()
        assert caught.value.peer_died is True
        child.terminate(0)  # and what holds the connection
        read_to_end(child.process.stdout)


def test_a_killed_parent_takes_the_tree_along() -> None:
    with Process(program("parent", "dies", "echo", "stay"), env=environment(), stdout=PIPE) as process:
        for _ in range(3):
            assert line_of(process.stdout) == "stays"
        process.kill()
        read_to_end(process.stdout)  # three generations had it


def test_a_child_that_may_outlive_its_parent_sees_the_hang_up() -> None:
    with Process(program("parent", "outlives", "echo"), env=environment(), stdout=PIPE) as process:
        assert line_of(process.stdout) == "response"
        assert line_of(process.stdout) == "stays"
        process.kill()
        assert read_to_end(process.stdout) == b"peer died: True\n"


@pytest.mark.parametrize("call", ["wait", "channel", "exit"])
def test_ctrl_c_interrupts(call: str) -> None:
    with Process(program("interrupted", call), env=environment(), stdout=PIPE) as process:
        assert line_of(process.stdout) == "ready"
        until_asleep(process.pid)
        process.send_signal(signal.SIGINT)
        lines = read_to_end(process.stdout).decode().splitlines()
    assert lines == (["interrupted", "-9", "-9"] if call == "exit" else ["interrupted", "None", "-9"])


def test_a_forked_process_leaves_the_child_alone() -> None:
    with Process(program("forking_with_a_channel"), env=environment(), stdout=PIPE) as process:
        assert read_to_end(process.stdout).decode().split() == ["2", "0"]


def test_several_children_from_several_threads() -> None:
    def run(number: int) -> object:
        with spawn("echo", stdout=sys.stderr) as child:
            return ask(child, number)

    threads = [Background(run, number) for number in range(6)]
    assert [thread.result() for thread in threads] == list(range(6))


def test_names_of_variables_may_be_bytes() -> None:
    env = {os.fsencode(name): os.fsencode(value) for name, value in environment().items()}
    stale = {b"IPCFAST_CHANNEL": b"stale", b"AURORAVIEW_IPC_CHANNEL": "stale"}
    with spawn("echo", env={**env, **stale}) as child:
        assert ask(child, 9) == 9


# ---- by name


@pytest.mark.parametrize("options", NAMED, ids=str)
def test_a_child_connects_by_name(options: dict[str, str], own_name: str) -> None:
    path = Path(f"/tmp/auroraview_{own_name}")
    with spawn("echo", **{**options, "name": own_name}) as child:
        assert path.exists()
        assert ask(child, 8) == 8
        assert not path.exists()
        assert child.channel.name == own_name
        ring = "transport" not in options
        assert type(child.channel).__name__ == ("SharedMemoryChannel" if ring else "LocalSocketChannel")


def test_a_plain_client_connects_by_name(own_name: str) -> None:
    with spawn("plain_lines", name=own_name) as child:
        assert child.channel.recv(HANG).type == "ready"
        child.channel.send({"type": "request", "data": "\N{SNOWMAN}"})
        assert child.channel.recv(HANG).data == "\N{SNOWMAN}"


def test_a_name_that_is_taken(own_name: str) -> None:
    with spawn("echo", name=own_name) as child:
        with pytest.raises(ipcfast.AddressInUse):
            spawn("echo", name=own_name)
        assert ask(child, 1) == 1


def test_a_name_is_given_back_when_nothing_starts(own_name: str) -> None:
    with pytest.raises(ipcfast.SpawnNotFound):
        ipcfast.spawn(["/nowhere/x"], name=own_name)
    assert not Path(f"/tmp/auroraview_{own_name}").exists()


def test_a_child_by_name_that_does_not_come(own_name: str) -> None:
    with spawn("stay", name=own_name, timeout=0.05) as child:
        with pytest.raises(ipcfast.ChannelTimeout, match=own_name):
            _ = child.channel
        child.terminate(0)


# ---- options


@pytest.mark.parametrize(
    "options",
    [
        {"transport": "tcp"},
        {"framing": "lines"},
        {"transport": "local", "framing": "morse"},
        {"codec": "morse"},
        {"name": "a/b"},
        {"stdout": -9},
        {"timeout": "5"},
        {"timeout": float("nan")},
    ],
    ids=str,
)
def test_options_that_are_none(options: dict[str, Any]) -> None:
    gc.collect()
    before = open_descriptors()
    with pytest.raises((ValueError, TypeError), match=r".{10}"):
        ipcfast.spawn(["/bin/true"], **options)
    gc.collect()
    assert open_descriptors() == before
