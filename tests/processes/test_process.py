# SPDX-License-Identifier: MIT
"""Processes: what a child gets, how its end is told, what cannot be started, and that nothing is left."""

from __future__ import annotations

import errno
import gc
import os
import select
import signal
import subprocess
from pathlib import Path

import pytest

import ipcfast
from ipcfast.processes import process as module
from ipcfast.processes.process import DEVNULL, PIPE, STDOUT, Process
from tests.peers import HANG, Background, open_descriptors, until, until_asleep
from tests.processes.children import environment, line_of, program, read_to_end


def output_of(*arguments: object, **options: object) -> bytes:
    with Process(*arguments, stdout=PIPE, **options) as process:  # type: ignore[arg-type]
        text = read_to_end(process.stdout)
    assert process.returncode == 0
    return text


def test_arguments_environment_and_directory(tmp_path: Path) -> None:
    script = 'printf "%s|%s|%s|%s" "$1" "$2" "$X" "$PWD"'
    env = {"X": "\N{SNOWMAN}=1", b"PATH": b"/bin"}
    text = output_of(["sh", "-c", script, "0", "a b", b""], env=env, cwd=tmp_path)
    assert text.decode() == f"a b||\N{SNOWMAN}=1|{tmp_path}"


def test_a_program_alone_and_paths() -> None:
    assert output_of("pwd", cwd="/usr") == b"/usr\n"
    assert output_of(Path("/bin/pwd"), cwd=b"/usr") == b"/usr\n"
    assert output_of(["./sh", "-c", "echo $0"], cwd="/bin") == b"./sh\n"


def test_the_program_is_looked_for_in_the_path_it_is_given(tmp_path: Path) -> None:
    tool = tmp_path / "ipcf-tool"
    tool.write_text("#!/bin/sh\necho found\n")
    tool.chmod(0o755)
    assert output_of("ipcf-tool", env={"PATH": f"/nowhere:{tmp_path}"}) == b"found\n"
    with pytest.raises(ipcfast.SpawnNotFound):
        Process("ipcf-tool")


def test_pipes_files_and_descriptors(tmp_path: Path) -> None:
    with Process(["/bin/sh", "-c", "cat; echo err >&2"], stdin=PIPE, stdout=PIPE, stderr=PIPE) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(b"in")
        process.stdin.close()
        assert read_to_end(process.stdout) == b"in"
        assert read_to_end(process.stderr) == b"err\n"
    assert process.stderr.closed
    file = tmp_path / "file"
    with file.open("wb") as out:
        Process(["/bin/sh", "-c", "echo one; echo two >&2"], stdout=out, stderr=STDOUT).wait(HANG)
        Process(["/bin/echo", "three"], stdout=out.fileno()).wait(HANG)
    assert file.read_bytes() == b"one\ntwo\nthree\n"
    assert output_of(["/bin/sh", "-c", "echo to 1 >&2"], stderr=STDOUT) == b"to 1\n"
    assert output_of("/bin/cat", stdin=DEVNULL) == b""
    assert Process(["/bin/sh", "-c", "echo; echo >&2"], stdout=DEVNULL, stderr=DEVNULL).wait(HANG) == 0


def test_the_environment_is_that_of_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPCFAST_EXTRA", "\N{SNOWMAN}")
    monkeypatch.setattr(os, "environ", {**os.environ, "": "of some launcher"})
    assert output_of(["/bin/sh", "-c", "printf %s $IPCFAST_EXTRA"]).decode() == "\N{SNOWMAN}"
    env = {"PATH": "/nowhere", b"PATH": b"/bin", b"A": "1", "A": "2"}
    assert output_of(["sh", "-c", "echo $A; env | grep -c A="], env=env) == b"2\n1\n"


def test_stderr_can_follow_an_inherited_stdout(capfd: pytest.CaptureFixture[str]) -> None:
    Process(["/bin/sh", "-c", "echo there >&2"], stderr=STDOUT).wait(HANG)
    assert capfd.readouterr() == ("there\n", "")


def test_nothing_but_what_is_named_is_inherited() -> None:
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    given = os.dup(reading)
    try:
        text = output_of(["/bin/ls", "/proc/self/fd"], inherited=[given])
        *descriptors, listing = sorted(map(int, text.split()))
        assert descriptors == [0, 1, 2, given] or sorted([*descriptors, listing]) == [0, 1, 2, 3, given]
    finally:
        for handle in (reading, writing, given):
            os.close(handle)


def test_signals_are_as_after_a_fresh_start() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    try:
        text = output_of(["/bin/grep", "-E", "SigBlk|SigIgn", "/proc/self/status"])
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1])
    blocked, ignored = (int(line.split()[1], 16) for line in text.splitlines())
    assert blocked == 0
    # The C library keeps some for itself, and make, for one, starts its programs with one of those ignored.
    assert [number for number in signal.valid_signals() if ignored >> (number - 1) & 1] == []


@pytest.mark.parametrize(("number", "stays"), [("SIGHUP", True), ("SIGCHLD", False), ("SIGXFSZ", False)])
def test_what_this_process_ignores(number: str, stays: bool) -> None:
    """As nohup has it for SIGHUP; but a child wants to hear of its own children."""
    with Process(program("ignoring", number), env=environment(), stdout=PIPE) as process:
        ignored = int(read_to_end(process.stdout), 16)
    assert bool(ignored & (1 << (getattr(signal, number) - 1))) is stays


@pytest.mark.parametrize(
    ("args", "cwd", "kind", "number", "filename", "step"),
    [
        (["/nowhere/x"], None, FileNotFoundError, errno.ENOENT, "/nowhere/x", "exec"),
        (
            ["ipcf-no-such-program", "1"],
            None,
            FileNotFoundError,
            errno.ENOENT,
            "ipcf-no-such-program",
            "exec",
        ),
        (["/etc/passwd"], None, PermissionError, errno.EACCES, "/etc/passwd", "exec"),
        (["/etc"], None, PermissionError, errno.EACCES, "/etc", "exec"),
        (["/etc/passwd/x"], None, OSError, errno.ENOTDIR, "/etc/passwd/x", "exec"),
        (["/bin/true"], "/nowhere", FileNotFoundError, errno.ENOENT, "/nowhere", "chdir"),
        (["/bin/true"], "/etc/passwd", OSError, errno.ENOTDIR, "/etc/passwd", "chdir"),
    ],
)
def test_what_cannot_be_started(
    args: list[str], cwd: str | None, kind: type[OSError], number: int, filename: str, step: str
) -> None:
    Process("/bin/true").wait(HANG)  # the spawner's thread is there
    gc.collect()
    before = open_descriptors()
    with pytest.raises(ipcfast.SpawnFailed) as caught:
        Process(args, cwd=cwd, stdin=PIPE, stdout=PIPE)
    error = caught.value
    assert isinstance(error, kind)
    assert (error.errno, error.filename, error.step) == (number, filename, step)
    assert args[0] in str(error)
    assert os.strerror(number) in str(error)
    del caught, error
    gc.collect()
    assert open_descriptors() == before


def test_a_script_without_interpreter_is_no_program(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("echo\n")
    script.chmod(0o755)
    with pytest.raises(ipcfast.SpawnFailed) as caught:
        Process([script])
    assert caught.value.errno == errno.ENOEXEC


@pytest.mark.parametrize(
    "options",
    [
        {"args": []},
        {"args": ["/bin/true", "a\0b"]},
        {"args": ["/bin/true"], "env": {"A\0": ""}},
        {"args": ["/bin/true"], "env": {"A=B": ""}},
        {"args": ["/bin/true"], "env": {"": ""}},
        {"args": ["/bin/true"], "cwd": "/\0"},
        {"args": ["/bin/true"], "stdout": -7},
        {"args": ["/bin/true"], "inherited": [1]},
        {"args": ["/bin/true"], "inherited": list(range(10, 30))},
    ],
)
def test_what_no_program_can_be_given(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r".{10}"):
        Process(**options)  # type: ignore[arg-type]


def test_the_end_is_told_by_code_and_signal() -> None:
    with Process(["/bin/sh", "-c", "read x; exit 3"], stdin=PIPE) as process:
        assert process.poll() is None
        assert process.returncode is None
        assert "running" in repr(process)
        with pytest.raises(TimeoutError) as caught:
            process.wait(0.01)
        assert isinstance(caught.value, ipcfast.ChannelTimeout)
        assert select.select([process.sentinel], [], [], 0)[0] == []
        assert process.stdin is not None
        process.stdin.close()
        assert select.select([process.sentinel], [], [], HANG)[0]
        assert process.wait(0) == process.poll() == process.returncode == 3
    assert "ended with 3" in repr(process)
    process.kill()  # without effect
    for method, number in (("terminate", signal.SIGTERM), ("kill", signal.SIGKILL)):
        with Process(["/bin/sleep", "100"]) as process:
            getattr(process, method)()
        assert process.returncode == -number
    with Process(["/bin/sleep", "100"]) as process:
        process.send_signal(signal.SIGUSR1)
    assert process.returncode == -signal.SIGUSR1


@pytest.mark.parametrize("way", ["ignored", "collected"])
def test_an_end_that_somebody_else_has_collected(way: str) -> None:
    with Process(program("collected", way), env=environment(), stdout=PIPE) as process:
        lines = read_to_end(process.stdout).decode().splitlines()
    assert lines == [str(module.EXIT_UNKNOWN)] * 3 + ["ChildExited: somebody else here has waited for it"]


def test_closed_standard_handles_are_the_null_device() -> None:
    with Process(program("without_standard_handles"), env=environment(), stdout=PIPE) as process:
        told = read_to_end(process.stdout).decode().splitlines()
    null = "/dev/null /dev/null /dev/null"
    assert told == [f"pipe {null[10:]}", f"/dev/null pipe {null[20:]}", null, null, null, "8"]


def test_several_threads_wait_for_one_process() -> None:
    with Process(["/bin/sh", "-c", "read x; exit 6"], stdin=PIPE) as process:
        waiting = [Background(process.wait) for _ in range(4)]
        for thread in waiting:
            until(lambda thread=thread: thread.native_id is not None)  # type: ignore[misc]
            until_asleep(os.getpid(), thread.native_id)
        assert process.stdin is not None
        process.stdin.close()
        assert [thread.result() for thread in waiting] == [6] * 4


def test_a_process_that_nobody_has_waited_for_is_collected_later() -> None:
    processes = [Process(["/bin/sleep", "100"])]
    pid = processes[0].pid
    with pytest.warns(ResourceWarning, match="nobody has waited"):
        processes.clear()
    os.kill(pid, signal.SIGKILL)
    (native,) = module._unwaited
    until(lambda: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z")
    Process("/bin/true").wait(HANG)
    assert module._unwaited == []
    assert native.poll() == -signal.SIGKILL
    assert not Path(f"/proc/{pid}").exists()


def test_no_descriptor_is_left() -> None:
    Process("/bin/true").wait(HANG)
    gc.collect()
    before = open_descriptors()
    for _ in range(20):
        with Process("/bin/cat", stdin=PIPE, stdout=PIPE, stderr=PIPE):
            pass
    gc.collect()
    assert open_descriptors() == before


def test_writing_to_a_dead_child_does_not_prevent_the_end_of_the_block() -> None:
    with Process("/bin/true", stdin=PIPE) as process:
        process.wait(HANG)
        assert process.stdin is not None
        process.stdin.write(b"lost")
    assert process.stdin.closed


def test_a_forked_process_is_no_parent() -> None:
    with Process(program("forking"), env=environment(), stdout=PIPE) as process:
        lines = read_to_end(process.stdout).decode().splitlines()
    number = str(errno.ECHILD)
    assert lines == [" ".join([number] * 5 + ["5"]), "None", "0"]


def test_popen_and_process_say_the_same() -> None:
    for script in ("exit 0", "exit 9", "kill -9 $$", "kill -15 $$"):
        expected = subprocess.run(["/bin/sh", "-c", script], check=False).returncode
        assert Process(["/bin/sh", "-c", script]).wait(HANG) == expected


def test_lines_come_as_they_are_printed() -> None:
    with Process(["/bin/sh", "-c", "echo one; read x; echo $x"], stdin=PIPE, stdout=PIPE) as process:
        assert line_of(process.stdout) == "one"
        assert process.stdin is not None
        process.stdin.write(b"two\n")
        process.stdin.flush()
        assert line_of(process.stdout) == "two"
