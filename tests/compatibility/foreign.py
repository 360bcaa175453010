# SPDX-License-Identifier: MIT
"""Programs that know nothing of ipcfast, in processes of their own, and how tests tell them what to do."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

from tests.peers import HANG

__all__ = ["LANGUAGES", "Foreign", "ForeignError"]

PROGRAMS = Path(__file__).parent / "programs"
LANGUAGES = ("python", "node")


class ForeignError(Exception):
    """What a command failed with over there."""


def command_line(language: str) -> list[str]:
    """How to start the program: Python without the environment, the site packages and so without ipcfast."""
    if language == "python":
        return [sys.executable, "-I", "-S", "-X", "utf8", str(PROGRAMS / "lines_peer.py")]
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node: apt-get install nodejs")
    return [node, str(PROGRAMS / "lines_peer.js")]


class Foreign:
    """One such program. Killed at the end of the block."""

    def __init__(self, language: str) -> None:
        self._process = subprocess.Popen(
            command_line(language), stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=os.sep
        )
        self._rest = b""
        self._is_busy = False

    def is_reusable(self) -> bool:
        """Let it forget its connections; whether it is as good as a new one."""
        if self._is_busy or self._process.poll() is not None:
            return False
        self.do("forget")
        return True

    def __enter__(self) -> Foreign:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()

    def kill(self) -> None:
        """SIGKILL, and no zombie."""
        self._process.kill()
        self._process.wait(HANG)

    def start(self, command: str, *arguments: Any) -> None:
        """Let it begin; ``result`` says how it went."""
        assert self._process.stdin is not None
        self._is_busy = True
        self._process.stdin.write(json.dumps([command, *arguments]).encode() + b"\n")
        self._process.stdin.flush()

    def result(self) -> Any:
        """Wait for the end of a command that was started.

        Raises:
            ForeignError: It failed.
        """
        assert self._process.stdout is not None
        deadline = time.monotonic() + HANG
        while b"\n" not in self._rest:
            ready, _, _ = select.select([self._process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, "the program says nothing"
            data = os.read(self._process.stdout.fileno(), 1 << 20)
            assert data, "the program has ended"
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        self._is_busy = False
        state, value = json.loads(line)
        if state == "error":
            raise ForeignError(value)
        return value

    def do(self, command: str, *arguments: Any) -> Any:
        """Let it do something, and wait for the result."""
        self.start(command, *arguments)
        return self.result()

    def send_bytes(self, data: bytes) -> None:
        """Let it write some bytes at once."""
        self.do("send_bytes", data.hex())

    def receive_line(self, *size: int) -> bytes:
        """The next line that it gets, as it came; b"" at the end."""
        return bytes.fromhex(self.do("receive_line", *size))
