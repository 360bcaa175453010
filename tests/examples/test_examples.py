# SPDX-License-Identifier: MIT
"""Runs each example as a user would, and looks at how it ends and what it says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.peers import HANG, ROOT

EXAMPLES = ROOT / "examples"
LINES_MAX = 60

# What each one that is started by itself must say, in whatever order its processes say it.
OUTPUT = {
    "ai_stream.py": ["Frames carry messages , rings carry records ... 7 tokens"],
    "main_thread_pump.py": [*(f"{number} of 3 jobs are done" for number in (1, 2, 3)), "told to end"],
    "message_queue.py": [
        "pushed: [True, True, True, False]",
        "popped: cube",
        "selected lamp",
        "selected camera",
        *(f"rendered {frame}" for frame in range(5)),
    ],
    "qt_host.py": ["rendered 1000 in order", "simulated 1000 in order"],
    "legacy_host.py": [
        f"{wire}: {message}"
        for wire in ("lines", "channel")
        for message in (
            {"type": "ready", "data": {"handlers": ["add", "echo"]}},
            {"type": "response", "data": 5, "id": "1"},
            {"type": "response", "data": "schön", "id": "2"},
        )
    ],
    "packed_host.py": [
        "ready: ['add', 'shout']",
        "the child may print what it likes",
        "PluginEvent progress: {'percent': 50}",
        "PythonResponse 1: 5",
        "PythonResponse 2: HELLO",
        """PythonResponse 3: IpcError(code=-32603, message="fly: KeyError('fly')", data=None, extra={})""",
        "the child ended with 0",
    ],
    "process_plugin_host.py": [
        *["sorted: 3"] * 3,
        *(f"over-{transport}.sort: ['a', 'b', 'ü']" for transport in ("stdio", "local", "shm")),
        "ended with [0, 0, 0]",
    ],
    "stdio_parent.py": [
        "answer 0: {'done': 'greet'}",
        "answer 1: {'done': 'run'}",
        "answer 2: {'done': 'large'}",
        "the child has left",
        "noise: a library says hello before anybody knows of a channel",
        "noise: standard output is what it was",
        "stderr: log: ready",
        "stderr: log: greet",
        "stderr: log: run",
        "stderr: log: from a grandchild",
        "stderr: log: large",
        "stderr: log: stop",
        "the child ended with 0",
    ],
    "tcp_secret.py": [
        "the server has another shared secret than this client",
        "somebody who knows the secret wants the sum",
        "the sum is 6",
    ],
    "thread_channel.py": [
        "event square 1",
        "event square 4",
        "event square 9",
        "response 1 3",
        "the same object: True",
        "both ends: True True None",
    ],
}
# Those that another one starts.
STARTED = {
    "legacy_child.py": "legacy_host.py",
    "packed_child.py": "packed_host.py",
    "process_plugin.py": "process_plugin_host.py",
    "stdio_child.py": "stdio_parent.py",
}
# What an example imports beside ipcfast, and which extra brings it.
NEEDED = {"qt_host.py": ("PySide6.QtCore", "qt")}


@pytest.mark.parametrize("name", sorted(OUTPUT))
def test_an_example_does_what_it_says(name: str, tmp_path: Path) -> None:
    if name in NEEDED:
        module, extra = NEEDED[name]
        pytest.importorskip(module, reason=f"needs the extra {extra!r}")
    paths = [str(ROOT), *filter(None, sys.path)]
    done = subprocess.run(
        [sys.executable, EXAMPLES / name],
        cwd=tmp_path,
        # Unbuffered, a line and its end are two writes, between which another process may write.
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": ""},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=2 * HANG,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(done.stdout.splitlines()) == sorted(OUTPUT[name])


def test_every_example_is_run_and_short() -> None:
    names = {path.name for path in EXAMPLES.glob("*.py")}
    assert names == {*OUTPUT, *STARTED}
    assert set(STARTED.values()) <= set(OUTPUT)
    long = {name: (EXAMPLES / name).read_text(encoding="utf-8").count("\n") for name in names}
    assert {name: lines for name, lines in long.items() if lines > LINES_MAX} == {}
