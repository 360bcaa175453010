# SPDX-License-Identifier: MIT
"""Ending trees: who hears of it, who gets time, and that nobody is left."""

from __future__ import annotations

import gc
import os
import signal
import time
from pathlib import Path

import pytest

import ipcfast
from ipcfast._native.process_tree import ProcessTree
from ipcfast.processes import tree as module
from ipcfast.processes.process import PIPE, Process
from ipcfast.processes.tree import terminate_tree
from tests.peers import HANG, open_descriptors, until, until_asleep
from tests.processes.children import environment, line_of, program, read_to_end

# A shell that ignores SIGTERM, as does what it starts: one in its session, one in a session of its own.
STUBBORN = (
    "trap '' TERM; setsid sh -c 'echo; while :; do sleep 100; done' & sleep 100 & echo; wait; sleep 100"
)


def start(script: str, **options: object) -> Process:
    return Process(["/bin/sh", "-c", script], stdout=PIPE, **options)  # type: ignore[arg-type]


def test_who_ends_when_asked_is_not_killed() -> None:
    with start("trap 'exit 7' TERM; echo; while :; do sleep 0.01; done") as process:
        line_of(process.stdout)
        assert terminate_tree(process, HANG) == 7
        assert read_to_end(process.stdout) == b""
        assert terminate_tree(process, HANG) == 7  # again


def test_a_stubborn_tree_is_killed() -> None:
    gc.collect()
    before = open_descriptors()
    with start(STUBBORN) as process:
        line_of(process.stdout)
        line_of(process.stdout)
        began = time.monotonic()
        assert terminate_tree(process, 0.2) == -signal.SIGKILL
        assert time.monotonic() - began >= 0.2
        assert read_to_end(process.stdout) == b""
    del process
    assert open_descriptors() == before


def test_without_grace_nobody_is_asked() -> None:
    with start("trap 'echo asked' TERM; echo; while :; do sleep 100; done") as process:
        line_of(process.stdout)
        assert terminate_tree(process, 0) == -signal.SIGKILL
        assert read_to_end(process.stdout) == b""


def test_grandchildren_get_the_grace_too(tmp_path: Path) -> None:
    done = tmp_path / "done"
    with start(
        f"(trap 'sleep 0.3; echo > {done}; exit' TERM; echo; while :; do sleep 0.01; done) & sleep 100"
    ) as root:
        line_of(root.stdout)
        assert terminate_tree(root, HANG) == -signal.SIGTERM
        assert done.exists()


def test_what_a_process_has_left_behind_ends_too() -> None:
    with start("sleep 100 & sh -c 'sleep 100 & sleep 100' & exit 4") as process:
        assert process.wait(HANG) == 4
        left = ProcessTree(process.native)
        left.find()
        assert len(left) >= 2
        assert not left.wait(0)
        assert terminate_tree(process) == 4
        assert left.wait(0)
        read_to_end(process.stdout)


def test_without_a_session_of_its_own() -> None:
    with start("sleep 100 & echo; wait", new_session=False) as process:
        line_of(process.stdout)
        assert os.getsid(process.pid) == os.getsid(0)
        assert terminate_tree(process, HANG) == -signal.SIGTERM
        assert read_to_end(process.stdout) == b""


def test_a_tree_that_grows_while_it_is_killed() -> None:
    with start("f() { sleep 0.001 & sleep 100 & f; }; f") as process:
        tree = ProcessTree(process.native)

        def has_grown() -> bool:
            tree.find()
            return len(tree) > 20

        until(has_grown)
        assert terminate_tree(process, 0) == -signal.SIGKILL
        read_to_end(process.stdout)


def test_stopped_processes_hear_of_it() -> None:
    with start("trap 'exit 3' TERM; echo; while :; do sleep 0.01; done") as process:
        line_of(process.stdout)
        process.send_signal(signal.SIGSTOP)
        assert terminate_tree(process, HANG) == 3


def test_ctrl_c_in_the_grace_kills_at_once() -> None:
    with Process(program("interrupted", "terminate"), env=environment(), stdout=PIPE) as process:
        assert line_of(process.stdout) == "ready"
        until_asleep(process.pid)
        process.send_signal(signal.SIGINT)
        lines = read_to_end(process.stdout).decode().splitlines()
    assert lines == ["interrupted", "-9", "-9"]


def test_what_does_not_end_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KILLED_SECONDS", 0.01)
    monkeypatch.setattr(module, "ProcessTree", Unkillable)
    with start("echo; read x", stdin=PIPE) as process:
        with pytest.raises(ipcfast.ChannelTimeout, match="was killed and has not ended"):
            terminate_tree(process, 0)


class Unkillable:
    """A tree with somebody who hangs in the kernel."""

    def __init__(self, root: object) -> None:
        self.root = root

    def __len__(self) -> int:
        return 1

    def kill(self) -> None:
        pass

    def wait(self, timeout: float) -> bool:
        return False
