# SPDX-License-Identifier: MIT
"""Serves over TCP whoever knows the secret, and sends others away.

Run it: ``python examples/tcp_secret.py``. Between machines both sides read the secret from a file of their
own, and a tunnel goes around it all, because nothing that travels over TCP is encrypted (SECURITY.md).
"""

from __future__ import annotations

import logging
import secrets
import subprocess
import sys

import ipcfast


def client(address: str) -> None:
    """Ask the server for a sum, once both have proved that they know the secret."""
    secret = bytes.fromhex(sys.stdin.readline())  # not in the arguments, which every user can see
    for what in (secrets.token_bytes(32), secret):
        try:
            with ipcfast.connect(address, secret=what, timeout=30.0) as channel:
                channel.send(ipcfast.IpcMessage("request", [1, 2, 3], method="sum"))
                print("the sum is", channel.recv(timeout=30.0).data)
        except ipcfast.PermissionDenied as error:
            print(str(error).partition(": ")[2])


def server() -> None:
    """Serve one client that knows the secret."""
    logging.getLogger("ipcfast").addHandler(logging.NullHandler())  # it would tell who was sent away
    secret = secrets.token_bytes(32)
    with ipcfast.listen("tcp://127.0.0.1:0", secret=secret) as listener:
        with subprocess.Popen(
            [sys.executable, __file__, listener.address], stdin=subprocess.PIPE, text=True
        ) as process:
            assert process.stdin is not None
            process.stdin.write(f"{secret.hex()}\n")
            process.stdin.close()
            with listener.accept(timeout=30.0) as channel:
                request = channel.recv(timeout=30.0)
                print("somebody who knows the secret wants the", request.method)
                channel.send({"type": "response", "data": sum(request.data)})


if __name__ == "__main__":
    client(sys.argv[1]) if sys.argv[1:] else server()
