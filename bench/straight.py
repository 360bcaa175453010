# SPDX-License-Identifier: MIT
"""Both ends of a channel in one thread, for instructions.py: ``python -m bench.straight KIND WORK COUNT``.

Nobody waits, so nearly the same instructions run each time.
"""

from __future__ import annotations

import sys

import ipcfast

BODY = b"." * 64
MESSAGE = {"type": "data", "data": {"frame": 7, "done": False}}


def main(kind: str, work: str, count: int) -> None:
    """Send and receive ``count`` times."""
    here, there = ipcfast.pair(kind)
    with here, there:
        if work == "bytes":
            send, recv = here.send_bytes, there.recv_bytes
            for _ in range(count):
                send(BODY)
                if recv() != BODY:
                    raise RuntimeError("a message was altered")
        else:
            for _ in range(count):
                here.send(MESSAGE)
                if there.recv().data != MESSAGE["data"]:
                    raise RuntimeError("a message was altered")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
