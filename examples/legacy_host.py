# SPDX-License-Identifier: MIT
"""Asks ``legacy_child.py`` the same over plain lines, with the standard library alone, and over a channel.

Run it: ``python examples/legacy_host.py``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import ipcfast

CHILD = [sys.executable, str(Path(__file__).with_name("legacy_child.py"))]
REQUESTS = [
    {"type": "request", "id": "1", "method": "add", "data": {"a": 2, "b": 3}},
    {"type": "request", "id": "2", "method": "echo", "data": "schön"},
]


def over_plain_lines() -> None:
    """Do it as it was always done: write a line, read a line."""
    pipe, environment = subprocess.PIPE, {**os.environ, "IPCFAST_MODE": "legacy"}
    with subprocess.Popen(
        CHILD, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env=environment
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        print("lines:", json.loads(child.stdout.readline()))
        for request in REQUESTS:
            child.stdin.write(json.dumps(request).encode() + b"\n")
            child.stdin.flush()
            print("lines:", json.loads(child.stdout.readline()))
        child.stdin.close()


def over_a_channel() -> None:
    """Do the same with a channel, which leaves both standard streams free."""
    with ipcfast.spawn(CHILD, stdout=subprocess.DEVNULL) as child:
        print("channel:", child.channel.recv(timeout=30.0).to_dict())
        for request in REQUESTS:
            child.channel.send(request)
            print("channel:", child.channel.recv(timeout=30.0).to_dict())


if __name__ == "__main__":
    over_plain_lines()
    over_a_channel()
