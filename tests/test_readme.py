# SPDX-License-Identifier: MIT
"""Runs the README's programs as they stand there, each in a process of its own, and holds the page short."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import ipcfast

README = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")
# Programs by the name in their first line.
BLOCKS = dict(re.findall(r"^```python\n(# (\S+\.py)\n.*?)^```", README, re.MULTILINE | re.DOTALL))
PROGRAMS = {name: text for text, name in BLOCKS.items()}
ADDRESS = "local://render"


def start(name: str, **streams: int) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.Popen([sys.executable, "-c", PROGRAMS[name]], env=environment, text=True, **streams)


def output_of(name: str) -> str:
    with start(name, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        try:
            printed, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 0, printed
    return printed


@pytest.fixture
def server() -> Iterator[subprocess.Popen[str]]:
    with start("server.py", stderr=subprocess.PIPE) as process:
        yield process
        process.kill()


def test_every_program_has_a_name() -> None:
    assert sorted(PROGRAMS) == ["client.py", "server.py", "watcher.py"]
    assert README.count("```python") == len(PROGRAMS)


@pytest.mark.parametrize("name", ["client.py", "watcher.py"])
def test_a_client_gets_the_answer_that_stands_beside_the_line(
    server: subprocess.Popen[str], name: str
) -> None:
    assert output_of(name) == "{'ok': True}\n"
    assert "# {'ok': True}" in PROGRAMS[name]


def test_one_client_does_not_keep_the_server_from_others(server: subprocess.Popen[str]) -> None:
    with ipcfast.connect(ADDRESS, timeout=30.0):
        assert output_of("client.py") == "{'ok': True}\n"


def test_a_bad_message_ends_one_client_only(server: subprocess.Popen[str]) -> None:
    with ipcfast.connect(ADDRESS, timeout=30.0) as channel:
        channel.send_bytes(b"no message")
        with pytest.raises(ipcfast.Disconnected):
            channel.recv(timeout=30.0)
    assert server.stderr is not None
    assert server.stderr.readline().startswith("dropped a client: ")
    assert output_of("client.py") == "{'ok': True}\n"


def test_the_page_is_short_and_its_links_work_everywhere() -> None:
    lines = README.splitlines()
    assert len(lines) < 150
    assert [line for line in lines if len(line) > 120] == []
    # A package index shows the page without the tree behind it.
    assert re.findall(r"\]\((?!https://)", README) == []
