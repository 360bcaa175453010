# SPDX-License-Identifier: MIT
"""Speaks JSON lines with a child over its standard input and output; whatever it prints does no harm.

Run it: ``python examples/stdio_parent.py``.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import ipcfast

REQUESTS = [
    ("greet", {"text": "grüß dich, 你好"}),
    ("run", {"code": "print('log: from a grandchild')"}),
    ("large", {"text": "x" * 1_000_000}),
]


def main() -> None:
    """Start the child and ask it things."""
    child = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("stdio_child.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert child.stdout is not None
    assert child.stdin is not None
    assert child.stderr is not None
    noise: list[bytes] = []
    with ipcfast.StdioChannel.of(child.stdout, child.stdin, on_noise=noise.append) as channel:
        for number, (method, data) in enumerate(REQUESTS):
            channel.send(ipcfast.IpcMessage("request", data, id=str(number), method=method))
            print(f"answer {number}: {channel.recv(timeout=30.0).data}")
        channel.send(ipcfast.IpcMessage("request", method="stop"))
        try:
            channel.recv(timeout=30.0)
        except ipcfast.Disconnected:
            print("the child has left")
    for line in noise:
        print("noise:", line.decode())
    for line in child.stderr:
        print("stderr:", line.decode().rstrip())
    print("the child ended with", child.wait(30.0))


if __name__ == "__main__":
    main()
